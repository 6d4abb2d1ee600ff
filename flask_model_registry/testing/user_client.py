"""Clients of the app under test, with or without a user."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from contextvars import Context
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask.testing import FlaskClient

from .host import fail

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from .host import Host

_EXPECTED = (
    "model_registry_users must return two different users, each a mapping of request headers such "
    "as {'Authorization': f'Bearer {token}'}, or an app.test_client() that has logged in"
)
_MAX_CHARACTERS = 300  # how many characters of a response a message shows


@dataclass
class UserClient:
    """Sends requests, and keeps the responses."""

    name: str
    host: Host
    client: FlaskClient
    headers: Mapping[str, str] = field(default_factory=dict)
    responses: list[tuple[str, TestResponse]] = field(default_factory=list)

    def ask(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request and return the response."""
        headers = {**self.headers, **self._csrf(), **options.pop("headers", {})}
        # Like a server, in a new context. In one that the host's fixtures hold open, extensions
        # would remember the user of the previous request.
        response: TestResponse = Context().run(
            self.client.open, path, method=method, headers=headers, **options
        )
        self.responses.append((f"{method} {path}", response))
        return response

    def expect(self, status: int, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request, and fail if the response has another status."""
        response = self.ask(method, path, **options)
        if response.status_code != status:
            fail(
                f"{method} {path} by {self.name} must return {status}, "
                f"but returned {describe(response)}"
            )
        return response

    def _csrf(self) -> dict[str, str]:
        """Return the header that Flask-JWT-Extended requires in addition to its cookie."""
        config = self.host.app.config
        locations = config.get("JWT_TOKEN_LOCATION") or ()
        if self.headers or "cookies" not in locations or not config.get("JWT_COOKIE_CSRF_PROTECT"):
            return {}
        domain = config.get("JWT_COOKIE_DOMAIN") or config.get("SERVER_NAME") or "localhost"
        cookie = self.client.get_cookie(
            config["JWT_ACCESS_CSRF_COOKIE_NAME"],
            domain.partition(":")[0].lstrip("."),
            config["JWT_ACCESS_CSRF_COOKIE_PATH"],
        )
        return {config["JWT_ACCESS_CSRF_HEADER_NAME"]: cookie.value} if cookie else {}


def anonymous(host: Host) -> UserClient:
    """Return a client that has not logged in."""
    # Not with `app.test_client()`, because the host's client class may log in by itself.
    client = FlaskClient(host.app, host.app.response_class)
    return UserClient("a client without a login", host, client)


def two_users(host: Host, users: Any) -> tuple[UserClient, UserClient]:
    """Return clients of the fixture's two users, or fail and describe the problem."""
    is_many = hasattr(users, "__iter__") and not isinstance(users, (str, Mapping))
    given = [*users] if is_many else [users]
    if len(given) != 2:
        fail(f"{_EXPECTED}; it returned {len(given)}")
    if given[0] is given[1] or given[0] == given[1]:
        fail(f"{_EXPECTED}; it returned the same user twice")
    first, second = map(_user_client, ("the first user", "the second user"), [host] * 2, given)
    for user_client in (first, second):
        _check_login(user_client)
    return first, second


def describe(response: TestResponse) -> str:
    """Return the status and the beginning of a response, for a message."""
    return f"{response.status_code}: {response.text[:_MAX_CHARACTERS]!r}"


def _user_client(name: str, host: Host, user: Any) -> UserClient:
    if isinstance(user, FlaskClient):
        return UserClient(name, host, _detached_copy(user))
    if not isinstance(user, Mapping):
        fail(f"{_EXPECTED}, not {type(user).__name__}")
    # Without cookies of its own, because the client would otherwise drop a Cookie header.
    client = FlaskClient(host.app, host.app.response_class, use_cookies=False)
    return UserClient(name, host, client, {**user})


def _detached_copy(client: FlaskClient) -> FlaskClient:
    """Return a copy of the client with its cookies, outside of a ``with`` that keeps contexts."""
    client = copy(client)
    client.preserve_context = False
    client._context_stack = ExitStack()
    return client


def _check_login(user_client: UserClient) -> None:
    path = user_client.host.path("models")
    response = user_client.ask("GET", path)
    if response.status_code == 401:
        fail(
            f"{user_client.name} of model_registry_users is not let in: GET {path} returned "
            f"{describe(response)}. Give a valid token, or a client that has logged in, of a user "
            "who is in the database, committed"
        )
    if response.status_code != 200:
        fail(f"GET {path} by {user_client.name} must return 200, but returned {describe(response)}")
