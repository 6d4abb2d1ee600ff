"""The blueprint: authentication, one transaction per request, one format for errors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Response, g, request

from ..db.failures import driver_failure
from ..errors import (
    AuthenticationError,
    ConfigError,
    MethodNotAllowedError,
    NotFoundError,
)
from ..schemas.requests import NoQuery
from .openai_errors import NO_PROXY
from .page import STATIC, PageBlueprint
from .problems import OPENAI_UNKNOWN, add_error_handlers
from .request import RequestReader, endpoint_name, json_response, rule_class_with_names
from .routes import after_commit
from .transactions import TRIES, keep, run
from .views import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Blueprint, Flask
    from flask.sansio.app import App
    from flask.sansio.blueprints import BlueprintSetupState

    from ..policy import Actor
    from ..services.app_services import Services
    from .routes import Operation, Route


_PUBLIC = {STATIC} | {
    name
    for name, route in ROUTES.items()
    if all(each.is_public for each in route.operations.values())
}
_WITH_BODY = {
    (name, method)
    for name, route in ROUTES.items()
    for method, operation in route.operations.items()
    if operation.body is not None
}
_EXPOSED_HEADERS = "ETag, Link, Location, Retry-After"
_NO_QUERY = NoQuery()
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_VARIABLE = re.compile(r"<(?:[^<>]*:)?(\w+)>")
_CATCH_ALL = "/<path:rest>"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class _Blueprint(PageBlueprint):
    """The blueprint of a registry in one app."""

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register the blueprint, and report a variable that Werkzeug would find twice in a URL.

        Raises:
            ConfigError: A variable in a parent's URL has the same name as one of the registry's.
        """
        rules = "".join([_CATCH_ALL, "<filename>", *(route.rule for route in ROUTES.values())])
        own_variables = _VARIABLE.findall(rules)
        parent_url = f"{options.get('subdomain')}{options.get('url_prefix')}"
        for name in _VARIABLE.findall(parent_url):
            if name in own_variables:
                raise ConfigError(
                    f"the URL of the parent blueprint has the variable <{name}>, which the "
                    f"registry's own URLs use too; give it another name, such as <parent_{name}>"
                )
        super().register(app, options)


def build_blueprint(services: Services) -> Blueprint:
    """Return the blueprint of a registry in one app."""
    blueprint = _Blueprint("model_registry", __name__, has_page=services.settings.page)
    requests = _Requests(services)
    blueprint.before_request(requests.authenticate)
    blueprint.after_request(_with_headers)
    for name, route in ROUTES.items():
        _add_rule(blueprint, route.rule, name, requests.view_function(name, route))
    for rule in ("/v1", f"/v1{_CATCH_ALL}"):
        _add_rule(blueprint, rule, OPENAI_UNKNOWN, _openai_unknown)
    # Without this rule, the host's own pages would respond to unknown paths under the prefix.
    _add_rule(blueprint, _CATCH_ALL, "unknown", _unknown)
    add_error_handlers(blueprint)
    return blueprint


def mount(blueprint: Blueprint, parent: Flask | Blueprint, prefix: str) -> None:
    """Register the blueprint with an app, or with a blueprint that is not registered yet.

    Raises:
        ConfigError: The parent is already registered, or has another blueprint of this name.
    """
    if blueprint.name in getattr(parent, "blueprints", ()):
        raise ConfigError(f"the app already has a blueprint {blueprint.name!r}; rename yours")
    try:
        parent.register_blueprint(blueprint, url_prefix=prefix)
    except AssertionError:
        raise ConfigError(
            f"{parent.name!r} takes no more blueprints; call init_app earlier, and create the "
            "parent blueprint in each call of your app factory"
        ) from None


def _add_rule(blueprint: Blueprint, rule: str, endpoint: str, function: Any) -> None:
    def add(state: BlueprintSetupState) -> None:
        with _rules_with_names(state.app):
            # All methods reach the blueprint, so that it returns 405 and handles OPTIONS itself.
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
    """Make an app use our class for the rules it adds, because Flask has no argument for that."""
    own = vars(app).get("url_rule_class")
    app.url_rule_class = rule_class_with_names(app.url_rule_class)
    try:
        yield
    finally:
        del app.url_rule_class
        if own is not None:
            app.url_rule_class = own


