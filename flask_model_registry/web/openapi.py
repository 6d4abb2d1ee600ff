"""The description of the API (OpenAPI 3.1), from the shapes that requests are read by."""

from __future__ import annotations

import re
from http import HTTPStatus
from inspect import getdoc
from itertools import starmap
from typing import TYPE_CHECKING, Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow.validate import Regexp

from ..core.defaults import CONFIG_TYPES
from ..core.rules import MODEL_ID
from ..text import LINE
from .answers import ModelRepresentation, Problem
from .values import PROVIDER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import marshmallow

    from .calls import View

    Routes = Mapping[str, tuple[str, Mapping[str, View]]]

_VARIABLE = re.compile(r"<(?:path:)?(\w+)>")
# Characters that only Python writes so, and lone surrogates, which no text in UTF-8 holds.
_NEUTRAL = {r"\U000e0000-\U000e007f": "\U000e0000-\U000e007f", r"\ud800-\udfff": "", r"\Z": "$"}
_ALWAYS, _WITH_BODY = (401, 422, 503, 507), (400, 413, 415)
_ABOUT_CONDITIONS = {
    "If-Match": "An `ETag`: 412 if the model is in another state by now.",
    "If-None-Match": "An `ETag`: 412 if the model is still in this state.",
}
_ABOUT_VARIABLES = {
    "id": "The `id` of the model, not its `model_id`.",
    "model_id": "Your own model comes before one granted to you, and that before one shared with "
    "everybody. Slashes may stay as they are.",
    "provider": "The `id` of a provider, or any other name if there is a `base_url`.",
    "config_type": "The kind of work that the default is for.",
    "user": "The text of the user's key.",
    "group": "The name of the group.",
}
_ABOUT_READ = {"If-None-Match": "An `ETag`: 304 if the model is still in this state."}
_ABOUT_HEADERS = {
    "ETag": "The state of the model, and what you may do with it; for `If-Match`.",
    "Link": 'While there are more models: `<...>; rel="next"`, the address of the next page.',
    "Location": "The address of what was made.",
    "Retry-After": "In how many seconds to try again.",
    "WWW-Authenticate": "That a bearer token is wanted, and what is wrong with this one.",
}
_HEADERS: Mapping[int, tuple[str, ...]] = {
    201: ("Location",),
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    507: ("Retry-After",),
}
_MODEL = {
    "model_id": "gpt-4o",
    "model_provider": "openai",
    "model_name": "gpt-4o",
    "category": "llm",
    "base_url": None,
    "temperature": 0.7,
    "dimension": None,
    "abilities": ["chat", "vision"],
    "description": "For everyday questions",
}
_KEY = {"api_key": "sk-your-key"}
#: An example for each shape of a body, by its name.
EXAMPLES: Mapping[str, Any] = {
    "NewModel": {**_MODEL, **_KEY, "share_with_users": False},
    "WholeModel": {**_MODEL, "is_active": True, "share_with_users": False},
    "WholeModelChanges": {"temperature": 0.2, "description": None},
    "Credential": _KEY,
    "Address": {**_KEY, "base_url": "https://api.example.com/v1"},
    "Connection": {**_KEY, "model_provider": "openai", "model_name": "gpt-4o"},
    "Rights": {"can_edit": True, "can_delete": False},
    "Recipient": {"user": "7"},
    "Choice": {"id": 5},
    "ModelRepresentation": {
        "id": 5,
        **_MODEL,
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": None,
        "is_active": True,
        "is_owner": True,
        "can_edit": True,
        "can_delete": True,
        "is_shared": False,
    },
}


