"""A list can be sorted, and its pages follow each other in the same order on each database."""

import base64
import itertools
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from flask_model_registry import ValidationError
from flask_model_registry.schemas.filters import SORTS, cursor
from tests.accounts import add, create
from tests.hosts import PREFIX, grant, register

NAMES = [
    "b", "B2", "a", "A1", "Zebra", "zebra", "a-b", "a.b", "a_b", "a/b", "a:b", "ab", "@at", "~tilde",
    "10", "9", "é", "z", "Ж", "ж", "模型",
]  # fmt: skip
NOON = datetime(2026, 11, 1, 12)  # noqa: DTZ001  # UTC, as the columns are
BY_SIGN = ["", "-"]


@pytest.fixture
def many(host, alice, bob, admin):
    """Models that alice sees for every kind of reason, some for several."""
    owners = itertools.cycle([alice, bob, admin])
    for number, (name, owner) in enumerate(zip(NAMES * 2, owners, strict=False)):
        if number >= len(NAMES):
            name += "x"
        provider = ["openai", "Acme", "anthropic", "acme"][number % 4]
        (row_id,) = register(owner, name, share_with_users=owner is admin and number % 2 == 0,
                             model_provider=provider, base_url="https://a.example")  # fmt: skip
        if owner is not alice:
            for grantee in [{"user_id": host.user("alice")}, {"group_name": "group of alice"}]:
                grant(host, row_id, **grantee)
    models = host.registry.tables.models
    for row in host.rows("models"):
        times = {
            "credential_updated_at": NOON - timedelta(days=row.id % 9),  # newer than some tests
            "updated_at": [None, NOON, NOON + timedelta(microseconds=row.id)][row.id % 3],
            "tested_at": [None, NOON - timedelta(days=row.id), NOON, None][row.id % 4],
        }
        host.execute(sa.update(models).where(models.c.id == row.id).values(times))
    return host.rows("models")


def shown(row, name):
    """Return a value to sort by; a test that is older than the API key doesn't count."""
    value = getattr(row, name)
    is_hidden = name == "tested_at" and value and row.credential_updated_at > value
    return None if is_hidden else value


def expected(rows, sort, database):
    """Return the ids in order, by Python's comparison."""
    name, reverse = sort.removeprefix("-"), sort[0] == "-"

    def lower(text):
        # SQLite, and PostgreSQL without a locale, know the case of ASCII only.
        if database.name == "mariadb":
            return text.lower()
        return "".join(each.lower() if each.isascii() else each for each in text)

    def key(row):
        value = getattr(row, name)
        if name.endswith("_at"):
            value = shown(row, name) or datetime.min  # noqa: DTZ901
        elif name != "id":
            value = lower(value).encode()
        return value, row.id

    return [row.id for row in sorted(rows, key=key, reverse=reverse)]


def follow(client, path):
    """Yield the models of each page."""
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.text
        yield [each.get("model", each) for each in response.json]
        path = response.headers.get("Link", "").partition("<")[2].partition(">")[0]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", SORTS)
def test_pages_and_details_have_the_same_order_as_python(alice, many, database, name):
    for sign, limit in itertools.product(BY_SIGN, [1, 4, 100]):
        pages = list(follow(alice, f"{PREFIX}/?sort={sign}{name}&limit={limit}"))

        ids = [each["id"] for each in itertools.chain(*pages)]
        assert ids == expected(many, f"{sign}{name}", database), (sign, limit)
        assert {len(page) for page in pages[:-1]} <= {limit}

    details = follow(alice, f"{PREFIX}/details?sort=-{name}&limit=7")
    ids = [each["id"] for each in itertools.chain(*details)]
    assert ids == expected(many, f"-{name}", database)


@pytest.mark.parametrize("groups", [0, 3, 100])
def test_a_filter_and_any_number_of_groups_keep_the_order(hosts, database, groups):
    host = hosts(groups=lambda user: [f"g{number}" for number in range(groups)])
    client, other = host.client("alice"), host.client("bob")
    register(client, "b", "A", model_name="found")
    register(client, "c")
    for number in range(groups and 6):
        (row_id,) = register(other, f"a{number}", model_name="found")
        grant(host, row_id, group_name=f"g{number % groups}")
        grant(host, row_id, group_name=f"g{(number + 1) % groups}")
    rows = [row for row in host.rows("models") if row.model_name == "found"]

    for name, sign in itertools.product(SORTS, BY_SIGN):
        path = f"{PREFIX}/?sort={sign}{name}&q=FOUND&is_active=all&limit=3"
        ids = [each["id"] for each in itertools.chain(*follow(client, path))]

        unlimited = expected(rows, f"{sign}{name}", database)
        assert ids == unlimited, (name, sign)
        with host.app.app_context():
            listed = host.registry.list(
                user=host.load("alice"), q="found", sort=name, descending=sign == "-"
            )
        assert [each["id"] for each in listed] == unlimited, (name, sign)


