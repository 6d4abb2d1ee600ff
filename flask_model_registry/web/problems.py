"""Errors of the registry as responses: problem details (RFC 9457)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import current_app

from ..errors import RegistryError, UnavailableError, UnreadableCredentialError
from .logs import facts

if TYPE_CHECKING:
    from flask import Response

MIMETYPE = "application/problem+json"
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def problem_response(error: RegistryError) -> Response:
    """Return an error of the registry as a response, for your views.

    It has the status, headers and problem details (RFC 9457) that the registry's own routes return:
    ``app.register_error_handler(RegistryError, problem_response)``.
    """
    error = sayable(error)
    body = json.dumps(error.problem()) + "\n"
    headers = {**_ALWAYS, **error.headers}
    return current_app.response_class(body, error.status, headers, mimetype=MIMETYPE)


def sayable(error: RegistryError) -> RegistryError:
    """Return the error without what it says to the operator, which a secret box may have said."""
    if isinstance(error, UnreadableCredentialError):
        return UnreadableCredentialError("The model has no readable API key. Enter one.")
    if not isinstance(error, UnavailableError):
        return error
    cause = type(error.__cause__ or error).__name__
    current_app.logger.error("model registry: unavailable: %s", cause, extra=facts("secret-box"))
    return UnavailableError()
