"""The catalogue: who serves models, where, and how each lists them."""

import pytest

from flask_model_registry import ConfigError, Provider
from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.base_urls import AddressPolicy, parse_base_url
from flask_model_registry.providers.catalogue import PROVIDERS
from flask_model_registry.providers.known_providers import Catalogue
from tests.hosts import PREFIX, model, register

pytestmark = pytest.mark.databases("sqlite")

AT_LEAST = (
    "openai anthropic gemini azure-openai openrouter mistral groq deepseek dashscope zhipu moonshot "
    "minimax xai cohere together fireworks huggingface nvidia bedrock xinference ollama vllm lm-studio "
    "openai-compatible"
).split()


def test_the_known_providers_are_listed_for_whoever_is_logged_in(alice):
    providers = {each["id"]: each for each in alice.get(f"{PREFIX}/providers").json}

    assert {*AT_LEAST} <= {*providers}
    assert providers["anthropic"] == {
        "id": "anthropic",
        "name": "Anthropic",
        "aliases": ["claude"],
        "base_url": "https://api.anthropic.com/v1",
        "needs_base_url": False,
        "needs_key": True,
        "can_be_tested": True,
        "categories": ["llm"],
    }
    assert providers["ollama"]["needs_base_url"]
    assert not providers["ollama"]["needs_key"]
    assert not providers["bedrock"]["can_be_tested"]


def test_a_provider_of_the_hosts_own_is_listed(hosts):
    host = hosts(providers=[Provider("openai", "Ours", "https://ai.example.com/v1")])

    providers = host.client("alice").get(f"{PREFIX}/providers").json

    assert [each["name"] for each in providers if each["id"] == "openai"] == ["Ours"]


def test_each_provider_speaks_its_dialect_and_says_what_it_needs():
    special = {
        "anthropic": "anthropic",
        "gemini": "gemini",
        "azure-openai": "azure-openai",
        "cohere": "cohere",
        "together": "together",
        "ollama": "ollama",
        "bedrock": None,
    }
    no_address = {"azure-openai", "bedrock", "openai-compatible"}
    no_key = {"xinference", "ollama", "vllm", "lm-studio"}
    for provider in PROVIDERS:
        shown = provider.shown()
        assert provider.dialect == special.get(provider.id, "openai")
        assert shown["can_be_tested"] is (provider.id != "bedrock")
        assert shown["needs_base_url"] is (provider.id in no_address | no_key)
        assert shown["needs_key"] is (provider.id not in no_key)


def test_no_name_stands_for_two_providers():
    names = [name for each in PROVIDERS for name in (each.id, *each.aliases)]

    assert len({*names}) == len(names)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.id)
def test_the_addresses_of_providers_are_public(provider):
    if provider.base_url is not None:
        AddressPolicy().check(parse_base_url(provider.base_url))
    assert provider.dialect in (None, *DIALECTS)


@pytest.mark.parametrize(
    ("name", "saved"),
    [("Claude", "anthropic"), ("google", "gemini"), ("azure", "azure-openai"), ("kimi", "moonshot"),
     ("grok", "xai"), ("hf", "huggingface"), ("lmstudio", "lm-studio"), ("unknown-co", "unknown-co")],
)  # fmt: skip
def test_other_names_are_saved_as_the_providers_own(alice, name, saved):
    (row_id,) = register(alice, "m", model_provider=name, base_url="https://a.example.com")

    assert alice.get(f"{PREFIX}/{row_id}").json["model_provider"] == saved


@pytest.mark.parametrize(
    ("name", "hint"),
    [("opanai", " Did you mean openai?"), ("Antropic", " Did you mean anthropic?"),
     ("open_router", " Did you mean openrouter?"), ("claud", " Did you mean claude?"),
     ("acme", ""), ("sk-1234567890abcdef", "")],
)  # fmt: skip
def test_an_unknown_provider_is_reported_as_one(alice, name, hint):
    told = f"Unknown provider.{hint} GET /providers lists them; any other needs a base_url."
    fields = {"model_name": "m", "api_key": "k"}
    answers = [
        alice.post(f"{PREFIX}/register", json=model(model_provider=name)),
        alice.post(f"{PREFIX}/test-connection", json={**fields, "model_provider": name}),
        alice.post(f"{PREFIX}/providers/{name}/models", json={"api_key": "k"}),
    ]

    for answer in answers:
        assert answer.status_code == 422
        first, second = answer.json["errors"]
        assert first == {"field": "model_provider", "message": told}
        assert second["field"] == "base_url"


def test_a_known_provider_without_a_url_asks_for_one(alice):
    answer = alice.post(f"{PREFIX}/register", json=model(model_provider="ollama"))

    assert answer.json["errors"] == [
        {"field": "base_url", "message": "This provider has no URL of its own, so give one."}
    ]


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (Provider("Acme", "Acme"), "id of a Provider"),
        (Provider("acme", "Acme", "https://a.example/?x"), "base_url of a Provider"),
        (Provider("acme", "Acme", dialect="klingon"), "dialect of a Provider"),
        (Provider("acme", "Acme", aliases=("Acme AI",)), "so its aliases"),
        (Provider("acme", "Acme", aliases="acme-ai"), "must be tuples"),
        (Provider("acme", "Acme", categories="llm"), "must be tuples"),
        ({"id": "acme"}, "Provider objects, not dict"),
    ],
    ids=range(7),
)
def test_a_provider_that_cannot_work_is_refused(provider, message):
    with pytest.raises(ConfigError, match=message):
        Catalogue([provider])