class _Requests:
    """Authenticates requests, reads them, and runs their views in transactions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._session = services.rows.session
        self._reader = RequestReader(services.settings.max_body_bytes)

    def authenticate(self) -> None:
        """Load the user of the request, and refuse requests without one."""
        # A CORS preflight has no token, and its response reveals nothing.
        name, method = endpoint_name(), request.method
        if method != "OPTIONS" and name not in _PUBLIC:
            if (name, method) in _WITH_BODY:
                self._reader.read_body()
            # A retry could not repeat what the host has written in this request.
            tries = 1 if self._session().in_transaction() else TRIES
            g.model_registry_login = self._identify(), tries

    def view_function(self, name: str, route: Route) -> Callable[..., Response]:
        """Return a function with a ``__name__``, which extensions such as Flask-WTF expect."""
        variables = {*_VARIABLE.findall(route.rule)}
        operations = dict(route.operations)
        if "GET" in operations:
            operations["HEAD"] = operations["GET"]
        allowed = [*operations, "OPTIONS"]

        def view_function(**path: Any) -> Response:
            method = request.method
            if method == "OPTIONS":
                return _options(allowed)
            if method not in operations:
                raise MethodNotAllowedError(allowed)
            for parent_variable in path.keys() - variables:
                del path[parent_variable]
            return self._respond(operations[method], path, commit=method not in _SAFE_METHODS)

        view_function.__name__ = name
        return view_function

    def _respond(
        self, operation: Operation, arguments: dict[str, Any], *, commit: bool
    ) -> Response:
        if operation.query is not None:
            arguments["query"] = self._reader.query(operation.query)
        elif request.query_string and not operation.is_for_openai:
            self._reader.query(_NO_QUERY)
        if operation.body is not None:
            arguments["body"] = self._reader.body(operation.body, may_omit=operation.may_omit_body)
        actor, tries = g.get("model_registry_login", (None, 1))  # public routes need no login
        returned = run(
            partial(operation.view, self._services, **arguments),
            actor,
            session=self._session,
            commit=commit,
            tries=tries,
            identify=self._identify,
        )
        if isinstance(returned, after_commit):
            body = returned.make_body()
            if returned.keep is not None:
                keep(self._session, partial(returned.keep, body))
            return json_response(body)
        return json_response(*returned) if isinstance(returned, tuple) else json_response(returned)

    def _identify(self) -> Actor:
        """Return the actor of the request."""
        try:
            return self._services.users.actor()
        except (sa.exc.DBAPIError, OSError, AuthenticationError) as error:
            if failure := driver_failure(error):  # as in transactions.py
                self._session().invalidate()
                raise failure from error
            # Otherwise the rollback at the end of the app context would fail, unhandled. After
            # other errors, such as NoResultFound, the host may go on with its transaction.
            if any(isinstance(each, sa.exc.DBAPIError) for each in (error, error.__cause__)):
                self._session.rollback()
            raise


def _unknown(**_path: str) -> Response:
    return _raise_unless_preflight(NotFoundError())


def _openai_unknown(**_path: str) -> Response:
    return _raise_unless_preflight(NotFoundError(NO_PROXY))


def _raise_unless_preflight(error: NotFoundError) -> Response:
    """Raise the error, except for a CORS preflight, so that scripts can read the error later."""
    if request.method == "OPTIONS":
        return _options(["OPTIONS"])
    raise error


def _options(allowed: list[str]) -> Response:
    return json_response("", 204, {"Allow": ", ".join(allowed)})


def _with_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    # For scripts of other origins that the host allows. Browsers merge this with the host's header.
    response.headers.add("Access-Control-Expose-Headers", _EXPOSED_HEADERS)
    if response.status_code >= 400 or not (request.endpoint or "").endswith(f".{STATIC}"):
        response.headers["Cache-Control"] = "no-store"
    return response
