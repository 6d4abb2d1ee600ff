"""PATCH, PUT and DELETE: what changes, what stays, and what is refused without any change."""

import pytest
import sqlalchemy as sa

from tests.accounts import ACCOUNTS, create
from tests.hosts import CANARY, PREFIX, granted, model, register

FULL = {
    "model_provider": "mistral",
    "model_name": "mistral-large",
    "base_url": "https://api.example.com/v1",
    "temperature": 0.5,
    "abilities": ["chat", "vision"],
    "description": "Of the whole team.",
}


@pytest.fixture
def full(alice):
    """A model with every field of its category."""
    (row_id,) = register(alice, "m", **FULL)
    return row_id


def stored(host):
    return {
        name: host.rows(name)
        for name in ("models", "abilities", "grants", "defaults", "app_defaults")
    }


def key_of(host, row_id, name="alice"):
    with host.app.app_context():
        return host.registry.resolve(row_id, user=host.load(name)).api_key.reveal()


@pytest.mark.parametrize("address", ["/{id}", "/by-id/m", "/{id}/", "/by-id/m/"])
def test_patch_merges(host, alice, full, address):
    before = alice.get(f"{PREFIX}/{full}").json

    response = alice.patch(
        PREFIX + address.format(id=full), json={"temperature": 1.5, "description": None}
    )

    assert response.status_code == 200
    changed = {"temperature": 1.5, "description": None, "updated_at": response.json["updated_at"]}
    assert response.json == {**before, **changed}
    assert alice.get(f"{PREFIX}/{full}").json == response.json
    assert response.json["updated_at"] >= before["created_at"]
    assert key_of(host, full) == CANARY


