"""The shapes that go over the wire; strict, and never quoting what was sent."""

from __future__ import annotations

import base64
import re
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load
from marshmallow.validate import Length, OneOf, Range, Regexp

from ..core.filters import Filters
from ..core.resolver import Secret
from ..core.rules import CATEGORIES, MODEL_ID
from ..core.tables import MAX_ID
from ..text import LINE, LINES

_TEXT = Regexp(
    LINES,
    error="Must not hold control or invisible formatting characters.",
)
_LINE = Regexp(
    LINE,
    error="Must be on one line, without outer blanks, control or invisible characters.",
)
_MODEL_ID = Regexp(
    rf"{MODEL_ID.pattern}\Z",
    error="Must be 1 to 255 of A-Z a-z 0-9 . _ : / @ + - beginning with a letter or digit, "
    "without empty, '.' or '..' segments.",
)
PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PROVIDER = Regexp(
    rf"{PROVIDER.pattern}\Z",
    error="Must be 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit.",
)
_ABILITY = Regexp(
    r"[a-z0-9][a-z0-9._:-]{0,63}\Z",
    error="Must be 1 to 64 of a-z 0-9 . _ : - beginning with a letter or digit.",
)
_API_KEY = [
    # What can stand in a header.
    Regexp(r"[\x21-\x7e]{1,8192}\Z", error="Must be 1 to 8192 visible ASCII characters."),
    # What people paste back from pages that hide a key.
    Regexp(r"(?!.*(\*{2}|\.{3})|[*.xX]{3,}\Z)", error="This is a mask, not a key."),
]
_NO_KEY: dict[str, Any] = {
    "required": "Required; for a server that wants none, any word such as none."
}
_CURSOR = Regexp(r"[A-Za-z0-9_=-]{1,32}\Z", error="Must come from a Link header.")
_LIMIT = Regexp(r"[1-9][0-9]{0,8}\Z", error="Must be a whole number of at least 1.")


class Number(fields.Float):
    """A JSON number; text is none."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return (super()._deserialize(value, *args, **options) or 0.0) + 0.0  # no negative zero


class Flag(fields.Boolean):
    """A JSON boolean; 1 and "yes" are none."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _distinct(items: list[str]) -> None:
    if len(set(items)) < len(items):
        raise ValidationError("Must not name anything twice.")


def _hidden(loaded: dict[str, Any]) -> dict[str, Any]:
    api_key = loaded.get("api_key")
    return loaded if api_key is None else {**loaded, "api_key": Secret(api_key)}


class Strict(Schema):
    """Refuses fields that it does not know."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012  # as Marshmallow has it

    class Meta:  # noqa: D106
        unknown = RAISE


class NewModel(Strict):
    """The published request: create a model."""

    model_id = fields.String(required=True, validate=_MODEL_ID)
    model_provider = fields.String(required=True, validate=_PROVIDER)
    model_name = fields.String(required=True, validate=[Length(1, 255), _LINE])
    api_key = fields.String(
        required=True, load_only=True, validate=_API_KEY, error_messages=_NO_KEY
    )
    category = fields.String(load_default="llm", validate=OneOf(CATEGORIES))
    base_url = fields.String(load_default=None, allow_none=True, validate=[Length(1, 2048), _LINE])
    temperature = Number(load_default=None, allow_none=True, validate=Range(0, 2))
    dimension = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=Range(1, 65_536)
    )
    abilities = fields.List(
        fields.String(validate=_ABILITY),
        load_default=None,
        allow_none=True,
        validate=[Length(max=32), _distinct],
    )
    description = fields.String(
        load_default=None, allow_none=True, validate=[Length(max=4096), _TEXT]
    )
    share_with_users = Flag(load_default=False)

    @post_load
    def _hide_key(self, model: dict[str, Any], **_options: Any) -> dict[str, Any]:
        return _hidden(model)


class WholeModel(NewModel):
    """All of a model but the key, which is kept when omitted; partially, some of a model."""

    api_key = fields.String(allow_none=True, load_only=True, validate=_API_KEY)
    is_active = Flag(load_default=True)


class ExchangedModel(WholeModel):
    """A line of an export: a whole model, and the text of its owner's key."""

    owner = fields.String(
        required=True,
        validate=Length(1, 255),
        error_messages={"invalid": 'Must be the text of a key, such as "1".'},
    )


class Address(Strict):
    """Whom to ask, and with which key."""

    api_key = fields.String(
        required=True, load_only=True, validate=_API_KEY, error_messages=_NO_KEY
    )
    base_url = fields.String(load_default=None, allow_none=True, validate=[Length(1, 2048), _LINE])

    @post_load
    def _hide_key(self, address: dict[str, Any], **_options: Any) -> dict[str, Any]:
        return _hidden(address)


class Connection(Address):
    """What it takes to test a model that need not be saved."""

    model_provider = fields.String(required=True, validate=_PROVIDER)
    model_name = fields.String(required=True, validate=[Length(1, 255), _LINE])


class Credential(Strict):
    """A new API key."""

    api_key = fields.String(required=True, load_only=True, validate=_API_KEY)

    @post_load
    def _hide_key(self, credential: dict[str, Any], **_options: Any) -> dict[str, Any]:
        return _hidden(credential)


class Rights(Strict):
    """What a grant allows beyond use."""

    can_edit = Flag(load_default=False)
    can_delete = Flag(load_default=False)


class Recipient(Strict):
    """The user who gets a model, named by the text of the key."""

    user = fields.String(required=True, validate=Length(1, 255))


class Choice(Strict):
    """The model to be a default."""

    id = fields.Integer(required=True, strict=True)


class Scope(Strict):
    """Whose default it is."""

    scope = fields.String(load_default="user", validate=OneOf(["user", "app"]))


class NoQuery(Strict):
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


class Selection(Strict):
    """Which models to list or to count."""

    category = fields.String(validate=OneOf(CATEGORIES))
    model_provider = fields.String(validate=_PROVIDER)
    ability = fields.String(validate=_ABILITY)
    is_active = fields.String(load_default="true", validate=OneOf(["true", "false", "all"]))
    owned = fields.String(validate=OneOf(["true", "false"]))
    q = fields.String(load_default="", validate=[Length(max=255), _TEXT])

    @post_load
    def _as_filters(self, query: dict[str, Any], **_options: Any) -> Filters:
        query["is_active"] = _BOOLEANS.get(query["is_active"])
        query["owned"] = _BOOLEANS.get(query.get("owned"))
        query["q"] = query["q"].strip() or None
        return Filters(**query)


class ListQuery(Selection):
    """What to list, and where to begin."""

    sort = fields.String(load_default="id", validate=OneOf(["id", "-id"]))
    limit = fields.String(load_default=None, validate=_LIMIT)
    after = fields.String(validate=_CURSOR)

    @post_load
    def _as_filters(self, query: dict[str, Any], **_options: Any) -> Filters:
        sort, limit, after = query.pop("sort"), query.pop("limit"), query.pop("after", None)
        place = {
            "descending": sort == "-id",
            "limit": limit and int(limit),
            "after": after and _after(after, sort),
        }
        filters: Filters = super()._as_filters({**query, **place})
        return filters