def test_two_providers_of_one_name_are_refused():
    for twin in (Provider("acme", "A"), Provider("b", "B", aliases=("acme",))):
        with pytest.raises(ConfigError, match="same id or alias"):
            Catalogue([Provider("acme", "Acme"), twin])


def test_a_provider_of_the_hosts_own_may_take_a_name_of_a_built_in_one():
    catalogue = Catalogue([Provider("qwen", "Qwen"), Provider("mine", "Mine", aliases=("claude",))])

    assert [catalogue.canonical(name) for name in ("Qwen", "claude")] == ["qwen", "mine"]


LISTS = [
    ("openai", "https://a.example/v1", "https://a.example/v1/models", "Authorization", "Bearer k"),
    ("openai", "https://a.example/v1/", "https://a.example/v1/models", "Authorization", "Bearer k"),
    ("anthropic", "https://a.example/v1", "https://a.example/v1/models?limit=1000", "x-api-key", "k"),
    ("anthropic", "https://a.example", "https://a.example/v1/models?limit=1000", "x-api-key", "k"),
    ("gemini", "https://a.example/v1beta/openai", "https://a.example/v1beta/models?pageSize=1000", "x-goog-api-key", "k"),
    ("gemini", "https://a.example/v1beta", "https://a.example/v1beta/models?pageSize=1000", "x-goog-api-key", "k"),
    ("azure-openai", "https://a.example", "https://a.example/openai/v1/models", "api-key", "k"),
    ("azure-openai", "https://a.example/openai/v1", "https://a.example/openai/v1/models", "api-key", "k"),
    ("cohere", "https://a.example/compatibility/v1", "https://a.example/v1/models?page_size=1000", "Authorization", "Bearer k"),
    ("cohere", "https://a.example", "https://a.example/v1/models?page_size=1000", "Authorization", "Bearer k"),
    ("ollama", "http://v1", "http://v1/api/tags", "Authorization", "Bearer k"),
    ("gemini", "https://openai", "https://openai/v1beta/models?pageSize=1000", "x-goog-api-key", "k"),
    ("ollama", "http://a.example:11434/v1", "http://a.example:11434/api/tags", "Authorization", "Bearer k"),
    ("ollama", "http://a.example:11434", "http://a.example:11434/api/tags", "Authorization", "Bearer k"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "base_url", "called"),
    [
        ("ollama", "http://a.example:11434", "http://a.example:11434/v1"),
        ("ollama", "http://a.example:11434/", "http://a.example:11434/v1"),
        ("ollama", "http://a.example:11434/v1", "http://a.example:11434/v1"),
        ("ollama", "https://a.example/ollama/v1/", "https://a.example/ollama/v1/"),
        ("anthropic", "https://a.example", "https://a.example/v1"),
        ("gemini", "https://a.example", "https://a.example/v1beta/openai"),
        ("azure-openai", "https://a.example/", "https://a.example/openai/v1"),
        ("cohere", "https://[2606:4700::1]", "https://[2606:4700::1]/compatibility/v1"),
        ("openai", "https://a.example", "https://a.example"),
        ("openai", "https://a.example/", "https://a.example/"),
    ],
)
def test_an_address_without_a_path_gets_that_of_its_dialect(dialect, base_url, called):
    spoken = DIALECTS[dialect]

    assert spoken.completed(base_url).rstrip("/") == called.rstrip("/")
    assert spoken.url(base_url) == spoken.url(called)


@pytest.mark.parametrize(("dialect", "base_url", "url", "header", "value"), LISTS)
def test_each_dialect_lists_where_it_does_and_has_the_key_in_its_header(
    dialect, base_url, url, header, value
):
    spoken = DIALECTS[dialect]

    assert spoken.url(base_url) == url
    assert spoken.headers("k")[header] == value
    assert [*spoken.headers("k").values()].count(value) == 1


ANSWERS = [
    ("openai", b'{"object": "list", "data": [{"id": "gpt-4o"}, {"id": "o1"}]}', ["gpt-4o", "o1"]),
    (
        "anthropic",
        b'{"data": [{"type": "model", "id": "claude-x"}], "has_more": false}',
        ["claude-x"],
    ),
    ("gemini", b'{"models": [{"name": "models/gemini-x"}]}', ["gemini-x"]),
    ("azure-openai", b'{"data": [{"id": "gpt-4o"}]}', ["gpt-4o"]),
    ("cohere", b'{"models": [{"name": "command-a"}]}', ["command-a"]),
    ("ollama", b'{"models": [{"name": "llama3:latest", "size": 1}]}', ["llama3:latest"]),
    ("together", b'[{"id": "meta-llama/x", "type": "chat"}]', ["meta-llama/x"]),
    ("openai", b'{"data": []}', []),
    ("openai", b'{"data": [1, null, {}, {"id": 5}, {"id": "x"}]}', ["x"]),
]


@pytest.mark.parametrize(("dialect", "body", "names"), ANSWERS, ids=range(len(ANSWERS)))
def test_each_dialect_reads_its_answers(dialect, body, names):
    assert DIALECTS[dialect].names(body) == names


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"5", b'"data"', b'{"data": 5}', b"{}", b"\xff", b"[" * 100_000,
     b'{"data": null}', b'{"models": []}'],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_list_of_models_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011
        DIALECTS["together"].names(body if body != b"[]" else b"{}")

    with pytest.raises(ValueError):  # noqa: PT011
        DIALECTS["openai"].names(body)
