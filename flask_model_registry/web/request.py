"""Read a request strictly: bounded, JSON in UTF-8, each name once, nothing unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, g, request
from werkzeug.exceptions import HTTPException

from ..errors import (
    MalformedRequestError,
    PayloadTooLargeError,
    RegistryError,
    UnsupportedMediaTypeError,
    ValidationError,
)
from ..schemas import MOST_ERRORS, load, parse_json, shown_name
from ..secret import ClearedFrames, Hidden

if TYPE_CHECKING:
    import marshmallow

_NOT_WHOLE = "The body did not arrive whole."


class RequestReader:
    """Loads bodies and query strings by schemas; raises the library's own errors."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes

    def body(self, schema: marshmallow.Schema) -> Any:
        """Return what the body of the request says."""
        if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
            raise UnsupportedMediaTypeError("Send the body as application/json.")
        if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaTypeError("Send the body in UTF-8.")
        received = g.pop("model_registry_body")
        if isinstance(received, Exception):
            raise received
        return load(schema, parse_json(received()))

    def query(self, schema: marshmallow.Schema) -> Any:
        """Return what the query parameters say, none of them given twice."""
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
                raise ValidationError(problems[:MOST_ERRORS])
            return load(schema, query)
        finally:
            query.clear()  # people put keys there too, and a traceback would show them

    def read_body(self) -> None:
        """Wait for the whole body, before the request holds a connection to the database.

        Problems with it are raised when it is parsed.
        """
        length = request.content_length
        if length is not None and length > self.max_body_bytes:
            g.model_registry_body = self._too_large()
            return
        try:
            with ClearedFrames():
                if length is None:
                    g.model_registry_body = Hidden(self._read_chunks()).reveal
                elif len(request.get_data()) < length:
                    g.model_registry_body = MalformedRequestError(_NOT_WHOLE)
                else:
                    g.model_registry_body = request.get_data  # which keeps what it has read
        except (RegistryError, HTTPException) as error:
            g.model_registry_body = error
        except Exception:  # servers have errors of their own for chunks that are none
            g.model_registry_body = MalformedRequestError(_NOT_WHOLE)

    def _read_chunks(self) -> bytes:
        # By hand, with a bound; what the host has read already is in the cache.
        body = bytearray()
        while chunk := request.stream.read(self.max_body_bytes + 1 - len(body)):
            body += chunk
            if len(body) > self.max_body_bytes:
                raise self._too_large()
        return bytes(body) or request.get_data()

    def _too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"The limit is {self.max_body_bytes} bytes.")
