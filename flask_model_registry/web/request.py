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
        return load(schema, parse_json(received.reveal()))

    def query(self, schema: marshmallow.Schema) -> Any:
        """Return what the query parameters say, none of them given twice."""
        query = request.args.to_dict(flat=False)
        try:
            if name := _token_parameter():
                query.pop(name, None)
            repeated = [name for name, values in query.items() if len(values) > 1]
            if repeated:
                faults = [
                    (shown_name(name), "Must be given once.") for name in repeated[:MOST_ERRORS]
                ]
                raise ValidationError(faults)
            return load(schema, {name: values[0] for name, values in query.items()})
        finally:
            query.clear()  # people put keys there too, and a traceback would show them

    def read_body(self) -> None:
        """Wait for the whole body, before the request holds a connection to the database.

        Problems with it are raised when it is parsed.
        """
        try:
            g.model_registry_body = Hidden(self._received())
        except (RegistryError, HTTPException) as error:
            g.model_registry_body = error

    def _received(self) -> bytes:
        if (request.content_length or 0) > self.max_body_bytes:
            raise self._too_large()
        try:
            with ClearedFrames():
                body = self._read()
        except (RegistryError, HTTPException):
            raise
        except Exception:  # servers have errors of their own for chunks that are none
            raise MalformedRequestError(_NOT_WHOLE) from None
        if len(body) < (request.content_length or 0):
            del body  # or a traceback would show it
            raise MalformedRequestError(_NOT_WHOLE)
        return body

    def _read(self) -> bytes:
        if request.content_length is not None:
            return request.get_data()
        # Chunked: read by hand, with a bound; what the host has read already is in the cache.
        body = bytearray()
        while chunk := request.stream.read(self.max_body_bytes + 1 - len(body)):
            body += chunk
            if len(body) > self.max_body_bytes:
                raise self._too_large()
        return bytes(body) or request.get_data()

    def _too_large(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"The limit is {self.max_body_bytes} bytes.")


def _token_parameter() -> str | None:
    """Name the query parameter that holds the host's token, if the host has tokens there."""
    locations = current_app.config.get("JWT_TOKEN_LOCATION") or ()
    if "query_string" not in ([locations] if isinstance(locations, str) else locations):
        return None
    return str(current_app.config.get("JWT_QUERY_STRING_NAME", "jwt"))
