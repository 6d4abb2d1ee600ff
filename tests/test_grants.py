"""Owners give, change, list and revoke grants. Grantees can decline them."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from urllib.parse import unquote

import pytest
import sqlalchemy as sa

from tests.hosts import KINDS, PREFIX, Columns, granted, model, register


def grants(client, row_id):
    response = client.get(f"{PREFIX}/{row_id}/grants")
    assert response.status_code == 200, response.text
    return response.json


def sees(client, row_id):
    return client.get(f"{PREFIX}/{row_id}").status_code == 200


@pytest.mark.parametrize("kind", ["user", "group"])
def test_a_model_is_granted_and_the_grant_revoked(host, alice, bob, kind):
    (row_id,) = register(alice, "m")
    name = str(host.user("bob")) if kind == "user" else "group of bob"
    address = f"{PREFIX}/{row_id}/grants/{kind}s/{name}"

    before = sees(bob, row_id)
    put = alice.put(address, json={})
    meanwhile = sees(bob, row_id), len(bob.get(f"{PREFIX}/").json)
    deleted = alice.delete(address)

    assert (before, meanwhile, sees(bob, row_id)) == (False, (True, 1), False)
    assert (put.status_code, put.json) == (
        201,
        {kind: name, "can_edit": False, "can_delete": False},
    )
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert alice.delete(address).status_code == 404


def test_a_grant_is_changed_in_place(host, alice, bob):
    (row_id,) = register(alice, "m")
    address = f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}"

    statuses = [
        alice.put(address, json=rights).status_code
        for rights in (
            {},
            {"can_edit": True},
            {"can_edit": True, "can_delete": True},
            {"can_delete": True},
        )
    ]

    assert statuses == [201, 200, 200, 200]
    (seen,) = bob.get(f"{PREFIX}/").json
    assert (seen["can_edit"], seen["can_delete"]) == (False, True)
    assert len(host.rows("grants")) == 1


def test_the_owner_sees_all_grants(host, alice):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    granted(alice, row_id, group="team a/b", can_delete=True)

    assert grants(alice, row_id) == {
        "users": [{"user": str(host.user("bob")), "can_edit": True, "can_delete": False}],
        "groups": [{"group": "team a/b", "can_edit": False, "can_delete": True}],
    }


@pytest.mark.sampled(2)
@pytest.mark.parametrize("count", [1, 3, 64, 65, 600])
def test_the_grants_of_several_groups_add_up(hosts, count):
    names = [f"g{number}" for number in range(count)]
    host = hosts(groups=lambda user: names if user.name == "bob" else ())
    alice, bob = host.client("alice"), host.client("bob")
    twice, once, last = register(alice, "twice", "once", "last")
    granted(alice, twice, group=names[0], can_edit=True)
    granted(alice, twice, group=names[-1], can_delete=True)
    granted(alice, twice, user=host.user("bob"))
    granted(alice, once, group=names[-1])
    granted(alice, last, group=names[0], can_delete=True)

    pages = [bob.get(f"{PREFIX}/?limit=2{rest}").json for rest in ("", "&sort=-id")]

    is_same = count == 1  # there the second grant replaces the first one
    rights = {twice: (not is_same, True), once: (False, False), last: (False, True)}
    assert [[each["id"] for each in page] for page in pages] == [[twice, once], [last, once]]
    for each in [*pages[0], *pages[1], bob.get(f"{PREFIX}/by-id/twice").json]:
        assert (each["can_edit"], each["can_delete"]) == rights[each["id"]]
        assert each["is_owner"] is False


@pytest.mark.parametrize("kind", ["user", "group"])
def test_a_renamed_model_is_found_by_its_new_name_only(host, alice, bob, kind):
    (row_id,) = register(alice, "before")
    granted(alice, row_id, **{kind: {"user": host.user("bob"), "group": "group of bob"}[kind]})

    assert alice.patch(f"{PREFIX}/{row_id}", json={"model_id": "after"}).status_code == 200

    assert bob.get(f"{PREFIX}/by-id/after").json["id"] == row_id
    assert bob.get(f"{PREFIX}/by-id/before").status_code == 404
    assert [each["id"] for each in bob.get(f"{PREFIX}/v1/models").json["data"]] == ["after"]


@pytest.mark.parametrize("done", ["DELETE FROM {}", "UPDATE {} SET model_id = 'other'"])
def test_a_grant_that_was_left_behind_hides_no_other_model(hosts, done):
    host = hosts()
    (row_id,) = register(host.client("alice"), "m")
    granted(host.client("alice"), row_id, user=host.user("bob"))
    (shared,) = register(host.client("root", is_admin=True), "m", share_with_users=True)
    bob, models = host.client("bob"), host.registry.tables.models
    stale = {"user_id": host.user("bob"), "model_row_id": row_id, "model_id": "m"}
    if done.startswith("UPDATE"):
        host.execute(sa.update(models).where(models.c.id == row_id).values(model_id="other"))
    else:  # as where foreign keys are not enforced
        host.execute(sa.delete(models).where(models.c.id == row_id))
        rights = {"can_edit": False, "can_delete": False}
        if host.app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
            grants = host.registry.tables.grants
            host.execute(sa.delete(grants))
            host.execute(sa.insert(grants).values(**stale, **rights))

    assert bob.get(f"{PREFIX}/by-id/m").json["id"] == shared
    assert "m" in [each["id"] for each in bob.get(f"{PREFIX}/v1/models").json["data"]]
    assert bob.get(f"{PREFIX}/by-id/other").status_code == 404


@pytest.mark.parametrize("count", [1, 70])
def test_the_oldest_of_the_models_that_groups_have_is_the_one_that_is_meant(hosts, count):
    names = [f"g{number}" for number in range(count)]
    host = hosts(groups=lambda user: names if user.name == "carol" else ())
    ids = [register(host.client(name), "m")[0] for name in ("alice", "bob")]
    for name, row_id in zip(("bob", "alice"), reversed(ids), strict=True):  # the newer one first
        granted(host.client(name), row_id, group=names[-1])

    assert host.client("carol").get(f"{PREFIX}/by-id/m").json["id"] == ids[0]


def test_a_grant_is_no_change_of_the_model(host, alice):
    (row_id,) = register(alice, "m")
    before = host.rows("models")

    granted(alice, row_id, user=host.user("bob"))

    assert host.rows("models") == before


def test_a_grantee_does_not_share_on(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), can_edit=True, can_delete=True)
    carol, before = host.user("carol"), host.rows("grants")

    refused = [
        bob.put(f"{PREFIX}/{row_id}/grants/users/{carol}", json={}),
        bob.put(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}", json={"can_edit": True}),
        bob.put(f"{PREFIX}/{row_id}/grants/users/999999", json={}),
        bob.put(f"{PREFIX}/{row_id}/grants/groups/g", json={}),
        bob.delete(f"{PREFIX}/{row_id}/grants/users/{carol}"),
        bob.get(f"{PREFIX}/{row_id}/grants"),
        bob.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(carol)}),
        bob.patch(f"{PREFIX}/{row_id}", json={"share_with_users": True}),
    ]

    assert [response.status_code for response in refused] == [403] * len(refused)
    assert host.rows("grants") == before


def test_the_owner_needs_no_grant(host, alice):
    (row_id,) = register(alice, "m")

    response = alice.put(f"{PREFIX}/{row_id}/grants/users/{host.user('alice')}", json={})

    assert response.status_code == 409
    assert host.rows("grants") == []


UNKNOWN = ["999999", "0", "-1", "007", "+1", "1.0", " 1", "１", "1_0", "abc", "9" * 19, "%00", "\U0001f642", "1%2F2", "null"]  # fmt: skip


@pytest.mark.sampled(5)
@pytest.mark.parametrize("key", UNKNOWN)
def test_a_grant_needs_a_primary_key(host, alice, key):
    (row_id,) = register(alice, "m")
    host.user("ten users, so that 1_0 could be one of them")

    for method in ("put", "delete"):
        response = getattr(alice, method)(f"{PREFIX}/{row_id}/grants/users/{key}", json={})
        assert response.status_code == 404, response.text
    assert host.rows("grants") == []
    assert alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": key}).status_code == 404


def test_a_very_long_key_belongs_to_no_user(host, alice):
    (row_id,) = register(alice, "m")

    assert alice.put(f"{PREFIX}/{row_id}/grants/users/{'9' * 400}", json={}).status_code == 404


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("group", [" g", "g%20", "%E2%80%AEx", "g" * 256, "%00"])
def test_a_group_has_a_name(host, alice, group):
    (row_id,) = register(alice, "m")

    response = alice.put(f"{PREFIX}/{row_id}/grants/groups/{group}", json={})

    assert response.status_code == 422
    assert response.json["errors"][0]["field"] == "group"
    assert host.rows("grants") == []


def test_a_group_may_have_almost_any_name(hosts, subtests):
    name = "none yet"
    host = hosts(groups=lambda user: [name] if user.name == "bob" else ["x" + name[1:]])
    alice, bob, carol = map(host.client, ("alice", "bob", "carol"))
    (row_id,) = register(alice, "m")

    for group in ("a%2Fb", "a b", "é", "A", "a" * 255, "users", "%25", "a:b@c"):
        name = unquote(group)
        with subtests.test(group=group):
            response = alice.put(f"{PREFIX}/{row_id}/grants/groups/{group}", json={})

            assert response.json["group"] == name
            assert (sees(bob, row_id), sees(carol, row_id)) == (True, False)
            deleted = alice.delete(f"{PREFIX}/{row_id}/grants/groups/{group}")
            assert (deleted.status_code, sees(bob, row_id)) == (204, False)


def test_an_app_without_groups_grants_to_none(hosts):
    host = hosts()
    alice = host.client("alice")
    (row_id,) = register(alice, "m")

    assert alice.put(f"{PREFIX}/{row_id}/grants/groups/g", json={}).status_code == 404
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "body", [{"can_edit": "yes"}, {"can_edit": 1}, {"can_edit": None}, {"owner": True}, [], 5]
)
def test_rights_are_booleans(host, alice, body):
    (row_id,) = register(alice, "m")

    response = alice.put(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}", json=body)

    assert response.status_code == 422
    assert host.rows("grants") == []


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_users_are_named_by_their_keys_whatever_these_are(hosts, kind):
    host = hosts(kind, groups=lambda user: ["g"])
    alice, bob = host.client("alice"), host.client("bob")
    (row_id,) = register(alice, "m")
    key = str(host.user("bob"))

    granted(alice, row_id, user=key)
    seen = sees(bob, row_id), grants(alice, row_id)["users"][0]["user"]
    transferred = alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": key})

    assert seen == (True, key)
    assert transferred.status_code == 204
    assert bob.get(f"{PREFIX}/{row_id}").json["is_owner"] is True
    assert grants(bob, row_id) == {"users": [], "groups": []}
    assert bob.put(f"{PREFIX}/{row_id}/grants/users/{uuid.uuid4()}", json={}).status_code == 404


def test_a_uuid_may_be_written_in_capitals(hosts):
    host = hosts("2.0 base, UUID key")
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    key = str(host.user("bob"))

    assert granted(alice, row_id, user=key.upper())["user"] == key
    for spelling in (key.replace("-", ""), f"{{{key}}}", f"urn:uuid:{key}"):
        response = alice.put(f"{PREFIX}/{row_id}/grants/users/{spelling}", json={})
        assert response.status_code == 404


@dataclass(frozen=True)
class Box:
    """A key that cannot be made from its string."""

    value: str


class Boxed(sa.types.TypeDecorator):
    impl, cache_ok = sa.String(64), True

    def process_bind_param(self, box, dialect):
        return box and box.value

    def process_result_value(self, value, dialect):
        return value and Box(value)

    @property
    def python_type(self):
        return Box


def boxed(db):
    class User(Columns, db.Model):
        login = sa.Column(Boxed(), primary_key=True)

    return User, Box, lambda: Box(secrets.token_hex(4))


def test_a_user_object_needs_no_string_for_its_key(hosts, monkeypatch):
    monkeypatch.setitem(KINDS, "boxed", (boxed, dict))
    host = hosts("boxed")
    host.user("alice"), host.user("bob")
    with host.app.app_context():
        alice, to = host.load("alice"), host.load("bob")
        row_id = host.registry.create(user=alice, **model(model_id="m"))["id"]
        host.registry.grant("m", to=to, user=alice)
        granted = host.registry.get("m", user=to)
        host.registry.transfer("m", to, user=alice)

        assert (granted["is_owner"], host.registry.get(row_id, user=to)["is_owner"]) == (
            False,
            True,
        )
        host.db.session.commit()


def test_a_key_of_a_type_of_the_hosts_own(hosts):
    host = hosts("legacy base, string key")
    alice = host.client("alice")
    (row_id,) = register(alice, "m")

    class Picky(sa.types.TypeDecorator):
        impl, cache_ok = sa.String(64), True

        def process_bind_param(self, value, dialect):
            if not value.startswith("login-"):
                raise ValueError("not a login")
            return value

    column = host.registry.tables.user_key
    original, column.type = column.type, Picky()
    response = alice.put(f"{PREFIX}/{row_id}/grants/users/x", json={})
    column.type = original

    assert response.status_code == 404


class GUID(sa.types.TypeDecorator):
    """The recipe that many apps have from SQLAlchemy's documentation."""

    impl, cache_ok = sa.CHAR(32), True

    def process_bind_param(self, value, dialect):
        return value and (value if isinstance(value, uuid.UUID) else uuid.UUID(value)).hex

    def process_result_value(self, value, dialect):
        return value and uuid.UUID(value)


