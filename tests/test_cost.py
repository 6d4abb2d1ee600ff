"""What one request may cost: not much more than others, whatever its sender tries."""

import time
import uuid
from collections import Counter

import pytest
import sqlalchemy as sa
from marshmallow import fields
from marshmallow.error_store import ErrorStore
from sqlalchemy.dialects import mysql, oracle, postgresql, sqlite

from flask_model_registry import ValidationError
from flask_model_registry.db.filters import Holds
from flask_model_registry.schemas import search_text
from flask_model_registry.schemas.filters import Filters
from flask_model_registry.web import openapi
from flask_model_registry.web.views import description
from tests.hosts import PREFIX, model, register

# Texts that are compared again at each character, in the alphabets that take one to four bytes.
REPEATED = ["a", "é", "模", "\U0001f600", "/", "%", "_", "ab"]


def fill(host, client, *, count, **columns):
    """Give a user this many models."""
    (row_id,) = register(client, "seed")
    table = host.registry.tables.models
    seed = next(row._mapping for row in host.rows("models") if row.id == row_id)
    rows = [
        {**seed, **columns, "uuid": uuid.uuid4().hex, "model_id": f"m{number}"}
        for number in range(count)
    ]
    for row in rows:
        del row["id"]
        row["search_text"] = search_text(row["model_id"], row["model_name"], row["description"])
    host.execute(sa.insert(table), rows)


def seconds(client, path, q):
    begun = time.perf_counter()
    response = client.get(f"{PREFIX}{path}", query_string={"q": q})
    assert response.status_code == 200, response.text
    return time.perf_counter() - begun


@pytest.mark.sampled(2)
@pytest.mark.parametrize("repeated", REPEATED)
def test_the_worst_search_takes_at_most_ten_times_an_ordinary_one(host, alice, repeated):
    """In turns, so that other work of the machine slows both."""
    fill(host, alice, count=1000, description=(repeated * 4096)[:512], model_name=repeated * 100)
    many = (repeated * 100)[:99]
    worst = [f"{many}z", f"z{many}", f"{many[:50]}z{many[:49]}"]
    # All words but the last are found, so that each is searched.
    worst.append(" ".join(f"{repeated * number}" for number in range(1, 8))[:98] + " z")

    ordinary, slowest = [], []
    for _ in range(4):
        ordinary.append(seconds(alice, "/", "vision"))
        slowest.append([seconds(alice, "/", q) for q in worst])

    times = [min(each) for each in zip(*slowest, strict=True)]
    assert max(times) < 10 * min(ordinary), (times, ordinary)


@pytest.mark.parametrize("path", ["/", "/summary"])
def test_a_search_takes_a_limited_number_of_characters(alice, path):
    longest = alice.get(f"{PREFIX}{path}", query_string={"q": "\U0001f600" * 100})
    longer = alice.get(f"{PREFIX}{path}", query_string={"q": "a" * 101})

    assert (longest.status_code, longer.status_code) == (200, 422)
    assert [each["field"] for each in longer.json["errors"]] == ["q"]


def test_a_search_from_python_takes_a_limited_number_of_characters(host, alice):
    with host.app.app_context():
        user = host.load("alice")
        for call in (host.registry.list, host.registry.summary):
            call(user=user, q="a" * 100)
            with pytest.raises(ValidationError) as caught:
                call(user=user, q="a" * 101)
            assert [field for field, _ in caught.value.errors] == ["q"]
    assert Filters(q="a" * 100).q


def test_the_beginning_of_a_description_is_searched(alice):
    register(alice, "within", description="\U0001f600" * 508 + "late")
    register(alice, "beyond", description="\U0001f600" * 509 + "late")

    found = alice.get(f"{PREFIX}/?q=LATE").json

    assert [each["model_id"] for each in found] == ["within"]


SOUGHT = {
    "50%": "50% off",
    "a_b": "a_b",
    "\\": "back\\slash",
    "/": "a/b",
    "'": "it's",
    '"': 'say "x"',
    "große": "Große",
    "模型": "新模型!",
    "\U0001f600": "so \U0001f600 so",
    "two\nlines": "Two\nlines",
    "%s": "100%s",
    "%(q)s": "x%(q)s",
    ":q": "a:q",
    "{}": "{}",
}


@pytest.mark.parametrize("q", SOUGHT)
def test_a_searched_text_is_taken_literally(alice, q):
    register(alice, "yes", description=SOUGHT[q])
    register(alice, "no", model_name="x", description="50 axb  an other")

    found = alice.get(f"{PREFIX}/", query_string={"q": q}).json

    assert [each["model_id"] for each in found] == ["yes"]


def test_a_character_is_found_whole(alice):
    """Bytes are compared: no text is found in the middle of a character, or across two."""
    register(alice, "m", description="\u017a\u017a \U0001f600\U0001f601")

    found = [alice.get(f"{PREFIX}/", query_string={"q": q}).json for q in "z\u7a01\U0001f602"]

    assert found == [[], [], []]


@pytest.fixture
def calls(monkeypatch):
    """Count the calls of some functions."""
    counted = Counter()

    def count(owner, name):
        function = getattr(owner, name)

        def counting(*args, **options):
            counted[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, counting)
        return counted

    return count


def test_thousands_of_unknown_fields_cost_no_more_than_those_that_are_named(alice, calls):
    counted = calls(ErrorStore, "store_error")
    unknown = {f"x{number}": 1 for number in range(5000)}

    answer = alice.post(f"{PREFIX}/", json={**unknown, **model(category="x"), **unknown})

    assert (answer.status_code, len(answer.json["errors"])) == (422, 50)
    assert "category" in {each["field"] for each in answer.json["errors"]}
    assert counted["store_error"] <= 60


@pytest.mark.parametrize("path", ["/openapi.json", "/"])
def test_thousands_of_parameters_cost_no_more_than_those_that_are_named(alice, calls, path):
    counted = calls(ErrorStore, "store_error")

    answer = alice.get(f"{PREFIX}{path}", query_string={f"x{number}": 1 for number in range(5000)})

    assert (answer.status_code, len(answer.json["errors"])) == (422, 50)
    assert counted["store_error"] <= 60


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("ability", [1, "A", "a", None])
def test_a_list_that_is_too_long_is_not_loaded(alice, calls, ability):
    counted = calls(fields.String, "_deserialize")

    answer = alice.post(f"{PREFIX}/", json=model(abilities=[ability] * 10_000))

    assert (answer.status_code, len(answer.json["errors"])) == (422, 1)
    assert answer.json["errors"][0]["field"] == "abilities"
    assert counted["_deserialize"] < 20


def test_the_description_is_made_once_wherever_it_is_asked_for(host, calls):
    description._description.cache_clear()
    counted = calls(openapi, "openapi_document")
    client = host.client()

    texts = {client.get(f"{PREFIX}/openapi.json").text for _ in range(3)}
    moved = client.get(f"{PREFIX}/openapi.json", environ_overrides={"SCRIPT_NAME": "/app"}).json

    assert (len(texts), counted["openapi_document"]) == (1, 1)
    assert moved["servers"] == [{"url": f"/app{PREFIX}"}]
    assert description._description.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("dialect", "how"),
    [
        (sqlite.dialect(), "instr("),
        (postgresql.dialect(), "position(convert_to("),
        (mysql.dialect(), "LIKE CONCAT("),
        (oracle.dialect(), "position("),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_each_database_searches_in_linear_time(dialect, how):
    statement = sa.select(Holds(sa.column("c", sa.String), sa.bindparam("q", type_=sa.String())))

    assert how in str(statement.compile(dialect=dialect))
