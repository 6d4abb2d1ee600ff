"""Which fields are valid, by themselves and together."""

import pytest
from marshmallow import fields

from flask_model_registry import Secret, ValidationError
from flask_model_registry.schemas import ModelRepresentation, NewModel, load
from tests.hosts import CANARY, PREFIX, model


def faults(response):
    assert response.status_code == 422, response.text
    assert response.mimetype == "application/problem+json"
    return {error["field"] for error in response.json["errors"]}


INVALID = {
    "model_id": [
        "",
        " ",
        "-a",
        ".a",
        "a b",
        "a//b",
        "a/",
        "a/./b",
        "a/../b",
        "a/..",
        "a\n",
        "a%2f",
        "a" * 256,
        "１２",
        "a\u0000",
        "a?b",
        "a#b",
        "a\\b",
        5,
        None,
        True,
        ["a"],
        {},
    ],
    "model_provider": ["", "open ai", "ä", "a" * 65, "-a", "a/b", 1, None],
    "model_name": [
        "",
        " ",
        " a",
        "a ",
        "a\nb",
        "a\u0000",
        "\ud800",
        "a\u202eb",
        "a" * 256,
        1,
        None,
        "\u200b\ufeff",
        "a\u2028b",
        "\u200b",
        "\u2060",
        "\u3164",
        "\U000e0041",
    ],
    "category": ["", "LLM", "llm ", "llm\n", "chat", 1, None, ["llm"]],
    "base_url": [
        "",
        "example.com",
        "ftp://example.com",
        "https://",
        "https://a b.example.com",
        "https://user@example.com",
        "https://user:pw@example.com",
        "//example.com",
        "https://example.com#f",
        "https://example.com?q=1",
        "https://example.com\\@x.com",
        "https://exa%6dple.com",
        "https://example.com/%2e%2e",
        "https://example.com/../x",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:x",
        "https://example..com",
        "https://-a.example.com",
        "https://exämple.com:x",
        "https://user@exämple.com",
        "https://straße.com",  # another server for browsers than for Python
        "https://①②⑦.0.0.1",
        "https://example.com.",
        "https://" + "a" * 64 + ".com",
        "http://example.com",
        "https://[::1",
        "https://1.2.3",
        "https://0x7f.1",
        "https://127.1",
        "javascript:x",
        "https://example.com/" + "a" * 2048,
        "https://example.com/\n",
        " https://example.com",
        "https://[::ffff:1.2.3.4]",
        "https://[2001:0db8::1]",
        "https://１.1.1.1",
        5,
    ],
    "temperature": [-0.1, 2.1, "0.7", "", True, [], {}, 10**400],
    "dimension": [0, -1, 65537, 3.7, 3.0, "3", True, 2**31, 2**63, 10**300, []],
    "abilities": [
        "chat",
        [""],
        [1],
        [None],
        ["a b"],
        ["A"],
        ["a"] * 2,
        ["a" * 65],
        {"a": 1},
        [f"a{n}" for n in range(33)],
        [["a"]],
        ["\ud800"],
        [True],
        0,
        False,
        "",
    ],
    "description": [
        "a\u0000",
        "a\u001b[31m",
        "\ud800",
        "a\u202e",
        "a" * 4097,
        1,
        {},
    ],
    "share_with_users": ["yes", "true", 1, 0, None, [], ""],
    "api_key": [
        "",
        " ",
        "sk-***",
        "***",
        "xxxx",
        "sk-...abcd",
        "\u2022\u2022\u2022",
        f"{CANARY}\n",
        f"{CANARY}\r\nX: y",
        f"{CANARY}\u0000",
        f"{CANARY}\ud800",
        f"{CANARY}模",
        f"a {CANARY}",
        CANARY + "k" * 8192,
        f"Bearer {CANARY}",
        f"{CANARY},{CANARY}",
        "your-api-key-here",
        "<KEY>",
        "${OPENAI_API_KEY}",
        "$OPENAI_API_KEY",
        "os.environ/OPENAI_API_KEY",
        5,
        None,
        [CANARY],
        {CANARY: CANARY},
    ],
}
CASES = [(field, value) for field, values in INVALID.items() for value in values]


@pytest.mark.sampled(56)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("field", "value"), CASES, ids=[f"{f}-{i}" for i, (f, _) in enumerate(CASES)]
)
def test_a_field_that_is_not_valid_is_named(alice, field, value):
    body = model(**{field: value})
    if field == "dimension":
        body["category"] = "embedding"

    response = alice.post(f"{PREFIX}/register", json=body)

    assert {name.partition(".")[0] for name in faults(response)} == {field}


