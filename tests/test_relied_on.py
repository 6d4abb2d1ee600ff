"""Changing what a shared model's users call needs the right to share."""

import json

import pytest
import sqlalchemy as sa

from flask_model_registry import ForbiddenError
from tests.hosts import CANARY, PREFIX, granted, model, register

pytestmark = pytest.mark.databases("sqlite")

URL = "https://a.example.com/customers/1"
WHOLE = model(model_id="m", base_url=URL, share_with_users=True)
NEW_KEY = f"{CANARY}-new"
# A change that moves the model also has the API key, so that only the right is missing.
RELIED_ON = {
    "model_id": {"model_id": "n"},
    "model_name": {"model_name": "other"},
    "api_key set": {"api_key": NEW_KEY},
    "api_key set to the same": {"api_key": CANARY},
    "api_key cleared": {"api_key": None},
    "model_provider": {"model_provider": "anthropic", "api_key": NEW_KEY},
    "host": {"base_url": "https://b.example.com/customers/1", "api_key": NEW_KEY},
    "path": {"base_url": "https://a.example.com/customers/2"},
    "a slash": {"base_url": f"{URL}/"},
    "base_url cleared": {"base_url": None, "api_key": NEW_KEY},
}
ON = {"is_active": True}
OWNERS = {"model_id", "model_provider", "host", "base_url cleared"}
ALLOWED = {
    "nothing": {},
    "the same": {"model_id": "m", "model_name": WHOLE["model_name"], "base_url": URL, **ON},
    "description": {"description": "x"},
    "temperature": {"temperature": 1.5},
    "switching off": {"is_active": False},
}


def set_rights(host, **may_share):
    for name, value in may_share.items():
        key = host.user(name)
        host.execute(sa.update(host.User).where(host.User.id == key).values(is_admin=value))


@pytest.fixture
def shared(host, admin):
    """The id of a shared model: of an owner who may not share any more; bob may edit it."""
    (row_id,) = register(admin, "m", base_url=URL, share_with_users=True)
    granted(admin, row_id, user=host.user("bob"), can_edit=True, can_delete=True)
    granted(admin, row_id, group="group of carol", can_edit=True)
    set_rights(host, admin=False)
    return row_id


def stored(host):
    return {name: host.rows(name) for name in ("models", "grants", "app_defaults")}


PLACES = {
    "PATCH /{id}": lambda client, row_id, body: client.patch(f"{PREFIX}/{row_id}", json=body),
    "PATCH /by-id": lambda client, row_id, body: client.patch(f"{PREFIX}/by-id/m", json=body),
    "PUT /{id}": lambda client, row_id, body: client.put(
        f"{PREFIX}/{row_id}", json={**without_key(WHOLE), **body}
    ),
    "PUT /by-id": lambda client, row_id, body: client.put(
        f"{PREFIX}/by-id/m", json={**without_key(WHOLE), **body}
    ),
}


def without_key(body):
    return {name: value for name, value in body.items() if name != "api_key"}


