"""Sessions that send reads to a replica: all that a write needs comes from the primary."""

import contextlib
import json
import shutil
import tempfile

import pytest
import sqlalchemy as sa
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.sql import Delete, Update

from flask_model_registry import ModelRegistry, NotFoundError, signals
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY, PREFIX, create_app, granted, key_id, legacy_int, model, register
from tests.reliability.servers import PostgreSQL, wait_for
from tests.software.standby import Standby, needs


def asked(url, statement):
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


@contextlib.contextmanager
def postgresql():
    """Yield the URL of a primary, and a function that returns that of a standby, which then lags."""
    needs("postgres", "pg_basebackup")
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(PostgreSQL())

        def follow():
            url = stack.enter_context(Standby(primary)).url
            end = asked(primary.url, "SELECT pg_current_wal_lsn()")
            wait_for(lambda: asked(url, f"SELECT pg_last_wal_replay_lsn() >= '{end}'"))
            asked(url, "SELECT pg_wal_replay_pause()")
            wait_for(lambda: asked(url, "SELECT pg_get_wal_replay_pause_state()") == "paused")
            return url

        yield primary.url, follow


@contextlib.contextmanager
def sqlite():
    """Yield the URL of a file, and a function that returns that of a copy, which only reads."""
    with tempfile.TemporaryDirectory() as folder:

        def follow():
            shutil.copy(f"{folder}/primary.sqlite", f"{folder}/copy.sqlite")
            return f"sqlite:///file:{folder}/copy.sqlite?mode=ro&uri=true"

        yield f"sqlite:///{folder}/primary.sqlite", follow


def of_sqlalchemy():
    """Return a database with the session of SQLAlchemy's documentation."""

    class RoutingSession(Session):
        def get_bind(self, mapper=None, clause=None, **kw):
            if self._flushing or isinstance(clause, (Update, Delete)):
                return db.engines[None]
            return db.engines["replica"]

    db = SQLAlchemy(session_options={"class_": RoutingSession})
    return db


def of_ours():
    """Return that of docs/databases.md."""
    (recipe,) = blocks(ROOT / "docs" / "databases.md", section="Send reads to a replica")
    namespace = {}
    exec(recipe, namespace)
    return namespace["db"]


def make_app(url, replica, recipe, **config):
    db, jwt = recipe(), JWTManager()
    User, parse, _ = legacy_int(db)
    registry = ModelRegistry(db, User, groups=lambda user: [f"group of {user.name}"])
    jwt.user_lookup_loader(lambda _header, claims: db.session.get(User, parse(claims["sub"])))
    declared = db, jwt, User, registry, None
    return create_app(declared, url, SQLALCHEMY_BINDS={"replica": replica}, **config)


@pytest.fixture(scope="module", params=[sqlite, postgresql], ids=lambda each: each.__name__)
def servers(request):
    """Return URLs of primary and replica with users and models, and the settings of the app."""
    with request.param() as (url, follow):
        settings = {
            "JWT_SECRET_KEY": "the same for all apps, of thirty-two bytes",
            "MODEL_REGISTRY_ENCRYPTION_KEYS": [new_key("one"), new_key("other")],
        }
        host = make_app(url, url, of_sqlalchemy, **settings)
        with host.app.app_context():
            host.db.create_all(bind_key=None)
        alice = host.client("alice", is_admin=True)
        old = register(alice, "old", "lost", "revoked")
        granted(alice, old[2], user=host.user("bob"), can_edit=True)
        replica = follow()
        # What the replica never hears of.
        assert alice.delete(f"{PREFIX}/{old[1]}").status_code == 204
        assert alice.delete(f"{PREFIX}/{old[2]}/grants/users/{host.user('bob')}").status_code == 204
        yield url, replica, settings, host.users, old
        host.close()


@pytest.fixture(params=[of_sqlalchemy, of_ours])
def routed(request, servers, canary):
    url, replica, settings, users, _ = servers
    host = make_app(url, replica, request.param, **settings)
    host.users = dict(users)
    host.reads_for_writes = request.param is of_ours
    yield host
    canary(host.app)
    with host.app.app_context():
        models = host.registry.tables.models
        host.db.session.execute(sa.delete(models).where(models.c.model_id.like("new%")))
        host.db.session.commit()
    host.close()


