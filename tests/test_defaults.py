"""Defaults: the user's own before the app's, and only those that can be called."""

import pytest
import sqlalchemy as sa

from flask_model_registry import ConflictError, NotFoundError, ValidationError
from flask_model_registry.schemas.categories import CONFIG_TYPES
from tests.hosts import CANARY, PREFIX, granted, model, register


def put(client, config_type, row_id, **query):
    return client.put(f"{PREFIX}/defaults/{config_type}", json={"id": row_id}, query_string=query)


def effective(client):
    """Return the defaults that apply, as {config_type: (source, id)}, the same from both URLs."""
    listed = client.get(f"{PREFIX}/defaults").json
    for each in listed:
        assert client.get(f"{PREFIX}/defaults/{each['config_type']}").json == each
        assert client.get(f"{PREFIX}/{each['model']['id']}").json == each["model"]
    return {each["config_type"]: (each["source"], each["model"]["id"]) for each in listed}


@pytest.fixture
def common(admin):
    """A model that is shared with everyone, and is the app's default."""
    (row_id,) = register(admin, "common", share_with_users=True)
    assert put(admin, "general", row_id, scope="app").status_code == 200
    return row_id


def test_there_are_none_at_first(alice):
    assert alice.get(f"{PREFIX}/defaults").json == []
    for config_type in CONFIG_TYPES:
        assert alice.get(f"{PREFIX}/defaults/{config_type}").status_code == 404


def test_a_users_own_default_comes_before_the_apps(alice, bob, common):
    (own,) = register(alice, "m")

    response = put(alice, "general", own)

    assert (response.status_code, response.json["source"]) == (200, "user")
    assert response.json == alice.get(f"{PREFIX}/defaults/general").json
    assert effective(alice) == {"general": ("user", own)}
    assert effective(bob) == {"general": ("app", common)}
    assert alice.delete(f"{PREFIX}/defaults/general").status_code == 204
    assert effective(alice) == {"general": ("app", common)}
    assert alice.delete(f"{PREFIX}/defaults/general").status_code == 404


def test_the_apps_default_can_be_seen_behind_a_users_own(alice, common):
    (own,) = register(alice, "m")
    put(alice, "general", own)

    one = alice.get(f"{PREFIX}/defaults/general?scope=app").json
    listed = alice.get(f"{PREFIX}/defaults?scope=app").json

    assert (one["source"], one["model"]["id"]) == ("app", common)
    assert listed == [one]


def test_a_default_is_changed_in_place(host, alice):
    first, second = register(alice, "a", "b")

    put(alice, "general", first)
    put(alice, "general", second)

    assert effective(alice) == {"general": ("user", second)}
    assert len(host.rows("defaults")) == 1


def test_the_apps_default_is_set_and_cleared_by_those_who_may_share(host, admin, alice, common):
    address = f"{PREFIX}/defaults/general?scope=app"

    refused = put(alice, "general", common, scope="app"), alice.delete(address)
    cleared = admin.delete(address), admin.delete(address)

    assert [response.status_code for response in refused] == [403, 403]
    assert [response.status_code for response in cleared] == [204, 404]
    assert host.rows("app_defaults") == []


def test_the_apps_default_is_a_model_that_all_can_see(host, admin):
    (row_id,) = register(admin, "m")

    assert put(admin, "general", row_id, scope="app").status_code == 409
    assert host.rows("app_defaults") == []


# Python compares the categories, so each database refuses the same.
KINDS_AND_CATEGORIES = [
    pytest.param(kind, each, marks=() if each == own else pytest.mark.databases("sqlite"))
    for kind, own in CONFIG_TYPES.items()
    for each in sorted({*CONFIG_TYPES.values()})
]


@pytest.mark.sampled(17)
@pytest.mark.parametrize(("config_type", "category"), KINDS_AND_CATEGORIES)
def test_a_default_is_of_the_category_of_its_kind(alice, config_type, category):
    (row_id,) = register(alice, "m", category=category)

    response = put(alice, config_type, row_id)

    if CONFIG_TYPES[config_type] == category:
        assert effective(alice) == {config_type: ("user", row_id)}
    else:
        assert response.status_code == 422
        assert response.json["errors"][0]["field"] == "id"


