"""Gifts have no strings, names can't be taken over, and grants can be declined."""

from functools import partial

import pytest
import sqlalchemy as sa

from flask_model_registry import (
    ConflictError,
    ForbiddenError,
    InactiveModelError,
    NotFoundError,
    ValidationError,
    signals,
)
from tests.hosts import CANARY, PREFIX, grant, granted, model, register
from tests.upstream import Upstream, answers

OWN_KEY = f"{CANARY}-of-bob"


def give(giver, row_id, to):
    response = giver.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(to)})
    assert response.status_code == 204, response.text


def resolved(host, name, ref):
    with host.app.app_context():
        return host.registry.resolve(ref, user=host.load(name))


def switch(client, row_id, *, on):
    response = client.patch(f"{PREFIX}/{row_id}", json={"is_active": on})
    assert response.status_code == 200, response.text


# --- a gift has no strings


def by_http(host, row_id):
    alice, bob = host.client("alice"), host.client("bob")
    granted(alice, row_id, group="group of alice", can_edit=True, can_delete=True)
    granted(alice, row_id, user=host.user("carol"), can_edit=True, can_delete=True)
    assert alice.delete(f"{PREFIX}/{row_id}/credential").status_code == 204
    give(alice, row_id, host.user("bob"))
    body = {"api_key": OWN_KEY}
    assert bob.put(f"{PREFIX}/{row_id}/credential", json=body).status_code == 204
    switch(bob, row_id, on=True)


def by_python(host, row_id):
    registry = host.registry
    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        registry.grant(row_id, group="group of alice", can_edit=True, can_delete=True, user=alice)
        registry.grant(row_id, to=host.load("carol"), can_edit=True, can_delete=True, user=alice)
        registry.update(row_id, api_key=None, user=alice)
        registry.transfer(row_id, bob, user=alice)
        registry.update(row_id, api_key=OWN_KEY, is_active=True, user=bob)
        host.db.session.commit()


def by_departure(host, row_id):
    registry = host.registry
    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        registry.grant(row_id, group="group of alice", can_edit=True, can_delete=True, user=alice)
        registry.grant(row_id, to=host.load("carol"), can_edit=True, can_delete=True, user=alice)
        registry.update(row_id, api_key=None, user=alice)
        registry.user_deleted(alice, transfer_to=bob)
        registry.update(row_id, api_key=OWN_KEY, is_active=True, user=bob)
        host.db.session.commit()


@pytest.mark.parametrize("attack", [by_http, by_python, by_departure])
def test_a_former_owner_gets_nothing_that_the_new_owner_enters(host, attack):
    (row_id,) = register(host.client("alice"), "m", base_url="https://giver.example.com/v1")
    host.user("bob"), host.user("carol")

    attack(host, row_id)

    for name in ("alice", "carol"):
        client = host.client(name)
        for ref in (row_id, "m"):
            with pytest.raises(NotFoundError):
                resolved(host, name, ref)
        for path in (f"/{row_id}", "/by-id/m", f"/{row_id}/credential"):
            assert client.get(PREFIX + path).status_code == 404
        edit = {"base_url": "https://giver.example.com/v2"}
        assert client.patch(f"{PREFIX}/{row_id}", json=edit).status_code == 404
        assert client.delete(f"{PREFIX}/{row_id}").status_code == 404
        assert client.get(f"{PREFIX}/?is_active=all").json == []
        assert client.get(f"{PREFIX}/v1/models").json["data"] == []
    assert resolved(host, "bob", "m").api_key.reveal() == OWN_KEY
    assert host.rows("grants") == []