@pytest.mark.parametrize("address", ["/{id}", "/by-id/m"])
def test_put_replaces_all_but_the_key(host, alice, full, address):
    body = model(model_id="other")
    del body["api_key"]

    response = alice.put(PREFIX + address.format(id=full), json={**body, "model_provider": "mistral",
                                                                 "base_url": "https://api.example.com/v2"})  # fmt: skip

    assert response.status_code == 200, response.text
    cleared = dict.fromkeys(["temperature", "dimension", "abilities", "description"])
    assert cleared.items() <= response.json.items()
    assert (response.json["model_id"], response.json["id"]) == ("other", full)
    assert host.rows("abilities") == []
    assert key_of(host, full) == CANARY


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("missing", ["model_id", "model_provider", "model_name"])
def test_put_needs_what_register_needs(host, alice, full, missing):
    before = stored(host)
    body = {name: value for name, value in model().items() if name != missing}

    response = alice.put(f"{PREFIX}/{full}", json=body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [missing]
    assert stored(host) == before


def test_put_switches_a_model_on_unless_it_says_otherwise(alice, full):
    body = {**model(**FULL), "model_id": "m"}

    off = alice.put(f"{PREFIX}/{full}", json={**body, "is_active": False}).json["is_active"]
    on = alice.put(f"{PREFIX}/{full}", json=body).json["is_active"]

    assert (off, on) == (False, True)


def test_a_change_of_nothing_is_not_written(host, alice, full):
    before = stored(host)
    etag = alice.get(f"{PREFIX}/{full}").headers["ETag"]

    for body in ({}, {"temperature": 0.5}, {"is_active": True}, {"abilities": ["chat", "vision"]}):
        response = alice.patch(f"{PREFIX}/{full}", json=body)
        assert (response.status_code, response.headers["ETag"]) == (200, etag)

    assert stored(host) == before


def test_every_change_has_a_version_and_a_time(host, alice, full):
    versions = []
    for text in "abc":
        versions.append(alice.patch(f"{PREFIX}/{full}", json={"description": text}).headers["ETag"])

    assert versions == [f'"{full}-{number}-111"' for number in (2, 3, 4)]
    (row,) = host.rows("models")
    assert row.version == 4
    assert row.updated_at > row.created_at


def test_a_model_is_switched_off_and_on(host, alice, full):
    off = [alice.patch(f"{PREFIX}/{full}", json={"is_active": False}) for _ in range(2)]

    assert [response.json["is_active"] for response in off] == [False, False]
    assert off[0].headers["ETag"] == off[1].headers["ETag"]
    assert alice.get(f"{PREFIX}/").json == []
    assert len(alice.get(f"{PREFIX}/?is_active=all").json) == 1
    assert alice.patch(f"{PREFIX}/{full}", json={"is_active": True}).json["is_active"] is True
    assert len(alice.get(f"{PREFIX}/").json) == 1


def test_abilities_are_found_as_they_are_now(host, alice, full):
    alice.patch(f"{PREFIX}/{full}", json={"abilities": ["tools", "chat"]})

    found = {
        name: len(alice.get(f"{PREFIX}/?ability={name}").json)
        for name in ("chat", "vision", "tools")
    }
    assert found == {"chat": 1, "vision": 0, "tools": 1}
    assert alice.patch(f"{PREFIX}/{full}", json={"abilities": None}).json["abilities"] is None
    assert host.rows("abilities") == []


INVALID = {
    "dimension": {"dimension": 5},
    "temperature": {"temperature": 3},
    "abilities": {"abilities": ["a", "a"]},
    "category": {"category": None},
    "model_id": {"model_id": "a//b"},
    "model_name": {"model_name": None},
    "base_url": {"base_url": "http://127.0.0.1/"},
    "is_active": {"is_active": None},
    "share_with_users": {"share_with_users": None},
    "api_key": {"api_key": ""},
}  # fmt: skip


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("field", INVALID)
def test_a_change_that_is_not_valid_changes_nothing(host, alice, full, field):
    before = stored(host)

    response = alice.patch(f"{PREFIX}/{full}", json={"description": "new", **INVALID[field]})

    assert response.status_code == 422
    assert {error["field"].split(".")[0] for error in response.json["errors"]} == {field}
    assert stored(host) == before


def test_the_merged_model_is_what_must_be_valid(host, alice, full):
    before = stored(host)

    wrong = alice.patch(f"{PREFIX}/{full}", json={"category": "embedding"})

    assert {error["field"] for error in wrong.json["errors"]} == {"abilities", "temperature"}
    assert stored(host) == before
    right = {
        "category": "embedding",
        "abilities": ["embedding"],
        "temperature": None,
        "dimension": 8,
    }
    assert alice.patch(f"{PREFIX}/{full}", json=right).status_code == 200


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "field", ["id", "owner_id", "is_owner", "can_edit", "version", "uuid", "created_at", "updated_at",
              "is_shared", "shared_model_id", "ciphertext", "key_id"]
)  # fmt: skip
@pytest.mark.parametrize("method", ["patch", "put"])
def test_fields_that_are_not_for_clients_are_refused(host, alice, full, field, method):
    before = stored(host)

    response = getattr(alice, method)(f"{PREFIX}/{full}", json={**model(), field: 1})

    assert response.status_code == 422
    assert field in {error["field"] for error in response.json["errors"]}
    assert stored(host) == before


@pytest.mark.databases("sqlite")
def test_register_refuses_is_active(alice):
    assert alice.post(f"{PREFIX}/register", json=model(is_active=False)).status_code == 422


def test_a_model_id_that_is_taken_changes_nothing(host, alice, full):
    register(alice, "n")
    before = stored(host)

    response = alice.patch(f"{PREFIX}/{full}", json={"model_id": "n", "abilities": ["x"]})

    assert (response.status_code, response.json["type"][-14:]) == (409, "model-id-taken")
    assert stored(host) == before


def test_a_renamed_model_is_found_by_its_new_name_only(alice, full):
    alice.patch(f"{PREFIX}/by-id/m", json={"model_id": "a/b"})

    assert alice.get(f"{PREFIX}/by-id/a/b").json["id"] == full
    assert alice.get(f"{PREFIX}/by-id/m").status_code == 404


