"""The blueprint: authentication, one transaction per request, one shape of error."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException, default_exceptions

from ..db.failures import Failure, driver_failure, failure_of, misses_a_table, refuses_a_value
from ..db.transactions import NO_TABLES, is_of_the_registry
from ..errors import (
    ConfigError,
    MethodNotAllowedError,
    MissingKeysError,
    NotFoundError,
    RegistryError,
    StorageFullError,
    UnavailableError,
    ValidationError,
)
from ..schemas.requests import NoQuery
from .logs import facts
from .names import rule_class_with_names
from .openai_errors import NO_PROXY, error_object
from .page import STATIC, PageBlueprint
from .problems import MIMETYPE, sayable
from .request import RequestReader
from .routes import after_commit
from .transactions import TRIES, run, told
from .views import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask import Blueprint, Flask
    from flask.sansio.app import App
    from flask.sansio.blueprints import BlueprintSetupState

    from ..services.app_services import Services
    from .routes import Operation, Route


def _endpoints(holds: Callable[[Operation], bool]) -> set[str]:
    """Return the endpoints for all of whose operations something holds."""
    return {name for name, route in ROUTES.items() if all(map(holds, route.operations.values()))}


_PUBLIC = {STATIC, *_endpoints(lambda each: each.is_public)}
_WITH_BODY = {
    (name, method)
    for name, route in ROUTES.items()
    for method, operation in route.operations.items()
    if operation.body is not None
}
_OPENAI_MODEL, _OPENAI_UNKNOWN = "openai_model", "openai_unknown"
_FOR_OPENAI = {_OPENAI_UNKNOWN, *_endpoints(lambda each: each.is_for_openai)}
_EXPOSED = "ETag, Link, Location, Retry-After"
_NO_QUERY = NoQuery()
_READING = frozenset({"GET", "HEAD"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def build_blueprint(services: Services) -> Blueprint:
    """Return the blueprint of a registry in one app."""
    blueprint = PageBlueprint("model_registry", __name__, has_page=services.settings.page)
    requests = _Requests(services)
    blueprint.before_request(requests.authenticate)
    blueprint.after_request(_with_headers)
    for name, route in ROUTES.items():
        _add_rule(blueprint, route.rule, name, requests.view_function(name, route))
    for rule in ("/v1", "/v1/<path:rest>"):
        _add_rule(blueprint, rule, _OPENAI_UNKNOWN, _openai_unknown)
    # What routing does not find would otherwise be answered by the host's own pages.
    _add_rule(blueprint, "/<path:rest>", "unknown", _unknown)
    _add_error_handlers(blueprint)
    return blueprint


def mount(blueprint: Blueprint, parent: Flask | Blueprint, prefix: str) -> None:
    """Register the blueprint with an app, or with a blueprint that is not registered yet.

    Raises:
        ConfigError: It is registered, or has another one of this name.
    """
    try:
        parent.register_blueprint(blueprint, url_prefix=prefix)
    except AssertionError:
        raise ConfigError(
            f"{parent.name!r} takes no more blueprints; call init_app earlier, and make a parent "
            "blueprint anew in each call of your app factory"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{error} Rename yours; the registry's is {blueprint.name!r}") from None


def _add_rule(blueprint: Blueprint, rule: str, endpoint: str, function: Any) -> None:
    def add(state: BlueprintSetupState) -> None:
        with _rules_with_names(state.app):
            # Every method reaches the blueprint, so that it responds to 405 and OPTIONS too.
            state.add_url_rule(
                rule,
                endpoint,
                function,
                methods=_METHODS,
                strict_slashes=False,
                merge_slashes=False,
                provide_automatic_options=False,
            )

    blueprint.record(add)


@contextmanager
def _rules_with_names(app: App) -> Iterator[None]:
    """Have an app add rules of our class; Flask takes none as an argument."""
    own = vars(app).get("url_rule_class")
    app.url_rule_class = rule_class_with_names(app.url_rule_class)
    try:
        yield
    finally:
        del app.url_rule_class
        if own is not None:
            app.url_rule_class = own


def _add_error_handlers(blueprint: Blueprint) -> None:
    blueprint.register_error_handler(RegistryError, _registry_problem)
    blueprint.register_error_handler(MissingKeysError, _keys_missing)
    blueprint.register_error_handler(sa.exc.DBAPIError, _database_problem)
    blueprint.register_error_handler(sa.exc.TimeoutError, _database_problem)
    blueprint.register_error_handler(UnicodeEncodeError, _data_problem)
    # By code too: Flask asks the app's handlers of a code before a blueprint's of a class.
    blueprint.register_error_handler(HTTPException, _http_problem)
    for code in default_exceptions:
        blueprint.register_error_handler(code, _http_problem)


class _Requests:
    """Authenticates requests, reads them, and runs their views in transactions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._session = services.rows.session
        self._reader = RequestReader(services.settings.max_body_bytes)

    def authenticate(self) -> None:
        """Let in only users whom the host's loader returns."""
        # A CORS preflight carries no token, and learns nothing.
        name = _endpoint()
        if request.method != "OPTIONS" and name not in _PUBLIC:
            if (name, request.method) in _WITH_BODY:
                self._reader.read_body()
            g.model_registry_is_alone = not self._session().in_transaction()
            self._identify()

    def view_function(self, name: str, route: Route) -> Callable[..., Response]:
        """Return a function with a name, as extensions such as Flask-WTF expect."""
        variables = set(re.findall(r"<(?:\w+:)?(\w+)>", route.rule))
        operations = dict(route.operations)
        if "GET" in operations:
            operations["HEAD"] = operations["GET"]
        allowed = [*operations, "OPTIONS"]

        def view_function(**path: Any) -> Response:
            if request.method == "OPTIONS":
                return _options(allowed)
            if request.method not in operations:
                raise MethodNotAllowedError(allowed)
            for of_parent in path.keys() - variables:  # in the rule of a parent blueprint
                del path[of_parent]
            return self._respond(operations[request.method], path)

        view_function.__name__ = name
        return view_function

    def _respond(self, operation: Operation, arguments: dict[str, Any]) -> Response:
        if operation.query is not None:
            arguments["query"] = self._reader.query(operation.query)
        elif request.query_string and not operation.is_for_openai:
            self._reader.query(_NO_QUERY)
        if operation.body is not None:
            arguments["body"] = self._reader.body(operation.body)
        returned = run(
            operation.view,
            self._services,
            arguments,
            commit=request.method not in _READING,
            # What the host has written in this request, no retry could repeat.
            tries=TRIES if g.get("model_registry_is_alone") else 1,
            identify=self._identify,
        )
        if isinstance(returned, after_commit):
            return _response(returned.make_body())
        return _response(*returned) if isinstance(returned, tuple) else _response(returned)

    def _identify(self) -> None:
        """Find out who asks."""
        try:
            g.model_registry_actor = self._services.users.actor()
        except (sa.exc.DBAPIError, OSError) as error:
            failure = driver_failure(error)
            # Not every driver shows that its connection is dead. This does, where the error can
            # still be handled. The rollback when the context of the app ends would fail. After
            # other errors, such as NoResultFound, the host may go on with its transaction.
            if failure or isinstance(error, sa.exc.DBAPIError):
                self._session.rollback()
            if failure:
                raise failure from error
            raise