@pytest.mark.parametrize("giver", ["owner", "host"])
@pytest.mark.parametrize("keep_grants", [True, False])
@pytest.mark.parametrize("keep_active", [True, False])
def test_the_hosts_own_call_may_keep_grants_and_activity(
    host, alice, giver, keep_grants, keep_active
):
    kept = {"keep_grants": keep_grants, "keep_active": keep_active}
    (row_id,) = register(alice, "m")
    for name in ("bob", "carol"):
        granted(alice, row_id, user=host.user(name))
    granted(alice, row_id, group="g")

    with host.app.app_context():
        alices, bobs = host.load("alice"), host.load("bob")
        if giver == "owner":
            host.registry.transfer(row_id, bobs, user=alices, **kept)
        else:
            host.registry.user_deleted(alices, transfer_to=bobs, **kept)
        host.db.session.commit()

    seen = host.client("bob").get(f"{PREFIX}/{row_id}").json
    assert (seen["is_owner"], seen["is_active"]) == (True, keep_active)
    left = [(row.user_id, row.group_name) for row in host.rows("grants")]
    assert left == ([(host.user("carol"), None), (None, "g")] if keep_grants else [])


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize("giver", ["owner", "host"])
@pytest.mark.parametrize("name", ["keep_grants", "keep_active"])
@pytest.mark.parametrize("value", ["false", "", 0, 1, None, []], ids=repr)
def test_the_options_of_a_transfer_are_booleans(host, alice, giver, name, value):
    """A form sends "false", which is true to Python."""
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("carol"))

    with host.app.app_context():
        alices, bobs = host.load("alice"), host.load("bob")
        give_away = {
            "owner": partial(host.registry.transfer, row_id, bobs, user=alices),
            "host": partial(host.registry.user_deleted, alices, transfer_to=bobs),
        }[giver]
        with pytest.raises(ValidationError) as refused:
            give_away(**{name: value})
        host.db.session.commit()

    assert [field for field, _ in refused.value.errors] == [name]
    assert alice.get(f"{PREFIX}/{row_id}").json["is_owner"] is True
    assert len(host.rows("grants")) == 1


def test_keep_active_does_not_switch_a_model_on(host, alice):
    (row_id,) = register(alice, "m")
    switch(alice, row_id, on=False)

    with host.app.app_context():
        host.registry.transfer(row_id, host.load("bob"), user=host.load("alice"), keep_active=True)
        host.db.session.commit()

    assert host.client("bob").get(f"{PREFIX}/{row_id}").json["is_active"] is False


@pytest.mark.parametrize("name", ["keep_grants", "keep_active"])
def test_grants_are_never_kept_over_http(host, alice, name):
    (row_id,) = register(alice, "m")
    body = {"user": str(host.user("bob")), name: True}

    assert alice.post(f"{PREFIX}/{row_id}/transfer", json=body).status_code == 422


def test_defaults_of_those_who_no_longer_see_a_gift_go(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, group="group of carol")
    for name in ("bob", "carol"):
        granted(alice, row_id, user=host.user(name))
    for client in (alice, bob, host.client("carol")):
        assert client.put(f"{PREFIX}/defaults/general", json={"id": row_id}).status_code == 200

    give(alice, row_id, host.user("bob"))

    assert [row.user_id for row in host.rows("defaults")] == [host.user("bob")]
    assert bob.get(f"{PREFIX}/defaults/general").status_code == 404  # until it is accepted
    switch(bob, row_id, on=True)
    assert bob.get(f"{PREFIX}/defaults/general").json["model"]["id"] == row_id


def test_a_gift_sends_no_key_to_its_former_owner_until_it_is_accepted(host, alice, bob):
    upstream = Upstream(answers(b'{"data": []}'))
    url = f"http://localhost:{upstream.port}/v1"
    (row_id,) = register(alice, "m", base_url=url)
    give(alice, row_id, host.user("bob"))
    bob.put(f"{PREFIX}/{row_id}/credential", json={"api_key": OWN_KEY})

    tested = bob.post(f"{PREFIX}/{row_id}/test")
    with pytest.raises(InactiveModelError):
        resolved(host, "bob", row_id)
    asked = len(upstream.requests)
    switch(bob, row_id, on=True)
    accepted = bob.post(f"{PREFIX}/{row_id}/test")
    upstream.close()

    assert (tested.status_code, tested.json["type"][-15:]) == (409, ":model-inactive")
    assert (asked, accepted.status_code, len(upstream.requests)) == (
        0,
        200,
        2,
    )  # and whether it needs a key


# --- a name is not taken over