def test_reads_go_to_the_replica_and_writes_see_what_it_lacks(routed, servers):
    old, lost, revoked = servers[4]
    alice, bob = routed.client("alice"), routed.client("bob")
    bobs = routed.user("bob")

    (new,) = register(alice, "new", abilities=["chat"])
    assert alice.get(f"{PREFIX}/{new}").status_code == 404  # the replica lags
    assert alice.get(f"{PREFIX}/{lost}").status_code == 200
    assert bob.get(f"{PREFIX}/{revoked}").status_code == 200
    again = alice.post(f"{PREFIX}/register", json=model(model_id="new"))
    assert again.json["type"].endswith(":model-id-taken")

    # All of these look for the model before they lock it.
    changed = alice.patch(f"{PREFIX}/{new}", json={"description": "x", "abilities": ["vision"]})
    assert changed.status_code == 200, changed.text
    tag = {"If-Match": changed.headers["ETag"]}
    by_id = alice.patch(f"{PREFIX}/by-id/new", json={"description": "y"}, headers=tag)
    assert (by_id.status_code, by_id.json["abilities"]) == (200, ["vision"])
    assert alice.put(f"{PREFIX}/{new}/credential", json={"api_key": CANARY}).status_code == 204
    granted(alice, new, user=bobs, can_edit=True)
    granted(alice, new, group="group of bob")
    assert bob.patch(f"{PREFIX}/{new}", json={"description": "z"}).status_code == 200
    assert bob.put(f"{PREFIX}/defaults/general", json={"id": new}).status_code == 200
    assert bob.delete(f"{PREFIX}/defaults/general").status_code == 204
    assert alice.delete(f"{PREFIX}/{new}/grants/users/{bobs}").status_code == 204
    shared = {"share_with_users": True}
    assert alice.patch(f"{PREFIX}/{new}", json=shared).json["is_shared"] is True
    assert alice.post(f"{PREFIX}/{new}/transfer", json={"user": str(bobs)}).status_code == 204
    assert bob.delete(f"{PREFIX}/{new}").status_code == 204

    # What only the replica believes.
    assert alice.patch(f"{PREFIX}/{lost}", json={"description": "x"}).status_code == 404
    assert alice.delete(f"{PREFIX}/by-id/lost").status_code == 404
    assert bob.patch(f"{PREFIX}/{revoked}", json={"description": "x"}).status_code == 404
    assert alice.get(f"{PREFIX}/").json[0]["id"] == old


def test_a_transaction_that_has_written_reads_what_it_wrote(routed):
    with routed.app.app_context():
        registry, alice = routed.registry, routed.load("alice")
        with pytest.raises(NotFoundError):
            registry.get("new", user=alice)
        made = registry.create(user=alice, **model(model_id="new"))
        assert registry.resolve("new", user=alice).api_key.reveal() == CANARY
        registry.update("new", user=alice, description="x")
        assert registry.get(made["id"], user=alice)["description"] == "x"
        routed.db.session.commit()
        with pytest.raises(NotFoundError):  # another transaction, on the replica
            registry.get("new", user=alice)
        registry.delete("new", user=alice)
        routed.db.session.rollback()
        registry.delete("new", user=alice)
        routed.db.session.commit()


def test_what_the_app_reads_comes_from_where_its_session_says(routed):
    alice, found = routed.client("alice"), []

    def receive(sender, **facts):
        with contextlib.suppress(NotFoundError):
            found.append(routed.registry.get(facts["id"], user=routed.load("alice"))["id"])

    with signals.created.connected_to(receive, sender=routed.app):
        (new,) = register(alice, "new")
    newcomer = routed.user("newcomer")
    response = alice.put(f"{PREFIX}/{new}/grants/users/{newcomer}", json={})

    if routed.reads_for_writes:
        assert (response.status_code, found) == (201, [new])
    else:
        assert (response.status_code, found) == (404, [])
    with routed.app.app_context():
        user = sa.delete(routed.User).where(routed.User.id == newcomer)
        routed.db.session.execute(user)
        routed.db.session.commit()


def test_commands_work_on_the_primary(routed, servers, tmp_path):
    (new,) = register(routed.client("alice"), "new")
    line = {**model(model_id="new", description="imported"), "owner": str(routed.user("alice"))}
    file = tmp_path / "models.jsonl"
    file.write_text(json.dumps(line))

    output, status = routed.run("import", str(file), "--on-conflict", "update")

    assert (status, output.splitlines()[0].split()) == (0, ["1", "update", "new"])
    keys = routed.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"]
    rotating = routed.again(MODEL_REGISTRY_ENCRYPTION_KEYS=keys[::-1])
    assert rotating.run("rotate-keys")[1] == 0
    rotating.close()
    of_one = f"SELECT count(*) FROM model_registry_models WHERE key_id = '{key_id(keys[0])}'"
    assert (asked(servers[1], of_one), asked(servers[0], of_one)) == (3, 0)