def test_python_goes_on_after_a_model(host, alice, many, database):
    for name in SORTS:
        seen, last = [], {}
        with host.app.app_context():
            user = host.load("alice")
            while page := host.registry.list(user=user, sort=name, limit=5, **last):
                seen += [each["id"] for each in page]
                row = next(each for each in many if each.id == seen[-1])
                value = shown(row, name)
                if name.endswith("_at"):
                    value = value and f"{value.isoformat(timespec='microseconds')}Z"
                last = {"after": row.id} | ({} if name == "id" else {"after_value": value})

        assert seen == expected(many, name, database), name


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_new_secret_takes_its_models_out_of_the_order_of_tests(host, alice, limit):
    old, new = (create(alice, name=name)["id"] for name in ("old", "new"))
    ids = [*add(alice, old, "a", "b"), *add(alice, new, "c", "d"), *register(alice, "e", "f")]
    models, credentials = host.registry.tables.models, host.registry.tables.credentials
    for number, row_id in enumerate(ids):
        tested_at = NOON + timedelta(hours=number)
        times = {"tested_at": tested_at, "test_result": "ok", "credential_updated_at": NOON}
        host.execute(sa.update(models).where(models.c.id == row_id).values(times))
    for row_id, changed_at in ((old, NOON), (new, NOON + timedelta(days=9))):
        changed = sa.update(credentials).where(credentials.c.id == row_id)
        host.execute(changed.values(secret_updated_at=changed_at))

    pages = [*follow(alice, f"{PREFIX}/?sort=-tested_at&limit={limit}")]
    details = [
        each["test"] and each["model"]["model_id"]
        for each in alice.get(f"{PREFIX}/details?sort=-tested_at").json
    ]

    assert [each["model_id"] for each in itertools.chain(*pages)] == [*"febadc"]
    assert details == ["f", "e", "b", "a", None, None]


def test_models_that_appear_or_vanish_between_pages_move_nothing(host, alice):
    register(alice, *"abcdefg")
    pages = follow(alice, f"{PREFIX}/?sort=model_id&limit=2")
    first = next(pages)
    models = host.registry.tables.models
    host.execute(sa.delete(models).where(models.c.model_id.in_(["b", "d"])))
    register(alice, "aa", "ee")

    assert [each["model_id"] for each in first] == ["a", "b"]
    assert [[each["model_id"] for each in page] for page in pages] == [
        ["c", "e"],
        ["ee", "f"],
        ["g"],
    ]


def test_the_longest_name_has_a_next_page(alice):
    name = "模" * 254
    register(alice, f"{name}a", f"{name}b", f"{name}c")

    pages = list(follow(alice, f"{PREFIX}/?sort=model_id&limit=1"))

    assert [page[0]["model_id"][-1] for page in pages] == ["a", "b", "c"]


def forged(text):
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()


FORGED = [
    ("model_id", cursor("id", 5)), ("id", cursor("model_id", 5, "a")), ("id", forged("id:5:x")),
    ("model_id", cursor("-model_id", 5, "a")), ("model_id", cursor("model_provider", 5, "a")),
    ("updated_at", cursor("updated_at", 5, "a")), ("updated_at", cursor("updated_at", 5, "")),
    ("updated_at", cursor("updated_at", 5, "2026-13-01T00:00:00.000000Z")),
    ("updated_at", cursor("updated_at", 5, "0001-01-01T00:00:00.000000Z")),
    ("tested_at", cursor("tested_at", 5, "2026-11-01 00:00:00")), ("model_id", forged("model_id:5:\0")),
    ("model_id", forged("model_id:5:\ud800")), ("model_id", forged("model_id:0:a")),
    ("model_id", forged("model_id:5:" + "a" * 256)), ("model_id", forged("model_id:05:a")),
    ("model_id", forged("model_id:" + "9" * 5000)), ("model_id", "A" * 1441), ("model_id", "é"),
    ("model_id", cursor("model_id", 5)), ("-model_provider", cursor("-model_provider", 5)),
]  # fmt: skip


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(("sort", "after"), FORGED)
def test_a_forged_cursor_and_one_of_another_sort_are_refused(alice, sort, after):
    response = alice.get(f"{PREFIX}/", query_string={"sort": sort, "after": after})

    assert response.status_code == 422, response.text
    assert [each["field"] for each in response.json["errors"]] == ["after"]


@pytest.mark.parametrize("name", ["id", "updated_at", "tested_at"])
def test_a_cursor_without_a_value_is_one_before_all_values(alice, name):
    register(alice, "m")

    response = alice.get(f"{PREFIX}/", query_string={"sort": name, "after": cursor(name, 1)})

    assert response.status_code == 200


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(
    "filters",
    [
        {"sort": "-id"}, {"sort": "name"}, {"sort": None}, {"sort": 5}, {"sort": "id|model_id"},
        {"after_value": "a"}, {"after_value": 5},
    ],
)  # fmt: skip
def test_another_sort_from_python_is_refused(host, alice, filters):
    with host.app.app_context():
        with pytest.raises(ValidationError) as caught:
            host.registry.list(user=host.load("alice"), **filters)
        with pytest.raises(ValidationError) as of_time:
            host.registry.list(
                user=host.load("alice"), sort="updated_at", after=1, after_value="yesterday"
            )

    assert [field for field, _ in caught.value.errors] == list(filters)
    assert [field for field, _ in of_time.value.errors] == ["after_value"]


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize("sort", ["model_id", "model_provider"])
def test_a_page_after_a_model_needs_what_the_list_is_sorted_by(host, alice, sort):
    with host.app.app_context(), pytest.raises(ValidationError) as caught:
        host.registry.list(user=host.load("alice"), sort=sort, after=1)

    assert [field for field, _ in caught.value.errors] == ["after_value"]


def test_a_change_and_a_test_move_a_model_to_the_front(host, alice):
    first, _second = register(alice, "a", "b")
    alice.patch(f"{PREFIX}/{first}", json={"description": "x"})

    newest = alice.get(f"{PREFIX}/?sort=-updated_at").json

    assert [each["model_id"] for each in newest] == ["a", "b"]
    assert newest[1]["updated_at"] is None


def test_the_summary_takes_no_sort_and_counts_the_same_from_python(host, alice, many):
    with host.app.app_context():
        user = host.load("alice")
        counts = host.registry.summary(user=user)
        for name in SORTS:
            assert alice.get(f"{PREFIX}/summary?sort={name}").status_code == 422
            page = {"after": 3} | ({"after_value": "m"} if name.startswith("model_") else {})
            assert host.registry.summary(user=user, sort=name, **page) == counts
