"""Marshmallow schemas of requests and responses, and :func:`load`, which loads all data.

In your own schemas, nest a class or an instance. Marshmallow can't find these schemas by name.

    >>> from marshmallow import Schema, fields
    >>> from flask_model_registry.schemas import ModelRepresentation
    >>> class Assistant(Schema):
    ...     title = fields.String()
    ...     model = fields.Nested(ModelRepresentation(only=["id", "model_id"]))
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import marshmallow

from ..errors import MalformedRequestError, ValidationError
from ..secret import clear_frames
from .fields import search_text
from .requests import ModelUpdate, NewModel, Rights
from .responses import (
    DefaultModel,
    Grants,
    GroupGrant,
    ModelRepresentation,
    Problem,
    Summary,
    UserGrant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DefaultModel",
    "Grants",
    "GroupGrant",
    "ModelRepresentation",
    "ModelUpdate",
    "NewModel",
    "Problem",
    "Rights",
    "Summary",
    "UserGrant",
    "load",
    "search_text",
]

MAX_ERRORS = 50
# Clients choose the names of unknown fields, so errors only repeat what looks like a name.
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}(\.([a-z][a-z0-9_]{0,31}|[0-9]{1,5})){0,3}")


def parse_json(body: bytes) -> Any:
    """Parse JSON (RFC 8259), and refuse JSON that parsers read in different ways.

    Raises:
        MalformedRequestError: The body isn't UTF-8 or JSON, gives a name twice, contains NaN or
            Infinity, or is nested too deeply.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique_names, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        pass  # the frames hold the body
    finally:
        del body
    raise MalformedRequestError(
        "Send one JSON value in UTF-8, without duplicate names, NaN, Infinity or deep nesting."
    )


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a name is given twice")
    return mapping


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError  # parse_json() has the message


def load(schema: marshmallow.Schema, given: Any) -> Any:
    """Load data with a schema. If the data is a dict, empty it.

    Users mix up fields, so any field may hold an API key. Marshmallow's own error contains the
    data, so error reports would show this API key.

    Args:
        schema: An instance, such as ``NewModel()`` or ``ModelUpdate(partial=True)``.
        given: A dict of JSON values; anything else is not valid.

    Returns:
        The fields, with the API key as a :class:`~flask_model_registry.Secret`.

    Raises:
        ValidationError: A field is missing, unknown or not valid; ``errors`` lists them.
    """
    is_dict, outer = isinstance(given, dict), sys.exc_info()[1]
    try:
        if is_dict and len(given) > len(schema.load_fields) + MAX_ERRORS:
            return schema.load(_with_few_unknown(schema, given))
        return schema.load(given)
    except BaseException as error:
        clear_frames(error, outer)
        if not isinstance(error, marshmallow.ValidationError):
            raise
        problem = _validation_error(error, schema)
    finally:
        if is_dict:
            with suppress(TypeError):  # such as request.form, which cannot be changed
                given.clear()
        del given
    raise problem  # outside the except block, because Marshmallow's error holds the data


def _with_few_unknown(schema: marshmallow.Schema, given: dict[str, Any]) -> dict[str, Any]:
    """Leave out unknown fields that no error would name, because refusing thousands is slow."""
    known = {field.data_key or name for name, field in schema.load_fields.items()}
    unknown = islice((name for name in given if name not in known), MAX_ERRORS)
    return {name: given[name] for name in [*known.intersection(given), *unknown]}


def _validation_error(
    error: marshmallow.ValidationError, schema: marshmallow.Schema
) -> ValidationError:
    """Return Marshmallow's nested messages as an error with a list of fields."""
    known = {field.data_key or name for name, field in schema.fields.items()}
    problems = _flattened(error.messages)
    errors = [(path if path in known else shown_name(path), text) for path, text in problems]
    return ValidationError(errors[:MAX_ERRORS])


def _flattened(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(messages, dict):
        for message in [messages] if isinstance(messages, str) else messages:
            yield path, message
        return
    for key, nested in messages.items():
        inner = "" if key == "_schema" else str(key)
        yield from _flattened(nested, f"{path}.{inner}" if path and inner else path or inner)


def shown_name(text: str) -> str:
    """Return the name of a field if it looks like one, or else an empty string."""
    return text if _FIELD_NAME.fullmatch(text) else ""
