"""Schemas of requests: strict, and their errors never quote what was sent."""

from __future__ import annotations

import base64
from typing import Any

from marshmallow import RAISE, ValidationError, fields, post_load
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
    CURSOR,
    MODEL_ID_FORMAT,
    NO_KEY,
    ONE_LINE,
    PROVIDER,
    TEXT,
    ApiKey,
    JsonBoolean,
    JsonNumber,
    QueryInteger,
    Schema,
    StringList,
    about,
    category_only,
)
from .filters import Filters
from .limits import MAX_ID, MOST_SEARCHED, MOST_SOUGHT

PAGE_SIZE = 50


class StrictSchema(Schema):
    """Refuses fields that it does not know."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012  # as Marshmallow has it

    class Meta(Schema.Meta):  # noqa: D106
        unknown = RAISE


class NewModel(StrictSchema):
    """The published request: register a model."""

    model_id = fields.String(
        required=True,
        validate=MODEL_ID_FORMAT,
        metadata=about(
            "Your name for the model: unique among yours, and among those shared with everyone."
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
        metadata=about("Any text, with line breaks."),
    )
    share_with_users = JsonBoolean(
        load_default=False,
        metadata=about("Share with everyone, if you may; responses call it `is_shared`."),
    )


class ModelUpdate(NewModel):
    """A change of a model: all fields but the API key, or some of them with ``partial=True``."""

    api_key = ApiKey(
        allow_none=True,
        load_only=True,
        validate=API_KEY,
        metadata=about(
            "Write-only: no answer holds it. Left out, it stays; null removes it. Needed again "
            "for another provider, or another scheme, host or port."
        ),
    )
    is_active = JsonBoolean(
        load_default=True,
        metadata=about("Inactive models cannot be called; unless asked for, they are not listed."),
    )


class ExchangedModel(ModelUpdate):
    """A line of an export: a whole model, and the text of its owner's key."""

    owner = fields.String(
        required=True,
        validate=Length(1, 255),
        error_messages={"invalid": 'Must be the text of a key, such as "1".'},
    )


class ProviderCredentials(StrictSchema):
    """Whom to ask, and with which key."""

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
    """What it takes to test a model that need not be saved."""

    model_provider = fields.String(required=True, validate=PROVIDER, metadata=ABOUT_PROVIDER)
    model_name = fields.String(
        required=True, validate=[Length(1, 255), ONE_LINE], metadata=ABOUT_NAME
    )


class Credential(StrictSchema):
    """A new API key."""

    api_key = ApiKey(required=True, load_only=True, validate=API_KEY, metadata=ABOUT_KEY)


class Rights(StrictSchema):
    """What a grant allows beyond use."""

    can_edit = JsonBoolean(
        load_default=False,
        metadata=about("May change the model, but not its id, provider, host or sharing."),
    )
    can_delete = JsonBoolean(load_default=False, metadata=about("May delete the model."))


class TransferOptions(StrictSchema):
    """What the host's own code leaves with a model that is given away; never over HTTP."""

    keep_grants = JsonBoolean(required=True)
    keep_active = JsonBoolean(required=True)


class TransferRequest(StrictSchema):
    """The user who gets a model, named by the primary key as a string."""

    user = fields.String(
        required=True,
        validate=Length(1, 255),
        metadata=about("The user's primary key, as a string."),
    )


class DefaultChoice(StrictSchema):
    """The model to be a default."""

    id = fields.Integer(
        required=True,
        strict=True,
        metadata=about("An active model, of the category that the `config_type` is for."),
    )


class Scope(StrictSchema):
    """Whose default it is."""

    scope = fields.String(
        load_default="user",
        validate=OneOf(["user", "app"]),
        metadata=about(
            "`user`, your own, or `app`, that of all users, which takes the right to share to set. "
            "A look-up for `user` falls back to that of all users."
        ),
    )


class NoQuery(StrictSchema):
    """No query parameters at all."""


_BOOLEANS: dict[str | None, bool] = {"true": True, "false": False}


def cursor(sort: str, last_id: int) -> str:
    """Return the cursor for the page after the model with this id; opaque to clients."""
    return base64.urlsafe_b64encode(f"{sort}:{last_id}".encode()).decode()


def _after(given: str, sort: str) -> int:
    try:
        last_id = int(base64.urlsafe_b64decode(given).decode("ascii").rpartition(":")[2])
    except ValueError:
        last_id = 0
    if not 0 < last_id <= MAX_ID or cursor(sort, last_id) != given:
        raise ValidationError("Must come from a Link header of the same sort.", "after")
    return last_id


class ModelFilter(StrictSchema):
    """Which models to list or to count."""

    category = fields.String(
        validate=OneOf(CATEGORIES), metadata=about("Only models of this category.")
    )
    model_provider = fields.String(
        validate=PROVIDER, metadata=about("Only models of this provider.")
    )
    ability = fields.String(validate=ABILITY, metadata=about("Only models with this ability."))
    is_active = fields.String(
        load_default="true",
        validate=OneOf(["true", "false", "all"]),
        metadata=about("Only models that are active, or inactive, or all."),
    )
    owned = fields.String(
        validate=OneOf(["true", "false"]),
        metadata=about("`true`: only your own models; `false`: only those of others."),
    )
    q = fields.String(
        load_default="",
        validate=[Length(max=MOST_SOUGHT), TEXT],
        metadata=about(
            "Text in the `model_id`, the `model_name` or the first "
            f"{MOST_SEARCHED} characters of the description, in any case."
        ),
    )

    @post_load
    def _as_filters(self, query: dict[str, Any], **_options: Any) -> Filters:
        query["is_active"] = _BOOLEANS.get(query["is_active"])
        query["owned"] = _BOOLEANS.get(query.get("owned"))
        query["q"] = query["q"].strip() or None
        sort = query.pop("sort", "id")  # which a ListQuery has, and "after" too
        if "after" in query:
            query["after"] = _after(query["after"], sort)
        return Filters(descending=sort == "-id", **query)


class ListQuery(ModelFilter):
    """What to list, and where to begin."""

    sort = fields.String(
        load_default="id",
        validate=OneOf(["id", "-id"]),
        metadata=about("By `id`; with `-id` the newest first."),
    )
    limit = QueryInteger(
        error_messages={"invalid": "Must be a whole number of at least 1."},
        metadata=about("How many models a page has at most."),
    )
    after = fields.String(
        validate=CURSOR,
        metadata=about("Where to go on: copy it unchanged from the previous page's `Link` header."),
    )