def test_an_address_that_is_not_allowed_any_more_can_still_be_switched_off(hosts):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    alice = host.client("alice")
    (row_id,) = register(alice, "m", base_url="http://localhost:8000")
    models = host.registry.tables.models
    host.execute(sa.update(models).values(base_url="http://localhost2:8000"))

    assert alice.patch(f"{PREFIX}/{row_id}", json={"is_active": False}).status_code == 200
    moved = alice.patch(
        f"{PREFIX}/{row_id}", json={"base_url": "http://localhost2:80", "api_key": CANARY}
    )
    assert [error["field"] for error in moved.json["errors"]] == ["base_url"]


@pytest.mark.parametrize("address", ["/{id}", "/by-id/m"])
def test_delete_leaves_nothing(host, alice, full, address):
    granted(alice, full, user=host.user("bob"))
    granted(alice, full, group="g")
    host.client("bob").put(f"{PREFIX}/defaults/general", json={"id": full})

    response = alice.delete(PREFIX + address.format(id=full))

    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert stored(host) == {name: [] for name in stored(host)}
    assert alice.delete(PREFIX + address.format(id=full)).status_code == 404


def test_the_id_of_a_deleted_model_is_not_used_again(alice, full):
    alice.delete(f"{PREFIX}/{full}")

    assert register(alice, "m") > [full]


# --- the key, and where it may go


def test_a_new_key_replaces_the_old_one(host, alice, full):
    before = host.rows("models")[0]

    response = alice.patch(f"{PREFIX}/{full}", json={"api_key": "sk-another"})

    assert response.status_code == 200
    assert key_of(host, full) == "sk-another"
    after = host.rows("models")[0]
    assert (after.version, after.uuid) == (2, before.uuid)
    assert after.credential_updated_at > before.credential_updated_at


@pytest.mark.parametrize("method", ["patch", "put"])
def test_null_clears_the_key(host, alice, full, method):
    body = {"api_key": None} if method == "patch" else {**model(**FULL), "api_key": None}

    assert getattr(alice, method)(f"{PREFIX}/{full}", json=body).status_code == 200

    (row,) = host.rows("models")
    assert (row.ciphertext, row.key_id) == (None, None)
    assert alice.get(f"{PREFIX}/{full}/credential").json["is_set"] is False


MOVES = {
    "scheme": {"base_url": "http://localhost/v1"},
    "host": {"base_url": "https://evil.example.com/v1"},
    "upper level of the host": {"base_url": "https://example.com/v1"},
    "port": {"base_url": "https://api.example.com:444/v1"},
    "provider's own": {"base_url": None},
    "provider": {"model_provider": "openai"},
    "both": {"base_url": None, "model_provider": "openai"},
}


@pytest.mark.databases("sqlite")  # Python compares origins
@pytest.mark.parametrize("method", ["patch", "put"])
@pytest.mark.parametrize("move", MOVES)
def test_a_key_does_not_follow_to_another_origin(host, alice, full, move, method):
    before = stored(host)
    whole = {name: value for name, value in model(**FULL).items() if name != "api_key"}
    body = {**(whole if method == "put" else {}), **MOVES[move]}

    refused = getattr(alice, method)(f"{PREFIX}/{full}", json=body)
    unchanged = stored(host) == before
    taken = getattr(alice, method)(f"{PREFIX}/{full}", json={**body, "api_key": "sk-for-there"})

    assert (refused.status_code, unchanged) == (422, True)
    assert [error["field"] for error in refused.json["errors"]] == ["api_key"]
    assert taken.status_code == 200, taken.text
    assert key_of(host, full) == "sk-for-there"


@pytest.mark.parametrize(
    "base_url", ["https://api.example.com", "https://API.example.com:443/other/path"]
)
def test_a_key_stays_for_another_path(host, alice, full, base_url):
    response = alice.patch(f"{PREFIX}/{full}", json={"base_url": base_url})

    assert (response.status_code, response.json["base_url"]) == (200, base_url)
    assert key_of(host, full) == CANARY


