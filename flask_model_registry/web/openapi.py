"""The OpenAPI 3.1 document, made from the schemas that load requests."""

from __future__ import annotations

import re
from http import HTTPStatus
from inspect import getdoc
from itertools import starmap
from typing import TYPE_CHECKING, Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow.validate import Regexp
from werkzeug.http import HTTP_STATUS_CODES

from ..schemas.categories import CONFIG_TYPES
from ..schemas.details import ModelDetails, Parameters
from ..schemas.fields import PROVIDER_ID
from ..schemas.filters import PAGE_SIZE, QueryInteger
from ..schemas.limits import MODEL_ID
from ..schemas.responses import CredentialRepresentation, ModelRepresentation, Problem
from ..text import LINE, UNSAFE
from ..version import __version__
from .openapi_examples import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import marshmallow

    from .routes import Operation, Route

_VARIABLE = re.compile(r"<(?:path:)?(\w+)>")
# JavaScript only has characters beyond U+FFFF with its flag `u`. Without the flag, a range must not
# begin there, so these two begin below. With the flag, only the second range includes the tags
# U+E0000 to U+E007F. Without it, the first range covers everything, so nothing is a tag. UTF-8 has
# no lone surrogates.
_TAG = "(?![\\x00-\\uffff\\x00-\U000dffff])[\\x00-\U000e007f]"
_SAFE = UNSAFE.replace(r"\ud800-\udfff\U000e0000-\U000e007f", "")
_CLASS = re.compile(rf"\[\^{re.escape(UNSAFE)}([^\]]*)\]")
# 405, because a path can match another route: /defaults/test is not /{id}/test.
_COMMON_ERRORS, _LOGIN_ERRORS, _BODY_ERRORS = {405, 422}, {401, 503, 507}, (400, 413, 415)
_ABOUT_CONDITIONS = {
    "If-Match": "The `ETag` that you expect. The request returns 412 if the tag has changed.",
    "If-None-Match": "An `ETag`. The request returns 412 if the tag hasn't changed.",
}
_ABOUT_VARIABLES = {
    "id": "The `id` of the model, not its `model_id`.",
    "credential": "The `id` of the credential, not its name.",
    "model_id": "If you see several models with this `model_id`, the request uses the first active "
    "one: your own, then one shared with everyone, then one granted to you, then one granted to "
    "your group. If all of them are inactive, the request uses the first inactive one, but a "
    "request for a change returns 409. You don't need to encode slashes.",
    "provider": "The `id` of a provider, or any other name if the body has a `base_url`.",
    "config_type": "The kind of work that the default is for.",
    "user": "The user's primary key, as a string.",
    "group": "The name of the group.",
}
_ABOUT_READ = {"If-None-Match": "An `ETag`. The request returns 304 if the tag hasn't changed."}
_ABOUT_HEADERS = {
    "Allow": "The methods that this URL supports.",
    "ETag": "A tag of the current state and of your permissions. Send it as `If-Match`.",
    "Link": 'The URL of the next page, as `<...>; rel="next"`. The last page has no `Link`.',
    "Location": "The URL of the new resource.",
    "Retry-After": "How many seconds to wait before a retry.",
    "WWW-Authenticate": "The request needs a bearer token. If this header contains an `error`, "
    "the server refused your token.",
}
_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    507: ("Retry-After",),
}
_TAGS: Mapping[str, str] = {
    "models": "Register, find, change and delete models.",
    "credentials": "Manage credentials, and the API keys of models.",
    "sharing": "Grant models to users and groups, and transfer models to other users.",
    "defaults": "Choose which model is used for each kind of work.",
    "providers": "List the models that providers serve, and test connections to providers.",
    "openai": "List models for OpenAI clients.",
    "description": "This document.",
}