def _unknown(**_path: str) -> Response:
    return _nothing(NotFoundError())


def _openai_unknown(**_path: str) -> Response:
    return _nothing(NotFoundError(NO_PROXY))


def _nothing(error: NotFoundError) -> Response:
    """Raise the error, except to a CORS preflight: a browser would show a script no error then."""
    if request.method == "OPTIONS":
        return _options(["OPTIONS"])
    raise error


def _options(allowed: list[str]) -> Response:
    return _response("", 204, {"Allow": ", ".join(allowed)})


def _response(
    body: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    mimetype: str = "application/json",
) -> Response:
    """Return what a view returned as a response; Flask would ask the host's JSON provider."""
    text = None if body == "" else _encoded(body) + "\n"
    response = current_app.response_class(text, status, headers, mimetype=mimetype)
    if text is None:
        del response.headers["Content-Type"]
    return response


def _registry_problem(error: RegistryError) -> Response:
    return _problem(sayable(error))


def _problem(error: RegistryError) -> Response:
    return _problem_response(error.problem(), error.headers)


def _problem_response(problem: dict[str, Any], headers: Mapping[str, str]) -> Response:
    if (name := _endpoint()) in _FOR_OPENAI:
        problem["error"] = error_object(problem, is_of_model=name == _OPENAI_MODEL)
    return _response(problem, problem["status"], headers, MIMETYPE)


def _keys_missing(error: MissingKeysError) -> Response:
    """Log one line, because a traceback for each request would bury it."""
    current_app.logger.error(
        "model registry: encryption key missing: %s", error, extra=facts("key-missing")
    )
    return _problem(UnavailableError())


def _http_problem(error: HTTPException) -> Response | HTTPException:
    """Give an error that Flask or the host raised for our addresses the same shape."""
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
    return _problem_response(problem, headers)


def _database_problem(error: sa.exc.SQLAlchemyError) -> Response:
    if isinstance(error, sa.exc.DBAPIError) and misses_a_table(error):
        if is_of_the_registry(error):
            raise ConfigError(NO_TABLES) from None
        raise error
    if refuses_a_value(error):
        return _data_problem(error)
    failure = failure_of(error)
    if failure is None:
        raise error
    current_app.logger.error(
        "model registry: database failure (%s): %r",
        failure.value,
        told(error),
        extra=facts(failure.value),
    )
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
    # For scripts of another origin, if the host admits it. Browsers join this with the host's own.
    response.headers.add("Access-Control-Expose-Headers", _EXPOSED)
    if response.status_code >= 400 or not (request.endpoint or "").endswith(f".{STATIC}"):
        response.headers["Cache-Control"] = "no-store"
    return response
