"""The blueprint: one guard, one transaction per request, one shape of error."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException, default_exceptions

from ..core.failures import Failure, failure_of
from ..core.signals import held_back
from ..core.writing import NO_TABLES, is_of_the_registry, misses_a_table, undone_as_a_whole
from ..errors import (
    ConfigError,
    MethodNotAllowedError,
    NotFoundError,
    RegistryError,
    StorageFullError,
    UnavailableError,
    ValidationError,
)
from .calls import Answer, Call, Later
from .page import STATIC, PageBlueprint
from .parser import StrictParser
from .routes import ROUTES
from .transactions import TRIES, attempts, send_all, told, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Blueprint, Flask

    from ..core.registry import Registry
    from .calls import View

_PUBLIC = {STATIC} | {
    name for name, (_, views) in ROUTES.items() if all(v.is_public for v in views.values())
}
_WITH_BODY = {
    (name, method)
    for name, (_, views) in ROUTES.items()
    for method, view in views.items()
    if view.body is not None
}
_READING = frozenset({"GET", "HEAD"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def build_blueprint(registry: Registry) -> Blueprint:
    """Return the blueprint of a registry in one app."""
    blueprint = PageBlueprint("model_registry", __name__, has_page=registry.settings.page)
    dispatcher = _Dispatcher(registry)
    blueprint.before_request(dispatcher.guard)
    blueprint.after_request(_with_headers)
    for name, (rule, views) in ROUTES.items():
        _add_rule(blueprint, rule, name, dispatcher.view_function(name, rule, views))
    # What routing does not find would otherwise be answered by the host's own pages.
    _add_rule(blueprint, "/<path:rest>", "elsewhere", _nowhere)
    _add_error_handlers(blueprint)
    return blueprint


def mount(blueprint: Blueprint, parent: Flask | Blueprint, prefix: str) -> None:
    """Register the blueprint with an app, or with a blueprint that is not registered yet.

    Raises:
        ConfigError: It is registered.
    """
    try:
        parent.register_blueprint(blueprint, url_prefix=prefix)
    except AssertionError:
        raise ConfigError(
            f"{parent.name!r} takes no more blueprints; call init_app earlier, and make a parent "
            "blueprint anew in each call of your app factory"
        ) from None


def _add_rule(blueprint: Blueprint, rule: str, endpoint: str, function: Any) -> None:
    # Every method reaches us, so that 405 and OPTIONS are answered here too.
    blueprint.add_url_rule(
        rule,
        endpoint,
        function,
        methods=_METHODS,
        strict_slashes=False,
        merge_slashes=False,
        provide_automatic_options=False,
    )


def _add_error_handlers(blueprint: Blueprint) -> None:
    blueprint.register_error_handler(RegistryError, _problem)
    blueprint.register_error_handler(UnavailableError, _unavailable)
    blueprint.register_error_handler(sa.exc.DBAPIError, _database_problem)
    blueprint.register_error_handler(sa.exc.TimeoutError, _database_problem)
    blueprint.register_error_handler(sa.exc.DataError, _data_problem)
    blueprint.register_error_handler(UnicodeEncodeError, _data_problem)
    # By code too: Flask asks the app's handlers of a code before a blueprint's of a class.
    blueprint.register_error_handler(HTTPException, _http_problem)
    for code in default_exceptions:
        blueprint.register_error_handler(code, _http_problem)


class _Dispatcher:
    """Leads each request through guard, parser, transaction and view."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._session = registry.rows.session
        self._parser = StrictParser(registry.settings.max_body_bytes)

    def guard(self) -> None:
        """Let nobody in but the users whom the host's loader knows."""
        # A CORS preflight carries no token, and learns nothing.
        name = _endpoint()
        if request.method != "OPTIONS" and name not in _PUBLIC:
            if (name, request.method) in _WITH_BODY:
                self._parser.receive()
            # What the host has written in this request could not be done again.
            g.model_registry_is_alone = not self._session().in_transaction()
            g.model_registry_actor = self._registry.actors.actor()

    def view_function(
        self, name: str, rule: str, views: Mapping[str, View]
    ) -> Callable[..., Response]:
        """Return a function with a name, as extensions such as Flask-WTF expect."""
        # The rule of a parent blueprint may have variables too.
        variables = set(re.findall(r"<(?:\w+:)?(\w+)>", rule))

        def view_function(**path: str) -> Response:
            return self._dispatch(views, {each: path[each] for each in variables})

        view_function.__name__ = name
        return view_function

    def _dispatch(self, views: Mapping[str, View], path: Mapping[str, str]) -> Response:
        allowed = _allowed(views)
        if request.method == "OPTIONS":
            return _response(Answer(None, 204, {"Allow": ", ".join(allowed)}))
        if request.method not in allowed:
            raise MethodNotAllowedError(allowed)
        view = views["GET" if request.method == "HEAD" else request.method]
        answer, sendings = self._tried(view, self._call(view), path)
        send_all(self._session, sendings)
        return _response(Answer(answer.payload()) if isinstance(answer, Later) else answer)

    def _tried(
        self, view: View, call: Call, path: Mapping[str, str]
    ) -> tuple[Answer | Later, list[Callable[[], Any]]]:
        """Do all of a view, again if the database asks for that; nothing has been sent yet."""
        commit = request.method not in _READING
        for attempt in attempts(TRIES if g.get("model_registry_is_alone") else 1):
            with attempt:
                if attempt.retry_state.attempt_number > 1:  # the user may be gone
                    call = replace(call, actor=self._registry.actors.actor())
                with (
                    held_back() as sendings,
                    transaction(self._session, commit=commit),
                    undone_as_a_whole(),
                ):
                    answer = view.function(call, **path)
        return answer, sendings

    def _call(self, view: View) -> Call:
        has_query = request.query_string or view.query.fields
        query = self._parser.query(view.query) if has_query else {}
        body = view.body and self._parser.body(view.body)
        actor = g.get("model_registry_actor")
        return Call(self._registry, actor, query=query, body=body)