def with_guid(db):
    class User(Columns, db.Model):
        guid = sa.Column(GUID(), primary_key=True)

    return User, uuid.UUID, uuid.uuid4


def test_a_guid_by_the_recipe_is_named_by_its_text(hosts, monkeypatch):
    monkeypatch.setitem(KINDS, "guid", (with_guid, dict))
    host = hosts("guid")
    alice, key = host.client("alice"), host.user("bob")
    (row_id,) = register(alice, "m")

    assert granted(alice, row_id, user=key)["user"] == str(key)
    assert alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(key)}).status_code == 204
    for other in (uuid.uuid4(), "x", key.hex):
        response = host.client("bob").put(f"{PREFIX}/{row_id}/grants/users/{other}", json={})
        assert response.status_code == 404


class BinaryUUID(sa.types.TypeDecorator):
    """UUIDs as bytes, by a type that accepts no strings."""

    impl, cache_ok = sa.LargeBinary(16), True

    def load_dialect_impl(self, dialect):
        is_mysqls = dialect.name in {"mysql", "mariadb"}
        return dialect.type_descriptor(sa.BINARY(16) if is_mysqls else sa.LargeBinary(16))

    def process_bind_param(self, value, dialect):
        return value and value.bytes

    def process_result_value(self, value, dialect):
        return value and uuid.UUID(bytes=bytes(value))