@pytest.fixture
def gift(host, alice, bob, admin):
    """The ids of a model shared with everyone, and of a gift to bob of the same name."""
    (shared,) = register(admin, "gpt-4o", share_with_users=True, model_name="shared")
    (given,) = register(alice, "gpt-4o", model_name="given", base_url="https://giver.example.com")
    give(alice, given, host.user("bob"))
    return shared, given


def leads_to(host, name, model_id):
    """Return the one id that a name leads a user to, by every kind of look-up."""
    client = host.client(name)
    with host.app.app_context():
        user = host.load(name)
        registry = host.registry
        ids = {
            registry.resolve(model_id, user=user).id,
            registry.get(model_id, user=user)["id"],
            registry.explain(model_id, user=user).id,
            client.get(f"{PREFIX}/by-id/{model_id}").json["id"],
        }
        registry.set_default("general", model_id, user=user)
        ids.add(registry.default("general", user=user).id)
        host.db.session.rollback()
    (found,) = ids
    listed = client.get(f"{PREFIX}/v1/models").json["data"]
    assert [each["id"] for each in listed].count(model_id) == 1
    return found


def test_a_gift_takes_over_no_name_until_it_is_accepted(host, bob, gift):
    shared, given = gift

    before = leads_to(host, "bob", "gpt-4o")
    switch(bob, given, on=True)

    assert (before, leads_to(host, "bob", "gpt-4o")) == (shared, given)


@pytest.mark.parametrize("by", ["user", "group"])
def test_a_grant_takes_over_no_name_of_a_shared_model(host, alice, bob, admin, by):
    (of_stranger,) = register(alice, "gpt-4o", base_url="https://giver.example.com")
    grantee = {"user": host.user("bob"), "group": "group of bob"}[by]
    granted(alice, of_stranger, **{by: grantee})
    only = leads_to(host, "bob", "gpt-4o")

    (shared,) = register(admin, "gpt-4o", share_with_users=True)

    assert (only, leads_to(host, "bob", "gpt-4o")) == (of_stranger, shared)


def test_a_grant_to_the_user_comes_before_one_to_a_group(host, alice, bob):
    (to_group,) = register(alice, "m")
    granted(alice, to_group, group="group of bob")
    (to_user,) = register(host.client("carol"), "m")
    granted(host.client("carol"), to_user, user=host.user("bob"))

    assert leads_to(host, "bob", "m") == to_user
    switch(host.client("carol"), to_user, on=False)
    assert leads_to(host, "bob", "m") == to_group


CHANGES = {
    "PATCH": {"api_key": OWN_KEY, "is_active": True},
    "PUT": model(model_id="gpt-4o"),
    "DELETE": None,
}


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_by_name_never_hits_another_model_than_the_user_means(host, bob, gift, method):
    shared, given = gift
    grant(host, shared, user_id=host.user("bob"), can_edit=True, can_delete=True)
    before = host.rows("models")

    response = bob.open(f"{PREFIX}/by-id/gpt-4o", method=method, json=CHANGES[method])

    assert response.status_code == 409
    assert str(given) in response.json["detail"]
    assert host.rows("models") == before
    by_id = bob.open(f"{PREFIX}/{given}", method=method, json=CHANGES[method])
    assert by_id.status_code in {200, 204}


def test_a_change_by_name_from_python_never_hits_another_model_either(host, gift):
    before = host.rows("models")
    host.user("carol")
    with host.app.app_context():
        registry, user, carol = host.registry, host.load("bob"), host.load("carol")
        for call in (
            lambda: registry.update("gpt-4o", api_key=OWN_KEY, user=user),
            lambda: registry.delete("gpt-4o", user=user),
            lambda: registry.grant("gpt-4o", to=carol, user=user),
            lambda: registry.revoke("gpt-4o", to=carol, user=user),
            lambda: registry.transfer("gpt-4o", carol, user=user),
        ):
            with pytest.raises(ConflictError, match="id"):
                call()
        host.db.session.commit()

    assert host.rows("models") == before
    assert host.rows("grants") == []


def test_a_gift_among_inactive_models_is_not_changed_by_their_name(host, alice, bob):
    (of_carol,) = register(host.client("carol"), "m")
    granted(host.client("carol"), of_carol, user=host.user("bob"), can_edit=True)
    switch(host.client("carol"), of_carol, on=False)
    assert bob.patch(f"{PREFIX}/by-id/m", json={"description": "x"}).json["id"] == of_carol
    (given,) = register(alice, "m")
    give(alice, given, host.user("bob"))

    assert bob.patch(f"{PREFIX}/by-id/m", json={"api_key": OWN_KEY}).status_code == 409


