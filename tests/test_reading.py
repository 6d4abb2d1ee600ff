"""GET: one model by either id, and lists with filters and pages."""

import itertools
import re
import threading

import pytest

from flask_model_registry.schemas.responses import ModelRepresentation
from tests.hosts import PREFIX, grant, granted, register


def listed(client, **query):
    response = client.get(f"{PREFIX}/", query_string=query)
    assert response.status_code == 200, response.text
    return [each["model_id"] for each in response.json]


def pages(client, *, key="model_id", **query):
    """Yield each page, as a client that follows the links would see them."""
    address = f"{PREFIX}/"
    while address:
        response = client.get(address, query_string=query if address.endswith("/") else None)
        yield [each[key] for each in response.json]
        link = re.fullmatch(r'<(.*)>; rel="next"', response.headers.get("Link", "<>"))
        address = link and link[1]


AWKWARD = ["a/b", "a/b/c", "register", "defaults", "by-id", "categories", "5", "v1/models", "a:b@c+d",
           "a.b", "x/test", "x/credential", "A" * 255, "summary", "a/..b"]  # fmt: skip


@pytest.mark.parametrize("model_id", AWKWARD)
def test_a_model_is_found_by_either_id(alice, model_id):
    (row_id,) = register(alice, model_id)

    by_id = alice.get(f"{PREFIX}/{row_id}")
    by_handle = alice.get(f"{PREFIX}/by-id/{model_id}")
    with_slash = alice.get(f"{PREFIX}/by-id/{model_id}/")

    assert by_id.json["model_id"] == model_id
    assert by_id.data == by_handle.data == with_slash.data
    changed = alice.patch(f"{PREFIX}/by-id/{model_id}", json={"description": "x"})
    assert (changed.status_code, changed.json["id"]) == (200, row_id)
    assert alice.delete(f"{PREFIX}/by-id/{model_id}").status_code == 204
    assert alice.get(f"{PREFIX}/{row_id}").status_code == 404
    assert by_id.headers["ETag"] == by_handle.headers["ETag"] == f'"{row_id}-1-111"'


def test_a_hidden_model_gets_the_same_bytes_as_a_missing_one(alice, bob):
    (row_id,) = register(alice, "secret")

    invisible = [bob.get(f"{PREFIX}/{row_id}"), bob.get(f"{PREFIX}/by-id/secret")]
    absent = [bob.get(f"{PREFIX}/{row_id + 1}"), bob.get(f"{PREFIX}/by-id/nothing")]

    assert {response.status_code for response in invisible + absent} == {404}
    assert len({response.data for response in invisible + absent}) == 1
    assert len({str(response.headers) for response in invisible + absent}) == 1


def test_a_model_shared_with_everyone_is_read_but_not_owned(admin, bob):
    (row_id,) = register(admin, "common", share_with_users=True)

    seen = bob.get(f"{PREFIX}/{row_id}").json

    flags = {"is_owner": False, "can_edit": False, "can_delete": False, "is_shared": True}
    assert flags.items() <= seen.items()
    assert listed(bob) == ["common"]


def test_ones_own_model_comes_before_one_shared_and_ones_granted(host, alice, admin, bob):
    (to_group,) = register(host.client("carol"), "m")
    grant(host, to_group, group_name="group of alice")
    found = [alice.get(f"{PREFIX}/by-id/m").json["id"]]
    (granted,) = register(bob, "m")
    grant(host, granted, user_id=host.user("alice"))
    found.append(alice.get(f"{PREFIX}/by-id/m").json["id"])
    (shared,) = register(admin, "m", share_with_users=True)
    found.append(alice.get(f"{PREFIX}/by-id/m").json["id"])
    (own,) = register(alice, "m")
    found.append(alice.get(f"{PREFIX}/by-id/m").json["id"])

    assert found == [to_group, granted, shared, own]


def test_a_model_reached_in_several_ways_is_listed_once_with_all_rights(host, admin, bob):
    (row_id,) = register(admin, "m", share_with_users=True)
    grant(host, row_id, user_id=host.user("bob"), can_edit=True)
    grant(host, row_id, group_name="group of bob", can_delete=True)

    (seen,) = bob.get(f"{PREFIX}/").json

    assert (seen["is_owner"], seen["can_edit"], seen["can_delete"]) == (False, True, True)
    assert bob.get(f"{PREFIX}/{row_id}").json == seen


def test_a_grant_to_another_group_does_not_count(host, alice, bob):
    (row_id,) = register(alice, "m")
    bob_sees = listed(bob)
    grant(host, row_id, group_name="group of carol")

    assert listed(bob) == bob_sees == []