def _allowed(views: Mapping[str, View]) -> list[str]:
    return [*views, *(["HEAD"] if "GET" in views else []), "OPTIONS"]


def _nowhere(**_path: str) -> NoReturn:
    raise NotFoundError


def _response(answer: Answer, mimetype: str = "application/json") -> Response:
    if answer.payload is None:
        response = current_app.response_class(status=answer.status, headers=answer.headers)
        del response.headers["Content-Type"]
        return response
    body = _encoded(answer.payload) + "\n"
    return current_app.response_class(body, answer.status, answer.headers, mimetype=mimetype)


def _problem(error: RegistryError) -> Response:
    answer = Answer(error.problem(), error.status, error.headers)
    return _response(answer, "application/problem+json")


def _unavailable(error: UnavailableError) -> Response:
    """Answer for the host's code, such as a secret box, and tell nothing of what it says."""
    cause = type(error.__cause__ or error).__name__
    current_app.logger.error("model registry: unavailable: %s", cause)
    return _problem(UnavailableError())


def _http_problem(error: HTTPException) -> Response | HTTPException:
    """Give an error that Flask or the host raised for our addresses the same shape."""
    if error.response is not None or error.code is None or error.code < 400:
        return error
    problem = {"type": "about:blank", "title": error.name, "status": error.code}
    if error.description is not None:
        problem["detail"] = str(error.description)
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in {"content-type", "content-length"}
    }
    return _response(Answer(problem, error.code, headers), "application/problem+json")


def _database_problem(error: sa.exc.SQLAlchemyError) -> Response:
    if isinstance(error, sa.exc.DBAPIError) and misses_a_table(error):
        if is_of_the_registry(error):
            raise ConfigError(NO_TABLES) from None
        raise error
    failure = failure_of(error)
    if failure is None:
        raise error
    current_app.logger.error("model registry: %r", told(error))
    if failure is Failure.FULL:
        return _problem(StorageFullError())
    return _problem(UnavailableError("The database did not answer; try again."))


def _data_problem(_error: Exception) -> Response:
    """Answer for a database or a connection that is not in UTF-8."""
    return _problem(ValidationError([("", "The database cannot hold this text.")]))


def _endpoint() -> str:
    return (request.endpoint or "").rpartition(".")[2]


def _with_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if _endpoint() != STATIC or response.status_code >= 400:
        response.headers["Cache-Control"] = "no-store"
    return response
