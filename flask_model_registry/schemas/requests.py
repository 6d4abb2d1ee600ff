"""Schemas of requests. They are strict, and their errors never quote what was sent."""

from __future__ import annotations

from marshmallow import RAISE, fields
from marshmallow.validate import Length, OneOf, Range

from .categories import CATEGORIES
from .fields import (
    ABILITY,
    ABOUT_ABILITIES,
    ABOUT_BASE_URL,
    ABOUT_KEY,
    ABOUT_NAME,
    ABOUT_PROVIDER,
    API_KEY,
    MODEL_ID_FORMAT,
    NO_KEY,
    ONE_LINE,
    PROVIDER,
    TEXT,
    ApiKey,
    JsonBoolean,
    JsonNumber,
    Schema,
    StringList,
    about,
    category_only,
)
from .parameters import info_field, parameters_field


class StrictSchema(Schema):
    """A schema that refuses unknown fields."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012  # as Marshmallow has it

    class Meta(Schema.Meta):  # noqa: D106
        unknown = RAISE


class NewModel(StrictSchema):
    """The published request: register a model."""

    model_id = fields.String(
        required=True,
        validate=MODEL_ID_FORMAT,
        metadata=about(
            "Your name for the model. It must be unique among your models. If the model is shared "
            "with everyone, it must also be unique among the shared ones."
        ),
    )
    model_provider = fields.String(required=True, validate=PROVIDER, metadata=ABOUT_PROVIDER)
    model_name = fields.String(
        required=True, validate=[Length(1, 255), ONE_LINE], metadata=ABOUT_NAME
    )
    api_key = ApiKey(
        required=True, load_only=True, validate=API_KEY, error_messages=NO_KEY, metadata=ABOUT_KEY
    )
    category = fields.String(
        load_default="llm", validate=OneOf(CATEGORIES), metadata=about("What the model is for.")
    )
    base_url = fields.String(
        load_default=None,
        allow_none=True,
        validate=[Length(1, 2048), ONE_LINE],
        metadata=ABOUT_BASE_URL,
    )
    temperature = JsonNumber(
        load_default=None,
        allow_none=True,
        validate=Range(0, 2),
        metadata=category_only("temperature"),
    )
    dimension = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=Range(1, 65_536),
        metadata=category_only("dimension"),
    )
    abilities = StringList(
        fields.String(validate=ABILITY),
        most=32,
        load_default=None,
        allow_none=True,
        metadata=ABOUT_ABILITIES,
    )
    description = fields.String(
        load_default=None,
        allow_none=True,
        validate=[Length(max=4096), TEXT],
        metadata=about("Any text. It may have line breaks."),
    )
    share_with_users = JsonBoolean(
        load_default=False,
        metadata=about(
            "Whether to share the model with everyone. You need permission to share. In "
            "responses, this field is called `is_shared`."
        ),
    )


class ModelUpdate(NewModel):
    """A change to a model: all fields except the API key, or only some with ``partial=True``."""

    api_key = ApiKey(
        allow_none=True,
        load_only=True,
        validate=API_KEY,
        metadata=about(
            "Write-only: never returned. If you leave it out, the stored API key stays. Null "
            "removes it. Required if you change the provider, or the scheme, host or port."
        ),
    )
    is_active = JsonBoolean(
        load_default=True,
        metadata=about("Inactive models cannot be called, and lists leave them out by default."),
    )


class ModelParameters(StrictSchema):
    """The parameters sent with each call to a model, and facts about the model."""

    parameters = parameters_field(required=True)
    info = info_field(required=True)


class ProviderCredentials(StrictSchema):
    """The server that lists its models, and the API key for this server."""

    api_key = ApiKey(
        required=True, load_only=True, validate=API_KEY, error_messages=NO_KEY, metadata=ABOUT_KEY
    )
    base_url = fields.String(
        load_default=None,
        allow_none=True,
        validate=[Length(1, 2048), ONE_LINE],
        metadata=ABOUT_BASE_URL,
    )


class ConnectionTest(ProviderCredentials):
    """The fields that a test of an unsaved model needs."""

    model_provider = fields.String(required=True, validate=PROVIDER, metadata=ABOUT_PROVIDER)
    model_name = fields.String(
        required=True, validate=[Length(1, 255), ONE_LINE], metadata=ABOUT_NAME
    )


def billed_call_field() -> JsonBoolean:
    """Return the field that asks for a call to the model instead of a list of models."""
    return JsonBoolean(
        load_default=False,
        metadata=about(
            "Whether to call the model once, with a few tokens, which the provider may bill."
        ),
    )


class ModelTest(StrictSchema):
    """What to test with a saved model's API key. Without a body, the model itself is tested."""

    model_name = fields.String(
        validate=[Length(1, 255), ONE_LINE],
        metadata=about(
            "Another model of the same provider to test. You must be able to edit the model."
        ),
    )
    billed_call = billed_call_field()


class NoFields(StrictSchema):
    """No fields: a body may be left out, and anything in it is refused."""


class Rights(StrictSchema):
    """What a grant allows beyond use."""

    can_edit = JsonBoolean(
        load_default=False,
        metadata=about(
            "Whether the grantee may change the model, except its `model_id`, provider, host and "
            "sharing."
        ),
    )
    can_delete = JsonBoolean(
        load_default=False, metadata=about("Whether the grantee may delete the model.")
    )


class TransferOptions(StrictSchema):
    """Options of a transfer that is made from Python."""

    keep_grants = JsonBoolean(required=True)
    keep_active = JsonBoolean(required=True)
    without_key = JsonBoolean()


class TransferRequest(StrictSchema):
    """The user who gets a model."""

    user = fields.String(
        required=True,
        validate=Length(1, 255),
        metadata=about("The user's primary key, as a string."),
    )
    without_key = JsonBoolean(
        load_default=False,
        metadata=about(
            "Whether the model arrives without an API key. Must be true if the model uses a "
            "credential, because the credential stays with its owner."
        ),
    )


class DefaultChoice(StrictSchema):
    """The model to be a default."""

    id = fields.Integer(
        required=True,
        strict=True,
        metadata=about("The id of an active model whose category fits the `config_type`."),
    )


class Scope(StrictSchema):
    """Whose default a request reads or changes."""

    scope = fields.String(
        load_default="user",
        validate=OneOf(["user", "app"]),
        metadata=about(
            "`user` for your own default, or `app` for the default of all users. To change `app`, "
            "you need permission to share. If you read `user` and have no default, you get `app`."
        ),
    )


class NoQuery(StrictSchema):
    """No query parameters at all."""