def test_a_model_that_was_switched_off_by_name_is_switched_on_by_name(host, alice, bob):
    (row_id,) = register(alice, "m")
    off = alice.patch(f"{PREFIX}/by-id/m", json={"is_active": False})

    with pytest.raises(InactiveModelError):
        resolved(host, "alice", "m")
    seen = alice.get(f"{PREFIX}/by-id/m")
    on = alice.patch(f"{PREFIX}/by-id/m", json={"is_active": True})

    assert [each.status_code for each in (off, seen, on)] == [200] * 3
    assert {each.json["id"] for each in (off, seen, on)} == {row_id}
    assert resolved(host, "alice", "m").id == row_id
    alice.patch(f"{PREFIX}/by-id/m", json={"is_active": False})
    assert alice.delete(f"{PREFIX}/by-id/m").status_code == 204


def test_an_inactive_one_further_away_is_not_in_the_way(host, alice, bob):
    (of_bob,) = register(bob, "m")
    granted(bob, of_bob, user=host.user("alice"), can_edit=True)
    switch(bob, of_bob, on=False)
    (own,) = register(alice, "m")

    assert alice.patch(f"{PREFIX}/by-id/m", json={"description": "x"}).json["id"] == own


# --- a grant can be declined


@pytest.fixture
def revocations():
    """Whom a revoked signal named, and who did it."""
    heard = []

    def receiver(_app, **facts):
        heard.append((facts["actor"], facts["id"], facts.get("user"), facts.get("group")))

    signals.revoked.connect(receiver)
    yield heard
    signals.revoked.disconnect(receiver)


def decline_by_http(host, row_id):
    key = host.user("bob")
    response = host.client("bob").delete(f"{PREFIX}/{row_id}/grants/users/{key}")
    assert (response.status_code, response.data) == (204, b"")


def decline_by_python(host, row_id):
    with host.app.app_context():
        bob = host.load("bob")
        host.registry.revoke(row_id, to=bob, user=bob)
        host.db.session.commit()


@pytest.mark.parametrize("rights", [{}, {"can_edit": True, "can_delete": True}])
@pytest.mark.parametrize("decline", [decline_by_http, decline_by_python])
def test_a_grant_is_declined_by_its_grantee(host, alice, bob, decline, rights, revocations):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), **rights)
    granted(alice, row_id, user=host.user("carol"))
    assert bob.put(f"{PREFIX}/defaults/general", json={"id": row_id}).status_code == 200

    decline(host, row_id)

    assert revocations == [(host.user("bob"), row_id, host.user("bob"), None)]
    assert [row.user_id for row in host.rows("grants")] == [host.user("carol")]
    assert host.rows("defaults") == []
    hidden, absent = (
        [
            bob.open(f"{PREFIX}/{each}{path}", method=method, json=body)
            for method, path, body in (
                ("GET", "", None),
                ("PATCH", "", {"description": "x"}),
                ("DELETE", "", None),
                ("GET", "/credential", None),
                ("POST", "/test", None),
                ("DELETE", f"/grants/users/{host.user('bob')}", None),
            )
        ]
        for each in (row_id, 2_000_000_000)
    )
    assert {each.status_code for each in hidden} == {404}
    assert [each.data for each in hidden] == [each.data for each in absent]
    assert [str(each.headers) for each in hidden] == [str(each.headers) for each in absent]
    assert bob.get(f"{PREFIX}/").json == []


