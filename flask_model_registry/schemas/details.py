"""Schemas of what a model's representation does not tell."""

from __future__ import annotations

from marshmallow import fields
from marshmallow.validate import OneOf

from ..providers.client import RESULTS
from .fields import about
from .requests import ModelParameters
from .responses import Growing, ModelRepresentation, Timestamp

_OF_CALLS = ModelParameters().fields


class Parameters(Growing):
    """What each call of a model sends, and what is known about the model."""

    parameters = fields.Dict(required=True, metadata=_OF_CALLS["parameters"].metadata)
    info = fields.Dict(required=True, metadata=_OF_CALLS["info"].metadata)


class UsedCredential(Growing):
    """The credential that a model uses."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)


class KeyDetails(Growing):
    """What is known of an API key without decrypting it."""

    is_set = fields.Boolean(required=True, metadata=about("Whether there is a key."))
    updated_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the key was last set or removed.")
    )
    expires_at = Timestamp(
        required=True, allow_none=True, metadata=about("When its credential expires.")
    )
    credential = fields.Nested(
        UsedCredential,
        required=True,
        allow_none=True,
        metadata=about("The credential that the model uses; null for all but its owner."),
    )


class LastTest(Growing):
    """The result of the last connection test."""

    result = fields.String(required=True, validate=OneOf(RESULTS))
    latency_ms = fields.Integer(required=True, allow_none=True)
    at = Timestamp(required=True)


class GrantCounts(Growing):
    """How many users and groups a model is granted to."""

    users = fields.Integer(required=True)
    groups = fields.Integer(required=True)


class ModelDetails(Parameters):
    """What the representation of a model does not tell."""

    model = fields.Nested(ModelRepresentation, required=True)
    owner = fields.String(required=True, metadata=about("The owner's primary key, as a string."))
    relations = fields.List(
        fields.String(validate=OneOf(["owner", "everyone", "grantee", "group"])),
        required=True,
        metadata=about("How you are related to the model."),
    )
    groups = fields.List(
        fields.String(), required=True, metadata=about("Your groups that it is granted to.")
    )
    address = fields.String(
        required=True,
        allow_none=True,
        metadata=about("The URL that is called; null if its provider is no longer known."),
    )
    is_provider_address = fields.Boolean(
        required=True, metadata=about("Whether that is the provider's own URL.")
    )
    key = fields.Nested(KeyDetails, required=True)
    test = fields.Nested(
        LastTest,
        required=True,
        allow_none=True,
        metadata=about("Null if it was never tested with its API key."),
    )
    grants = fields.Nested(
        GrantCounts, required=True, allow_none=True, metadata=about("Null for all but the owner.")
    )