@pytest.mark.databases("sqlite")
def test_nothing_invalid_leaves_a_trace(host, alice):
    for field, value in CASES:
        alice.post(f"{PREFIX}/register", json=model(**{"category": "embedding", field: value}))

    assert host.rows("models") == host.rows("abilities") == []


VALID = {
    "model_id": [
        "a",
        "A/b:c@d+e-f.g_h",
        "by-id",
        "defaults",
        "register",
        "5",
        "a" * 255,
        "a/b/c/..d",
        "@cf/meta/llama",
        "~latest",
        "ä",
    ],
    "base_url": [
        "https://example.com",
        "https://EXAMPLE.com/",
        "https://8.8.8.8/v1",
        "https://[2606:4700::1]:8443/v1",
        "http://localhost:11434/v1",
        None,
        "https://xn--exmple-cua.com/a(b)/~c",
    ],
    "temperature": [0, 2, 1.5, None, -0.0],
    "abilities": [[], None, ["chat", "tool_calling", "x.y-z:1"]],
    "description": ["", " ", "a\r\nb\n", "a\nb\tc", "模型 \U0001f600", None, "d" * 4096],
    "model_name": ["a", "模型", "n" * 255],
    "api_key": ["EMPTY", "x", "none", "k" * 8192, "!~\"'\\<>&", "your-own", "a,b", "$2b$10"],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in VALID.items() for value in values]
)
def test_a_field_that_is_valid_is_kept(alice, field, value):
    response = alice.post(f"{PREFIX}/register", json=model(**{field: value}))

    assert response.status_code == 201, response.text
    if field != "api_key":
        assert alice.get(response.headers["Location"]).json[field] == value


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("category", "given", "wrong"),
    [
        ("embedding", {"abilities": ["chat"]}, {"abilities"}),
        ("embedding", {"abilities": ["embedding"], "dimension": 1536}, set()),
        ("embedding", {"temperature": 1}, {"temperature"}),
        ("image", {"abilities": ["generate", "edit"], "temperature": 1}, set()),
        ("image", {"abilities": ["chat"], "dimension": 3}, {"abilities", "dimension"}),
        ("speech", {"abilities": ["asr", "tts"]}, set()),
        ("speech", {"abilities": ["generate"], "temperature": 1}, {"abilities", "temperature"}),
        ("rerank", {"abilities": ["rerank"]}, set()),
        ("rerank", {"abilities": ["rerank", "asr"]}, {"abilities"}),
        ("llm", {"dimension": 3}, {"dimension"}),
    ],
)
def test_fields_must_go_with_the_category(alice, category, given, wrong):
    response = alice.post(f"{PREFIX}/register", json=model(category=category, **given))

    assert response.status_code == (422 if wrong else 201), response.text
    assert {error["field"] for error in response.json.get("errors", [])} == wrong


@pytest.mark.databases("sqlite")
def test_all_problems_are_reported_at_once(alice):
    response = alice.post(f"{PREFIX}/register", json={"model_id": "", "colour": 1})

    missing = {"model_provider", "model_name", "api_key"}
    assert faults(response) == {"model_id", "colour"} | missing


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "url", ["http://example.com", "https://10.0.0.1", "https://169.254.169.254", "https://intranet"]
)
def test_the_error_for_an_address_that_could_be_allowed_names_the_setting(alice, url):
    response = alice.post(f"{PREFIX}/register", json=model(base_url=url))

    assert "MODEL_REGISTRY_ALLOWED_HOSTS" in response.json["errors"][0]["message"]


@pytest.mark.databases("sqlite")
def test_a_problem_never_quotes_the_value(alice):
    body = model(api_key=f"{CANARY} ", model_name=CANARY + "\n", **{CANARY: 1, CANARY[10:]: CANARY})

    response = alice.post(f"{PREFIX}/register", json=body)

    assert faults(response) == {"api_key", "model_name", ""}  # the canary fixture sees the rest


def test_the_fields_of_a_hosts_own_schema_are_named():
    class Form(NewModel):
        max_tokens = fields.Integer(required=True, data_key="maxTokens")
        settings = fields.Nested({"model_id": fields.String(required=True)})

    with pytest.raises(ValidationError) as refused:
        load(Form(), {**model(), "settings": {}, "Not a Name": CANARY})

    assert {name for name, _ in refused.value.errors} == {"maxTokens", "settings.model_id", ""}


def test_an_api_key_may_be_given_as_a_secret():
    given = model(api_key=Secret(CANARY))

    assert load(NewModel(), given)["api_key"] == Secret(CANARY)
    assert given == {}


def test_a_date_is_dumped_as_calls_from_python_return_it():
    shown = {"id": 1, "created_at": "2026-11-29T10:00:00.000000Z"}

    assert ModelRepresentation(only=["id", "created_at"]).dump(shown) == shown
