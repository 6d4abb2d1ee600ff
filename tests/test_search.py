"""A search finds what users of a search box expect, in any script and case, on each database."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_model_registry import ValidationError
from flask_model_registry.schemas import search_text
from flask_model_registry.schemas.limits import (
    MAX_SEARCH_TEXT_LENGTH,
    MAX_WORDS,
    SEARCHED_DESCRIPTION_LENGTH,
)
from tests.hosts import PREFIX, register


def found(client, q, **query):
    response = client.get(f"{PREFIX}/", query_string={"q": q, **query})
    assert response.status_code == 200, response.text
    return [each["model_id"] for each in response.json]


CASES = {
    "übersetzung": "ÜBERSETZUNG",
    "ÜBERSETZUNG": "eine übersetzung",
    "strasse": "Straße",
    "STRASSE": "straße",
    "GROẞE": "grosse",
    "σοφος": "ΣΟΦΟΣ",
    "ΣΟΦΌΣ": "σοφός",
    "ПЕРЕВОД": "перевод",
    "istanbul": "İSTANBUL",
    "İstanbul": "istanbul",
    "ILIK": "ılık",
    "cafe\u0301": "CAFÉ",
    "CAFÉ": "cafe\u0301",
    "Å": "\u212bngstrom",
    "ＧＰＴ": "gpt",
    "gpt": "ＧＰＴ",
    "ｶﾞｲﾄﾞ": "ガイド",
    "ﬁne": "FINE",
    "ԲԱՐԵՒ": "բարեւ",
    "ᲥᲐᲠᲗᲣᲚᲘ": "ქართული",
    "模型": "新模型!",
    "हिन्दी": "हिन्दी",
    "한국": "한국어",
    "👩\u200d💻": "so 👩\u200d💻 so",
    "x\u0302": "x\u0302",
}


@pytest.mark.parametrize("q", CASES)
def test_a_word_is_found_in_any_script_and_case(alice, q):
    register(alice, "yes", description=CASES[q])
    register(alice, "no", model_name="z", description="ubersetzung cafe strase modele 한 a")

    assert found(alice, q) == ["yes"]


def test_words_are_found_in_any_order_and_field(alice):
    register(alice, "team/fast", model_provider="groq", model_name="Llama-4",
             abilities=["vision", "tool_use"], description="Für ÜBERSETZUNGEN")  # fmt: skip
    register(alice, "team/slow", model_provider="groq", model_name="Llama-4", description="vision")

    for q in [
        "fast",
        "llama GROQ",
        "vision\tllama\nteam",
        "für über",
        "setzung tool_use team/fast",
    ]:
        assert "team/fast" in found(alice, q), q
    assert found(alice, "vision über") == ["team/fast"]
    assert found(alice, "slow fast") == []
    assert found(alice, "fastllama") == []  # no word stands in two fields
    assert found(alice, " \u3000\u00a0 ") == ["team/fast", "team/slow"]
    assert alice.get(f"{PREFIX}/summary", query_string={"q": "slow VISION"}).json["total"] == 1


def test_a_search_finds_the_new_text_after_a_change_and_not_the_old(alice):
    (row_id,) = register(alice, "m", description="before")

    for field, value in [
        ("description", "Später"), ("model_id", "später"), ("model_name", "SPÄTER"),
        ("abilities", ["spater"]),
    ]:  # fmt: skip
        q = "spater" if field == "abilities" else "später"
        assert alice.get(f"{PREFIX}/{row_id}").json[field] != value
        alice.patch(f"{PREFIX}/{row_id}", json={field: value})
        assert len(found(alice, q)) == 1, field
        alice.patch(f"{PREFIX}/{row_id}", json={field: ["x"] if field == "abilities" else "x"})
        assert found(alice, q) == [], field
    assert found(alice, "before") == []


def test_models_of_one_account_and_of_an_import_are_found_too(host, alice):
    account = alice.post(f"{PREFIX}/credentials", json={
        "name": "a", "model_provider": "openai", "secret": {"api_key": "sk-test-1"}}).json  # fmt: skip
    made = {"models": [{"model_id": "m", "model_name": "n", "description": "ÉTÉ"}]}
    response = alice.post(f"{PREFIX}/credentials/{account['id']}/models", json=made)
    assert response.status_code == 201, response.text

    assert found(alice, "été") == ["m"]


@pytest.fixture
def older(host, alice):
    """Return the id of a model written by a release without the column."""
    (row_id,) = register(alice, "old-model", abilities=["vision"], description="Früher 50% a_b")
    models = host.registry.tables.models
    host.execute(sa.update(models).values(search_text=None))
    return row_id


def test_rows_of_an_older_release_are_found_as_before(alice, older):
    for q in ["OLD", "model", "openai", "gpt", "50%", "a_b", "Früher", "früher old OPENAI"]:
        expected = [] if q == "früher old OPENAI" and not found(alice, "früher") else ["old-model"]
        assert found(alice, q) == expected, q
    for q in ["nothing", "5%", "_ld"]:
        assert found(alice, q) == [], q


def test_rows_of_an_older_release_get_their_text_with_the_first_change(host, alice, older):
    before = alice.get(f"{PREFIX}/{older}")
    unchanged = alice.patch(f"{PREFIX}/{older}", json={"description": "Früher 50% a_b"})

    assert (unchanged.json, unchanged.headers["ETag"]) == (before.json, before.headers["ETag"])
    assert host.rows("models")[0].search_text is None
    alice.patch(f"{PREFIX}/{older}", json={"temperature": 1})
    assert found(alice, "FRÜHER VISION") == ["old-model"]


HOSTILE = [
    "a" * 100,
    "\u0301" * 100,
    "e" + "\u0301\u0323" * 49,
    "\u0130" * 100,
    "\u0345" * 100,
    "ß" * 100,
    "ς" * 50 + "σ" * 50,
    "\U0001f600" * 100,
    "%_\\" * 33,
    "' OR 1=1 --",
    "%s %(q)s :q {} $1 ?",
    "\ufdfa" * 100,  # one character that expands to eighteen, in four words
    "\u0390" * 100,
    "ａ" * 100,
]


@pytest.mark.parametrize("q", HOSTILE)
def test_a_hostile_search_is_a_search(alice, q):
    register(alice, "yes", model_name=q[:100].strip(), description=q * 5)
    register(alice, "no", description="a e i ß % _ \\ ' 1 \U0001f601")

    response = alice.get(f"{PREFIX}/", query_string={"q": q})

    assert response.status_code == 200, response.text
    assert [each["model_id"] for each in response.json] == ["yes"]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\u202e", "\x7f", "\ufeff"])
def test_characters_that_no_text_may_hold_are_refused_in_a_search(alice, text):
    assert alice.get(f"{PREFIX}/", query_string={"q": text}).status_code == 422


MANY = " ".join(map(str, range(1000, 1000 + MAX_WORDS)))


@pytest.mark.parametrize("path", ["/", "/summary", "/details"])
def test_a_search_takes_a_limited_number_of_words(alice, path):
    hundred = " ".join("abcdefghijklmnopqrstuvwxyzäöüßéèêáàâíìîóòôúùûαβγδε")[:100]

    def answer(q):
        return alice.get(f"{PREFIX}{path}", query_string={"q": q})

    assert [answer(q).status_code for q in (MANY, f"{MANY} 1001", MANY + " 2000")] == [
        200,
        200,
        422,
    ]
    assert answer(hundred).json["errors"] == [
        {"field": "q", "message": f"Must be at most {MAX_WORDS} words."}
    ]


def test_a_search_from_python_takes_a_limited_number_of_words(host, alice):
    register(alice, "m", description=MANY)
    with host.app.app_context():
        user = host.load("alice")
        assert len(host.registry.list(user=user, q=f"  {MANY}\n")) == 1
        assert host.registry.summary(user=user, q="   ")["total"] == 1
        for q in (f"{MANY} 2000", "\ufdfa \ufdfb " + MANY[:30], "\ud800"):
            with pytest.raises(ValidationError) as caught:
                host.registry.list(user=user, q=q)
            assert [field for field, _ in caught.value.errors] == ["q"]


def test_the_longest_model_is_found_by_all_but_its_last_words(alice):
    """32 abilities and 512 characters of a description stand in the text, in common letters."""
    abilities = [f"{number:02}" + "a" * 62 for number in range(32)]
    description = "d" * (SEARCHED_DESCRIPTION_LENGTH - 3) + "end" + "late"
    register(alice, "m" * 255, model_name="n" * 255, model_provider="openai", abilities=abilities,
             description=description)  # fmt: skip

    assert len(found(alice, "31a end openai")) == 1
    assert found(alice, "late") == []


LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]),
                  max_size=40)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(LETTERS, LETTERS)
def test_a_text_holds_each_of_its_words_in_any_case(before, word):
    text = search_text(f"{before} {word}", "x")

    for variant in (word, word.upper().casefold(), word.casefold()):
        assert all(each in text for each in search_text(variant).split()), (text, variant)
    assert search_text(text) == text


def test_the_text_has_a_bound(host, alice):
    assert len(search_text("\ufdfa" * 4096)) == MAX_SEARCH_TEXT_LENGTH
    register(alice, "m", model_name="\ufdfa" * 255, description="\ufdfa" * 4096)
    assert found(alice, "صلى") == ["m"]
