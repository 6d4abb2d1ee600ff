"""Signals report what happened once, after the commit, and without a secret."""

import pytest
import sqlalchemy as sa

from flask_model_registry import ForbiddenError, signals
from tests.hosts import CANARY, PREFIX, model, register

NAMES = ["created", "updated", "deleted", "shared", "unshared", "granted", "revoked", "transferred",
         "default_changed", "resolved"]  # fmt: skip


@pytest.fixture
def heard(host):
    """Everything that was sent: the signal's name and its facts."""
    messages = []

    def listen(name):
        def receiver(app, **facts):
            assert app is host.app
            assert facts.pop("event") == name
            messages.append((name, facts))

        return receiver

    receivers = {name: listen(name) for name in NAMES}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    yield messages
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver)
    assert CANARY not in repr(messages)


def test_every_action_sends_its_signal(host, admin, bob, heard):
    boss, key = host.user("admin"), host.user("bob")
    (row_id,) = register(admin, "m")
    about = {"actor": boss, "id": row_id, "model_id": "m", "owner": boss}
    address = f"{PREFIX}/{row_id}"
    default = f"{PREFIX}/defaults/general"
    steps = [
        (admin.patch, address, {"description": "x", "abilities": ["a"]},
         [("updated", {**about, "changed": ["abilities", "description"]})]),
        (admin.put, f"{address}/credential", {"api_key": CANARY}, [("updated", {**about, "changed": ["api_key"]})]),
        (admin.patch, address, {"share_with_users": True},
         [("updated", {**about, "changed": ["is_shared"]}), ("shared", about)]),
        (bob.put, default, {"id": row_id},
         [("default_changed", {**about, "actor": key, "config_type": "general", "scope": "user"})]),
        (bob.delete, default, None,
         [("default_changed", {"actor": key, "config_type": "general", "scope": "user"})]),
        (admin.put, f"{default}?scope=app", {"id": row_id},
         [("default_changed", {**about, "config_type": "general", "scope": "app"})]),
        (admin.patch, address, {"share_with_users": False},
         [("updated", {**about, "changed": ["is_shared"]}), ("unshared", about)]),
        (admin.put, f"{address}/grants/users/{key}", {"can_edit": True},
         [("granted", {**about, "user": key, "can_edit": True, "can_delete": False})]),
        (admin.delete, f"{address}/grants/users/{key}", None, [("revoked", {**about, "user": key})]),
        (admin.put, f"{address}/grants/groups/g", {},
         [("granted", {**about, "group": "g", "can_edit": False, "can_delete": False})]),
        (admin.delete, f"{address}/grants/groups/g", None, [("revoked", {**about, "group": "g"})]),
        (admin.post, f"{address}/transfer", {"user": str(key)},
         [("transferred", {**about, "owner": key, "former_owner": boss})]),
        (bob.delete, address, None, [("deleted", {**about, "owner": key, "actor": key})]),
    ]  # fmt: skip

    assert heard == [("created", about)]
    for verb, path, body, expected in steps:
        heard.clear()
        response = verb(path, json=body)
        assert response.status_code < 300, response.text
        assert heard == expected


def test_registering_a_shared_model_also_sends_shared(admin, heard):
    register(admin, "m", share_with_users=True)

    assert [name for name, _ in heard] == ["created", "shared"]


def test_a_refused_or_empty_change_sends_no_signal(host, alice, bob, heard):
    (row_id,) = register(alice, "m")
    heard.clear()

    alice.patch(f"{PREFIX}/{row_id}", json={})
    alice.patch(f"{PREFIX}/{row_id}", json={"temperature": 5})
    alice.patch(f"{PREFIX}/{row_id}", json={"share_with_users": True})
    alice.post(f"{PREFIX}/register", json=model(model_id="m"))
    alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("alice"))})
    alice.delete(f"{PREFIX}/{row_id}/grants/groups/g")
    bob.delete(f"{PREFIX}/{row_id}")

    assert heard == []