@pytest.mark.sampled(24)
@pytest.mark.parametrize("who", ["admin", "bob", "carol"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", RELIED_ON)
def test_changing_a_shared_model_needs_the_right_to_share(host, shared, who, place, change):
    client, before = host.client(who), stored(host)

    refused = PLACES[place](client, shared, RELIED_ON[change])
    unchanged = stored(host) == before
    set_rights(host, **{who: True})
    allowed = PLACES[place](client, shared, RELIED_ON[change])

    assert (refused.status_code, unchanged) == (403, True)
    is_allowed = who == "admin" or change not in OWNERS
    assert allowed.status_code == (200 if is_allowed else 403), allowed.text


@pytest.mark.parametrize("who", ["admin", "bob"])
def test_so_does_changing_it_by_its_credential(host, shared, who):
    client, address, before = host.client(who), f"{PREFIX}/{shared}/credential", stored(host)

    refused = [client.put(address, json={"api_key": NEW_KEY}), client.delete(address)]
    unchanged = stored(host) == before
    set_rights(host, **{who: True})
    allowed = [client.put(address, json={"api_key": NEW_KEY}), client.delete(address)]

    assert ([each.status_code for each in refused], unchanged) == ([403, 403], True)
    assert [each.status_code for each in allowed] == [204, 204]


@pytest.mark.parametrize("who", ["admin", "bob"])
@pytest.mark.parametrize("place", PLACES)
def test_so_does_switching_it_on(host, shared, who, place):
    client = host.client(who)
    off = client.patch(f"{PREFIX}/{shared}", json={"is_active": False})
    before = stored(host)

    refused = PLACES[place](client, shared, ON)
    unchanged = stored(host) == before
    set_rights(host, **{who: True})
    on = PLACES[place](client, shared, ON)

    assert (off.status_code, refused.status_code, unchanged) == (200, 403, True)
    assert (on.status_code, on.json["is_active"]) == (200, True)


@pytest.mark.parametrize("who", ["admin", "bob"])
@pytest.mark.parametrize("change", {**RELIED_ON, "switching on": ON})
def test_so_does_changing_it_from_python(host, shared, who, change):
    fields = RELIED_ON.get(change, ON)
    if change == "switching on":
        host.client(who).patch(f"{PREFIX}/{shared}", json={"is_active": False})
    before = stored(host)

    with host.app.app_context():
        user = host.load(who)
        with pytest.raises(ForbiddenError):
            host.registry.update(shared, user=user, **fields)
        host.db.session.commit()

    assert stored(host) == before


@pytest.mark.parametrize("change", ["model_name", "api_key set", "path", "host"])
def test_so_does_changing_it_by_an_import(host, shared, tmp_path, change):
    line = {**without_key(WHOLE), **RELIED_ON[change], "owner": str(host.user("admin"))}
    path, before = tmp_path / "in.jsonl", stored(host)
    path.write_text(json.dumps(line))
    command = ("import", "--on-conflict", "update", str(path))

    refused, status = host.run(*command)
    unchanged = stored(host) == before
    set_rights(host, admin=True)

    assert status == 1
    assert "right to share" in refused
    assert unchanged
    assert host.run(*command)[1] == 0


@pytest.mark.sampled(10)
@pytest.mark.parametrize("change", ALLOWED)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("who", ["admin", "bob"])
def test_other_changes_need_no_such_right(host, shared, who, place, change):
    response = PLACES[place](host.client(who), shared, ALLOWED[change])

    assert response.status_code == 200, response.text


def test_an_owner_who_lost_the_right_may_un_share_and_delete(host, shared, admin):
    unshared = {"share_with_users": False, **RELIED_ON["host"], "model_name": "x", "model_id": "n"}

    changed = admin.patch(f"{PREFIX}/{shared}", json=unshared)
    again = admin.patch(f"{PREFIX}/{shared}", json={"share_with_users": True})

    assert (changed.status_code, again.status_code) == (200, 403)
    assert admin.delete(f"{PREFIX}/{shared}").status_code == 204


@pytest.mark.parametrize("who", ["admin", "bob"])
def test_a_shared_model_can_be_deleted_without_that_right(host, shared, who):
    assert host.client(who).delete(f"{PREFIX}/{shared}").status_code == 204


def test_a_model_that_is_not_shared_needs_no_right_to_share(host, alice):
    (row_id,) = register(alice, "m", base_url=URL)

    for body in ({"model_id": "n"}, *RELIED_ON.values(), {"is_active": False}, ON):
        response = alice.patch(f"{PREFIX}/{row_id}", json={**body, "api_key": NEW_KEY})
        assert response.status_code == 200


def test_an_owner_who_lost_the_right_hands_it_over_switched_off(host, shared, admin):
    """No one can call it until an owner who may share accepts it, or an owner un-shares it."""
    key = str(host.user("dora"))

    given = admin.post(f"{PREFIX}/{shared}/transfer", json={"user": key})

    dora = host.client("dora")
    seen = dora.get(f"{PREFIX}/{shared}").json
    assert (given.status_code, seen["is_active"], seen["is_shared"]) == (204, False, True)
    assert dora.patch(f"{PREFIX}/{shared}", json=ON).status_code == 403
    set_rights(host, dora=True)
    assert dora.patch(f"{PREFIX}/{shared}", json=ON).status_code == 200