@pytest.mark.parametrize(
    "path", ["/defaults/x", "/defaults/GENERAL", "/defaults/general%00", "/defaults/é"]
)
def test_other_kinds_are_not_found(alice, path):
    (row_id,) = register(alice, "m")

    for response in (
        alice.get(PREFIX + path),
        alice.put(PREFIX + path, json={"id": row_id}),
        alice.delete(PREFIX + path),
    ):
        assert response.status_code == 404


def test_a_hidden_model_looks_missing_here_too(host, alice, bob):
    (row_id,) = register(alice, "m")

    invisible, absent = put(bob, "general", row_id), put(bob, "general", row_id + 1000)

    assert (invisible.status_code, invisible.data) == (404, absent.data)
    assert host.rows("defaults") == []


@pytest.mark.parametrize("row_id", [None, "1", 1.0, 1.5, True, [], 0, -1, 2**31, 2**63, 10**30])
def test_an_id_is_an_integer(alice, row_id):
    assert put(alice, "general", row_id).status_code in {404, 422}


def test_an_inactive_model_is_no_choice(host, alice):
    (row_id,) = register(alice, "m")
    alice.patch(f"{PREFIX}/{row_id}", json={"is_active": False})

    assert put(alice, "general", row_id).json["type"].endswith(":model-inactive")


def test_a_scope_is_one_of_two(alice):
    (row_id,) = register(alice, "m")

    assert put(alice, "general", row_id, scope="all").status_code == 422
    assert alice.get(f"{PREFIX}/defaults?scope=all").status_code == 422


def deactivate(host, client, row_id):
    client.patch(f"{PREFIX}/{row_id}", json={"is_active": False})


def take_key(host, client, row_id):
    client.delete(f"{PREFIX}/{row_id}/credential")


def spoil_key(host, client, row_id):
    models = host.registry.tables.models
    host.execute(
        sa.update(models).where(models.c.id == row_id).values(base_url="https://evil.example.com")
    )


def unknown_provider(host, client, row_id):
    models = host.registry.tables.models
    host.execute(sa.update(models).where(models.c.id == row_id).values(model_provider="gone"))


@pytest.mark.parametrize("spoil", [deactivate, take_key, spoil_key, unknown_provider])
def test_a_default_that_cannot_be_called_is_passed_over(host, alice, common, spoil):
    (own,) = register(alice, "m")
    put(alice, "general", own)

    spoil(host, alice, own)

    assert effective(alice) == {"general": ("app", common)}
    with host.app.app_context():
        assert host.registry.default("general", user=host.load("alice")).id == common


def test_a_default_that_cannot_be_called_is_not_found(alice):
    (own,) = register(alice, "m")
    put(alice, "general", own)

    take_key(None, alice, own)

    assert effective(alice) == {}
    assert alice.get(f"{PREFIX}/defaults/general").status_code == 404


def test_a_default_that_is_switched_on_again_applies_again(alice, common):
    (own,) = register(alice, "m")
    put(alice, "general", own)
    deactivate(None, alice, own)

    alice.patch(f"{PREFIX}/{own}", json={"is_active": True})

    assert effective(alice) == {"general": ("user", own)}


# --- what takes a default away


@pytest.fixture
def chosen(host, admin, alice, bob):
    """A model that two users and the app have chosen as a default, but not its owner."""
    (row_id,) = register(admin, "m", share_with_users=True)
    for client in (alice, bob):
        assert put(client, "general", row_id).status_code == 200
    assert put(admin, "compact", row_id, scope="app").status_code == 200
    return row_id


def left(host):
    with host.app.app_context():
        names = {key: name for name, key in host.users.items()}
    return sorted(names[row.user_id] for row in host.rows("defaults")) + ["app"] * len(
        host.rows("app_defaults")
    )


def test_un_sharing_removes_the_defaults_of_users_who_no_longer_see_the_model(
    host, admin, alice, chosen
):
    granted(admin, chosen, user=host.user("bob"))

    admin.patch(f"{PREFIX}/{chosen}", json={"share_with_users": False})

    assert left(host) == ["bob"]
    assert effective(alice) == {}


def test_a_default_stays_while_a_group_may_see_it_and_is_passed_over(
    host, admin, alice, bob, chosen
):
    granted(admin, chosen, group="group of bob")

    admin.patch(f"{PREFIX}/{chosen}", json={"share_with_users": False})

    # Who is in which group only the host knows.
    assert left(host) == ["alice", "bob"]
    assert (effective(alice), effective(bob)) == ({}, {"general": ("user", chosen)})
    admin.delete(f"{PREFIX}/{chosen}/grants/groups/group of bob")
    assert left(host) == []


