"""The shapes that go over the wire; strict, and never quoting what was sent."""

from __future__ import annotations

import base64
import math
import re
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from flask_model_registry.core.queries import Filters
from flask_model_registry.core.resolver import Secret
from flask_model_registry.core.rules import CATEGORIES, MODEL_ID, UNSAFE_IN_LINE, UNSAFE_IN_TEXT
from flask_model_registry.core.tables import MAX_ID

_API_KEY = re.compile(r"[\x21-\x7e]{1,8192}")
_MASK = re.compile(r"\*{2}|\.{3}|\A[*.xX]+\Z")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}")
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StrictField(fields.Field):  # type: ignore[type-arg]  # generic since marshmallow 4 only
    """A field that takes a value as it is or refuses it, and never converts."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> Any:
        return self._checked(value)

    def _checked(self, value: Any) -> Any:
        raise NotImplementedError


class Line(StrictField, fields.String):
    """Text on one line, without blanks around it."""

    unsafe: ClassVar[re.Pattern[str]] = UNSAFE_IN_LINE

    def __init__(self, maximum: int, **options: Any) -> None:
        super().__init__(validate=validate.Length(1, maximum), **options)

    def _checked(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        if self.unsafe.search(value):
            raise ValidationError("Must not hold control or invisible formatting characters.")
        if value != value.strip():
            raise ValidationError("Must not begin or end with blanks.")
        return value


class Text(Line):
    """Text that may have line breaks and tabs."""

    unsafe = UNSAFE_IN_TEXT


class Token(StrictField, fields.String):
    """Text of a given pattern."""

    def __init__(self, pattern: re.Pattern[str], message: str, **options: Any) -> None:
        self.pattern, self.message = pattern, message
        super().__init__(**options)

    def _checked(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a string.")
        if not self.pattern.fullmatch(value):
            raise ValidationError(self.message)
        return value


class ApiKey(Token):
    """An API key: visible ASCII, so that it can stand in a header; no mask of one."""

    def __init__(self, **options: Any) -> None:
        message = "Must be 1 to 8192 visible ASCII characters without blanks."
        super().__init__(_API_KEY, message, load_only=True, **options)

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> Any:
        key = self._checked(value)
        if _MASK.search(key):
            raise ValidationError("This is a mask, not a key.")
        return Secret(key)


class Number(StrictField, fields.Float):
    """A JSON number; text and booleans are none."""

    def _checked(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValidationError("Must be a number.")
        try:
            return float(value) + 0.0
        except OverflowError:
            return math.inf


class Integer(StrictField, fields.Integer):
    """A JSON integer; 3.0 and "3" are none."""

    def _checked(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("Must be an integer.")
        return value


class Flag(StrictField, fields.Boolean):
    """A JSON boolean; 1 and "yes" are none."""

    def _checked(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


def _distinct(items: list[str]) -> None:
    if len(set(items)) < len(items):
        raise ValidationError("Must not name anything twice.")


def _model_id(**options: Any) -> Token:
    message = (
        "Must be 1 to 255 of A-Z a-z 0-9 . _ : / @ + - beginning with a letter or digit, "
        "without empty, '.' or '..' segments."
    )
    return Token(MODEL_ID, message, **options)


def _ability(**options: Any) -> Token:
    message = "Must be 1 to 64 of a-z 0-9 . _ : - beginning with a letter or digit."
    return Token(_TOKEN, message, **options)


def _provider(**options: Any) -> Token:
    message = "Must be 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit."
    return Token(_PROVIDER, message, **options)


def _category(**options: Any) -> fields.String:
    message = f"Must be one of: {', '.join(CATEGORIES)}."
    return Token(re.compile("|".join(CATEGORIES)), message, **options)


class Strict(Schema):
    """Refuses fields that it does not know."""

    error_messages = {"type": "Must be an object."}  # noqa: RUF012  # as Marshmallow has it

    class Meta:  # noqa: D106
        unknown = RAISE


class NewModel(Strict):
    """The published request: create a model."""

    model_id = _model_id(required=True)
    model_provider = _provider(required=True)
    model_name = Line(255, required=True)
    api_key = ApiKey(required=True)
    category = _category(load_default="llm")
    base_url = Line(2048, load_default=None, allow_none=True)
    temperature = Number(
        load_default=None, allow_none=True, validate=validate.Range(0, 2, error="Must be 0 to 2.")
    )
    dimension = Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, 65_536, error="Must be 1 to 65536."),
    )
    abilities = fields.List(
        _ability(),
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=32), _distinct],
    )
    description = Text(4096, load_default=None, allow_none=True)
    share_with_users = Flag(load_default=False)


class ModelRepresentation(Schema):
    """The published response: a model, as the user who asks sees it."""

    id = fields.Integer(required=True)
    model_id = fields.String(required=True)
    category = fields.String(required=True)
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


class NoQuery(Strict):
    """No query parameters at all."""


_BOOLEANS: dict[str | None, bool] = {"true": True, "false": False}
_WORD = re.compile("true|false")
_WORD_OR_ALL = re.compile("true|false|all")
_LIMIT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


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


class ListQuery(Strict):
    """What to list, and where to begin."""

    category = _category()
    model_provider = _provider()
    ability = _ability()
    is_active = Token(_WORD_OR_ALL, "Must be true, false or all.", load_default="true")
    owned = Token(_WORD, "Must be true or false.")
    q = Line(255)
    sort = Token(re.compile("-?id"), "Must be id or -id.", load_default="id")
    limit = Token(_LIMIT, "Must be a whole number of at least 1.", load_default=None)
    after = Token(re.compile(r"[A-Za-z0-9_=-]{1,32}"), "Must come from a Link header.")

    @post_load
    def _as_filters(self, query: dict[str, Any], **_options: Any) -> Filters:
        sort, after = query.pop("sort"), query.pop("after", None)
        query["is_active"] = _BOOLEANS.get(query["is_active"])
        query["owned"] = _BOOLEANS.get(query.get("owned"))
        query["limit"] = query["limit"] and int(query["limit"])
        query["after"] = after and _after(after, sort)
        return Filters(**query, descending=sort == "-id")
