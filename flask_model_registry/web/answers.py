"""The shapes of answers: what the description says of them, and what tests hold them against."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from ..core.defaults import CONFIG_TYPES
from ..core.rules import CATEGORIES
from ..providers.probe import RESULTS


class ModelRepresentation(Schema):
    """The published response: a model, as the user who asks sees it."""

    id = fields.Integer(required=True)
    model_id = fields.String(required=True)
    category = fields.String(required=True, validate=OneOf(CATEGORIES))
    model_provider = fields.String(required=True)
    model_name = fields.String(required=True)
    base_url = fields.String(required=True, allow_none=True)
    temperature = fields.Float(required=True, allow_none=True)
    dimension = fields.Integer(required=True, allow_none=True)
    abilities = fields.List(fields.String(), required=True, allow_none=True)
    description = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    updated_at = fields.AwareDateTime(required=True, allow_none=True)
    is_active = fields.Boolean(required=True)
    is_owner = fields.Boolean(required=True)
    can_edit = fields.Boolean(required=True)
    can_delete = fields.Boolean(required=True)
    is_shared = fields.Boolean(required=True)


def _counts() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class Summary(Schema):
    """How many models there are."""

    total = fields.Integer(required=True)
    by_category = _counts()
    by_provider = _counts()
    by_ability = _counts()


class CredentialState(Schema):
    """What can be told of an API key."""

    is_set = fields.Boolean(required=True)
    status = fields.String(required=True, validate=OneOf(["readable", "unreadable"]))
    updated_at = fields.AwareDateTime(required=True, allow_none=True)


class UserGrant(Schema):
    """What a user was granted."""

    user = fields.String(required=True)
    can_edit = fields.Boolean(required=True)
    can_delete = fields.Boolean(required=True)


class GroupGrant(Schema):
    """What a group was granted."""

    group = fields.String(required=True)
    can_edit = fields.Boolean(required=True)
    can_delete = fields.Boolean(required=True)


class Grants(Schema):
    """Whom a model is granted to."""

    users = fields.List(fields.Nested(UserGrant), required=True)
    groups = fields.List(fields.Nested(GroupGrant), required=True)


class DefaultModel(Schema):
    """A default that holds."""

    config_type = fields.String(required=True, validate=OneOf([*CONFIG_TYPES]))
    source = fields.String(required=True, validate=OneOf(["user", "app"]))
    model = fields.Nested(ModelRepresentation, required=True)


class ProviderEntry(Schema):
    """A known provider."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    aliases = fields.List(fields.String(), required=True)
    base_url = fields.String(required=True, allow_none=True)
    needs_base_url = fields.Boolean(required=True)
    needs_key = fields.Boolean(required=True)
    can_be_tested = fields.Boolean(required=True)
    categories = fields.List(fields.String(), required=True)


class ProbeResult(Schema):
    """What came of a test."""

    result = fields.String(required=True, validate=OneOf(RESULTS))
    latency_ms = fields.Integer(required=True, allow_none=True)


class ServedModels(Schema):
    """The names of the models that a provider serves."""

    models = fields.List(fields.String(), required=True)


class OpenAIModel(Schema):
    """A model, as OpenAI lists its own."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=OneOf(["model"]))
    created = fields.Integer(required=True)
    owned_by = fields.String(required=True)


class OpenAIModels(Schema):
    """A list, as OpenAI's."""

    object = fields.String(required=True, validate=OneOf(["list"]))
    data = fields.List(fields.Nested(OpenAIModel), required=True)


class Description(Schema):
    """A description of this API."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)


class FieldFault(Schema):
    """A field, and what is wrong with it."""

    field = fields.String(required=True)
    message = fields.String(required=True)


class Problem(Schema):
    """Problem details (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.List(fields.Nested(FieldFault))
    result = fields.String(validate=OneOf(RESULTS))