def test_the_groups_of_others_are_not_asked_for(hosts):
    asked = []
    host = hosts(groups=lambda user: asked.append(user.name) or ["g"])
    admin = host.client("admin", is_admin=True)
    (row_id,) = register(admin, "m", share_with_users=True)
    granted(admin, row_id, group="g")
    for name in ("alice", "bob"):
        put(host.client(name), "general", row_id)
    asked.clear()

    admin.patch(f"{PREFIX}/{row_id}", json={"share_with_users": False})

    assert asked == ["admin"]


@pytest.mark.parametrize("shared", [True, False])
def test_revoking_clears_the_default_of_users_who_cannot_see_it(host, admin, bob, shared):
    (row_id,) = register(admin, "m", share_with_users=shared)
    granted(admin, row_id, user=host.user("bob"))
    put(bob, "general", row_id)

    admin.delete(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}")

    assert left(host) == (["bob"] if shared else [])


def test_giving_a_model_away_removes_the_former_owners_defaults(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    put(alice, "general", row_id)
    put(bob, "general", row_id)

    alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("bob"))})

    assert left(host) == ["bob"]


def test_deleting_a_model_removes_all_its_defaults(host, admin, chosen):
    assert admin.delete(f"{PREFIX}/{chosen}").status_code == 204
    assert left(host) == []


@pytest.mark.parametrize("how", ["delete", "un-share", "category"])
def test_owners_do_not_lose_their_own_default_by_mistake(host, admin, chosen, how):
    if how == "category":
        admin.patch(f"{PREFIX}/{chosen}", json={"share_with_users": False})
    put(admin, "visual", chosen)
    before = host.rows("models"), left(host)

    def attempt():
        if how == "delete":
            return admin.delete(f"{PREFIX}/{chosen}").status_code
        body = {"share_with_users": False} if how == "un-share" else {"category": "rerank"}
        return admin.patch(f"{PREFIX}/{chosen}", json=body).status_code

    assert attempt() == 409
    assert (host.rows("models"), left(host)) == before
    admin.delete(f"{PREFIX}/defaults/visual")
    assert attempt() in {200, 204}


def test_changing_the_category_removes_other_users_defaults(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    put(bob, "general", row_id)

    assert alice.patch(f"{PREFIX}/{row_id}", json={"category": "rerank"}).status_code == 200

    assert left(host) == []


def test_a_grantee_who_deletes_a_model_removes_the_owners_default(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"), can_delete=True)
    put(alice, "general", row_id)

    assert bob.delete(f"{PREFIX}/{row_id}").status_code == 204
    assert left(host) == []


# --- in the host's code


def test_a_default_is_resolved_in_one_call(host, alice, common):
    with host.app.app_context():
        model = host.registry.default("general", user=host.load("alice"))

        assert (model.model_id, model.api_key.reveal()) == ("common", CANARY)
        with pytest.raises(NotFoundError):
            host.registry.default("compact", user=host.load("alice"))
        with pytest.raises(NotFoundError, match="one of: general"):
            host.registry.default("unknown", user=host.load("alice"))


def test_defaults_are_set_and_cleared_in_python(host, admin, alice):
    register(alice, "m")
    (rerank,) = register(alice, "r", category="rerank")
    with host.app.app_context():
        user, registry = host.load("alice"), host.registry
        registry.set_default("general", "m", user=user)
        registry.set_default("rerank", rerank, user=user)
        found = (
            registry.default("general", user=user).model_id,
            registry.default("rerank", user=user).id,
        )
        registry.set_default("general", None, user=user)
        with pytest.raises(NotFoundError):
            registry.default("general", user=user)
        with pytest.raises(ValidationError):
            registry.set_default("visual", "r", user=user)
        with pytest.raises(ValidationError, match="scope: Must be one of"):
            registry.set_default("general", "m", user=user, scope="all")
        boss = host.load("admin")
        registry.create(user=boss, **model(model_id="s", share_with_users=True))
        registry.set_default("general", "s", user=boss, scope="app")
        with pytest.raises(ConflictError):
            registry.update("s", user=boss, share_with_users=True, category="rerank")
        found += (registry.default("general", user=user).model_id,)
        host.db.session.rollback()

    assert found == ("m", rerank, "s")
    assert left(host) == []
