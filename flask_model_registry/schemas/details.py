"""Schemas of details beyond a model's representation."""

from __future__ import annotations

from marshmallow import fields
from marshmallow.validate import OneOf

from ..providers.client import RESULTS
from .fields import about
from .requests import ModelParameters
from .responses import ModelRepresentation, ResponseSchema, Timestamp

_PARAMETER_FIELDS = ModelParameters().fields


class Parameters(ResponseSchema):
    """The parameters sent with each call to a model, and facts about the model."""

    parameters = fields.Dict(required=True, metadata=_PARAMETER_FIELDS["parameters"].metadata)
    info = fields.Dict(required=True, metadata=_PARAMETER_FIELDS["info"].metadata)


class UsedCredential(ResponseSchema):
    """The credential that a model uses."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)


class KeyDetails(ResponseSchema):
    """Facts about an API key that the registry knows without decrypting it."""

    is_set = fields.Boolean(required=True, metadata=about("Whether the model has an API key."))
    updated_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the API key was last set or removed.")
    )
    expires_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the credential expires.")
    )
    credential = fields.Nested(
        UsedCredential,
        required=True,
        allow_none=True,
        metadata=about("The credential that the model uses. Null unless you own the model."),
    )


class LastTest(ResponseSchema):
    """The result of the last connection test."""

    result = fields.String(required=True, validate=OneOf(RESULTS))
    latency_ms = fields.Integer(required=True, allow_none=True)
    at = Timestamp(required=True)


class GrantCounts(ResponseSchema):
    """How many users and groups a model is granted to."""

    users = fields.Integer(required=True)
    groups = fields.Integer(required=True)


class ModelDetails(Parameters):
    """A model with details beyond its representation."""

    model = fields.Nested(ModelRepresentation, required=True)
    owner = fields.String(required=True, metadata=about("The owner's primary key, as a string."))
    relations = fields.List(
        fields.String(validate=OneOf(["owner", "everyone", "grantee", "group"])),
        required=True,
        metadata=about("How you are related to the model."),
    )
    groups = fields.List(
        fields.String(),
        required=True,
        metadata=about("Your groups that have a grant for the model."),
    )
    address = fields.String(
        required=True,
        allow_none=True,
        metadata=about("The URL that is called. Null if the provider is no longer known."),
    )
    is_provider_address = fields.Boolean(
        required=True, metadata=about("Whether `address` is the provider's own URL.")
    )
    key = fields.Nested(KeyDetails, required=True)
    test = fields.Nested(
        LastTest,
        required=True,
        allow_none=True,
        metadata=about("Null if the model was never tested with its API key."),
    )
    grants = fields.Nested(
        GrantCounts,
        required=True,
        allow_none=True,
        metadata=about("Null unless you own the model."),
    )