def test_a_list_is_valid_by_the_response_schema(alice):
    register(alice, "a", temperature=1, abilities=["chat"], description="x")
    register(alice, "b", category="embedding", dimension=3)

    rows = alice.get(f"{PREFIX}/").json

    assert ModelRepresentation(many=True).validate(rows) == {}
    assert [list(row) for row in rows] == [list(ModelRepresentation().fields)] * 2
    assert rows == [alice.get(f"{PREFIX}/{row['id']}").json for row in rows]


@pytest.fixture
def many(host, alice, admin):
    register(alice, "chat", abilities=["chat", "vision"], description="Reads 50% of pictures")
    register(alice, "embed", category="embedding", model_provider="claude", abilities=["embedding"])
    register(alice, "draw", category="image", model_name="Große Bilder", abilities=["edit"])
    register(admin, "common_chat", abilities=["chat"], share_with_users=True)
    register(alice, "off")
    table = host.registry.tables.models
    host.execute(table.update().where(table.c.model_id == "off").values(is_active=False))
    return alice


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "chat embed draw common_chat"),
        ({"model_id": "chat"}, "chat"),
        ({"model_id": "Chat"}, ""),
        ({"model_id": "cha"}, ""),
        ({"model_id": "off"}, ""),
        ({"model_id": "off", "is_active": "all"}, "off"),
        ({"model_id": "团队/模型"}, ""),
        ({"category": "llm"}, "chat common_chat"),
        ({"category": "speech"}, ""),
        ({"model_provider": "anthropic"}, "embed"),
        ({"model_provider": "Claude"}, "embed"),
        ({"ability": "chat"}, "chat common_chat"),
        ({"ability": "vision"}, "chat"),
        ({"ability": "cha"}, ""),
        ({"is_active": "true"}, "chat embed draw common_chat"),
        ({"is_active": "false"}, "off"),
        ({"is_active": "all"}, "chat embed draw common_chat off"),
        ({"owned": "true"}, "chat embed draw"),
        ({"owned": "false"}, "common_chat"),
        ({"q": "CHAT"}, "chat common_chat"),
        ({"q": "bilder"}, "draw"),
        ({"q": "Große"}, "draw"),
        ({"q": "pictures"}, "chat"),
        ({"q": ""}, "chat embed draw common_chat"),
        ({"q": " GPT "}, "chat embed common_chat"),
        ({"q": "pictures CHAT"}, "chat"),
        ({"q": "openai vision"}, "chat"),
        ({"q": "anthropic"}, "embed"),
        ({"q": "visi OPENAI chat 50%"}, "chat"),
        ({"q": "chat nothing"}, ""),
        ({"q": "chatvision"}, ""),
        ({"q": "common\tchat"}, "common_chat"),
        ({"q": "  \n "}, "chat embed draw common_chat"),
        ({"q": "grosse BILDER"}, "draw"),
        ({"q": "%"}, "chat"),
        ({"q": "_"}, "common_chat"),
        ({"q": "50%"}, "chat"),
        ({"q": "/"}, ""),
        ({"q": "\\"}, ""),
        ({"q": "'"}, ""),
        ({"q": "模型 \U0001f600"}, ""),
        ({"q": "two\nlines\r\n\tand more"}, ""),
        ({"sort": "-id"}, "common_chat draw embed chat"),
        ({"sort": "-id", "ability": "chat", "owned": "true"}, "chat"),
        ({"category": "llm", "ability": "chat", "q": "common", "owned": "false"}, "common_chat"),
        ({"limit": "2"}, "chat embed"),
    ],
)
def test_filters_narrow_the_list(many, query, expected):
    assert listed(many, **query) == expected.split()


@pytest.mark.parametrize("model_id", ["same", "团队/模型-é", "a+b@c:d.e"])
def test_all_models_with_one_model_id_are_listed(host, alice, admin, bob, model_id):
    expected = register(alice, model_id) + register(admin, model_id, share_with_users=True)
    (granted_to_group,) = register(bob, model_id)
    grant(host, granted_to_group, group_name="group of alice")
    register(host.client("stranger"), model_id)
    register(alice, f"{model_id}x", model_id.upper(), model_name=model_id, description=model_id)

    found = [*itertools.chain(*pages(alice, key="id", model_id=model_id, limit=1))]

    assert found == [*expected, granted_to_group]
    assert alice.get(f"{PREFIX}/summary", query_string={"model_id": model_id}).json["total"] == 3
    with host.app.app_context():
        listed_by_name = host.registry.list(user=host.load("alice"), model_id=model_id)
    assert [each["id"] for each in listed_by_name] == found


