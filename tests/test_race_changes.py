"""Many requests change the same models at once: no 5xx, no orphans, and a consistent outcome."""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from flask_model_registry.cli import new_key
from tests.hosts import PREFIX, create_app, declare, granted, register

THREADS, ROUNDS = 32, 3
FOREIGN_KEYS = {  # by database: how to switch them on and off
    "sqlite": ("PRAGMA foreign_keys=ON", "PRAGMA foreign_keys=OFF"),
    "postgresql": ("SET session_replication_role=origin", "SET session_replication_role=replica"),
    "mariadb": ("SET foreign_key_checks=1", "SET foreign_key_checks=0"),
}

pytestmark = [pytest.mark.slow, pytest.mark.races]


@pytest.fixture(params=["foreign keys", "no foreign keys"])
def crowd(request, database, empty_databases, canary):
    options = {"pool_size": THREADS, "max_overflow": 0, "pool_timeout": 120}
    if database.name == "sqlite":
        options["connect_args"] = {"timeout": 120}
    host = create_app(
        declare(groups=lambda user: ["all"]),
        empty_databases().url,
        SQLALCHEMY_ENGINE_OPTIONS=options,
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
    )
    switch = FOREIGN_KEYS[database.name][request.param == "no foreign keys"]
    with host.app.app_context():
        host.db.create_all()
        host.db.engine.dispose()

        @sa.event.listens_for(host.db.engine, "connect")
        def connect(raw, _record):
            cursor = raw.cursor()
            cursor.execute(switch)
            cursor.close()
            if database.name == "postgresql":
                raw.commit()

    yield host
    assert orphans(host) == []
    canary(host.app)
    host.close()


def orphans(host):
    """Return the rows that refer to a missing user or model."""
    tables = host.registry.tables
    with host.app.app_context():
        users = {*host.db.session.scalars(sa.select(host.User.id)), None}
    models = {row.id for row in host.rows("models")}
    found = [("owner", row.id) for row in host.rows("models") if row.owner_id not in users]
    for table, _ in tables.by_model()[:-1]:
        for row in host.rows(table.name.removeprefix("model_registry_")):
            if row.model_row_id not in models or getattr(row, "user_id", None) not in users:
                found.append((table.name, row))
    return found