Desk = Enum("Desk", ["front", "back"])


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("column_type", "alices", "bobs"),
    [
        (sa.Numeric(20, 0), Decimal(7), Decimal(10**15)),
        (sa.Date(), date(2020, 1, 1), date(2020, 1, 2)),
        (sa.DateTime(), datetime(2020, 1, 1), datetime(2020, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (sa.Enum(Desk), Desk.front, Desk.back),
        (BinaryUUID(), uuid.uuid4(), uuid.uuid4()),
    ],
    ids=["decimal", "date", "datetime", "enum", "UUID of bytes"],
)
def test_a_key_of_an_unusual_type_is_named_by_its_text(
    hosts, monkeypatch, column_type, alices, bobs
):
    def declare(db):
        columns = {"id": sa.Column(column_type, primary_key=True, autoincrement=False)}
        return type("User", (Columns, db.Model), columns), type(bobs), iter([bobs, alices]).__next__

    monkeypatch.setitem(KINDS, "unusual", (declare, dict))
    host = hosts("unusual")
    host.user("bob"), host.user("alice")
    with host.app.app_context():
        owner, to = host.load("alice"), host.load("bob")
        row_id = host.registry.create(user=owner, **model(model_id="m"))["id"]
        host.registry.grant(row_id, to=to, user=owner)
        host.db.session.commit()
    monkeypatch.setattr(host.registry._users, "load_user", lambda: host.load("alice"))
    alice = host.app.test_client()

    (told,) = grants(alice, row_id)["users"]
    base = f"{PREFIX}/{row_id}/grants/users"
    wrong = [
        alice.put(f"{base}/{name}", json={}).status_code
        for name in (
            *("x", "NaN", "-sNaN", "1e999", "1e999999999", "Infinity", "9" * 255, "9999-12-31"),
            str(uuid.uuid4()),
        )
    ]

    assert told["user"] == str(bobs)
    assert wrong == [404] * 9
    assert alice.delete(f"{base}/{bobs}").status_code == 204
    assert alice.put(f"{base}/{bobs}", json={}).status_code == 201
    transferred = alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(bobs)})
    assert transferred.status_code == 204


def test_a_string_key_is_named_exactly(hosts):
    host = hosts("legacy base, string key")
    host.new_key = lambda: "bob"
    host.user("bob")
    host.new_key = lambda: "alice"
    alice = host.client("alice")
    (row_id,) = register(alice, "m")

    for other in ("BOB", "bob%20", "b%C3%B3b"):
        refused = alice.put(f"{PREFIX}/{row_id}/grants/users/{other}", json={})
        assert refused.status_code == 404, other
    assert granted(alice, row_id, user="bob")["user"] == "bob"


def test_a_text_that_the_users_table_cannot_hold_names_no_user(hosts, database):
    host = hosts("legacy base, string key")
    alice = host.client("alice")
    (row_id,) = register(alice, "m")

    for key in ("日本語", "é", "a" * 300):
        assert alice.put(f"{PREFIX}/{row_id}/grants/users/{key}", json={}).status_code == 404