def openapi_document(
    routes: Mapping[str, Route], prefix: str, login: Mapping[str, Any], *, largest_page: int
) -> dict[str, Any]:
    """Return the OpenAPI description of these routes.

    Args:
        prefix: The path where the routes are mounted.
        login: How users log in, from :mod:`.login_schemes`.
        largest_page: The largest ``limit`` of a list.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=schema_name)
    about = _about(prefix, login)
    spec = APISpec("Model registry", __version__, "3.1.0", plugins=[plugin], **about)
    converter: Any = plugin.converter
    converter.attribute_functions.remove(converter.field2pattern)  # it copies one pattern unchanged
    converter.add_attribute_function(_pattern)
    converter.attribute_functions.remove(converter.field2default)
    converter.add_attribute_function(_default)
    converter.add_attribute_function(_sizes(largest_page))
    for name, scheme in login["schemes"].items():
        spec.components.security_scheme(name, scheme)
    for tag, text in _TAGS.items():
        spec.tag({"name": tag, "description": text})
    served = [(route.rule, each) for route in routes.values() for each in route.operations.values()]
    for status in sorted(set().union(*starmap(_errors, served))):
        spec.components.response(f"Error{status}", _error(status))
    links = _links(served)
    for rule, by_method in routes.values():
        operations = {
            method.lower(): _operation(rule, each, links) for method, each in by_method.items()
        }
        for method, operation in operations.items():
            needed = login["needed"][method.upper()]
            if needed != about["security"] and "security" not in operation:
                operation["security"] = needed
                status = login["csrf_status"]
                operation["responses"].setdefault(str(status), f"Error{status}")
        spec.path(_VARIABLE.sub(r"{\1}", rule), operations=operations, parameters=_variables(rule))
    return spec.to_dict()


def schema_name(schema: Any) -> str:
    """Return the name of a schema in the description."""
    name = schema.__name__ if isinstance(schema, type) else type(schema).__name__
    return f"{name}Changes" if getattr(schema, "partial", None) else name


def _about(prefix: str, login: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "info": {
            "description": "AI models that users register, share and call. Requests with fields "
            "or parameters that this document doesn't name are refused. Later versions may add "
            "fields to responses, so ignore unknown fields. Errors are problem details (RFC 9457)."
        },
        "servers": [{"url": prefix}],
        "security": login["needed"]["GET"],
    }


def _variables(rule: str) -> list[dict[str, Any]]:
    schemas: Mapping[str, Any] = {
        "id": {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
        "credential": {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
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
            "schema": schemas[name],
        }
        for name in _VARIABLE.findall(rule)
    ]


def _links(served: Iterable[tuple[str, Operation]]) -> dict[str, Any]:
    """Return links from a response with a model to the operations on that model."""
    return {
        each.name: {"operationId": each.name, "parameters": {"id": "$response.body#/id"}}
        for rule, each in served
        if rule.startswith("/<id>")
    }


def _operation(rule: str, operation: Operation, links: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, more = (getdoc(operation.view) or "").replace("``", "`").partition("\n\n")
    document: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary,
        **({"description": more.replace("\n", " ")} if more else {}),
        "parameters": [*_parameters(operation)],
        "responses": {
            **{
                str(status): _response(status, schema, links)
                for status, schema in operation.responses.items()
            },
            **{str(status): f"Error{status}" for status in sorted(_errors(rule, operation))},
        },
    }
    if operation.body is not None:
        is_required = not operation.may_omit_body
        document["requestBody"] = {"required": is_required, "content": _content(operation.body)}
    if operation.is_public:
        document["security"] = []
    return document


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    if operation.query is not None:
        yield {"in": "query", "schema": operation.query}
    for name, text in _conditions(operation).items():
        yield {"in": "header", "name": name, **_header(text)}


def _conditions(operation: Operation) -> Mapping[str, str]:
    if operation.is_conditional:
        return _ABOUT_CONDITIONS
    return _ABOUT_READ if HTTPStatus.NOT_MODIFIED in operation.responses else {}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: _header(_ABOUT_HEADERS[name]) for name in names}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _errors(rule: str, operation: Operation) -> set[int]:
    if operation.is_public:
        return _COMMON_ERRORS
    with_body = _BODY_ERRORS if operation.body is not None else ()
    absent = (404,) if "<" in rule else ()
    stale = (412,) if operation.is_conditional else ()
    return {*_COMMON_ERRORS, *_LOGIN_ERRORS, *with_body, *absent, *stale, *operation.errors}


def _response(
    status: int, schema: marshmallow.Schema | None, links: Mapping[str, Any]
) -> dict[str, Any]:
    response = _bare_response(status)
    if schema is not None:
        response["content"] = _content(schema)
    if isinstance(schema, (ModelRepresentation, CredentialRepresentation, Parameters)):
        is_new = status == HTTPStatus.CREATED
        of_one, of_many = [] if isinstance(schema, ModelDetails) else ["ETag"], ["Link"]
        if is_new:  # it has no pages
            of_one, of_many = ["Location", "ETag"], []
        response["headers"] = _headers(of_many if schema.many else of_one)
        if isinstance(schema, ModelRepresentation) and not schema.many:
            response["links"] = links
    return response


def _error(status: int) -> dict[str, Any]:
    return {**_bare_response(status), "content": {"application/problem+json": {"schema": Problem}}}


def _bare_response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTP_STATUS_CODES[status]}
    if status in _HEADERS:
        response["headers"] = _headers(_HEADERS[status])
    return response


def _content(schema: marshmallow.Schema) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schema}
    if (example := EXAMPLES.get(schema_name(schema))) is not None:
        media["example"] = [example] if schema.many else example
    return {"application/json": media}


def _default(converter: Any, field: Any, **options: Any) -> dict[str, Any]:
    """Return the default of a field. In changes it has none, because missing fields stay."""
    is_change = getattr(field.parent, "partial", None)
    default: dict[str, Any] = {} if is_change else converter.field2default(field, **options)
    return default


def _sizes(largest_page: int) -> Callable[..., dict[str, Any]]:
    def sizes(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
        """Return the limits of a page's size."""
        if not isinstance(field, QueryInteger):
            return {}
        return {"minimum": 1, "maximum": largest_page, "default": min(PAGE_SIZE, largest_page)}

    return sizes


def _pattern(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Return all of a field's patterns in JSON Schema's dialect (ECMA 262)."""
    patterns = [_ecma(each.regex.pattern) for each in field.validators if isinstance(each, Regexp)]
    if len(patterns) < 2:
        return {"pattern": patterns[0]} if patterns else {}
    return {"pattern": patterns[0], "allOf": [{"pattern": each} for each in patterns[1:]]}


def _ecma(pattern: Any) -> str:
    """Return a pattern that matches at the beginning, without syntax that only Python has."""
    neutral = _CLASS.sub(lambda found: f"(?:(?!{_TAG})[^{_SAFE}{found[1]}])", str(pattern))
    return "^(?:{})".format(neutral.replace(r"\Z", "$"))
