"""The tests that a host app runs, as a class to inherit from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import sqlalchemy as sa

from ..db.session import NO_TABLES
from ..errors import UnreadableCredentialError
from ..policy import Actor
from ..services.account_secrets import encryption_row
from ..web.views import ROUTES
from .canary import captured_output
from .exercise import exercise
from .fixture import Fixture, fixture_of
from .host import Host, fail
from .isolation import distinguishable, lists_of
from .schema import missing_objects
from .user_client import anonymous, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .fixture import Registered
    from .user_client import UserClient

_PUBLIC = {
    name for name, route in ROUTES.items() if all(o.is_public for o in route.operations.values())
}
_PUBLIC.add("static")
_MIGRATION_HINT = (
    "run 'flask db migrate' and 'flask db upgrade', with Alembic alone 'alembic revision "
    "--autogenerate' and 'alembic upgrade head'; db.create_all() adds nothing to a table that "
    "exists. See the page Upgrade of the documentation"
)
_MAX_SHOWN = 10  # the number of problems in a message
_directions = pytest.mark.parametrize("requester", ["the first user asks", "the second user asks"])


class ModelRegistryConformance:
    """Tests that must pass in every app. Inherit from it, in a class named ``Test…``.

    Write two fixtures for it. ``model_registry_app`` returns your app with its tables.
    ``model_registry_users`` returns two of its users, each as a mapping of request headers or as an
    ``app.test_client()`` that has logged in. The tests register models for both, and remove them.

    Attributes:
        url_values: The values of the variables in a parent blueprint's URL.

    Example:
        ``class TestModelRegistry(ModelRegistryConformance): pass``, with this in ``conftest.py``::

            @pytest.fixture
            def model_registry_app():
                app = create_app(...)
                with app.app_context():
                    db.create_all()  # or your migrations, to have them tested
                return app

            @pytest.fixture
            def model_registry_users(model_registry_app):
                with model_registry_app.app_context():
                    ...  # add two users, commit, and make a token for each
                return [{"Authorization": f"Bearer {token}"} for token in tokens]
    """

    url_values: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def model_registry_host(self, model_registry_app: Any) -> Host:
        """The app with its registry."""
        return Host.of(model_registry_app, self.url_values)

    @pytest.fixture
    def model_registry_scene(
        self, model_registry_host: Host, model_registry_users: Any
    ) -> Iterator[Fixture]:
        """The two users, whose models are removed at the end."""
        with fixture_of(model_registry_host, model_registry_users) as fixture:
            yield fixture

    def test_the_tables_are_migrated(self, model_registry_host: Host) -> None:
        """Every table, column, index, unique constraint and foreign key is in the database."""
        tables = model_registry_host.tables.all()
        with model_registry_host.connected() as connection:
            missing = [*missing_objects(connection, tables)]
        if missing == [f"table {table.name}" for table in tables]:
            fail(NO_TABLES)
        _fail_if_any(missing, f"The database lacks parts of the registry; {_MIGRATION_HINT}:")

    def test_every_stored_api_key_opens(self, model_registry_host: Host) -> None:
        """The configured encryption keys decrypt all stored API keys."""
        problems = [*_unreadable(model_registry_host)]
        _fail_if_any(
            problems,
            "API keys can't be decrypted. 'flask model-registry list-keys' shows which encryption "
            "keys they need:",
        )

    def test_a_registered_api_key_opens_as_itself(self, model_registry_scene: Fixture) -> None:
        """``resolve()`` returns the API key that a user registered."""
        fixture = model_registry_scene
        model = fixture.register(fixture.first, "kept")
        services, app = fixture.host.services, fixture.host.app
        with app.app_context():
            resolved = services.models.resolve(Actor(model.owner), model.id)
        if resolved.api_key.reveal() != fixture.canary.api_key:
            fail("The API key that a user registered is not the one that resolve() returns.")

    def test_no_api_key_is_stored_in_the_clear(self, model_registry_scene: Fixture) -> None:
        """The rows of a model hold no trace of its API key."""
        fixture = model_registry_scene
        fixture.register(fixture.first, "sealed")
        fixture.account(fixture.first, "sealed")
        if any(map(fixture.canary.is_in, fixture.rows())):
            fail("The database holds an API key in the clear; the secret_box must encrypt it.")

    def test_no_route_answers_without_a_token(self, model_registry_scene: Fixture) -> None:
        """Every URL and method refuses a request without a token, except the API's description."""
        fixture = model_registry_scene
        _fail_if_any([*_unprotected(fixture)], "Without a valid token, the response must be 401:")

    def test_no_answer_holds_an_api_key(self, model_registry_scene: Fixture) -> None:
        """An API key that was sent never comes back, in a body or a header."""
        fixture = model_registry_scene
        exercise(fixture)
        leaks = [
            f"{what}, status {response.status_code}, in the {place}"
            for user_client in (fixture.first, fixture.second)
            for what, response in user_client.responses
            for place, text in (("headers", str(response.headers)), ("body", response.text))
            if fixture.canary.is_in(text)
        ]
        _fail_if_any(leaks, "An API key, or a piece of it, came back:")

    def test_no_log_holds_an_api_key(self, model_registry_scene: Fixture) -> None:
        """An API key that was sent is not logged, at any level, and not printed."""
        fixture = model_registry_scene
        with captured_output() as captured:
            exercise(fixture)
        leaks = dict.fromkeys(where for where, text in captured if fixture.canary.is_in(text))
        _fail_if_any([*leaks], "An API key, or a piece of it, was logged:")

    def test_the_two_users_are_two(self, model_registry_scene: Fixture) -> None:
        """The models of the two users have two owners."""
        fixture = model_registry_scene
        first = fixture.register(fixture.first, "first").owner
        second = fixture.register(fixture.second, "second").owner
        if first == second:
            fail(
                f"Both of model_registry_users are the user with the primary key {str(first)!r}. "
                "If your app has two users, its user loader mixes them up."
            )

    @_directions
    def test_a_model_of_another_user_looks_like_a_missing_one(
        self, model_registry_scene: Fixture, requester: str
    ) -> None:
        """On every route, and for each form of the id, the response is that for a missing model."""
        owner, other = _roles(model_registry_scene, requester)
        model = model_registry_scene.register(owner, "hidden", abilities=["chat"])
        own = model_registry_scene.register(other, "own")
        account = model_registry_scene.account(owner, "hidden")
        found = distinguishable(model_registry_scene, other, model, own, account=account)
        _fail_if_any([*found], f"{other.name} can tell a model of {owner.name} from a missing one:")
        # A conflict at registration must not reveal it either.
        model_registry_scene.register(other, "hidden")
        model_registry_scene.account(other, "hidden")

    @_directions
    def test_a_model_of_another_user_is_in_no_list(
        self, model_registry_scene: Fixture, requester: str
    ) -> None:
        """A user's lists, counts and defaults don't contain another user's model."""
        owner, other = _roles(model_registry_scene, requester)
        own = model_registry_scene.register(other, "own")
        before = lists_of(model_registry_scene, other)
        model = model_registry_scene.register(owner, "hidden", abilities=["chat"])
        model_registry_scene.choose(owner, own.owner, model.owner)
        model_registry_scene.account(owner, "hidden")
        after = lists_of(model_registry_scene, other)
        changed = [f"GET {address}" for address, text in before.items() if after[address] != text]
        _fail_if_any(changed, f"{other.name} sees that {owner.name} has registered a model:")


