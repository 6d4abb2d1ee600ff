"""Read a request strictly: bounded, JSON in UTF-8, each name once, nothing unknown."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import marshmallow
from flask import current_app, g, request
from werkzeug.exceptions import HTTPException

from ..errors import (
    MalformedRequestError,
    PayloadTooLargeError,
    RegistryError,
    UnsupportedMediaTypeError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_ERRORS = 50
_NOT_WHOLE = "The body did not arrive whole."
# Names of unknown fields are the client's own text: only what looks like a name is repeated.
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[0-9]{1,5})?")


class StrictParser:
    """Loads bodies and query strings by schemas; raises the library's own errors."""

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes

    def body(self, schema: marshmallow.Schema) -> Any:
        """Return what the body of the request says."""
        if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
            raise UnsupportedMediaTypeError("Send the body as application/json.")
        if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaTypeError("Send the body in UTF-8.")
        body = g.model_registry_body
        if isinstance(body, Exception):
            raise body
        return loaded_by(schema, parse_json(body))

    def query(self, schema: marshmallow.Schema) -> Any:
        """Return what the query parameters say, none of them given twice."""
        query = request.args.to_dict(flat=False)
        if name := _token_parameter(current_app.config):
            query.pop(name, None)
        repeated = [name for name, values in query.items() if len(values) > 1]
        if repeated:
            faults = [(_name(name), "Must be given once.") for name in repeated[:_MAX_ERRORS]]
            raise ValidationError(faults)
        return loaded_by(schema, {name: values[0] for name, values in query.items()})

    def receive(self) -> None:
        """Wait for the whole body, before anybody holds a connection to the database.

        What is wrong with it is told when it is to be parsed.
        """
        try:
            g.model_registry_body = self._received()
        except (RegistryError, HTTPException) as error:
            g.model_registry_body = error

    def _received(self) -> bytes:
        if (request.content_length or 0) > self.max_body_bytes:
            raise self._too_large()
        try:
            body = self._read()
        except (RegistryError, HTTPException):
            raise
        except Exception:  # servers have errors of their own for chunks that are none
            raise MalformedRequestError(_NOT_WHOLE) from None
        if len(body) < (request.content_length or 0):
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


def _token_parameter(config: Mapping[str, Any]) -> str | None:
    """Name the query parameter that holds the host's token, if the host has tokens there."""
    locations = config.get("JWT_TOKEN_LOCATION") or ()
    if "query_string" not in ([locations] if isinstance(locations, str) else locations):
        return None
    return str(config.get("JWT_QUERY_STRING_NAME", "jwt"))


def parse_json(body: bytes) -> Any:
    """Parse JSON (RFC 8259) without what readers understand differently.

    Raises:
        MalformedRequestError: Not UTF-8, not JSON, a name given twice, NaN or Infinity, or nested
            too deeply.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        # Their messages hold parts of the body.
        raise MalformedRequestError("Send one JSON value in UTF-8, each name once.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a name is given twice")
    return mapping


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def loaded_by(schema: marshmallow.Schema, given: Any) -> Any:
    """Load what a client has sent or the host's code gives."""
    try:
        return schema.load(given)
    except marshmallow.ValidationError as error:
        raise validation_error(error) from None


def validation_error(error: marshmallow.ValidationError) -> ValidationError:
    """Return Marshmallow's nested messages as an error with a list of fields."""
    error.data = error.valid_data = None  # the key may be in there, for whoever reads tracebacks
    return ValidationError(list(_flattened(error.messages))[:_MAX_ERRORS])


def _flattened(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(messages, dict):
        for message in [messages] if isinstance(messages, str) else messages:
            yield _name(path), message
        return
    for key, nested in messages.items():
        inner = "" if key == "_schema" else str(key)
        yield from _flattened(nested, f"{path}.{inner}" if path else inner)


def _name(text: str) -> str:
    return text if _FIELD_NAME.fullmatch(text) else ""
