"""Schemas of responses, for the OpenAPI document, for tests and for schemas of the host app.

The responses themselves are dictionaries from ``db/representation.py`` and the services.
"""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, fields
from marshmallow.validate import OneOf

from ..providers.client import RESULTS
from .categories import CATEGORIES, CONFIG_TYPES
from .fields import Schema, about
from .limits import CREDENTIAL_KINDS
from .requests import ModelUpdate

_MAY_EDIT, _MAY_DELETE = about("Whether they may change it."), about("Whether they may delete it.")
_SENT = ModelUpdate().fields


def _as_sent(name: str) -> dict[str, Any]:
    """Return the metadata that a field has in a request."""
    return {**_SENT[name].metadata}


class Growing(Schema):
    """The shape of a response. It may get more fields, which clients ignore."""

    class Meta(Schema.Meta):  # noqa: D106
        unknown = EXCLUDE


class Timestamp(fields.AwareDateTime):
    """A date and time in UTC; calls from Python return it as a string already."""

    def _serialize(self, value: Any, *args: Any, **options: Any) -> Any:
        return value if isinstance(value, str) else super()._serialize(value, *args, **options)


class ModelRepresentation(Growing):
    """The published response: a model, as the user who asks sees it."""

    id = fields.Integer(required=True, metadata=about("What addresses call the model."))
    model_id = fields.String(required=True, metadata=_as_sent("model_id"))
    category = fields.String(
        required=True, validate=OneOf(CATEGORIES), metadata=_as_sent("category")
    )
    model_provider = fields.String(required=True, metadata=_as_sent("model_provider"))
    model_name = fields.String(required=True, metadata=_as_sent("model_name"))
    base_url = fields.String(required=True, allow_none=True, metadata=_as_sent("base_url"))
    temperature = fields.Float(required=True, allow_none=True, metadata=_as_sent("temperature"))
    dimension = fields.Integer(required=True, allow_none=True, metadata=_as_sent("dimension"))
    abilities = fields.List(
        fields.String(), required=True, allow_none=True, metadata=_as_sent("abilities")
    )
    description = fields.String(required=True, allow_none=True, metadata=_as_sent("description"))
    created_at = Timestamp(required=True, allow_none=True, metadata=about("In UTC (RFC 3339)."))
    updated_at = Timestamp(
        required=True,
        allow_none=True,
        metadata=about("In UTC (RFC 3339); null until the first change."),
    )
    is_active = fields.Boolean(required=True, metadata=_as_sent("is_active"))
    is_owner = fields.Boolean(required=True, metadata=about("Whether it is yours."))
    can_edit = fields.Boolean(required=True, metadata=about("Whether you may change it."))
    can_delete = fields.Boolean(required=True, metadata=about("Whether you may delete it."))
    is_shared = fields.Boolean(required=True, metadata=about("Whether it is shared with everyone."))


def _counts() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class Summary(Growing):
    """How many models there are."""

    total = fields.Integer(required=True)
    by_category = _counts()
    by_provider = _counts()
    by_ability = _counts()


class CredentialState(Growing):
    """The state of an API key."""

    is_set = fields.Boolean(required=True, metadata=about("Whether there is a key."))
    status = fields.String(
        required=True,
        validate=OneOf(["readable", "unreadable"]),
        metadata=about("Whether there is a key that opens; an unreadable one is to be set again."),
    )
    updated_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the key was last set or removed.")
    )
    credential = fields.Integer(
        required=True,
        allow_none=True,
        metadata=about("The credential that the model uses; null for all but its owner."),
    )
    expires_at = Timestamp(
        required=True, allow_none=True, metadata=about("When that credential expires.")
    )


class CredentialRepresentation(Growing):
    """A credential, as its owner sees it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    model_provider = fields.String(required=True)
    base_url = fields.String(required=True, allow_none=True)
    kind = fields.String(required=True, validate=OneOf(CREDENTIAL_KINDS))
    settings = fields.Dict(required=True, metadata=about("Those that are set."))
    secrets = fields.List(
        fields.String(), required=True, metadata=about("The names of what is encrypted.")
    )
    headers = fields.List(
        fields.String(), required=True, metadata=about("The names of the secret headers.")
    )
    reference = fields.String(
        required=True,
        allow_none=True,
        metadata=about("The name of the secret, if the app keeps that elsewhere."),
    )
    expires_at = Timestamp(required=True, allow_none=True)
    created_at = Timestamp(required=True)
    updated_at = Timestamp(required=True, allow_none=True)
    secret_updated_at = Timestamp(required=True)


class AccountSecretState(Growing):
    """The state of a credential's secret."""

    is_set = fields.Boolean(required=True, metadata=about("Whether there is one."))
    status = fields.String(required=True, validate=OneOf(["readable", "unreadable"]))
    secrets = fields.List(fields.String(), required=True)
    headers = fields.List(fields.String(), required=True)
    updated_at = Timestamp(required=True)