def test_an_alias_is_the_same_provider(host, alice):
    (row_id,) = register(alice, "m", model_provider="anthropic")

    assert alice.patch(f"{PREFIX}/{row_id}", json={"model_provider": "Claude"}).status_code == 200
    assert key_of(host, row_id) == CANARY


@pytest.mark.parametrize("cleared", ["before", "at once"])
def test_a_model_without_a_key_may_move(host, alice, full, cleared):
    move = MOVES["host"]
    if cleared == "before":
        alice.delete(f"{PREFIX}/{full}/credential")
    else:
        move = {**move, "api_key": None}

    assert alice.patch(f"{PREFIX}/{full}", json=move).status_code == 200
    assert host.rows("models")[0].ciphertext is None


@pytest.mark.databases("sqlite")  # Python compares origins
@pytest.mark.parametrize("move", MOVES)
def test_a_grantee_cannot_move_a_model_of_another_user(host, alice, bob, full, move):
    granted(alice, full, user=host.user("bob"), can_edit=True, can_delete=True)
    before = stored(host)

    for body in (MOVES[move], {**MOVES[move], "api_key": "sk-of-bob"}):
        assert bob.patch(f"{PREFIX}/{full}", json=body).status_code == 403

    assert stored(host) == before


OWNERS_ALONE = [{"model_id": "n"}, {"share_with_users": True}, {"model_id": "taken"}]


@pytest.mark.parametrize("body", OWNERS_ALONE)
def test_a_grantee_neither_renames_nor_shares(host, alice, full, body):
    register(alice, "taken")
    granted(alice, full, user=host.user("admin", is_admin=True), can_edit=True)
    before = stored(host)

    response = host.client("admin").patch(f"{PREFIX}/{full}", json=body)

    # Not 409, because that would reveal that the owner has another model with this id.
    assert response.status_code == 403
    assert stored(host) == before


def test_a_grantee_edits_the_rest(host, alice, bob, full):
    granted(alice, full, user=host.user("bob"), can_edit=True)
    body = {"description": "by bob", "temperature": 0, "abilities": None, "model_name": "x",
            "base_url": "https://api.example.com/v9", "is_active": True, "api_key": "sk-of-bob"}  # fmt: skip

    response = bob.patch(f"{PREFIX}/by-id/m", json=body)

    assert response.status_code == 200
    assert (response.json["can_edit"], response.json["is_owner"]) == (True, False)
    assert bob.get(f"{PREFIX}/{full}").json == response.json
    assert key_of(host, full) == "sk-of-bob"


# --- sharing


def test_a_model_is_shared_and_un_shared(host, admin, bob):
    (row_id,) = register(admin, "m")

    shared = admin.patch(f"{PREFIX}/{row_id}", json={"share_with_users": True})
    seen = bob.get(f"{PREFIX}/by-id/m").status_code
    unshared = admin.patch(f"{PREFIX}/{row_id}", json={"share_with_users": False})

    assert (shared.json["is_shared"], seen, unshared.json["is_shared"]) == (True, 200, False)
    assert bob.get(f"{PREFIX}/by-id/m").status_code == 404
    assert host.rows("models")[0].shared_model_id is None


def test_sharing_needs_the_right_to_share(host, alice, full):
    before = stored(host)

    assert alice.patch(f"{PREFIX}/{full}", json={"share_with_users": True}).status_code == 403
    assert stored(host) == before


@pytest.fixture
def once_admin(host, admin):
    """A client whose user shared a model with everyone, and may not share any more."""
    (row_id,) = register(admin, "m", share_with_users=True, base_url="https://a.example.com")
    host.execute(sa.update(host.User).values(is_admin=False))
    return admin, row_id


