"""How this app's users log in, for the OpenAPI document, read from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..users import jwt_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flask import Flask

    Scheme = Mapping[str, str]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_TOKEN = "An access token of the app."  # noqa: S105  # a description


def jwt_login(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`login_of` returns, for an app with Flask-JWT-Extended.

    Args:
        config: The app's configuration. Missing settings have Flask-JWT-Extended's defaults.
    """
    locations = config.get("JWT_TOKEN_LOCATION", "headers")
    schemes = {
        name: scheme
        for location, name, scheme in _jwt_schemes(config)
        if location in ([locations] if isinstance(locations, str) else locations)
    }
    if not config.get("JWT_COOKIE_CSRF_PROTECT", True):
        return _login(schemes)
    header = config.get("JWT_ACCESS_CSRF_HEADER_NAME", "X-CSRF-TOKEN")
    return _login(schemes, header, config.get("JWT_CSRF_METHODS", _CHANGES), csrf_status=401)


def login_of(
    app: Flask, load_user: Callable[[], Any], schemes: Mapping[str, Scheme]
) -> dict[str, Any]:
    """Return the security schemes of an app, and which of them each method needs.

    Args:
        load_user: The function that returns the user of a request.
        schemes: The schemes in the app's settings. Without any, the app's extensions decide.
    """
    if not schemes:
        if _has_jwts(app, load_user):
            return jwt_login(app.config)
        name = app.config["SESSION_COOKIE_NAME"]
        description = "The app's session, or whatever else identifies its users."
        schemes = {"session": _scheme("cookie", name, description)}
    config = app.config
    is_checked = config.get("WTF_CSRF_ENABLED", True) and config.get("WTF_CSRF_CHECK_DEFAULT", True)
    if "csrf" not in app.extensions or not is_checked:
        return _login(schemes)
    (header, *_) = config.get("WTF_CSRF_HEADERS") or ["X-CSRFToken"]
    return _login(schemes, header, config.get("WTF_CSRF_METHODS", _CHANGES))


def _has_jwts(app: Flask, load_user: Callable[[], Any]) -> bool:
    if "flask-jwt-extended" not in app.extensions:
        return False
    # A host's own loader may also read a JWT, but an app with Flask-Login uses sessions.
    return load_user is jwt_user or not hasattr(app, "login_manager")


def _jwt_schemes(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Scheme]]:
    """Yield each place that Flask-JWT-Extended reads tokens from, except bodies (``jwt_user``)."""
    header = str(config.get("JWT_HEADER_NAME", "Authorization"))
    kind = config.get("JWT_HEADER_TYPE", "Bearer")
    if (header.lower(), kind) == ("authorization", "Bearer"):
        bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _TOKEN}
        yield "headers", "token", bearer
    else:
        yield "headers", "token", _scheme("header", header, _hint(f"{kind} " if kind else ""))
    cookie = config.get("JWT_ACCESS_COOKIE_NAME", "access_token_cookie")
    yield "cookies", "cookie", _scheme("cookie", cookie)
    parameter = config.get("JWT_QUERY_STRING_NAME", "jwt")
    before = config.get("JWT_QUERY_STRING_VALUE_PREFIX", "")
    yield "query_string", "query", _scheme("query", parameter, _hint(before))


def _hint(prefix: str) -> str:
    return f"{_TOKEN} Put `{prefix}` before the token." if prefix else _TOKEN


def _scheme(location: str, name: str, description: str = _TOKEN) -> Scheme:
    return {"type": "apiKey", "in": location, "name": str(name), "description": description}


def _login(
    schemes: Mapping[str, Scheme],
    csrf_header: str = "",
    csrf_methods: Iterable[str] = (),
    *,
    csrf_status: int = 400,
) -> dict[str, Any]:
    """Join the schemes. One is enough, but a change with a cookie also needs a CSRF token."""
    cookies = {name for name, scheme in schemes.items() if scheme.get("in") == "cookie"}
    description = "The CSRF token that came with the cookie."
    csrf = {"csrf": _scheme("header", csrf_header, description)} if cookies and csrf_header else {}
    with_csrf = {*csrf_methods} if csrf else set()

    def needed(name: str, method: str) -> dict[str, list[str]]:
        return {name: [], **({"csrf": []} if name in cookies and method in with_csrf else {})}

    return {
        "schemes": {**csrf, **schemes},
        "csrf_status": csrf_status,
        "needed": {method: [needed(name, method) for name in schemes] for method in _METHODS},
    }