def test_a_signal_comes_after_the_commit(host, alice, heard):
    counted = []

    def count(app, **facts):
        host.db.session.rollback()
        counted.append(
            host.db.session.scalar(
                sa.select(sa.func.count()).select_from(host.registry.tables.models)
            )
        )

    with signals.created.connected_to(count):
        register(alice, "m")

    assert counted == [1]


def test_a_failed_commit_sends_no_signal(host, alice, heard, monkeypatch, request):
    request.applymarker(pytest.mark.forces_errors)

    def fail():
        raise sa.exc.OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(host.db.session, "commit", fail)

    assert alice.post(f"{PREFIX}/register", json=model()).status_code == 503
    assert heard == []


def test_a_failing_receiver_does_not_change_the_response(host, alice, heard, caplog):
    def fail(app, **facts):
        raise RuntimeError("receiver is broken")

    with signals.created.connected_to(fail), signals.updated.connected_to(fail):
        (row_id,) = register(alice, "m")
        assert alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"}).status_code == 200

    assert caplog.text.count("receiver is broken") >= 2
    assert host.rows("models")[0].description == "x"


def test_receivers_writes_are_kept_even_if_another_receiver_fails(host, alice, heard):
    def write(app, *, model_id, **facts):
        host.db.session.add(host.User(name=f"audit of {model_id}"))

    def fail_in_the_database(app, **facts):
        host.db.session.add(host.User(id=host.user("alice"), name="twice"))
        host.db.session.flush()

    connected = (fail_in_the_database, write)
    with signals.created.connected_to(connected[0]), signals.created.connected_to(connected[1]):
        register(alice, "m", "n")

    with host.app.app_context():
        names = {*host.db.session.scalars(sa.select(host.User.name))}
    assert names == {"alice", "audit of m", "audit of n"}


def test_the_host_commits_receivers_writes_in_python_calls(host, heard):
    host.user("alice")

    def write(app, **facts):
        host.db.session.add(host.User(name="audit"))

    with host.app.app_context(), signals.created.connected_to(write):
        host.registry.create(user=host.load("alice"), **model())
        host.db.session.rollback()
        assert host.db.session.query(host.User).count() == 1


def test_python_calls_send_signals_at_once(host, heard):
    alice = host.user("alice")
    with host.app.app_context():
        user = host.load("alice")
        made = host.registry.create(user=user, **model())
        host.registry.set_default("general", "gpt-4o", user=user)
        host.registry.resolve("gpt-4o", user=user)
        host.registry.default("general", user=user)
        about = {"actor": alice, "id": made["id"], "model_id": "gpt-4o", "owner": alice}
        assert heard == [
            ("created", about),
            ("default_changed", {**about, "config_type": "general", "scope": "user"}),
            ("resolved", about),
            ("resolved", about),
        ]
        host.db.session.rollback()


def test_a_python_call_within_the_hosts_request_sends_signals_at_once(hosts):
    host, order = hosts(), []

    @host.app.post("/own")
    def own():
        host.registry.create(**model())
        order.append("called")
        return "", 204

    def tell(app, **facts):
        order.append("told")

    with signals.created.connected_to(tell):
        host.client("alice").post("/own")

    assert order == ["told", "called"]


def test_deleting_a_user_sends_a_signal_for_each_model(host, alice, heard):
    (a, b), (key, new_owner) = register(alice, "a", "b"), (host.user("alice"), host.user("bob"))
    heard.clear()

    with host.app.app_context():
        host.registry.user_deleted(host.load("alice"), transfer_to=host.load("bob"))
        host.registry.user_deleted(host.load("bob"))
        host.db.session.rollback()

    about = [
        {"actor": None, "id": row_id, "model_id": name} for row_id, name in ((a, "a"), (b, "b"))
    ]
    assert heard == [
        *(("transferred", {**each, "owner": new_owner, "former_owner": key}) for each in about),
        *(("deleted", {**each, "owner": new_owner}) for each in about),
    ]


def test_a_refused_python_call_sends_no_signal(host, heard):
    with host.app.app_context():
        with pytest.raises(ForbiddenError):
            host.registry.create(user=host.load("alice"), **model(share_with_users=True))
        host.db.session.rollback()

    assert heard == []
