"""Owners: giving a model away, and what happens when a user leaves."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import (
    ConflictError,
    ModelIdTakenError,
    ModelRegistry,
    NotFoundError,
    ValidationError,
)
from flask_model_registry.cli import new_key
from flask_model_registry.db.session import trigger_state
from tests.hosts import CANARY, KINDS, PREFIX, declare, granted, model, register

NAMES = ("models", "abilities", "grants", "defaults", "app_defaults")


def transfer(client, row_id, user):
    return client.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(user)})


def everything(host):
    return {name: host.rows(name) for name in NAMES}


def test_a_model_is_given_away_with_its_key(host, alice, bob):
    (row_id,) = register(alice, "m", abilities=["chat"])
    before = host.rows("models")[0]

    response = transfer(alice, row_id, host.user("bob"))

    assert (response.status_code, response.data) == (204, b"")
    assert alice.get(f"{PREFIX}/{row_id}").status_code == 404
    arrived = bob.get(f"{PREFIX}/by-id/m").json
    assert (arrived["is_owner"], arrived["is_active"]) == (True, False)
    row = host.rows("models")[0]
    assert (row.ciphertext, row.uuid, row.version) == (before.ciphertext, before.uuid, 2)
    assert bob.patch(f"{PREFIX}/by-id/m", json={"is_active": True}).status_code == 200
    with host.app.app_context():
        assert host.registry.resolve("m", user=host.load("bob")).api_key.reveal() == CANARY


def test_the_new_owner_cannot_send_the_key_elsewhere(host, alice, bob):
    (row_id,) = register(alice, "m")
    transfer(alice, row_id, host.user("bob"))

    response = bob.patch(f"{PREFIX}/{row_id}", json={"base_url": "https://evil.example.com"})

    assert response.status_code == 422


def test_a_transfer_needs_a_user_who_has_no_such_model(host, alice, bob):
    (row_id,) = register(alice, "m")
    register(bob, "m")
    before = everything(host)

    taken, unknown = transfer(alice, row_id, host.user("bob")), transfer(alice, row_id, 999999)

    assert (taken.status_code, taken.json["type"][-15:]) == (409, ":model-id-taken")
    assert unknown.status_code == 404
    assert everything(host) == before


def test_a_transfer_to_oneself_changes_nothing(host, alice):
    (row_id,) = register(alice, "m")
    before = everything(host)

    assert transfer(alice, row_id, host.user("alice")).status_code == 204
    assert everything(host) == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "body", [{}, {"user": None}, {"user": 5}, {"user": ""}, {"user": "1", "x": 1}, []]
)
def test_a_transfer_names_one_user(host, alice, body):
    (row_id,) = register(alice, "m")

    assert alice.post(f"{PREFIX}/{row_id}/transfer", json=body).status_code == 422


def test_a_transfer_drops_all_grants_and_keeps_what_is_shared(host, admin, bob):
    (row_id,) = register(admin, "m", share_with_users=True)
    granted(admin, row_id, user=host.user("bob"), can_edit=True)
    granted(admin, row_id, user=host.user("carol"), can_edit=True)
    granted(admin, row_id, group="g")

    transfer(admin, row_id, host.user("bob"))

    seen = bob.get(f"{PREFIX}/{row_id}").json
    assert (seen["is_owner"], seen["is_shared"], seen["is_active"]) == (True, True, False)
    assert bob.get(f"{PREFIX}/{row_id}/grants").json == {"users": [], "groups": []}
    assert admin.get(f"{PREFIX}/{row_id}").json["is_owner"] is False


def test_the_old_owners_default_goes_with_the_model(host, alice):
    (row_id,) = register(alice, "m")
    alice.put(f"{PREFIX}/defaults/general", json={"id": row_id})

    transfer(alice, row_id, host.user("bob"))

    assert host.rows("defaults") == []


# --- the end of a user


# The servers enforce foreign keys always.
ENFORCED = ["enforced", pytest.param("not enforced", marks=pytest.mark.databases("sqlite"))]


@pytest.fixture(params=ENFORCED)
def leaving(hosts, request, database):
    """A host where alice has, was given and gave something of everything."""
    host = hosts(groups=lambda user: [])
    if request.param == "enforced" and database.name == "sqlite":
        with host.app.app_context():
            engine = host.db.engine
        engine.dispose()
        sa.event.listen(
            engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON").close()
        )
    alice, bob = host.client("alice", is_admin=True), host.client("bob", is_admin=True)
    (of_alice,) = register(alice, "m", abilities=["chat"], share_with_users=True)
    (of_bob,) = register(bob, "n", abilities=["chat"])
    granted(bob, of_bob, user=host.user("alice"))
    granted(alice, of_alice, user=host.user("bob"))
    granted(alice, of_alice, group="g")
    for client, config_type, row_id in (
        (alice, "general", of_alice), (alice, "compact", of_bob), (bob, "general", of_alice),
        (bob, "compact", of_bob), (bob, "general?scope=app", of_alice),
    ):  # fmt: skip
        response = client.put(f"{PREFIX}/defaults/{config_type}", json={"id": row_id})
        assert response.status_code == 200, response.text
    return host, of_alice, of_bob


def delete_by_orm(host):
    host.db.session.delete(host.load("alice"))


def delete_by_query(host):
    host.db.session.execute(sa.delete(host.User).where(host.User.name == "alice"))


def delete_by_text(host):
    host.db.session.execute(sa.text("DELETE FROM " + host.quoted + " WHERE name = 'alice'"))


def delete_by_registry(host):
    host.registry.user_deleted(host.load("alice"))


DELETIONS = {
    "ORM": delete_by_orm,
    "query": delete_by_query,
    "SQL": delete_by_text,
    "user_deleted": delete_by_registry,
    "user_deleted, then ORM": lambda host: (delete_by_registry(host), delete_by_orm(host)),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("by", DELETIONS)
def test_a_deleted_users_models_are_deleted(leaving, by):
    host, of_alice, of_bob = leaving
    with host.app.app_context():
        host.quoted = host.db.engine.dialect.identifier_preparer.quote("user")
        DELETIONS[by](host)
        host.db.session.commit()

    assert [row.id for row in host.rows("models")] == [of_bob]
    assert [row.model_row_id for row in host.rows("abilities")] == [of_bob]
    assert host.rows("grants") == host.rows("app_defaults") == []
    (default,) = host.rows("defaults")
    assert (default.user_id, default.config_type) == (host.user("bob"), "compact")
    assert [each["id"] for each in host.client("bob").get(f"{PREFIX}/").json] == [of_bob]


def test_a_user_who_gets_the_key_of_a_deleted_one_inherits_nothing(leaving, database):
    host, *_ = leaving
    key = host.user("alice")
    with host.app.app_context():
        delete_by_query(host)
        host.db.session.add(host.User(id=key, name="carol"))
        host.db.session.commit()
    host.users["carol"] = key

    assert host.client("carol").get(f"{PREFIX}/?is_active=all").json == []


def test_a_user_who_replaces_another_in_one_flush_inherits_nothing(leaving):
    host, of_alice, of_bob = leaving
    key = host.user("alice")
    with host.app.app_context():
        host.db.session.delete(host.load("alice"))
        host.db.session.add(host.User(id=key, name="carol"))  # together, they are an UPDATE
        host.db.session.commit()
        assert host.db.session.get(host.User, key).name == "carol"
    host.users["carol"] = key

    assert host.client("carol").get(f"{PREFIX}/?is_active=all").json == []
    assert [row.id for row in host.rows("models")] == [of_bob]
    assert {row.user_id for row in host.rows("defaults")} == {host.user("bob")}
    assert host.rows("grants") == []


def test_a_user_is_replaced_where_the_tables_are_missing(hosts):
    host = hosts()
    key = host.user("alice")
    with host.app.app_context():
        tables = [table for table, _ in host.registry.tables.by_model()]
        host.db.metadata.drop_all(host.db.engine, tables)
        host.db.session.delete(host.load("alice"))
        host.db.session.add(host.User(id=key, name="carol"))
        host.db.session.commit()

        assert host.db.session.get(host.User, key).name == "carol"
        host.db.metadata.create_all(host.db.engine, tables)


@pytest.mark.databases("sqlite")
def test_an_error_of_the_check_of_a_connection_is_sqlalchemys(hosts):
    host = hosts()

    class Broken:
        def cursor(self):
            raise RuntimeError("no cursor")

    class Connection:
        connection = Broken()

        def exec_driver_sql(self, statement, parameters):
            raise sa.exc.OperationalError(statement, parameters, None)

    with pytest.raises(sa.exc.OperationalError):
        trigger_state(Connection(), host.registry.tables)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("keep_grants", [True, False])
@pytest.mark.parametrize("keep_active", [True, False])
def test_models_of_a_user_who_leaves_are_given_to_another(leaving, keep_grants, keep_active):
    host, of_alice, of_bob = leaving
    with host.app.app_context():
        host.registry.user_deleted(
            host.load("alice"),
            transfer_to=host.load("bob"),
            keep_grants=keep_grants,
            keep_active=keep_active,
        )
        host.db.session.delete(host.load("alice"))
        host.db.session.commit()

    seen = host.client("bob").get(f"{PREFIX}/?is_active=all").json
    assert [(each["id"], each["is_owner"], each["is_active"]) for each in seen] == [
        (of_alice, True, keep_active),
        (of_bob, True, True),
    ]
    left = [(row.user_id, row.group_name) for row in host.rows("grants")]
    assert left == ([(None, "g")] if keep_grants else [])
    assert {row.user_id for row in host.rows("defaults")} == {host.user("bob")}
    assert len(host.rows("app_defaults")) == 1


def test_a_new_owner_with_a_model_of_that_name_gets_none(host, alice, bob):
    register(alice, "a", "m")
    register(bob, "m")
    before = everything(host)

    with host.app.app_context():
        with pytest.raises(ModelIdTakenError, match="called: m"):
            host.registry.user_deleted(host.load("alice"), transfer_to=host.load("bob"))
        host.db.session.commit()

    assert everything(host) == before


GONE = {
    "create": lambda registry, gone, other: registry.create(user=gone, **model(model_id="x")),
    "set_default": lambda registry, gone, other: registry.set_default(
        "general", "shared", user=gone
    ),
    "grant": lambda registry, gone, other: registry.grant("of/other", to=gone, user=other),
    "transfer": lambda registry, gone, other: registry.transfer("of/other", gone, user=other),
    "inherit": lambda registry, gone, other: registry.user_deleted(other, transfer_to=gone),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", GONE)
@pytest.mark.parametrize("enforced", ENFORCED)
def test_nothing_is_written_for_a_user_who_is_gone(hosts, name, enforced, database):
    host = hosts()
    with host.app.app_context():
        engine = host.db.engine
    if enforced == "enforced" and database.name == "sqlite":
        engine.dispose()
        sa.event.listen(
            engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON").close()
        )
    register(host.client("admin", is_admin=True), "shared", share_with_users=True)
    register(host.client("other"), "of/other")
    with host.app.app_context():
        gone, other = host.load("gone"), host.load("other")
        host.db.session.expunge(gone)
        host.db.session.execute(sa.delete(host.User).where(host.User.name == "gone"))
        host.db.session.commit()
        before = everything(host)
        with pytest.raises((ConflictError, NotFoundError)):
            GONE[name](host.registry, gone, other)
        host.db.session.commit()

    assert everything(host) == before


def test_user_deleted_can_also_be_called_after_the_deletion(leaving):
    host, _, of_bob = leaving
    with host.app.app_context():
        alice = host.load("alice")
        host.db.session.delete(alice)
        host.db.session.flush()
        host.registry.user_deleted(alice)
        host.db.session.commit()

    assert [row.id for row in host.rows("models")] == [of_bob]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kept", ["keep_grants", "keep_active"])
def test_keep_options_need_a_new_owner(host, alice, kept):
    register(alice, "m")

    with host.app.app_context(), pytest.raises(ValidationError, match="transfer_to"):
        host.registry.user_deleted(host.load("alice"), **{kept: True})

    assert len(host.rows("models")) == 1


@pytest.mark.databases("sqlite")
def test_a_user_does_not_inherit_from_themselves(host, alice):
    register(alice, "m")

    with host.app.app_context(), pytest.raises(ValidationError, match="inherit"):
        host.registry.user_deleted(host.load("alice"), transfer_to=host.load("alice"))

    assert len(host.rows("models")) == 1


def test_deleting_a_user_works_where_the_tables_are_missing(hosts):
    host = hosts()
    host.user("alice")
    with host.app.app_context():
        tables = [
            table for name, table in host.db.metadata.tables.items() if name.startswith("model_reg")
        ]
        host.db.metadata.drop_all(host.db.engine, tables=tables)
        for name in ("alice", "bob"):
            host.db.session.delete(host.load(name))
            host.db.session.commit()
        host.user("carol")
        delete_by_text_of = sa.delete(host.User)
        host.db.session.execute(delete_by_text_of)
        host.db.session.commit()

        assert host.db.session.query(host.User).count() == 0


def test_users_in_another_file_of_sqlite_get_no_trigger():
    db = SQLAlchemy()

    class User(db.Model):
        __table_args__ = {"schema": "other"}
        id = sa.Column(sa.Integer, primary_key=True)

    ModelRegistry(db, User)
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("ATTACH ':memory:' AS other")
        db.metadata.create_all(connection)

        assert triggers(connection) == []
    engine.dispose()


def app_with(db, registry):
    app = Flask("in memory")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = new_key("test")
    db.init_app(app)
    registry.init_app(app)
    return app


def count(db, registry):
    return db.session.scalar(sa.select(sa.func.count()).select_from(registry.tables.models))


def test_users_in_another_file_of_sqlite_are_followed_on_connections_of_the_registry():
    db = SQLAlchemy()

    class User(db.Model):
        __table_args__ = {"schema": "other"}
        id = sa.Column(sa.Integer, primary_key=True)

    registry = ModelRegistry(db, User, user_loader=lambda: None)
    with app_with(db, registry).app_context():
        sa.event.listen(
            db.engine, "connect", lambda raw, _: raw.execute("ATTACH ':memory:' AS other").close()
        )
        db.create_all()
        db.session.add(User(id=1))
        db.session.commit()
        registry.create(user=db.session.get(User, 1), **model())
        db.session.commit()
        before = count(db, registry)

        db.session.execute(sa.text("DELETE FROM other.user"))
        db.session.commit()

        assert (before, count(db, registry)) == (1, 0)
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("enforced", [True, False])
def test_tables_in_another_file_of_sqlite_need_foreign_keys(caplog, enforced):
    db = SQLAlchemy(metadata=sa.MetaData(schema="other"))

    class User(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    def connect(raw, _record):
        raw.execute("ATTACH ':memory:' AS other").close()
        raw.execute(f"PRAGMA foreign_keys={enforced:d}").close()

    registry = ModelRegistry(db, User, user_loader=lambda: None)
    with app_with(db, registry).app_context():
        sa.event.listen(db.engine, "connect", connect)
        db.create_all()
        db.session.add(User(id=1))
        db.session.commit()
        for model_id in ("m", "n"):
            registry.create(user=db.session.get(User, 1), **model(model_id=model_id))
        db.session.commit()
        delete = sa.text("DELETE FROM other.user")
        if enforced:
            with pytest.raises(sa.exc.IntegrityError):
                db.session.execute(delete)
        else:
            db.session.execute(delete)
        db.session.remove()
        db.engine.dispose()

    warnings = [each for each in caplog.messages if "foreign keys are off" in each]
    assert len(warnings) == (not enforced)


def test_a_new_user_of_a_class_with_keys_of_its_own_takes_nothing_from_others():
    db = SQLAlchemy()

    class User(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    class Staff(User):
        __tablename__ = "staff"
        __mapper_args__ = {"concrete": True}
        id = sa.Column(sa.Integer, primary_key=True)

    registry = ModelRegistry(db, User, user_loader=lambda: None)
    with app_with(db, registry).app_context():
        db.create_all()
        db.session.execute(sa.text("DROP TRIGGER model_registry_user_deleted"))
        db.session.add(User(id=1))
        db.session.commit()
        registry.create(user=db.session.get(User, 1), **model())
        db.session.add(Staff(id=1))
        db.session.commit()

        assert count(db, registry) == 1
        db.session.remove()
        db.engine.dispose()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("enforced", ["ON", "OFF"])
def test_a_trigger_is_made_and_dropped_with_the_tables(enforced):
    db, *_ = declare()
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA foreign_keys={enforced}")
        db.metadata.create_all(connection)
        made = triggers(connection)
        db.metadata.drop_all(connection)

        assert (len(made), triggers(connection)) == (1, [])
    engine.dispose()


def triggers(connection):
    return connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_user_can_leave(hosts, kind):
    host = hosts(kind)
    register(host.client("alice"), "m", abilities=["chat"])
    register(host.client("bob"), "m", abilities=["chat"])
    with host.app.app_context():
        host.db.session.delete(host.load("alice"))
        host.db.session.commit()

    (row,) = host.rows("models")
    assert row.owner_id == host.user("bob")


def test_a_deletion_that_the_host_rolls_back_is_undone(host, alice):
    register(alice, "m")
    with host.app.app_context():
        host.db.session.delete(host.load("alice"))
        host.db.session.flush()
        host.db.session.rollback()

    assert len(host.rows("models")) == 1
    assert alice.post(f"{PREFIX}/register", json=model(model_id="n")).status_code == 201
