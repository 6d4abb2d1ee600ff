"""Writes the reference of Python and HTTP from docstrings and the OpenAPI document.

The pages are in the repository, so that they can be read there and in the sdist. Run this after a
change of either; a test compares them.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import griffe
import operations

import flask_model_registry
from flask_model_registry import ModelRegistry, ResolvedModel, schemas, types
from flask_model_registry.unset import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DOCS = Path(__file__).parent.parent / "docs"
INTRODUCTION = """# Python reference

For developers who look up a parameter, a type or an error.

[Python](python.md#calls) explains the calls. `python scripts/reference.py` writes this page from
the docstrings of this version, and tests run its examples. They begin with a registry, and with the
users `alice`, who owns the models `gpt-4o`, `draft` and `claude` and the credential 1, and `bob`.

All names are imported from `flask_model_registry`, unless a heading says otherwise.
[`signals`](python.md#signals) have tables of their own. Every call of a registry but `init_app`,
`check_keys` and `user_deleted` also takes `user`, which is one of your users: whom the call acts
for. Without it, that is the user of the request.
"""
#: The calls of a registry, by what they are about.
CALLS = {
    "Set up": "init_app check_keys",
    "Models": "create get list summary update delete details parameters set_parameters",
    "Call a model": "resolve default set_default explain",
    "Share and give away": "grant revoke grants transfer user_deleted",
    "Credentials": (
        "create_credential credentials credential update_credential delete_credential "
        "set_secret update_secret create_models use_credential"
    ),
}
#: Other classes and functions, by headings.
OTHERS = {
    "A resolved model": "ResolvedModel Secret Explanation",
    "Filters": "Filters",
    "Providers": "Provider ListApi",
    "Encryption": "SecretBox AesGcmBox EncryptionKey",
    "Functions": "configure_sqlite problem_response",
}
#: What is public only because our own modules call it.
INTERNAL = {
    "Provider": {"listing"},
    "ListApi": {"root", "completed", "url", "headers", "lists"},
}
#: Parameters that mean the same in each call.
COMMON = {
    "ref": "The id of a model, or its `model_id`. Text is always the latter.",
    "credential_id": "The id of a credential of the user's.",
    "to": "One of your users.",
    "group": "The name of a group, as your function `groups` returns it.",
    "can_edit": "Whether grantees may edit the model.",
    "can_delete": "Whether grantees may delete the model.",
    "fields": "The fields.",
    "change": "The fields to change, as of `set_secret`.",
    "user": "Whom the call acts for.",
    "plaintext": "The API key.",
    "context": "What the result is bound to.",
    "blob": "What `seal` returned.",
    "keys": "The encryption keys: the first encrypts, all decrypt.",
    "random": "Returns so many random bytes.",
    "entry": "An entry of `MODEL_REGISTRY_ENCRYPTION_KEYS`.",
    "engine": "The engine of the app.",
    "error": "What the registry raised.",
    "value": "The string to hide.",
    "body": "The body of a response.",
    "texts": "What is searched.",
    "library": "As of `http_client`.",
    "proxy": "As of `http_client`.",
    "filters": "Which models.",
    "config_type": "The kind of work, such as `general`.",
    "app": "The Flask app.",
}
#: Attributes that mean the same in each class.
FIELDS = {
    "EncryptionKey.id": "Its public name, which is stored with what it encrypts.",
    "id": "The integer id.",
    "model_id": "The name that its owner gave the model.",
    "category": "`llm`, `embedding`, `image`, `speech` or `rerank`.",
    "model_provider": "The id of the provider, such as `openai`.",
    "temperature": "The registered temperature, 0 to 2.",
    "dimension": "The registered number of dimensions, 1 to 65536.",
    "ability": "An ability of the model, such as `vision`.",
    "is_active": "Whether the model is active.",
    "owned": "Whether the user owns the model.",
}


def python_page() -> str:
    """Return the page of Python names."""
    lines = [INTRODUCTION, *_heading(2, "ModelRegistry")]
    lines += _described(ModelRegistry, ModelRegistry.__init__)
    for title, names in CALLS.items():
        lines += _heading(2, title)
        for name in names.split():
            lines += _heading(3, f"registry.{name}")
            lines += _call(getattr(ModelRegistry, name), "registry")
    for title, names in OTHERS.items():
        lines += _heading(2, title)
        for name in names.split():
            lines += _public(name, getattr(flask_model_registry, name))
    return "\n".join([*lines, *_schemas(), *_errors(), *_types()]).rstrip() + "\n"


def _schemas() -> Iterator[str]:
    yield from _heading(2, "Schemas")
    yield "Both are in `flask_model_registry.schemas`, with the"
    yield "[schemas](models.md#use-the-schemas-in-your-app)."
    yield ""
    for function in (schemas.load, schemas.search_text):
        yield from _heading(3, f"schemas.{function.__name__}")
        yield from _call(function, "")


def _errors() -> Iterator[str]:
    """Yield the errors, each after its base."""
    yield from _heading(2, "Errors")
    yield from ("Each has a [status, a code and a remedy](http.md#errors).", "")
    errors = [getattr(flask_model_registry, each) for each in flask_model_registry.__all__]
    errors = [each for each in errors if inspect.isclass(each) and issubclass(each, Exception)]
    for each in sorted(errors, key=lambda error: len(error.__mro__)):
        yield from _heading(3, each.__name__)
        yield from _described(each)


def _types() -> Iterator[str]:
    yield from _heading(2, "Types")
    yield "What calls take and return, for type checkers, in `flask_model_registry.types`."
    yield ""
    yield from _heading(3, "SecretSource")
    yield from _described(types.SecretSource)
    yield from _described(types.SecretSource.__call__, types.SecretSource.__call__)
    for name, each in vars(types).items():
        if typing.is_typeddict(each) and not name.startswith("_"):
            yield from _heading(3, name)
            yield from _typed_dict(each)


def _heading(level: int, title: str) -> list[str]:
    return [f"{'#' * level} {title}", ""]


def _public(name: str, each: typing.Any) -> list[str]:
    """Return a class with its public methods, or a function."""
    if not inspect.isclass(each):
        return [*_heading(3, name), *_call(each, "")]
    has_arguments = not (dataclasses.is_dataclass(each) or issubclass(each, (Exception, Protocol)))
    lines = _heading(3, name) + _described(each, each.__init__ if has_arguments else None)
    receiver = "model" if each is ResolvedModel else name
    for member, value in vars(each).items():
        if member.startswith("_") or member in INTERNAL.get(name, ()):
            continue
        if isinstance(value, property):
            lines += _heading(4, f"{receiver}.{member}") + _described(value)
        elif callable(value) or isinstance(value, classmethod):
            lines += _heading(4, f"{receiver}.{member}") + _call(getattr(each, member), receiver)
    return lines


def _call(function: typing.Any, receiver: str) -> list[str]:
    """Return the call of a function, with its parameters, errors and example."""
    name = f"{receiver}.{function.__name__}" if receiver else function.__name__
    signature = ", ".join(_arguments(function))
    returned = inspect.signature(function).return_annotation
    lines = ["```text", f"{name}({signature}) -> {_plain(returned)}", "```", ""]
    return lines + _described(function, function)


def _arguments(function: typing.Any) -> Iterator[str]:
    """Return the parameters as a call has them, without types."""
    is_by_name = False
    for name, each in _parameters(function).items():
        if each.kind is each.KEYWORD_ONLY and not is_by_name:
            is_by_name = True
            yield "*"
        if each.kind is each.VAR_KEYWORD:
            yield f"**{name}"
        elif each.kind is each.VAR_POSITIONAL:
            yield f"*{name}"
        elif each.default is each.empty:
            yield name
        else:
            default = "..." if repr(each.default) == "..." else repr(each.default)
            yield f"{name}={'...' if each.default is UNSET else default}"


def _parameters(function: typing.Any) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(function).parameters)
    parameters.pop("self", None)
    return parameters


@dataclasses.dataclass
class Docstring:
    """What the sections of a docstring say, in Markdown."""

    texts: list[str] = dataclasses.field(default_factory=list)
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    returns: list[str] = dataclasses.field(default_factory=list)
    raises: list[str] = dataclasses.field(default_factory=list)
    example: list[str] = dataclasses.field(default_factory=list)

    def take(self, kind: str, value: typing.Any) -> None:
        """Take a section over.

        Raises:
            ValueError: No docstring has had such a section yet.
        """
        if kind == "text":
            self.texts += [_markdown(value), ""]
        elif kind in {"parameters", "attributes"}:
            getattr(self, kind).update({each.name: _markdown(each.description) for each in value})
        elif kind == "returns":
            self.returns += [_markdown(each.description) for each in value]
        elif kind == "raises":
            for each in value:
                row = f"| {_linked(str(each.annotation))} | {_markdown(each.description)} |"
                self.raises.append(row)
        elif kind == "admonition":
            self.example = _example(value.contents)
        else:
            raise ValueError(kind)


def _described(each: typing.Any, function: typing.Any = None) -> list[str]:
    """Return the text of a docstring, with tables of parameters, attributes and errors."""
    found = Docstring()
    for section in griffe.Docstring(inspect.getdoc(each) or "").parse("google", warnings=False):
        found.take(section.kind.value, section.value)
    lines = found.texts
    if function is not None:
        lines += _table("parameter", _rows_of_parameters(function, found.parameters))
    if inspect.isclass(each) and dataclasses.is_dataclass(each):
        lines += _table("attribute", _rows_of_fields(each, found.attributes))
    if found.returns:
        lines += [f"Returns: {' '.join(found.returns)}", ""]
    if found.raises:
        lines += ["| raises | when |", "|---|---|", *found.raises, ""]
    return lines + found.example


def _rows_of_parameters(function: typing.Any, described: dict[str, str]) -> Iterator[str]:
    for name, each in _parameters(function).items():
        if name == "user" and "user" not in described:
            continue  # which the introduction describes
        yield _row(name, each.annotation, described.get(name) or COMMON[name])


def _rows_of_fields(each: type, attributes: dict[str, str]) -> Iterator[str]:
    for field in dataclasses.fields(each):
        if not field.name.startswith("_"):
            name = f"{each.__name__}.{field.name}"
            text = attributes.get(field.name) or FIELDS.get(name) or FIELDS[field.name]
            yield _row(field.name, field.type, text)


def _row(name: str, annotation: typing.Any, text: str) -> str:
    return f"| `{name}` | {_linked(_plain(annotation))} | {text} |"


def _table(title: str, rows: Iterable[str]) -> list[str]:
    rows = [*rows]
    return [f"| {title} | type | meaning |", "|---|---|---|", *rows, ""] if rows else []


def _typed_dict(each: typing.Any) -> list[str]:
    lines = [
        _markdown(inspect.getdoc(each) or ""),
        "",
        "| field | type | required |",
        "|---|---|---|",
    ]
    for name, annotation in each.__annotations__.items():
        is_required = "yes" if name in each.__required_keys__ else "no"
        lines.append(f"| `{name}` | {_linked(_plain(annotation))} | {is_required} |")
    return [*lines, ""]


def _plain(annotation: typing.Any) -> str:
    """Return a type as a reader writes it: without what only type checkers need."""
    text = getattr(annotation, "__forward_arg__", annotation)
    text = str(getattr(text, "__name__", text) if inspect.isclass(text) else text)
    text = re.sub(r"Proxied\[User\] \| Unset|Proxied\[User\]", "User", text)
    text = re.sub(r"Unpack\[(.*)\]", r"\1", text).replace(" | Unset", "")
    return re.sub(r"\b(?:types|sa|orm|flask)\.", "", text)


def _linked(text: str) -> str:
    """Return a type as code, which leads to its heading if it has one."""
    return r" \| ".join(_alternative(each) for each in re.split(r" \| (?![^\[]*\])", text))


def _alternative(text: str) -> str:
    known = getattr(types, text, None)
    if typing.get_origin(known) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(known))
    is_ours = getattr(known, "__module__", None) == types.__name__
    if is_ours or text in flask_model_registry.__all__:
        return f"[`{text}`](#{text.lower()})"
    bar = text.replace("|", r"\|")
    return f"`{bar}`"


def _example(text: str) -> list[str]:
    if ">>>" not in text:
        return [f"Example: {_markdown(text)}", ""]
    return ["```pycon", *text.strip().splitlines(), "```", ""]


def _markdown(text: str) -> str:
    """Return a docstring's markup as Markdown, on one line for each paragraph."""
    text = re.sub(r":\w+(?::\w+)?:`~?(?:\w+\.)*(\w+)`", r"`\1`", text).replace("``", "`")
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


def main() -> None:
    """Write both pages."""
    (DOCS / "reference.md").write_text(python_page(), "utf-8")
    (DOCS / "operations.md").write_text(operations.written(), "utf-8")


if __name__ == "__main__":
    main()
