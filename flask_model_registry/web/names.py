"""What the path of a request names: exactly what the client sent, or refused."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from flask import request
from werkzeug.routing import BaseConverter, Rule

from ..db.users import Person
from ..errors import NotFoundError, ValidationError
from ..services.rows import ModelRef
from .tags import lists

_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_SLASHES = re.compile("/|%2f", re.IGNORECASE)
_CHANGED = "A server or proxy in front changed this name. Have it pass the path on unchanged."
_ENCODE = "Send each slash in a name as %2F."


class _Rest(BaseConverter):
    """The rest of a path, whatever it is: slashes at either end, doubled, and line breaks."""

    regex = r"[\s\S]+"
    part_isolating = False
    weight = 200  # after all that matches a segment only

    def to_url(self, value: str) -> str:
        """Encode slashes too."""
        return quote(str(value), safe="!$&'()*+,:;=@")


def rule_class_with_names(inner: type[Rule]) -> type[Rule]:
    """Return a class of rules whose last ``<path:...>`` takes the rest of a path unchanged.

    Werkzeug's own ``path`` begins with no slash. A converter would be found by its name in the URL
    map of the host's, which is left as it was.
    """

    class NamingRule(inner):  # type: ignore[valid-type,misc]  # the host may have its own
        def get_converter(
            self, variable_name: str, converter_name: str, *arguments: Any
        ) -> BaseConverter:
            if self.rule.endswith(f"<path:{variable_name}>"):
                return _Rest(self.map)
            found: BaseConverter = super().get_converter(variable_name, converter_name, *arguments)
            return found

    return NamingRule


def model_ref(id: str = "", model_id: str = "") -> int | str:
    """Return the model that a path names by its id or its ``model_id``.

    Raises:
        NotFoundError: There can be no such model.
    """
    if model_id:
        return sent_model_id(model_id, "/by-id/")
    if not _ID.fullmatch(id):
        raise NotFoundError
    return int(id)


def model_target(id: str = "", model_id: str = "") -> ModelRef:
    """Return the model that is meant, on the conditions of RFC 9110, section 13.1."""
    is_conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
    return ModelRef(model_ref(id, model_id), _is_expected if is_conditional else None)


def _is_expected(tag: str) -> bool:
    headers = request.headers
    if "If-Match" in headers and not lists(headers["If-Match"], tag):
        return False
    return "If-None-Match" not in headers or not lists(headers["If-None-Match"], tag)


def sent_model_id(model_id: str, before: str) -> str:
    """Return a ``model_id`` as the client sent it.

    Args:
        model_id: What routing made of it.
        before: What stands before it in the path.

    Raises:
        NotFoundError: It arrived changed.
    """
    try:
        return sent_name(model_id, before, is_model_id=True)
    except ChangedNameError:
        raise NotFoundError from None


def grantee(id: str, **grantee: str) -> Person | str:
    """Return the user or the group that a path names, below the model with this id.

    Raises:
        ValidationError: The name arrived changed.
    """
    ((kind, name),) = grantee.items()
    try:
        name = sent_name(name, f"/{id}/grants/{kind}s/")
    except ChangedNameError as error:
        raise ValidationError([(kind, str(error))]) from None
    return Person(name) if kind == "user" else name


class ChangedNameError(ValueError):
    """The name did not arrive as the client sent it; the message says what to do."""


def sent_name(name: str, before: str, *, is_model_id: bool = False) -> str:
    """Return the name as the client sent it.

    A proxy or server may decode ``%2F`` and then merge slashes, and so name another group. That's
    why an unencoded slash is refused, whether or not a proxy shows itself: waitress, for one,
    removes the headers that proxies add.

    Args:
        name: What routing made of PATH_INFO.
        before: What stands before it in the path.
        is_model_id: Whether slashes need no encoding. Merging them makes no other ``model_id`` of
            a valid one, and none ends with a slash, so that the path may.

    Raises:
        ChangedNameError: It arrived changed, may have, or is not in UTF-8.
    """
    environ = request.environ
    # PATH_INFO is decoded (PEP 3333), so servers add what they received: Gunicorn the first,
    # mod_wsgi, uWSGI and waitress the second.
    try:
        environ["PATH_INFO"].encode("latin-1").decode()
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        slash = "/" if is_model_id else ""
        if not raw:
            return name.removesuffix(slash)
        path = raw.partition("?")[0].removesuffix(slash)
        _, is_plain, tail = path.partition(before)
        sent = unquote_to_bytes((tail if is_plain else path).encode("latin-1")).decode()
    except UnicodeError:
        raise ChangedNameError("Must be in UTF-8, percent-encoded.") from None
    if not is_plain:  # such as %67roups
        if sent.endswith(before + name.removesuffix(slash)):
            return name.removesuffix(slash)
        raise ChangedNameError(_CHANGED)
    # Slashes apart, which Apache merges or leaves encoded, it must be the same.
    if sent != name and _SLASHES.sub("", sent) != _SLASHES.sub("", name):
        raise ChangedNameError(_CHANGED)
    if "/" in tail and not is_model_id:
        raise ChangedNameError(_ENCODE)
    return sent