def test_an_owner_who_lost_the_right_to_share_may_un_share_and_edit(once_admin):
    client, row_id = once_admin

    assert client.patch(f"{PREFIX}/{row_id}", json={"description": "x"}).status_code == 200
    assert client.patch(f"{PREFIX}/{row_id}", json={"share_with_users": True}).status_code == 200
    assert client.patch(f"{PREFIX}/{row_id}", json={"share_with_users": False}).status_code == 200


def test_moving_a_shared_model_needs_the_right_to_share(host, once_admin):
    client, row_id = once_admin
    before = stored(host)
    move = {"base_url": "https://b.example.com", "api_key": CANARY}

    assert client.patch(f"{PREFIX}/{row_id}", json=move).status_code == 403
    assert stored(host) == before
    assert (
        client.patch(f"{PREFIX}/{row_id}", json={**move, "share_with_users": False}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "body", [{"category": "rerank"}, {"abilities": ["chat"]}, {"abilities": None}]
)
def test_a_shared_model_keeps_category_and_abilities(host, admin, body):
    (row_id,) = register(admin, "m", share_with_users=True, abilities=["vision"])
    before = stored(host)

    refused = admin.patch(
        f"{PREFIX}/{row_id}", json={"abilities": ["rerank"], **body} if "category" in body else body
    )
    unchanged = stored(host) == before
    at_once = admin.patch(
        f"{PREFIX}/{row_id}", json={"share_with_users": False, "abilities": None, **body}
    )

    assert (refused.status_code, unchanged, at_once.status_code) == (409, True, 200)


def test_a_shared_name_is_taken_by_renaming_and_by_sharing_too(host, admin):
    register(admin, "m", share_with_users=True)
    other = host.client("other admin", is_admin=True)
    (unshared,) = register(other, "m")
    (shared,) = register(other, "n", share_with_users=True)
    before = stored(host)

    sharing = other.patch(f"{PREFIX}/{unshared}", json={"share_with_users": True})
    other.delete(f"{PREFIX}/{unshared}")
    renaming = other.patch(f"{PREFIX}/{shared}", json={"model_id": "m"})

    assert (sharing.status_code, renaming.status_code) == (409, 409)
    assert stored(host)["models"] == [row for row in before["models"] if row.id != unshared]


# --- conditions


def test_a_stale_etag_changes_nothing(host, alice, full):
    stale = alice.get(f"{PREFIX}/{full}").headers["ETag"]
    alice.patch(f"{PREFIX}/{full}", json={"description": "1"})
    before = stored(host)
    requests = [
        ("patch", "", {"description": "2"}), ("put", "", model()), ("delete", "", None),
        ("put", "/credential", {"api_key": CANARY}), ("delete", "/credential", None),
        ("put", f"/grants/users/{host.user('bob')}", {}), ("delete", f"/grants/users/{host.user('bob')}", None),
        ("put", "/grants/groups/g", {}), ("post", "/transfer", {"user": str(host.user("bob"))}),
    ]  # fmt: skip

    for method, path, body in requests:
        for etag in (stale, "W/" + stale, '"x"', "1"):
            response = getattr(alice, method)(
                f"{PREFIX}/{full}{path}", json=body, headers={"If-Match": etag}
            )
            assert response.status_code == 412, (method, path, etag)
            assert response.json["type"].endswith(":precondition-failed")

    assert stored(host) == before


@pytest.mark.parametrize("etag", ["{etag}", "*", '"x", {etag}'])
def test_the_right_etag_lets_a_change_through(alice, full, etag):
    header = etag.format(etag=alice.get(f"{PREFIX}/{full}").headers["ETag"])

    response = alice.patch(
        f"{PREFIX}/{full}", json={"description": "x"}, headers={"If-Match": header}
    )

    assert response.status_code == 200


def test_a_read_that_knows_the_model_is_304(alice, full):
    etag = alice.get(f"{PREFIX}/{full}").headers["ETag"]

    for header in (etag, "W/" + etag, "*", f'"x", {etag}'):
        for method in ("get", "head"):
            response = getattr(alice, method)(
                f"{PREFIX}/by-id/m", headers={"If-None-Match": header}
            )
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == etag
    alice.patch(f"{PREFIX}/{full}", json={"description": "x"})
    assert alice.get(f"{PREFIX}/{full}", headers={"If-None-Match": etag}).status_code == 200


def test_if_none_match_guards_a_write_too(host, alice, full):
    credential = f"{ACCOUNTS}/{create(alice)['id']}"
    requests = [
        ("put", f"{PREFIX}/{full}", model()), ("patch", f"{PREFIX}/{full}", {}),
        ("delete", f"{PREFIX}/by-id/m", None), ("patch", credential, {"name": "new"}),
        ("delete", credential, None),
    ]  # fmt: skip

    for method, path, body in requests:
        for header in ("*", alice.get(path).headers["ETag"]):
            response = getattr(alice, method)(path, json=body, headers={"If-None-Match": header})
            assert response.status_code == 412, (method, path, header)
            assert "state that If-None-Match excludes" in response.json["detail"]
            assert "changed" not in response.text


def test_an_etag_depends_on_what_its_reader_may_do(host, alice, bob, full):
    granted(alice, full, user=host.user("bob"), can_edit=True)
    etag = bob.get(f"{PREFIX}/{full}").headers["ETag"]
    granted(alice, full, user=host.user("bob"))

    again = bob.get(f"{PREFIX}/{full}", headers={"If-None-Match": etag})

    assert (again.status_code, again.json["can_edit"]) == (200, False)


def test_an_etag_of_one_model_does_not_match_another(host, alice, bob):
    (of_bob,) = register(bob, "m")
    granted(bob, of_bob, user=host.user("alice"), can_edit=True, can_delete=True)
    etag = alice.get(f"{PREFIX}/by-id/m").headers["ETag"]
    register(alice, "m")

    assert alice.delete(f"{PREFIX}/by-id/m", headers={"If-Match": etag}).status_code == 412


def test_a_hidden_model_looks_missing_whatever_the_condition(alice, bob, full):
    for path in (f"/{full}", "/999999", "/by-id/m"):
        for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}):
            assert bob.patch(PREFIX + path, json={}, headers=headers).status_code == 404


