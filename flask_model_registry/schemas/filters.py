"""Filters of a list of models: HTTP queries, calls from Python, and the statements they need."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import marshmallow
from marshmallow import fields, post_load
from marshmallow.validate import Length, OneOf

from ..errors import ValidationError
from ..text import UNSAFE
from .categories import CATEGORIES
from .fields import ABILITY, CURSOR, MODEL_ID_FORMAT, PROVIDER, TEXT, about, search_text
from .limits import MAX_ID, MAX_QUERY_LENGTH, MAX_WORDS, MODEL_ID, SEARCHED_DESCRIPTION_LENGTH
from .requests import StrictSchema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
PAGE_SIZE = 50
#: The fields that a list can be sorted by.
SORTS = ("id", "model_id", "model_provider", "updated_at", "tested_at")
_TEXT = re.compile(rf"[^{UNSAFE}]{{0,255}}")
TIMES = frozenset({"updated_at", "tested_at"})
_RFC_3339 = "%Y-%m-%dT%H:%M:%S.%fZ"
_FIRST_YEAR = 1000  # the first that MariaDB supports
# The parameters that hold the words of a search.
WORDS = tuple(f"word_{number}" for number in range(MAX_WORDS))
# The filters that are a condition on a model.
CONDITIONS = ("model_id", "category", "model_provider", "is_active", "ability")
# The type of each filter, or the pattern of a string, and the message of an error. Drivers refuse
# other values, or treat them differently.
_ASCII = re.compile("[ -~]{0,255}"), "Must be a string of up to 255 ASCII characters."
_KINDS: Mapping[str, tuple[Any, str]] = {
    "model_id": (MODEL_ID, "Must be a valid model_id."),
    **dict.fromkeys(("model_provider", "ability"), _ASCII),
    **dict.fromkeys(("is_active", "owned", "descending"), (bool, "Must be a boolean.")),
    **dict.fromkeys(("after", "limit"), (int, f"Must be a whole number from 1 to {MAX_ID}.")),
    "q": (
        re.compile(rf"([\n\r\t]|[^{UNSAFE}]){{0,{MAX_QUERY_LENGTH}}}"),
        f"Must be a string of up to {MAX_QUERY_LENGTH} visible characters.",
    ),
    "category": (re.compile("|".join(CATEGORIES)), f"Must be one of: {', '.join(CATEGORIES)}."),
    "sort": (re.compile("|".join(SORTS)), f"Must be one of: {', '.join(SORTS)}."),
}


class QueryKey(NamedTuple):
    """The key of a statement. Filters with the same key differ only in bind parameters.

    Attributes:
        given: The names of the conditions that narrow the list.
        is_after: Whether the page begins after a row. Always false unless sorted by id.
        has_limit: Whether there is a limit.
    """

    given: tuple[str, ...]
    owned: bool | None
    sort: str
    descending: bool
    is_after: bool
    has_limit: bool

    @property
    def in_ranges(self) -> bool:
        """Whether the page can be read as the first rows of index ranges, sorted by id."""
        return self.has_limit and self.sort == "id"


@dataclass(frozen=True)
class Filters:
    """Which models to list. ``None`` doesn't filter.

    Attributes:
        model_id: The exact ``model_id``. Several models may have the same one.
        q: Up to 8 words in up to 100 characters, in any script and case. Each must occur in the
            ``model_id``, the ``model_name``, the provider, an ability or the first 512 characters
            of the description.
        sort: The field to sort by, one of ``SORTS``. Models with the same value are ordered by
            their ids. Models without a value in this field come first.
        descending: Whether to reverse the order. With ``sort="id"``, the newest models come first.
        after: The id of the last model of the previous page, in the same order.
        after_value: The value of the ``sort`` field in the model of ``after``, unless ``sort`` is
            ``id``. A time is a string in RFC 3339, as in a representation.
        limit: The largest number of models. By default, all models are listed.

    Example:
        >>> Filters(category="llm", q="gpt")
        Filters(model_id=None, category='llm', ..., q='gpt', ...)
    """

    model_id: str | None = None
    category: str | None = None
    model_provider: str | None = None
    ability: str | None = None
    is_active: bool | None = True
    owned: bool | None = None
    q: str | None = None
    sort: str = "id"
    descending: bool = False
    after: int | None = None
    after_value: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        problems = []
        for name, (kind, message) in _KINDS.items():
            value = getattr(self, name)
            if value is None and name != "sort":
                continue
            if kind is bool:
                is_valid = isinstance(value, bool)
            elif kind is int:
                is_valid = isinstance(value, int) and not isinstance(value, bool)
                is_valid = is_valid and 0 < value <= MAX_ID
            else:
                is_valid = isinstance(value, str) and kind.fullmatch(value) is not None
            if not is_valid:
                problems.append((name, message))
        problems = problems or [*self._problems()]
        if problems:
            raise ValidationError(problems)

    def _problems(self) -> Iterator[tuple[str, str]]:
        is_later = self.after is not None or self.after_value is not None
        if is_later and not _is_value(self.sort, self.after_value):
            yield "after_value", "Must be the value of the sort field in the last model."
        if self.q is not None and len(_words(self.q)) > MAX_WORDS:
            yield "q", f"Must be at most {MAX_WORDS} words."


def _is_value(sort: str, value: Any) -> bool:
    """Return whether the field that a list is sorted by may have this value."""
    if sort == "id" or not isinstance(value, str):
        return value is None and sort in {"id", *TIMES}  # times may be null
    if sort not in TIMES:
        return _TEXT.fullmatch(value) is not None
    try:
        return _moment(value).year >= _FIRST_YEAR
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _RFC_3339)  # noqa: DTZ007  # as tables have it


def _words(q: str) -> list[str]:
    """Return the words to search for, without duplicates."""
    return [*dict.fromkeys(search_text(q).split())]


_NAMES = frozenset(Filters.__dataclass_fields__)


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Return filters from the keyword arguments of the host's code.

    Raises:
        ValidationError: A filter does not exist, or its value is not valid.
    """
    if unknown := [(name, "Unknown field.") for name in given if name not in _NAMES]:
        raise ValidationError(unknown)
    return Filters(**given)


