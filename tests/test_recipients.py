"""An inactive user can get nothing new, like an unknown one, but keeps what they have."""

import json

import pytest

from flask_model_registry import NotFoundError
from tests.hosts import CANARY, PREFIX, granted, model, register


@pytest.fixture
def host(hosts, monkeypatch):
    """A host with Bob, who is inactive once his name says so."""
    host = hosts()
    is_active = property(lambda user: user.name != "gone")
    monkeypatch.setattr(host.User, "is_active", is_active, raising=False)
    host.user("bob")
    return host


def leaves(host, name="bob"):
    with host.app.app_context():
        host.load(name).name = "gone"
        host.db.session.commit()


@pytest.mark.parametrize("method", ["grant", "transfer"])
def test_over_http_there_is_no_such_user(host, method):
    alice, key = host.client("alice"), host.user("bob")
    (row_id,) = register(alice, "m")
    leaves(host)

    def ask(user):
        if method == "grant":
            return alice.put(f"{PREFIX}/{row_id}/grants/users/{user}", json={})
        return alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(user)})

    gone, unknown = ask(key), ask(999_999)
    assert (gone.status_code, gone.json) == (404, unknown.json)
    assert [row.owner_id for row in host.rows("models")] == [host.user("alice")]
    assert host.rows("grants") == []


def test_from_python_there_is_no_such_user(host):
    register(host.client("alice"), "m")
    leaves(host)

    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        with pytest.raises(NotFoundError, match="no such user"):
            host.registry.grant("m", to=bob, user=alice)
        with pytest.raises(NotFoundError, match="no such user"):
            host.registry.transfer("m", bob, user=alice)


def test_an_import_of_their_models_fails(host, tmp_path):
    leaves(host)
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({**model(), "owner": str(host.user("bob"))}))

    output, status = host.run("import", str(path))

    assert (status, host.rows("models")) == (1, [])
    assert "There is no such user." in output
    assert CANARY not in output


def test_their_grants_can_be_revoked(host):
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    leaves(host)

    assert alice.delete(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}").status_code == 204


def test_their_models_can_be_transferred(host):
    register(host.client("bob"), "m")
    host.user("alice")
    leaves(host)

    with host.app.app_context():
        host.registry.user_deleted(host.load("bob"), transfer_to=host.load("alice"))
        host.db.session.commit()

    assert [row.owner_id for row in host.rows("models")] == [host.user("alice")]
