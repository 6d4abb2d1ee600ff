"""Errors as responses: problem details (RFC 9457), for failures of the database too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import current_app
from werkzeug.exceptions import HTTPException, default_exceptions

from ..db.failures import Failure, failure_of, is_bad_value, is_missing_table
from ..db.session import NO_TABLES, is_from_registry
from ..errors import (
    ConfigError,
    MissingKeysError,
    RegistryError,
    StorageFullError,
    UnavailableError,
    UnreadableCredentialError,
    ValidationError,
)
from ..logs import facts
from .openai_errors import error_object
from .request import endpoint_name, json_response
from .transactions import describe
from .views import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Blueprint, Response

MIMETYPE = "application/problem+json"
_COMMON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

OPENAI_MODEL, OPENAI_UNKNOWN = "openai_model", "openai_unknown"
_OPENAI_ENDPOINTS = {OPENAI_UNKNOWN} | {
    name
    for name, route in ROUTES.items()
    if all(each.is_for_openai for each in route.operations.values())
}


def problem_response(error: RegistryError) -> Response:
    """Return a registry error as a response, as an error handler for your own views.

    The response has the status, headers and problem details (RFC 9457) that the registry's own
    routes return. Use ``app.register_error_handler(RegistryError, problem_response)``.

    Example:
        >>> app.register_error_handler(RegistryError, problem_response)
    """
    error = public_error(error)
    body = json.dumps(error.problem()) + "\n"
    headers = {**_COMMON_HEADERS, **error.headers}
    return current_app.response_class(body, error.status, headers, mimetype=MIMETYPE)


def add_error_handlers(blueprint: Blueprint) -> None:
    """Have a blueprint return errors of the registry, the database and Flask as problem details."""
    blueprint.register_error_handler(RegistryError, _registry_problem)
    blueprint.register_error_handler(MissingKeysError, _missing_keys_problem)
    blueprint.register_error_handler(sa.exc.DBAPIError, _database_problem)
    blueprint.register_error_handler(sa.exc.TimeoutError, _database_problem)
    blueprint.register_error_handler(UnicodeEncodeError, _data_problem)
    # By code too, because Flask prefers an app's handler of a code to a blueprint's of a class.
    blueprint.register_error_handler(HTTPException, _http_problem)
    for code in default_exceptions:
        blueprint.register_error_handler(code, _http_problem)


def _registry_problem(error: RegistryError) -> Response:
    return _problem(public_error(error))


def _problem(error: RegistryError) -> Response:
    return _as_response(error.problem(), error.headers)


def _as_response(problem: dict[str, Any], headers: Mapping[str, str]) -> Response:
    if (name := endpoint_name()) in _OPENAI_ENDPOINTS:
        problem["error"] = error_object(problem, is_of_model=name == OPENAI_MODEL)
    return json_response(problem, problem["status"], headers, MIMETYPE)


def _missing_keys_problem(error: MissingKeysError) -> Response:
    """Log one line, because a traceback for each request would flood the log."""
    current_app.logger.error(
        "model registry: encryption key missing: %s", error, extra=facts("key-missing")
    )
    return _problem(UnavailableError())


def _http_problem(error: HTTPException) -> Response | HTTPException:
    """Return an error that Flask or the host raised for our URLs in the same format."""
    if error.response is not None or error.code is None or error.code < 400:
        return error
    problem: dict[str, Any] = {"type": "about:blank", "title": error.name, "status": error.code}
    if error.description is not None:
        problem["detail"] = str(error.description)
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in {"content-type", "content-length"}
    }
    return _as_response(problem, headers)


def _database_problem(error: sa.exc.SQLAlchemyError) -> Response:
    if isinstance(error, sa.exc.DBAPIError) and is_missing_table(error):
        if is_from_registry(error):
            raise ConfigError(NO_TABLES) from None
        raise error
    if is_bad_value(error):
        return _data_problem(error)
    failure = failure_of(error)
    if failure is None:
        raise error
    current_app.logger.error(
        "model registry: database failure (%s): %r",
        failure.value,
        describe(error),
        extra=facts(failure.value),
    )
    if failure is Failure.FULL:
        return _problem(StorageFullError())
    return _problem(UnavailableError("The database did not respond; try again."))


def _data_problem(_error: Exception) -> Response:
    """Return the error for a database or a connection that does not use UTF-8."""
    return _problem(ValidationError([("", "The database cannot hold this text.")]))


def public_error(error: RegistryError) -> RegistryError:
    """Return the error without details for the operator, which a secret box may have added."""
    if isinstance(error, UnreadableCredentialError):
        return UnreadableCredentialError("The model has no readable API key. Enter one.")
    if not isinstance(error, UnavailableError):
        return error
    cause = type(error.__cause__ or error).__name__
    current_app.logger.error("model registry: unavailable: %s", cause, extra=facts("secret-box"))
    return UnavailableError()
