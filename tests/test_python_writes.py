"""The host's own code changes, grants, transfers and deletes models, and commits itself."""

import pytest
import sqlalchemy as sa

from flask_model_registry import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ValidationError,
)
from tests.hosts import CANARY, PREFIX, model

TABLES = ("models", "abilities", "grants", "defaults", "app_defaults")


@pytest.fixture
def inside(host):
    """The host in an app context, with two models of alice's that bob has a grant to."""
    for name in ("alice", "bob"):
        host.user(name)
    with host.app.app_context():
        alice = host.load("alice")
        for model_id in ("m", "n"):
            host.registry.create(user=alice, **model(model_id=model_id, abilities=["chat"]))
            host.registry.grant(model_id, to=host.load("bob"), user=alice)
        host.registry.set_default("general", "n", user=alice)
        host.db.session.commit()
        yield host


def everything(host):
    host.db.session.rollback()
    return {name: host.rows(name) for name in TABLES}


WRITES = {
    "create": lambda host, alice, bob: host.registry.create(user=alice, **model(model_id="o")),
    "update": lambda host, alice, bob: host.registry.update("m", user=alice, abilities=["vision"], description="x"),
    "key": lambda host, alice, bob: host.registry.update("m", user=alice, api_key="sk-new"),
    "delete": lambda host, alice, bob: host.registry.delete("m", user=alice),
    "grant": lambda host, alice, bob: host.registry.grant("m", group="g", can_edit=True, user=alice),
    "regrant": lambda host, alice, bob: host.registry.grant("m", to=bob, can_edit=True, user=alice),
    "revoke": lambda host, alice, bob: host.registry.revoke("m", to=bob, user=alice),
    "transfer": lambda host, alice, bob: host.registry.transfer("m", bob, user=alice),
    "set_default": lambda host, alice, bob: host.registry.set_default("general", "m", user=bob),
    "clear": lambda host, alice, bob: host.registry.set_default("general", None, user=alice),
    "user_deleted": lambda host, alice, bob: host.registry.user_deleted(alice),
    "inherited": lambda host, alice, bob: host.registry.user_deleted(alice, transfer_to=bob),
}  # fmt: skip
REFUSED = {
    "update": (ForbiddenError, lambda host, alice, bob: host.registry.update("m", user=bob, description="x")),
    "update to what is taken": (ConflictError, lambda host, alice, bob: host.registry.update("m", user=alice, model_id="n", abilities=None)),
    "update that is not valid": (ValidationError, lambda host, alice, bob: host.registry.update("m", user=alice, dimension=5)),
    "move": (ValidationError, lambda host, alice, bob: host.registry.update("m", user=alice, base_url="https://evil.example.com")),
    "unknown field": (ValidationError, lambda host, alice, bob: host.registry.update("m", user=alice, owner_id=5)),
    "absent": (NotFoundError, lambda host, alice, bob: host.registry.update("x", user=alice)),
    "delete": (ForbiddenError, lambda host, alice, bob: host.registry.delete("m", user=bob)),
    "delete a default": (ConflictError, lambda host, alice, bob: host.registry.delete("n", user=alice)),
    "grant": (ForbiddenError, lambda host, alice, bob: host.registry.grant("m", to=bob, can_edit=True, user=bob)),
    "grant to the owner": (ConflictError, lambda host, alice, bob: host.registry.grant("m", to=alice, user=alice)),
    "grant to no group": (ValidationError, lambda host, alice, bob: host.registry.grant("m", group=" ", user=alice)),
    "grant what is no right": (ValidationError, lambda host, alice, bob: host.registry.grant("m", to=bob, can_edit="yes", user=alice)),
    "grant to both": (ValidationError, lambda host, alice, bob: host.registry.grant("m", to=bob, group="g", user=alice)),
    "grant without a grantee": (ValidationError, lambda host, alice, bob: host.registry.grant("m", user=alice)),
    "grant to a number": (ConfigError, lambda host, alice, bob: host.registry.grant("m", to=5, user=alice)),
    "grants": (ForbiddenError, lambda host, alice, bob: host.registry.grants("m", user=bob)),
    "revoke": (NotFoundError, lambda host, alice, bob: host.registry.revoke("m", group="h", user=alice)),
    "transfer": (ForbiddenError, lambda host, alice, bob: host.registry.transfer("m", bob, user=bob)),
    "app default": (ForbiddenError, lambda host, alice, bob: host.registry.set_default("general", "m", user=alice, scope="app")),
    "no default": (NotFoundError, lambda host, alice, bob: host.registry.set_default("general", None, user=bob)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_committed(inside, name):
    before = everything(inside)

    WRITES[name](inside, inside.load("alice"), inside.load("bob"))

    assert everything(inside) == before


@pytest.mark.parametrize("name", WRITES)
def test_the_hosts_commit_commits(inside, name):
    before = everything(inside)

    WRITES[name](inside, inside.load("alice"), inside.load("bob"))
    inside.db.session.commit()

    assert everything(inside) != before


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_leaves_the_hosts_rows_alone(inside, name):
    before = everything(inside)
    error, call = REFUSED[name]
    alice, bob = inside.load("alice"), inside.load("bob")
    inside.db.session.add(inside.User(name="pending"))

    with pytest.raises(error):
        call(inside, alice, bob)
    inside.db.session.commit()

    names = inside.db.session.scalars(sa.select(inside.User.name)).all()
    assert sorted(names) == ["alice", "bob", "pending"]
    assert everything(inside) == before


def test_a_savepoint_as_the_first_statement_stays_within_the_transaction(inside):
    alice, bob = inside.load("alice"), inside.load("bob")
    for user in (alice, bob):
        inside.db.session.expunge(user)
    before = everything(inside)

    for name in ("update", "grant", "revoke", "set_default", "clear", "delete"):
        inside.db.session.rollback()
        WRITES[name](inside, alice, bob)
        inside.db.session.rollback()

    assert everything(inside) == before


def test_a_change_in_python_is_the_change_over_http(inside, alice):
    changed = inside.registry.update(
        "m", user=inside.load("alice"), description=None, temperature=1
    )
    inside.db.session.commit()

    assert alice.get(f"{PREFIX}/by-id/m").json == changed
    assert inside.registry.resolve("m", user=inside.load("alice")).api_key.reveal() == CANARY


def test_grants_are_listed_and_revoked(inside):
    alice = inside.load("alice")

    given = inside.registry.grant("m", group="g", can_delete=True, user=alice)

    assert given == {"group": "g", "can_edit": False, "can_delete": True}
    assert inside.registry.grants("m", user=alice) == {
        "users": [{"user": str(inside.user("bob")), "can_edit": False, "can_delete": False}],
        "groups": [given],
    }


def test_a_session_without_autoflush_works_too(inside):
    alice = inside.load("alice")
    with inside.db.session.no_autoflush:
        inside.registry.update("m", user=alice, description="x")
        inside.registry.delete("m", user=alice)

    assert [each["model_id"] for each in inside.registry.list(user=alice)] == ["n"]
