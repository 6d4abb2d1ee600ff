"""Read requests strictly, and return JSON.

A body must be JSON in UTF-8, up to a size limit, without duplicate or unknown names. A name in a
path must arrive exactly as the client sent it. Otherwise it is refused.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from flask import current_app, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Rule

from ..db.users import Person
from ..errors import (
    MalformedRequestError,
    NotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    RegistryError,
    UnsupportedMediaTypeError,
    ValidationError,
)
from ..schemas import MAX_ERRORS, load, parse_json, shown_name
from ..secret import Hidden, clear_frames
from ..services.rows import ResourceRef
from .tags import lists

if TYPE_CHECKING:
    from collections.abc import Mapping

    import marshmallow
    from flask import Response

_INCOMPLETE = "The body is incomplete."
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_SLASHES = re.compile("/|%2f", re.IGNORECASE)
_NAME_CHANGED = "A server or proxy in front changed this name. Have it pass the path on unchanged."
_ENCODE_SLASHES = "Send each slash in a name as %2F."

_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class RequestReader:
    """Loads bodies and query strings with schemas, and raises the library's own errors."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes

    def body(self, schema: marshmallow.Schema, *, may_omit: bool = False) -> Any:
        """Return the loaded body of the request."""
        if may_omit and _is_empty(g.model_registry_body):
            return load(schema, {})
        if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
            raise UnsupportedMediaTypeError("Send the body as application/json.")
        if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaTypeError("Send the body in UTF-8.")
        received = g.pop("model_registry_body")
        if isinstance(received, Exception):
            raise received
        return load(schema, parse_json(received()))

    def query(self, schema: marshmallow.Schema) -> Any:
        """Return the loaded query parameters, and refuse repeated ones."""
        query = request.args.to_dict()
        try:
            # The host's token may be among them.
            locations = current_app.config.get("JWT_TOKEN_LOCATION") or ()
            if "query_string" in ([locations] if isinstance(locations, str) else locations):
                query.pop(current_app.config.get("JWT_QUERY_STRING_NAME", "jwt"), None)
            problems = [
                (shown_name(name), "Must be given once.")
                for name in query
                if len(request.args.getlist(name)) > 1
            ]
            if problems:
                raise ValidationError(problems[:MAX_ERRORS])
            return load(schema, query)
        finally:
            query.clear()  # users paste API keys there too, and a traceback would show them

    def read_body(self) -> None:
        """Wait for the whole body, before the request holds a connection to the database.

        Problems with the body are raised when it is parsed.
        """
        length = request.content_length
        if length is not None and length > self.max_body_bytes:
            g.model_registry_body = self._too_large()
            return
        outer = sys.exc_info()[1]
        try:
            if length is None:
                g.model_registry_body = Hidden(self._read_chunks()).reveal
            elif len(request.get_data()) < length:
                g.model_registry_body = MalformedRequestError(_INCOMPLETE)
            else:
                g.model_registry_body = request.get_data  # it keeps what it has read
        except BaseException as error:
            clear_frames(error, outer)
            if not isinstance(error, Exception):
                raise
            # Servers raise their own errors for invalid chunks.
            is_known = isinstance(error, (RegistryError, HTTPException))
            g.model_registry_body = error if is_known else MalformedRequestError(_INCOMPLETE)

    def _read_chunks(self) -> bytes:
        # In a loop, to enforce the limit. get_data() returns a body that the host has already read.
        body = bytearray()
        while chunk := request.stream.read(self.max_body_bytes + 1 - len(body)):
            body += chunk
            if len(body) > self.max_body_bytes:
                raise self._too_large()
        return bytes(body) or request.get_data()

    def _too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"The limit is {self.max_body_bytes} bytes.")


def _is_empty(received: Any) -> bool:
    return not isinstance(received, Exception) and not received()


class _RestConverter(BaseConverter):
    """The rest of a path, including slashes and line breaks."""

    regex = r"[\s\S]+"
    part_isolating = False
    weight = 200  # after all rules that match one segment only

    def to_url(self, value: str) -> str:
        """Encode slashes too."""
        return quote(str(value), safe="!$&'()*+,:;=@")


def rule_class_with_names(inner: type[Rule]) -> type[Rule]:
    """Return a class of rules whose last ``<path:...>`` takes the rest of a path unchanged.

    Werkzeug's own ``path`` can't begin with a slash. A converter would need a name in the host's
    URL map, which we leave unchanged.
    """

    class NamingRule(inner):  # type: ignore[valid-type,misc]  # the host may have its own
        def get_converter(
            self, variable_name: str, converter_name: str, *arguments: Any
        ) -> BaseConverter:
            if self.rule.endswith(f"<path:{variable_name}>"):
                return _RestConverter(self.map)
            found: BaseConverter = super().get_converter(variable_name, converter_name, *arguments)
            return found

    return NamingRule