def at_once(calls):
    """Make each (method of a client, path, options) call in a thread of its own; count statuses."""
    barrier, statuses = threading.Barrier(len(calls)), []

    def make(call, path, options):
        barrier.wait()
        statuses.append((call.__name__, call(PREFIX + path, **options).status_code))

    threads = [threading.Thread(target=make, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == len(calls)
    return Counter(statuses)


def crowd_of(host, number):
    return [host.client(f"user {each}") for each in range(number)]


def test_one_user_sets_one_default_to_many_models(crowd):
    alice = crowd.client("alice")
    ids = register(alice, *"abcd")
    # A client keeps cookies, so each thread has its own.
    clients = [crowd.client("alice") for _ in range(THREADS)]

    for _ in range(ROUNDS):
        counted = at_once([
            (client.put, "/defaults/general", {"json": {"id": ids[number % 4]}})
            for number, client in enumerate(clients)
        ])  # fmt: skip
        assert counted == {("put", 200): THREADS}
        (row,) = crowd.rows("defaults")
        assert row.model_row_id in ids
        alice.delete(f"{PREFIX}/defaults/general")


def test_many_users_choose_one_model(crowd):
    (row_id,) = register(crowd.client("admin", is_admin=True), "m", share_with_users=True)

    counted = at_once([
        (client.put, "/defaults/general", {"json": {"id": row_id}})
        for client in crowd_of(crowd, THREADS)
    ])  # fmt: skip

    assert counted == {("put", 200): THREADS}
    assert len(crowd.rows("defaults")) == THREADS


def test_a_model_is_deleted_while_many_choose_it(crowd):
    admin, clients = crowd.client("admin", is_admin=True), crowd_of(crowd, THREADS - 1)
    for _ in range(ROUNDS):
        (row_id,) = register(admin, "m", share_with_users=True, abilities=["chat"])
        choices = [
            (client.put, "/defaults/general", {"json": {"id": row_id}}) for client in clients
        ]

        counted = at_once([*choices[:16], (admin.delete, f"/{row_id}", {}), *choices[16:]])

        assert counted[("delete", 204)] == 1
        assert counted[("put", 200)] + counted[("put", 404)] == len(choices)
        assert crowd.rows("defaults") == crowd.rows("models") == []


def test_a_model_is_un_shared_while_many_choose_it(crowd):
    admin, clients = crowd.client("admin", is_admin=True), crowd_of(crowd, THREADS - 1)
    boss = crowd.client("boss", is_admin=True)
    for number in range(ROUNDS):
        (row_id,) = register(admin, f"m{number}", share_with_users=True)
        choices = [
            (client.put, "/defaults/general", {"json": {"id": row_id}}) for client in clients
        ]
        choices[0] = (boss.put, "/defaults/general?scope=app", {"json": {"id": row_id}})

        counted = at_once(
            [
                *choices[:16],
                (admin.patch, f"/{row_id}", {"json": {"share_with_users": False}}),
                *choices[16:],
            ]
        )

        assert counted[("patch", 200)] == 1
        assert counted[("put", 200)] + counted[("put", 404)] == len(choices)
        assert crowd.rows("defaults") == crowd.rows("app_defaults") == []


def test_a_grant_is_revoked_while_it_is_used(crowd):
    alice = crowd.client("alice")
    (row_id,) = register(alice, "m")
    bobs = [crowd.client("bob") for _ in range(THREADS - 1)]
    for _ in range(ROUNDS):
        granted(alice, row_id, user=crowd.user("bob"), can_edit=True)
        choices = [(bob.put, "/defaults/general", {"json": {"id": row_id}}) for bob in bobs]

        counted = at_once(
            [
                *choices[:16],
                (alice.delete, f"/{row_id}/grants/users/{crowd.user('bob')}", {}),
                *choices[16:],
            ]
        )

        assert counted[("delete", 204)] == 1
        assert counted[("put", 200)] + counted[("put", 404)] == len(choices)
        assert crowd.rows("defaults") == []


def test_one_of_many_changes_of_one_version_succeeds(crowd):
    alice = crowd.client("alice")
    (row_id,) = register(alice, "m", abilities=["chat"])
    clients = [crowd.client("alice") for _ in range(THREADS)]
    for _ in range(ROUNDS):
        etag = alice.get(f"{PREFIX}/{row_id}").headers["ETag"]

        counted = at_once([
            (client.patch, f"/{row_id}", {"json": {"description": f"{etag} {number}", "abilities": [f"a{number}"]},
                                          "headers": {"If-Match": etag}})
            for number, client in enumerate(clients)
        ])  # fmt: skip

        assert counted == {("patch", 200): 1, ("patch", 412): THREADS - 1}
        (ability,) = crowd.rows("abilities")
        assert [ability.ability] == crowd.rows("models")[0].abilities


def test_changes_without_a_condition_all_succeed(crowd):
    alice = crowd.client("alice")
    (row_id,) = register(alice, "m")
    fields = ["description", "model_name", "temperature", "is_active"]
    values = {"description": "new", "model_name": "new", "temperature": 1.5, "is_active": False}

    counted = at_once([
        (crowd.client("alice").patch, f"/{row_id}", {"json": {field: values[field]}})
        for field in fields * (THREADS // 4)
    ])  # fmt: skip

    assert counted == {("patch", 200): THREADS}
    assert values.items() <= alice.get(f"{PREFIX}/{row_id}").json.items()
    assert crowd.rows("models")[0].version == 1 + len(fields)


def test_a_model_is_given_away_and_deleted_at_once(crowd):
    crowd.user("bob")
    for _ in range(ROUNDS):
        (row_id,) = register(crowd.client("alice"), "m", abilities=["chat"])
        clients = [crowd.client("alice") for _ in range(THREADS)]
        calls = [
            (client.delete, f"/{row_id}", {}) if number % 2 else
            (client.post, f"/{row_id}/transfer", {"json": {"user": str(crowd.user("bob"))}})
            for number, client in enumerate(clients)
        ]  # fmt: skip

        counted = at_once(calls)

        assert sorted(status for _, status in counted.elements()) == [204] + [404] * (THREADS - 1)
        given = crowd.rows("models")
        assert [row.owner_id for row in given] in ([], [crowd.user("bob")])
        assert len(crowd.rows("abilities")) == len(given)
        if given:
            crowd.client("bob").delete(f"{PREFIX}/{row_id}")


def test_requests_for_neighbouring_rows_do_not_deadlock(crowd):
    """On MariaDB a DELETE that finds nothing locks the gap where others then want to insert."""
    alice = crowd.client("alice")
    for number in range(ROUNDS):
        names = [f"m{number}-{each}" for each in range(THREADS)]
        ids = register(alice, *names)
        patches = at_once([
            (crowd.client("alice").patch, f"/{row_id}", {"json": {"abilities": ["a", "b"]}}) for row_id in ids
        ])  # fmt: skip
        grants = at_once([
            (crowd.client("alice").put, f"/{row_id}/grants/groups/all", {"json": {}}) for row_id in ids
        ])  # fmt: skip
        deletions = at_once([(crowd.client("alice").delete, f"/{row_id}", {}) for row_id in ids])

        assert (patches, grants) == ({("patch", 200): THREADS}, {("put", 201): THREADS})
        assert deletions == {("delete", 204): THREADS}


def test_a_model_is_granted_while_it_is_deleted(crowd):
    alice = crowd.client("alice")
    keys = [crowd.user(f"user {number}") for number in range(THREADS - 1)]
    for _ in range(ROUNDS):
        (row_id,) = register(alice, "m")
        grants = [
            (crowd.client("alice").put, f"/{row_id}/grants/users/{key}", {"json": {}})
            for key in keys
        ]

        counted = at_once([*grants[:16], (alice.delete, f"/{row_id}", {}), *grants[16:]])

        assert counted[("delete", 204)] == 1
        assert counted[("put", 201)] + counted[("put", 404)] == len(grants)
        assert crowd.rows("grants") == []


def test_a_former_owner_cannot_keep_a_grant_by_being_fast(crowd):
    """A transfer drops existing grants, and later grants of the former owner are refused."""
    alice, bob = crowd.client("alice"), crowd.user("bob")
    crowd.user("carol")
    for number in range(ROUNDS):
        (row_id,) = register(alice, f"m{number}")
        granted(alice, row_id, user=crowd.user("carol"), can_edit=True)
        strings = [
            (crowd.client("alice").put, f"/{row_id}/grants/groups/g{each}", {"json": {"can_edit": True}})
            for each in range(10)
        ] + [
            (crowd.client("carol").patch, f"/{row_id}", {"json": {"description": str(each)}})
            for each in range(5)
        ]  # fmt: skip

        counted = at_once([
            *strings[:8],
            (alice.post, f"/{row_id}/transfer", {"json": {"user": str(bob)}}),
            *strings[8:],
        ])  # fmt: skip

        assert counted[("post", 204)] == 1
        assert counted[("put", 201)] + counted[("put", 404)] == 10
        assert counted[("patch", 200)] + counted[("patch", 404)] == 5
        assert crowd.rows("grants") == []
        (row,) = [each for each in crowd.rows("models") if each.id == row_id]
        assert (row.owner_id, bool(row.is_active)) == (bob, False)


def test_a_grant_is_declined_and_revoked_at_once(crowd):
    alice, bob = crowd.client("alice"), crowd.user("bob")
    (row_id,) = register(alice, "m")
    for _ in range(ROUNDS):
        granted(alice, row_id, user=bob)
        crowd.client("bob").put(f"{PREFIX}/defaults/general", json={"id": row_id})

        counted = at_once([
            (crowd.client(name).delete, f"/{row_id}/grants/users/{bob}", {})
            for name in ("alice", "bob") * 6
        ])  # fmt: skip

        assert counted == {("delete", 204): 1, ("delete", 404): 11}
        assert crowd.rows("grants") == crowd.rows("defaults") == []