def test_no_one_else_declines_a_grant(host, alice, revocations):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), can_edit=True, can_delete=True)
    granted(alice, row_id, group="group of carol", can_edit=True, can_delete=True)
    before, bob = host.rows("grants"), host.user("bob")

    by_member = host.client("carol").delete(f"{PREFIX}/{row_id}/grants/groups/group of carol")
    of_another = host.client("carol").delete(f"{PREFIX}/{row_id}/grants/users/{bob}")
    of_unknown = host.client("carol").delete(f"{PREFIX}/{row_id}/grants/users/999999")
    by_stranger = host.client("dora").delete(f"{PREFIX}/{row_id}/grants/users/{bob}")
    own_of_none = host.client("carol").delete(
        f"{PREFIX}/{row_id}/grants/users/{host.user('carol')}"
    )
    grantees_list = host.client("bob").get(f"{PREFIX}/{row_id}/grants")

    statuses = [each.status_code for each in (by_member, of_another, of_unknown, by_stranger)]
    assert statuses == [403, 403, 403, 404]
    assert (own_of_none.status_code, grantees_list.status_code) == (404, 403)
    with host.app.app_context(), pytest.raises(ForbiddenError):
        host.registry.revoke(row_id, group="group of carol", user=host.load("carol"))
    assert (host.rows("grants"), revocations) == (before, [])


def test_a_default_stays_while_the_model_can_still_be_seen(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    granted(alice, row_id, group="group of bob")
    bob.put(f"{PREFIX}/defaults/general", json={"id": row_id})

    decline_by_http(host, row_id)

    assert bob.get(f"{PREFIX}/defaults/general").json["model"]["can_edit"] is False


def test_a_stale_etag_declines_nothing(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    address = f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}"
    etag = bob.get(f"{PREFIX}/{row_id}").headers["ETag"]
    alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"})

    assert bob.delete(address, headers={"If-Match": etag}).status_code == 412
    etag = bob.get(f"{PREFIX}/{row_id}").headers["ETag"]
    assert bob.delete(address, headers={"If-Match": etag}).status_code == 204


@pytest.mark.parametrize("kind", ["legacy base, string key", "2.0 base, UUID key"])
def test_users_decline_by_whatever_their_ids_are(hosts, kind):
    host = hosts(kind)
    alice, key = host.client("alice"), host.user("bob")
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=key)
    text = str(key).upper() if kind.startswith("2.0") else key

    response = host.client("bob").delete(f"{PREFIX}/{row_id}/grants/users/{text}")

    assert response.status_code == 204
    assert host.rows("grants") == []


def test_a_declined_grant_can_be_given_again(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    decline_by_http(host, row_id)

    granted(alice, row_id, user=host.user("bob"))

    assert bob.get(f"{PREFIX}/{row_id}").status_code == 200
    assert host.client("bob").get(f"{PREFIX}/by-id/m").json["id"] == row_id


def test_a_shared_gift_sends_its_former_owner_no_key(host, admin, bob):
    (row_id,) = register(admin, "m", share_with_users=True, base_url="https://giver.example.com")
    admin.delete(f"{PREFIX}/{row_id}/credential")
    give(admin, row_id, host.user("bob"))
    before = host.rows("models")

    refused = [
        bob.put(f"{PREFIX}/{row_id}/credential", json={"api_key": OWN_KEY}),
        bob.patch(f"{PREFIX}/{row_id}", json={"api_key": OWN_KEY}),
        bob.patch(f"{PREFIX}/{row_id}", json={"is_active": True}),
        bob.put(f"{PREFIX}/{row_id}", json=model(model_id="m", share_with_users=True)),
    ]

    assert [each.status_code for each in refused] == [403] * 4
    assert all("un-share it first" in each.json["detail"] for each in refused)
    assert host.rows("models") == before
    unshared = {"share_with_users": False, "api_key": OWN_KEY, "is_active": True}
    assert bob.patch(f"{PREFIX}/{row_id}", json=unshared).status_code == 200
    assert admin.get(f"{PREFIX}/{row_id}").status_code == 404
    assert resolved(host, "bob", "m").api_key.reveal() == OWN_KEY


def test_a_name_leads_to_an_active_one_of_many_granted(host, bob):
    """The first ones that were granted are switched off: none of them is in the way."""
    models = host.registry.tables.models
    ids = []
    for number in range(5):
        owner = host.client(f"owner {number}")
        ids += register(owner, "m")
        granted(owner, ids[-1], group="group of bob")
    host.execute(sa.update(models).where(models.c.id != ids[3]).values(is_active=False))

    assert leads_to(host, "bob", "m") == ids[3]