def model_ref(id: str = "", model_id: str = "") -> int | str:
    """Return the id or the ``model_id`` by which a path names a model.

    Raises:
        NotFoundError: No model can have this id or ``model_id``.
    """
    if model_id:
        return sent_model_id(model_id, "/by-id/")
    if not _ID.fullmatch(id):
        raise NotFoundError
    return int(id)


def model_target(id: str = "", model_id: str = "") -> ResourceRef:
    """Return the model that a path names, with the conditions of RFC 9110, section 13.1."""
    is_conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
    return ResourceRef(model_ref(id, model_id), _check_tag if is_conditional else None)


def _check_tag(tag: str, kind: str) -> None:
    headers = request.headers
    if "If-Match" in headers and not lists(headers["If-Match"], tag):
        raise PreconditionFailedError(
            f"The {kind} has changed since you fetched it. Fetch it again and retry."
        )
    if "If-None-Match" in headers and lists(headers["If-None-Match"], tag):
        raise PreconditionFailedError(
            f"The {kind} is in a state that If-None-Match excludes. To proceed anyway, leave that "
            "header out."
        )


def sent_model_id(model_id: str, before: str) -> str:
    """Return a ``model_id`` as the client sent it.

    Args:
        model_id: The value from routing.
        before: The part of the path before it.

    Raises:
        NotFoundError: A proxy or server changed the ``model_id`` on the way.
    """
    try:
        return sent_name(model_id, before, is_model_id=True)
    except ChangedNameError:
        raise NotFoundError from None


def grantee(id: str, **grantee: str) -> Person | str:
    """Return the user or the group that a path names, under the model with this id.

    Raises:
        ValidationError: The name was changed on the way.
    """
    ((kind, name),) = grantee.items()
    try:
        name = sent_name(name, f"/{id}/grants/{kind}s/")
    except ChangedNameError as error:
        raise ValidationError([(kind, str(error))]) from None
    return Person(name) if kind == "user" else name


class ChangedNameError(ValueError):
    """The name did not arrive as the client sent it. The message says what to do."""


def sent_name(name: str, before: str, *, is_model_id: bool = False) -> str:
    """Return the name as the client sent it.

    A proxy or server may decode ``%2F`` and then merge slashes. The path would then name another
    group, so an unencoded slash is always refused. The registry can't detect a proxy, because some
    servers, such as waitress, remove the headers that proxies add.

    Args:
        name: The value that routing read from PATH_INFO.
        before: The part of the path before it.
        is_model_id: Whether slashes need no encoding. Merging slashes can't turn one valid
            ``model_id`` into another. The path may end with a slash, because a ``model_id`` never
            ends with a slash.

    Raises:
        ChangedNameError: The name was or may have been changed on the way, or is not in UTF-8.
    """
    environ = request.environ
    # PATH_INFO is decoded (PEP 3333), so servers also pass the received path: Gunicorn in the
    # first variable, mod_wsgi, uWSGI and waitress in the second.
    try:
        environ["PATH_INFO"].encode("latin-1").decode()
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        slash = "/" if is_model_id else ""
        if not raw:
            return name.removesuffix(slash)
        path = raw.partition("?")[0].removesuffix(slash)
        # The part before the name may occur twice, because the host's URL prefix may hold it too.
        # Decode from the end, each character once, because a long path may consist of such parts.
        wanted, parts, length, end = _SLASHES.sub("", name), [], 0, len(path)
        for match in reversed([*re.finditer(f"(?<={re.escape(before)})", path)]):
            part = path[match.start() : end]
            parts.append(unquote_to_bytes(part.encode("latin-1")).decode())
            length += len(_SLASHES.sub("", parts[-1]))
            end -= len(part)
            if length >= len(wanted):
                break
        tail, sent = path[end:], "".join(reversed(parts))
        # It must be the same except for slashes, which Apache merges or leaves encoded.
        if tail and _SLASHES.sub("", sent) == wanted:
            if "/" in tail and not is_model_id:
                raise ChangedNameError(_ENCODE_SLASHES)
            return sent
        whole = unquote_to_bytes(path.encode("latin-1")).decode()
    except UnicodeError:
        raise ChangedNameError("Must be in UTF-8, percent-encoded.") from None
    if before not in path and whole.endswith(before + name.removesuffix(slash)):  # as %67roups
        return name.removesuffix(slash)
    raise ChangedNameError(_NAME_CHANGED)


def json_response(
    body: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    mimetype: str = "application/json",
) -> Response:
    """Return a view's result as a response, because Flask would use the host's JSON provider."""
    text = None if body == "" else _encoded(body) + "\n"
    response = current_app.response_class(text, status, headers, mimetype=mimetype)
    if text is None:
        del response.headers["Content-Type"]
    return response


def endpoint_name() -> str:
    """Return the name of the request's endpoint, without the names of its blueprints."""
    return (request.endpoint or "").rpartition(".")[2]