class UserGrant(Growing):
    """What a user was granted."""

    user = fields.String(required=True, metadata=about("The user's primary key, as a string."))
    can_edit = fields.Boolean(required=True, metadata=_MAY_EDIT)
    can_delete = fields.Boolean(required=True, metadata=_MAY_DELETE)


class GroupGrant(Growing):
    """What a group was granted."""

    group = fields.String(required=True, metadata=about("The name of the group."))
    can_edit = fields.Boolean(required=True, metadata=_MAY_EDIT)
    can_delete = fields.Boolean(required=True, metadata=_MAY_DELETE)


class Grants(Growing):
    """Whom a model is granted to."""

    users = fields.List(fields.Nested(UserGrant), required=True)
    groups = fields.List(fields.Nested(GroupGrant), required=True)


class DefaultModel(Growing):
    """A default that holds."""

    config_type = fields.String(required=True, validate=OneOf([*CONFIG_TYPES]))
    source = fields.String(
        required=True,
        validate=OneOf(["user", "app"]),
        metadata=about("Whose choice it is: your own, or that for all users."),
    )
    model = fields.Nested(ModelRepresentation, required=True)


class KindField(Growing):
    """A field of a secret, or a setting."""

    name = fields.String(required=True)
    required = fields.Boolean(required=True, metadata=about("Whether a credential must have it."))


class KindEntry(Growing):
    """A kind of secret that a provider takes."""

    kind = fields.String(required=True, validate=OneOf(CREDENTIAL_KINDS))
    secret = fields.List(
        fields.Nested(KindField), required=True, metadata=about("What is encrypted.")
    )
    settings = fields.List(
        fields.Nested(KindField), required=True, metadata=about("What is not encrypted.")
    )


class ProviderEntry(Growing):
    """A known provider."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    aliases = fields.List(
        fields.String(), required=True, metadata=about("Other names; models get the `id`.")
    )
    base_url = fields.String(
        required=True, allow_none=True, metadata=about("What a model without one is called at.")
    )
    needs_base_url = fields.Boolean(
        required=True, metadata=about("Whether a model must have a `base_url`.")
    )
    needs_key = fields.Boolean(
        required=True, metadata=about("Whether it wants an API key; otherwise any word will do.")
    )
    can_be_tested = fields.Boolean(
        required=True, metadata=about("Whether it can be asked for its models.")
    )
    categories = fields.List(
        fields.String(), required=True, metadata=about("What kinds of models it has.")
    )
    keys_url = fields.String(
        required=True, allow_none=True, metadata=about("The page where people get an API key.")
    )
    kinds = fields.List(
        fields.Nested(KindEntry),
        required=True,
        metadata=about("The kinds of secrets that credentials for it may have, the usual first."),
    )


class ProbeResult(Growing):
    """The result of a connection test."""

    result = fields.String(
        required=True,
        validate=OneOf(RESULTS),
        metadata=about("`ok`, or what went wrong; the status is 200 either way."),
    )
    latency_ms = fields.Integer(
        required=True, allow_none=True, metadata=about("How long it took, rounded.")
    )
    key_checked = fields.Boolean(
        required=True,
        allow_none=True,
        metadata=about("Whether the server looked at the API key; null if that is unknown."),
    )
    billed = fields.Boolean(
        required=True,
        metadata=about("Whether the model was called, which the provider may bill."),
    )


class ServedModels(Growing):
    """The names of the models that a provider serves."""

    models = fields.List(fields.String(), required=True)


class OpenAIModel(Growing):
    """A model, as OpenAI lists its own."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=OneOf(["model"]))
    created = fields.Integer(required=True)
    owned_by = fields.String(required=True, metadata=about("The provider."))
    category = fields.String(
        required=True, validate=OneOf(CATEGORIES), metadata=_as_sent("category")
    )


class OpenAIModels(Growing):
    """A list, as OpenAI's."""

    object = fields.String(required=True, validate=OneOf(["list"]))
    data = fields.List(fields.Nested(OpenAIModel), required=True)


class OpenAPIDocument(Growing):
    """A description of this API."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)


class FieldError(Growing):
    """A field and its problem."""

    field = fields.String(required=True)
    message = fields.String(required=True)


class OpenAIError(Growing):
    """What happened, as OpenAI says it."""

    message = fields.String(required=True)
    type = fields.String(required=True)
    param = fields.String(required=True, allow_none=True)
    code = fields.String(required=True, allow_none=True)


class Problem(Growing):
    """Problem details (RFC 9457)."""

    type = fields.String(required=True, metadata=about("What happened, for programs: a URN."))
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(metadata=about("What happened, and often how to fix it, for people."))
    errors = fields.List(
        fields.Nested(FieldError), metadata=about("With 422: which fields are wrong.")
    )
    error = fields.Nested(OpenAIError, metadata=about("Below `/v1`: the same for its clients."))
    result = fields.String(
        validate=OneOf(RESULTS), metadata=about("With 502 and 504: why the provider did not tell.")
    )