def _fail_if_any(problems: Sequence[str], message: str) -> None:
    """Fail if there are problems, and show the first of many."""
    if problems:
        lines = [f"  {problem}" for problem in problems[:_MAX_SHOWN]]
        more = [f"  and {len(problems) - _MAX_SHOWN} more"] if len(problems) > _MAX_SHOWN else []
        fail("\n".join([message, *lines, *more]))


def _roles(fixture: Fixture, requester: str) -> tuple[UserClient, UserClient]:
    """Return the owner of the model, and the user who asks."""
    users = (fixture.second, fixture.first)
    return users if requester.startswith("the first") else users[::-1]


def _unreadable(host: Host) -> Iterator[str]:
    models, credentials = host.tables.models, host.tables.credentials
    with host.connected() as connection:
        for table, name, to_row in (
            (models, "model_id", dict),
            (credentials, "name", encryption_row),
        ):
            encrypted = sa.select(table).where(table.c.ciphertext.is_not(None)).order_by(table.c.id)
            for row in connection.execute(encrypted).mappings():
                try:
                    host.services.keys.credentials.decrypt(to_row(row))
                except UnreadableCredentialError as error:
                    what = "model" if table is models else "credential"
                    yield f"{what} {row['id']} {row[name]!r}: {error.detail}"


def _unprotected(fixture: Fixture) -> Iterator[str]:
    model = fixture.register(fixture.first, "guarded")
    values = _values(fixture, model)
    user_client, body = anonymous(fixture.host), fixture.body("forbidden")
    for rule in fixture.host.rules():
        if rule.endpoint.rpartition(".")[2] in _PUBLIC:
            continue
        path = fixture.host.path(rule.endpoint, **values)
        # OPTIONS, which browsers send for other origins, only returns the methods.
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            for headers in ({}, {"Authorization": "Bearer no.such.token"}):
                response = user_client.ask(method, path, headers=headers, json=body)
                if response.status_code != 401:
                    how = "an invalid token" if headers else "no token"
                    yield f"{method} {path} with {how} returned {describe(response)}"


def _values(fixture: Fixture, model: Registered) -> dict[str, Any]:
    """Return values for the variables in URLs, with which requests change no rows of the host."""
    return {
        "id": model.id,
        "model_id": model.model_id,
        "credential": fixture.account(fixture.first, "guarded"),
        "provider": "none",
        "user": str(model.owner),
        "group": fixture.prefix,
        "config_type": "none",
        "rest": f"{fixture.prefix}/elsewhere/nowhere",
    }