# --- the credential


def test_the_credential_shows_the_keys_state_without_the_key(alice, full):
    response = alice.get(f"{PREFIX}/{full}/credential")

    created_at = alice.get(f"{PREFIX}/{full}").json["created_at"]
    assert response.json == {
        "is_set": True,
        "status": "readable",
        "updated_at": created_at,
        "credential": None,
        "expires_at": None,
    }


def test_an_unreadable_key_is_reported_and_replaced(host, alice, full):
    models = host.registry.tables.models
    host.execute(sa.update(models).values(base_url="https://evil.example.com"))

    unreadable = alice.get(f"{PREFIX}/{full}/credential").json
    replaced = alice.put(f"{PREFIX}/{full}/credential", json={"api_key": "sk-new"})

    assert (unreadable["is_set"], unreadable["status"]) == (True, "unreadable")
    assert replaced.status_code == 204
    assert alice.get(f"{PREFIX}/{full}/credential").json["status"] == "readable"


def test_removing_a_key_is_idempotent(host, alice, full):
    answers = [alice.delete(f"{PREFIX}/{full}/credential").status_code for _ in range(2)]

    assert answers == [204, 204]
    seen = alice.get(f"{PREFIX}/{full}/credential").json
    assert (seen["is_set"], seen["status"]) == (False, "unreadable")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "body", [{}, {"api_key": None}, {"api_key": "***"}, {"api_key": "k", "x": 1}, []]
)
def test_a_credential_is_one_key(host, alice, full, body):
    before = stored(host)

    assert alice.put(f"{PREFIX}/{full}/credential", json=body).status_code == 422
    assert stored(host) == before