def query_key(filters: Filters, limit: int | None) -> tuple[QueryKey, dict[str, Any]]:
    """Return the key of the statement for these filters, and its bind parameters."""
    parameters: dict[str, Any] = {}
    for name in CONDITIONS:
        value = getattr(filters, name)
        if value is not None:
            parameters[name] = value
    if filters.q is not None:
        for name, word in zip(WORDS, _words(filters.q), strict=False):
            parameters[name] = word
    sort, descending = filters.sort, filters.descending
    is_after = filters.after is not None or sort == "id"
    key = QueryKey(tuple(parameters), filters.owned, sort, descending, is_after, limit is not None)
    parameters["after"] = filters.after or (MAX_ID + 1 if descending else 0)
    if sort != "id":
        value = filters.after_value or ""
        is_time = sort in TIMES
        parameters["after_value"] = (_moment(value) if value else None) if is_time else value
    return key, {**parameters, "limit": limit}


class QueryInteger(fields.Integer):
    """A whole number in a query: only digits, although Python's ``int`` reads more."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> int:
        if not _COUNT.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


_BOOLEANS: dict[str | None, bool] = {"true": True, "false": False}


def cursor(sort: str, last_id: int, value: str | None = None) -> str:
    """Return the cursor for the page after a model; opaque to clients.

    Args:
        value: The model's value of the field that the list is sorted by, if not the id.
    """
    parts = [sort, str(last_id)] if value is None else [sort, str(last_id), value]
    return base64.urlsafe_b64encode(":".join(parts).encode()).decode()


def cursor_after(row: Any, filters: Filters) -> str:
    """Return the cursor of the page after a row of a page."""
    value = None if filters.sort == "id" else row.sorted_by
    if isinstance(value, datetime):
        value = f"{value.isoformat(timespec='microseconds')}Z"
    return cursor(f"-{filters.sort}" if filters.descending else filters.sort, row.id, value)


def read_cursor(given: str, sort: str) -> tuple[int, str | None]:
    """Return the id and the value that a cursor holds."""
    try:
        _sort, last_id, *values = base64.urlsafe_b64decode(given).decode().split(":", 2)
        after, value = int(last_id), values[0] if values else None
        is_value = _is_value(sort.removeprefix("-"), value)
        if is_value and 0 < after <= MAX_ID and cursor(sort, after, value) == given:
            return after, value
    except ValueError:
        pass
    raise marshmallow.ValidationError("Must come from a Link header of the same sort.", "after")


class ModelFilter(StrictSchema):
    """Which models to list or to count."""

    model_id = fields.String(
        validate=MODEL_ID_FORMAT,
        metadata=about("Only models with exactly this `model_id`, whichever users own them."),
    )
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
        metadata=about("`true`: only active models; `false`: only inactive ones; `all`: both."),
    )
    owned = fields.String(
        validate=OneOf(["true", "false"]),
        metadata=about("`true`: only your own models; `false`: only other users' models."),
    )
    q = fields.String(
        validate=[Length(max=MAX_QUERY_LENGTH), TEXT],
        metadata=about(
            f"Up to {MAX_WORDS} words, in any order, script and case. Each word must be in the "
            "`model_id`, the `model_name`, the provider, an ability or the first "
            f"{SEARCHED_DESCRIPTION_LENGTH} characters of the description."
        ),
    )

    @post_load
    def _as_filters(self, query: dict[str, Any], **_options: Any) -> Filters:
        query["is_active"] = _BOOLEANS.get(query["is_active"])
        query["owned"] = _BOOLEANS.get(query.get("owned"))
        sort = query.pop("sort", "id")  # only a ListQuery has "sort" and "after"
        if "after" in query:
            query["after"], query["after_value"] = read_cursor(query["after"], sort)
        return Filters(sort=sort.removeprefix("-"), descending=sort[0] == "-", **query)


class ListQuery(ModelFilter):
    """What to list, and where to begin."""

    sort = fields.String(
        load_default="id",
        validate=OneOf([sign + name for name in SORTS for sign in ("", "-")]),
        metadata=about(
            "The field to sort by. A `-` reverses the order: `-id` lists the newest models first, "
            "`-updated_at` the last changed ones, and `-tested_at` the last tested ones. Models "
            "without the time to sort by come first, or last with `-`."
        ),
    )
    limit = QueryInteger(
        error_messages={"invalid": "Must be a whole number of at least 1."},
        metadata=about("The largest number of models on a page."),
    )
    after = fields.String(
        validate=CURSOR,
        metadata=about("Where the page begins. Copy it unchanged from the previous page's `Link`."),
    )


class CredentialPage(StrictSchema):
    """Which credentials to list, and where to begin."""

    limit = QueryInteger(
        error_messages={"invalid": "Must be a whole number of at least 1."},
        metadata=about("The largest number of credentials on a page."),
    )
    after = fields.String(
        validate=CURSOR,
        metadata=about("Where the page begins. Copy it unchanged from the previous page's `Link`."),
    )

    @post_load
    def _read(self, query: dict[str, Any], **_options: Any) -> dict[str, Any]:
        if "after" in query:
            query["after"], _value = read_cursor(query["after"], "id")
        return query


class Deletion(StrictSchema):
    """What happens to models that use the deleted credential."""

    detach = fields.String(
        load_default="false",
        validate=OneOf(["true", "false"]),
        metadata=about(
            "With `true`, models that use the credential are left without an API key. With "
            "`false`, the request returns 409 if models use the credential."
        ),
    )