@pytest.mark.parametrize("sort", ["id", "-id"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_follow_each_other_without_gaps_or_repetitions(host, alice, admin, sort, limit):
    for number in range(7):
        owner = [alice, admin][number % 2]
        (row_id,) = register(owner, f"m{number}", share_with_users=owner is admin)
        grant(host, row_id, user_id=host.user("alice"))
        grant(host, row_id, group_name="group of alice")

    found = list(pages(alice, sort=sort, limit=limit))

    expected = [f"m{number}" for number in range(7)]
    assert list(itertools.chain(*found)) == (expected if sort == "id" else expected[::-1])
    assert {len(page) for page in found[:-1]} <= {limit}


def test_a_model_granted_to_two_of_ones_groups_counts_once_in_a_page(hosts):
    host = hosts(groups=lambda user: ["a", "b", "a"])
    ids = register(host.client("owner"), *(f"m{number}" for number in range(6)))
    for row_id, group in itertools.product(ids, "ab"):
        grant(host, row_id, group_name=group)

    found = list(pages(host.client("reader"), limit=2))

    assert found == [["m0", "m1"], ["m2", "m3"], ["m4", "m5"]]


def test_a_page_keeps_the_query_of_the_first(many):
    response = many.get(f"{PREFIX}/?limit=1&category=llm&is_active=all")

    assert response.headers["Link"].startswith(
        f"<{PREFIX}/?limit=1&category=llm&is_active=all&after="
    )


def test_rows_that_appear_or_vanish_between_pages_move_nothing(host, alice):
    ids = register(alice, *(f"m{number}" for number in range(6)))
    follow = pages(alice, limit=2)
    first = next(follow)
    table = host.registry.tables.models
    host.execute(table.delete().where(table.c.id.in_([ids[1], ids[3]])))
    register(alice, "m6")

    assert [first, *follow] == [["m0", "m1"], ["m2", "m4"], ["m5", "m6"]]


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["id", "-id"])
def test_pages_hold_all_unchanged_models_while_others_write(hosts, database, sort):
    options = {"connect_args": {"timeout": 60}} if database.name == "sqlite" else {}
    host = hosts(config={"SQLALCHEMY_ENGINE_OPTIONS": options}, groups=lambda user: ["g"])
    alice, bob = host.client("alice"), host.client("bob")
    standing = register(alice, *(f"standing-{number}" for number in range(10)))
    standing += register(bob, *(f"standing-{number}" for number in range(10)))
    for row_id in standing[10:]:
        granted(bob, row_id, user=host.user("alice"))
        granted(bob, row_id, group="g")
    done, writings = threading.Event(), []

    def write():
        """Insert, edit, grant and delete among those that stand, until told to stop."""
        mine, theirs = host.client("alice"), host.client("bob")
        while not done.is_set():
            number = len(writings)
            writings.append(number)
            (row_id,) = register(mine, f"passing-{number}")
            mine.patch(f"{PREFIX}/{standing[number % 10]}", json={"description": str(number)})
            (other,) = register(theirs, f"passing-{number}")
            granted(theirs, other, user=host.user("alice"))
            mine.delete(f"{PREFIX}/{row_id}")
            theirs.delete(f"{PREFIX}/{other}")

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive() and (len(seen) < 15 or len(writings) < 5):
        seen.append([*itertools.chain(*pages(alice, key="id", limit=3, sort=sort))])
    done.set()
    writer.join()

    assert (len(seen) >= 15, len(writings) >= 5) == (True, True)
    for ids in seen:
        assert ids == sorted({*ids}, reverse=sort == "-id")
        assert {*standing} <= {*ids}


@pytest.mark.databases("sqlite")
def test_the_largest_page_is_a_setting(hosts):
    client = hosts(config={"MODEL_REGISTRY_MAX_PAGE_SIZE": 3}).client("alice")

    assert client.get(f"{PREFIX}/?limit=3").status_code == 200
    assert client.get(f"{PREFIX}/?limit=4").json["errors"] == [
        {"field": "limit", "message": "Must be at most 3."}
    ]


@pytest.mark.databases("sqlite")
def test_the_default_page_is_no_larger_than_the_largest(hosts):
    client = hosts(config={"MODEL_REGISTRY_MAX_PAGE_SIZE": 1}).client("alice")
    register(client, "a", "b")

    assert listed(client) == ["a"]
