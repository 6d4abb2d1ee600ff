"""The page of HTTP operations, from the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from werkzeug.http import HTTP_STATUS_CODES

from flask_model_registry.config import Settings
from flask_model_registry.web.login_schemes import jwt_login
from flask_model_registry.web.openapi import openapi_document
from flask_model_registry.web.views import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "/api/models"
INTRODUCTION = f"""# HTTP operations

For developers who look up a field, a parameter or a status.

This page is made from the OpenAPI document of this version. [HTTP](http.md) explains the routes,
and [Errors](http.md#errors) explains the statuses. URLs are below `{PREFIX}`, or your
`MODEL_REGISTRY_URL_PREFIX`. The registry refuses control characters and invisible characters in
every string, except line breaks and tabs in descriptions and `q`.
"""
LONGEST_LINE = 80
LONGEST_PATTERN = 60  # longer ones say less than they take to read
RANGES = {
    "{} characters": ("minLength", "maxLength"),
    "{}": ("minimum", "maximum"),
    "{} items": ("minItems", "maxItems"),
}


def written() -> str:
    """Return the page."""
    description = openapi_document(
        ROUTES, PREFIX, jwt_login({}), largest_page=Settings.max_page_size
    )
    shapes = description["components"]["schemas"]
    lines = [INTRODUCTION]
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                parameters = [*item.get("parameters", ()), *operation["parameters"]]
                lines += _operation(f"{method.upper()} {path}", operation, parameters, shapes)
    lines += ["## Shapes", "", "The fields of responses, and of the objects inside bodies.", ""]
    for name in sorted(_answered(description) | _nested(description)):
        lines += [f"### {name}", "", *_fields(shapes[name]), ""]
    return "\n".join(lines)


def _operation(
    title: str,
    operation: Mapping[str, Any],
    parameters: list[dict[str, Any]],
    shapes: Mapping[str, Any],
) -> Iterator[str]:
    yield from (f"## `{title}`", "", operation["summary"])
    yield f"Its `operationId` is `{operation['operationId']}`."
    if operation.get("security") == []:
        yield "This operation needs no token."
    yield ""
    if "description" in operation:
        yield from (operation["description"], "")
    if parameters:
        yield from ("| parameter | in | type | default | meaning |", "|---|---|---|---|---|")
        for each in parameters:
            schema = each["schema"]
            default = "required" if each.get("required") else _default(schema)
            kind, text = _type(schema), each["description"]
            yield f"| `{each['name']}` | {each['in']} | {kind} | {default} | {text} |"
        yield ""
    if "requestBody" in operation:
        (media,) = operation["requestBody"]["content"].values()
        name = _name(media["schema"])
        if shapes[name]["properties"]:
            yield from (*_body(name, shapes), "")
            yield from _example(media)
        else:
            yield from ("Send no body, or an object without fields.", "")
    yield from (_statuses(operation["responses"]), "")
    first = next(iter(operation["responses"].values()))
    for media in first.get("content", {}).values():
        yield from _example(media)


def _example(media: Mapping[str, Any]) -> Iterator[str]:
    """Yield the example of a body, with short objects on one line."""
    if "example" in media:
        yield from ("```json", _json(media["example"]), "```", "")


def _json(value: Any, indent: str = "") -> str:
    text = json.dumps(value)
    if len(text) <= LONGEST_LINE or not isinstance(value, (dict, list)):
        return text
    inner = indent + "  "
    if isinstance(value, list):
        members = [_json(each, inner) for each in value]
    else:
        members = [f"{json.dumps(name)}: {_json(each, inner)}" for name, each in value.items()]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f"{first}\n" + ",\n".join(inner + each for each in members) + f"\n{indent}{last}"


def _body(name: str, shapes: Mapping[str, Any]) -> Iterator[str]:
    schema = shapes[name]
    yield from ("| body | type | default | meaning |", "|---|---|---|---|")
    for field, each in schema["properties"].items():
        default = "required" if field in schema.get("required", ()) else _default(each)
        if name.endswith("Changes"):
            default = "unchanged"
        yield f"| `{field}` | {_type(each)} | {default} | {each['description']} |"


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, each in schema["properties"].items():
        yield f"| `{name}` | {_type(each)} | {each.get('description', '')} |"


def _statuses(responses: Mapping[str, Any]) -> str:
    good = [_good(status, each) for status, each in responses.items() if "$ref" not in each]
    errors = [status for status, each in responses.items() if "$ref" in each]
    told = f" Errors: {', '.join(errors)}." if errors else ""
    return f"Returns {', or '.join(good)}.{told}"


def _good(status: str, response: Mapping[str, Any]) -> str:
    text = f"{status} {HTTP_STATUS_CODES[int(status)]}"
    for media in response.get("content", {}).values():
        kind = _type(media["schema"])
        text += f" with an {kind}" if kind.startswith("array") else f" with {kind}"
    headers = [f"`{name}`" for name in response.get("headers", {})]
    name = "header" if len(headers) == 1 else "headers"
    return f"{text} ({name} {', '.join(headers)})" if headers else text


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = _name(schema)
        return f"[{name}](#{name.lower()})"
    if "allOf" in schema and "type" not in schema:  # a shape, with a description of its own
        return _type(schema["allOf"][0])
    kind = schema.get("type", "anything")
    kinds = [kind] if isinstance(kind, str) else kind
    text = kinds[0]
    for held in ("items", "additionalProperties"):
        if schema.get(held):
            text += f" of {_type(schema[held])}"
    parts = [text, *_limits(schema), *(["or null"] if "null" in kinds else [])]
    if "enum" in schema:
        parts.append(", ".join(f"`{each}`" for each in schema["enum"]))
    return "; ".join(parts)


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    for text, (least, most) in RANGES.items():
        if most in schema:
            limits = [f"{schema[name]:.10g}" for name in (least, most) if name in schema]
            yield text.format(" to ".join(limits) if len(limits) > 1 else f"up to {limits[0]}")
    pattern = re.sub(r"^\^\(\?:(.*?)\$?\)$", r"\1", schema.get("pattern", ""))
    if 0 < len(pattern) <= LONGEST_PATTERN:
        yield f"`{pattern}`".replace("|", r"\|")
    elif pattern and "maxLength" not in schema:
        yield "see [register](http.md#register)"


def _default(schema: Mapping[str, Any]) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _name(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name


def _answered(description: Mapping[str, Any]) -> set[str]:
    """Return the names of shapes that answers hold, or that these hold."""
    shapes = description["components"]["schemas"]
    answers = [
        response
        for item in description["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
        for response in operation["responses"].values()
    ]
    names, unseen = set(), _references([answers, description["components"]["responses"]])
    while unseen:
        names |= unseen
        unseen = set().union(*(_references(shapes[name]) for name in unseen)) - names
    return names


def _nested(description: Mapping[str, Any]) -> set[str]:
    """Return the names of shapes that bodies hold."""
    shapes = description["components"]["schemas"]
    bodies = _references(
        [
            operation.get("requestBody", {})
            for item in description["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
    )
    return set().union(*(_references(shapes[name]) for name in bodies))


def _references(value: Any) -> set[str]:
    """Return the names of all shapes that are referred to within."""
    if isinstance(value, dict):
        own = {_name(value)} if "/schemas/" in str(value.get("$ref")) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()