def described(routes: Routes, prefix: str) -> dict[str, Any]:
    """Return the description of these routes.

    Args:
        prefix: The path that they are mounted at.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=shape_name)
    spec = APISpec("Model registry", "1", "3.1.0", plugins=[plugin], **_about(prefix))
    converter: Any = plugin.converter
    converter.attribute_functions.remove(converter.field2pattern)  # of one pattern, as it is
    converter.add_attribute_function(_pattern)
    converter.attribute_functions.remove(converter.field2default)
    converter.add_attribute_function(_default)
    spec.components.security_scheme(
        "token",
        {"type": "http", "scheme": "bearer", "description": "What the app takes for its users."},
    )
    all_views = [(rule, view) for rule, views in routes.values() for view in views.values()]
    for status in sorted(set().union(*starmap(_errors, all_views))):
        spec.components.response(f"Error{status}", _error(status))
    links = _links(routes)
    for name, (rule, views) in routes.items():
        operations = {
            method.lower(): _operation(_operation_id(method, name), rule, view, links)
            for method, view in views.items()
        }
        spec.path(_VARIABLE.sub(r"{\1}", rule), operations=operations, parameters=_variables(rule))
    return spec.to_dict()


def shape_name(schema: Any) -> str:
    """Return what a shape is called in the description."""
    name = schema.__name__ if isinstance(schema, type) else type(schema).__name__
    return f"{name}Changes" if getattr(schema, "partial", None) else name


def _about(prefix: str) -> dict[str, Any]:
    return {
        "info": {
            "description": "Models of AI that users register, share and call. Fields and "
            "parameters that are not named here are refused. Errors are problem details (RFC 9457)."
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}],
    }


def _variables(rule: str) -> list[dict[str, Any]]:
    shapes: Mapping[str, Any] = {
        "id": {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
        "model_id": {"type": "string", "pattern": _ecma(MODEL_ID.pattern + r"\Z")},
        "provider": {"type": "string", "pattern": _ecma(PROVIDER_ID.pattern + r"\Z")},
        "config_type": {"type": "string", "enum": [*CONFIG_TYPES]},
        "user": {"type": "string", "minLength": 1, "maxLength": 255},
        "group": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _ecma(LINE)},
    }
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "description": _ABOUT_VARIABLES[name],
            "schema": shapes[name],
        }
        for name in _VARIABLE.findall(rule)
    ]


def _operation_id(method: str, name: str) -> str:
    return f"{method.lower()}_{name}"


def _links(routes: Routes) -> dict[str, Any]:
    """Return what can be done with a model, by what an answer tells of it."""
    return {
        _operation_id(method, name): {
            "operationId": _operation_id(method, name),
            "parameters": {"id": "$response.body#/id"},
        }
        for name, (rule, views) in routes.items()
        for method in views
        if rule.startswith("/<id>")
    }


def _operation(
    operation_id: str, rule: str, view: View, links: Mapping[str, Any]
) -> dict[str, Any]:
    summary, _, more = (getdoc(view.function) or "").replace("``", "`").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        **({"description": more.replace("\n", " ")} if more else {}),
        "parameters": [*_parameters(view)],
        "responses": {
            **{
                str(status): _answer(status, shape, links) for status, shape in view.answers.items()
            },
            **{str(status): f"Error{status}" for status in sorted(_errors(rule, view))},
        },
    }
    if view.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(view.body)}
    if view.is_public:
        operation["security"] = []
    return operation


def _parameters(view: View) -> Iterator[dict[str, Any]]:
    if view.query.fields:
        yield {"in": "query", "schema": view.query}
    for name, text in _conditions(view).items():
        yield {"in": "header", "name": name, **_header(text)}


def _conditions(view: View) -> Mapping[str, str]:
    if view.is_conditional:
        return _ABOUT_CONDITIONS
    return _ABOUT_READ if HTTPStatus.NOT_MODIFIED in view.answers else {}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: _header(_ABOUT_HEADERS[name]) for name in names}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _errors(rule: str, view: View) -> set[int]:
    if view.is_public:
        return set()
    with_body = _WITH_BODY if view.body is not None else ()
    absent = (404,) if "<" in rule else ()
    stale = (412,) if view.is_conditional else ()
    return {*_ALWAYS, *with_body, *absent, *stale, *view.errors}


def _answer(
    status: int, shape: marshmallow.Schema | None, links: Mapping[str, Any]
) -> dict[str, Any]:
    answer = _said(status)
    if shape is not None:
        answer["content"] = _content(shape)
    if isinstance(shape, ModelRepresentation):
        name = "Link" if shape.many else "ETag"
        answer["headers"] = {**answer.get("headers", {}), **_headers([name])}
        if not shape.many:
            answer["links"] = links
    return answer


def _error(status: int) -> dict[str, Any]:
    return {**_said(status), "content": {"application/problem+json": {"schema": Problem}}}


def _said(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status in _HEADERS:
        answer["headers"] = _headers(_HEADERS[status])
    return answer


def _content(shape: marshmallow.Schema) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": shape}
    if example := EXAMPLES.get(shape_name(shape)):
        media["example"] = [example] if shape.many else example
    return {"application/json": media}


def _default(converter: Any, field: Any, **options: Any) -> dict[str, Any]:
    """Give the default of a field, but for changes: what these leave out stays as it is."""
    is_change = getattr(field.parent, "partial", None)
    default: dict[str, Any] = {} if is_change else converter.field2default(field, **options)
    return default


def _pattern(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Give all of a field's patterns, as JSON Schema has them (ECMA 262)."""
    patterns = [_ecma(each.regex.pattern) for each in field.validators if isinstance(each, Regexp)]
    if len(patterns) < 2:
        return {"pattern": patterns[0]} if patterns else {}
    return {"pattern": patterns[0], "allOf": [{"pattern": each} for each in patterns[1:]]}


def _ecma(pattern: Any) -> str:
    """Return a pattern that matches at the beginning, without what only Python knows."""
    for python, neutral in _NEUTRAL.items():
        pattern = str(pattern).replace(python, neutral)
    return f"^(?:{pattern})"
