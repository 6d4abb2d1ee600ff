"""The catalogue: who serves models, where, and how each lists them."""

import json
import re

import pytest

from flask_model_registry import ConfigError, ListApi, Provider, UnreadableCredentialError
from flask_model_registry.config import EncryptionKey
from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.app_providers import Catalogue, Providers
from flask_model_registry.providers.base_urls import AddressPolicy, parse_base_url
from flask_model_registry.providers.catalogue import PROVIDERS
from flask_model_registry.providers.client import ProviderClient
from flask_model_registry.providers.transport import Network, Transport
from flask_model_registry.secret import Secret
from flask_model_registry.services.encryption import AesGcmBox, CredentialService
from tests.doc_runner import ROOT, text_of
from tests.hosts import CANARY, PREFIX, default_context, model, register
from tests.upstream import Upstream, answers

pytestmark = pytest.mark.databases("sqlite")

IDS = (
    "openai anthropic gemini azure-openai openrouter mistral groq deepseek dashscope zhipu moonshot "
    "minimax xai cohere together fireworks huggingface nvidia bedrock xinference ollama vllm lm-studio "
    "openai-compatible azure-foundry vertex meta cerebras sambanova nebius voyage jina perplexity deepinfra "
    "databricks watsonx litellm novita modelscope siliconflow siliconflow-cn zai dashscope-intl "
    "dashscope-us moonshot-cn minimax-cn upstage snowflake cloudflare volcengine byteplus qianfan stepfun "
    "stepfun-ai tencent tencent-intl vercel baseten llama-cpp tgi tei sglang localai"
).split()


def test_the_app_providers_are_listed_for_each_user(alice):
    providers = {each["id"]: each for each in alice.get(f"{PREFIX}/providers").json}

    assert [*providers] == [each.id for each in PROVIDERS]
    assert {*IDS} == {*providers}
    assert providers["anthropic"] == {
        "id": "anthropic",
        "name": "Anthropic",
        "aliases": ["claude"],
        "base_url": "https://api.anthropic.com/v1",
        "needs_base_url": False,
        "needs_key": True,
        "can_be_tested": True,
        "categories": ["llm"],
        "keys_url": "https://platform.claude.com/settings/keys",
        "kinds": [
            {
                "kind": "key",
                "secret": [
                    {"name": "api_key", "required": True},
                    {"name": "headers", "required": False},
                ],
                "settings": [],
            }
        ],
    }
    assert providers["ollama"]["needs_base_url"]
    assert not providers["ollama"]["needs_key"]
    assert providers["bedrock"]["can_be_tested"]
    assert not providers["vertex"]["can_be_tested"]


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
        "azure-foundry": "azure-openai",
        "vertex": None,
        "watsonx": None,
    }
    of_each_customer = (
        "azure-openai azure-foundry bedrock vertex watsonx databricks snowflake cloudflare litellm "
        "openai-compatible"
    )
    no_address = {*of_each_customer.split()}
    no_key = {*"ollama vllm sglang llama-cpp lm-studio localai xinference tgi tei".split()}
    for provider in PROVIDERS:
        shown = provider.shown()
        assert provider.dialect == special.get(provider.id, "openai")
        assert shown["can_be_tested"] is (provider.dialect is not None)
        assert shown["needs_base_url"] is (provider.id in no_address | no_key)
        assert shown["needs_key"] is (provider.id not in no_key)


def test_a_provider_whose_list_checks_no_key_may_have_another_check():
    listing = {provider.id: provider for provider in PROVIDERS if provider.lists_to_anyone}

    assert {"openrouter", "huggingface", "nvidia"} <= {*listing}
    assert {each.id for each in PROVIDERS if each.key_check} <= {*listing}
    assert listing["openrouter"].key_check == "/api/v1/models/user"


def test_servers_of_users_own_are_asked_whether_they_check_the_key():
    """That depends on how each server was started."""
    assert [each.id for each in PROVIDERS if each.lists_to_anyone and not each.base_url] == []


def test_no_name_stands_for_two_providers():
    names = [name for each in PROVIDERS for name in (each.id, *each.aliases)]

    assert len({*names}) == len(names)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.id)
def test_the_addresses_of_providers_are_public(provider):
    if provider.base_url is not None:
        AddressPolicy().check(parse_base_url(provider.base_url))
    assert provider.dialect in (None, *DIALECTS)


def test_a_provider_that_moved_is_named_where_people_upgrade():
    """Stored API keys of models without a base URL go where their provider is."""
    addresses = {provider.id: provider.base_url for provider in PROVIDERS}
    released = json.loads((ROOT / "tests" / "pins" / "addresses.json").read_text())
    text = text_of(ROOT / "docs" / "upgrading.md", "Upgrade from 0.1.0")

    moved = {name for name, url in released.items() if addresses.get(name) != url}

    rows = re.findall(r"^\| `([\w-]+)` \| `(.+)` \| `(.+)` \|$", text, re.MULTILINE)
    assert {(name, released[name], addresses[name]) for name in moved} == {*rows}


def test_an_api_key_stays_with_its_base_url_and_otherwise_follows_the_provider():
    box = AesGcmBox([EncryptionKey("k", bytes(32))])
    before, after = (
        CredentialService(
            box, None, Providers(Catalogue([Provider("acme", "Acme", url)]), AddressPolicy(), None)
        )
        for url in ("https://old.example/v1", "https://new.example/v1")
    )
    called = {}
    for base_url in (None, "https://old.example/v1"):
        row = dict.fromkeys(
            "id model_id category model_name temperature dimension abilities parameters info".split()
        )
        row |= {"uuid": "u", "model_provider": "acme", "base_url": base_url}
        row |= before.encrypt(row, Secret(CANARY))
        called[base_url] = after.resolve(row).openai_kwargs()
        with pytest.raises(UnreadableCredentialError):
            after.decrypt({**row, "base_url": "https://new.example/v1"})

    assert called == {
        None: {"api_key": CANARY, "base_url": "https://new.example/v1"},
        "https://old.example/v1": {"api_key": CANARY, "base_url": "https://old.example/v1"},
    }


def test_a_model_at_the_former_address_moves_with_its_api_key_only(host, alice):
    former = "https://api.together.xyz/v1"
    (row_id,) = register(alice, "m", model_provider="together", base_url=former)
    url = f"{PREFIX}/{row_id}"

    refused = alice.patch(url, json={"base_url": None})
    moved = alice.patch(url, json={"base_url": None, "api_key": CANARY})

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "api_key")
    assert (moved.status_code, moved.json["base_url"]) == (200, None)


def test_a_model_saved_under_what_is_now_an_alias_works_and_keeps_its_api_key(host, alice):
    (row_id,) = register(alice, "m", model_provider="volcengine", base_url="https://a.example/v3")
    host.execute(host.registry.tables.models.update().values(model_provider="doubao"))
    url = f"{PREFIX}/{row_id}"
    with host.app.app_context():
        resolved = host.registry.resolve("m", user=host.load("alice"))
    listed = [
        len(alice.get(f"{PREFIX}/?model_provider={name}").json) for name in ("doubao", "volcengine")
    ]

    changed = alice.patch(url, json={"description": "changed"})
    again = alice.patch(url, json={"model_provider": "doubao", "description": "again"})
    renamed = alice.patch(url, json={"model_provider": "volcengine"})
    moved = alice.patch(url, json={"base_url": None})

    assert resolved.openai_kwargs() == {"api_key": CANARY, "base_url": "https://a.example/v3"}
    assert listed == [0, 0]
    assert (changed.status_code, changed.json["model_provider"]) == (200, "doubao")
    assert again.status_code == 200
    assert (renamed.status_code, renamed.json["model_provider"]) == (200, "volcengine")
    assert moved.status_code == 422


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
        (Provider("Acme", "Acme"), "id and aliases of a Provider"),
        (Provider("acme", "Acme", "https://a.example/?x"), "base_url of a Provider"),
        (Provider("acme", "Acme", dialect="klingon"), "dialect of a Provider"),
        (Provider("acme", "Acme", aliases=("Acme AI",)), "the id and aliases of a Provider"),
        (Provider("acme", "Acme", aliases="acme-ai"), "must be tuples"),
        (Provider("acme", "Acme", categories="llm"), "must be tuples"),
        (Provider("acme", "Acme", key_check="user"), "key_check of a Provider"),
        (Provider("acme", "Acme", key_check="/user?key=1"), "key_check of a Provider"),
        (Provider("acme", "Acme", key_check="//evil.example/"), "key_check of a Provider"),
        (Provider("acme", "Acme", keys_url="javascript:alert(1)"), "keys_url of a Provider"),
        (Provider("acme", "Acme", keys_url="http://acme.example/keys"), "keys_url of a Provider"),
        (Provider("acme", "Acme", list_api="openai"), "must be a ListApi, not str"),
        (Provider("acme", "Acme", list_api=ListApi("models")), "path of a ListApi"),
        (Provider("acme", "Acme", list_api=ListApi(header="X Key")), "header and more"),
        (Provider("acme", "Acme", list_api=ListApi(header="Host")), "header and more"),
        (Provider("acme", "Acme", list_api=ListApi(more={"authorization": "x"})), "distinct"),
        (Provider("acme", "Acme", list_api=ListApi(scheme="Key\r\n")), "visible ASCII"),
        (Provider("acme", "Acme", list_api=ListApi(version="(")), "regular expression"),
        ({"id": "acme"}, "Provider objects, not dict"),
    ],
    ids=range(19),
)
def test_a_provider_that_cannot_work_is_refused(provider, message):
    with pytest.raises(ConfigError, match=message):
        Catalogue([provider])


def test_a_provider_may_list_its_models_in_a_way_of_its_own():
    own = ListApi(header="X-Acme-Key", scheme="", items="catalogue", name="slug")
    upstream = Upstream(answers(b'{"catalogue": [{"slug": "acme-large"}]}'))
    policy = AddressPolicy(hosts=frozenset({"up.example.com"}))
    network = Network(default_context, lambda *_: ["127.0.0.1"], sleep=lambda _: None)
    catalogue = Catalogue([Provider("acme", "Acme", list_api=own)])
    client = ProviderClient(catalogue, policy, lambda: Transport(policy, network, 5.0))
    url = f"http://up.example.com:{upstream.port}/v1"

    results = [
        client.probe("acme", url, name, CANARY).result for name in ("acme-large", "acme-small")
    ]

    upstream.close()
    assert results == ["ok", "model_not_found"]
    request = upstream.requests[0]
    assert request.splitlines()[0] == "GET /v1/models HTTP/1.1"
    assert f"x-acme-key: {CANARY}" in request.lower()
    assert "authorization" not in request.lower()


def test_two_providers_of_one_name_are_refused():
    for twin in (Provider("acme", "A"), Provider("b", "B", aliases=("acme",))):
        with pytest.raises(ConfigError, match="same id or alias"):
            Catalogue([Provider("acme", "Acme"), twin])


def test_a_provider_of_the_hosts_own_may_take_a_name_of_a_built_in_one():
    catalogue = Catalogue([Provider("qwen", "Qwen"), Provider("mine", "Mine", aliases=("claude",))])

    assert [catalogue.canonical(name) for name in ("Qwen", "claude")] == ["qwen", "mine"]


LISTS = [
    ("azure-openai", "https://a.example/openai", "https://a.example/openai/v1/models", "api-key", "k"),
    ("cohere", "https://a.example/v2", "https://a.example/v1/models?page_size=1000", "Authorization", "Bearer k"),
    ("anthropic", "https://a.example/claude", "https://a.example/claude/v1/models?limit=1000", "x-api-key", "k"),
    ("gemini", "https://a.example/projects/p/openapi", "https://a.example/projects/p/openapi/models", "x-goog-api-key", "k"),
    ("azure-openai", "https://a.example/openai/deployments/d", "https://a.example/openai/deployments/d/models", "api-key", "k"),
    ("ollama", "http://a.example/api", "http://a.example/api/models", "Authorization", "Bearer k"),
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
        ("gemini", "https://a.example/v1beta", "https://a.example/v1beta/openai"),
        ("gemini", "https://a.example/x/v1/", "https://a.example/x/v1/openai"),
        ("azure-openai", "https://a.example/openai", "https://a.example/openai/v1"),
        ("azure-openai", "https://a.example/x/openai/", "https://a.example/x/openai/v1"),
        ("cohere", "https://a.example/v2", "https://a.example/compatibility/v1"),
        ("cohere", "https://a.example/v1", "https://a.example/compatibility/v1"),
        ("cohere", "https://a.example/compatibility", "https://a.example/compatibility/v1"),
        ("anthropic", "https://a.example/claude", "https://a.example/claude/v1"),
        # Unknown forms are called and listed unchanged.
        (
            "azure-openai",
            "https://a.example/openai/deployments/d",
            "https://a.example/openai/deployments/d",
        ),
        ("gemini", "https://a.example/projects/p/openapi", "https://a.example/projects/p/openapi"),
        ("ollama", "http://a.example/api", "http://a.example/api"),
    ],
)
def test_calls_and_lists_have_one_root(dialect, base_url, called):
    spoken = DIALECTS[dialect]

    assert spoken.completed(base_url).rstrip("/") == called.rstrip("/")
    assert spoken.url(base_url) == spoken.url(called)


@pytest.mark.parametrize(("dialect", "base_url", "url", "header", "value"), LISTS)
def test_each_dialect_has_its_url_of_the_list_and_its_header(dialect, base_url, url, header, value):
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
    ("openai", b'{"object": "list", "data": null}', []),
    ("ollama", b'{"models": null}', []),
    ("openai", b'[{"id": "x"}]', ["x"]),
    ("openai", b'["x", "y"]', ["x", "y"]),
    ("openai", b'{"data": ["x"]}', ["x"]),
    ("openai", b'{"models": [{"name": "x"}]}', ["x"]),
    ("openai", b'{"data": [{"id": "x", "name": "X", "aliases": ["x-1", 5]}]}', ["x", "x-1"]),
    ("ollama", b'{"data": [{"id": "x"}]}', ["x"]),
    (
        "openai",
        b'{"models": [{"name": "a"}], "object": "list", "data": [{"id": "a.gguf", "aliases": ["a"]}]}',
        ["a.gguf", "a"],
    ),
    ("gemini", b'{"models": [{"model": "models/x"}]}', ["x"]),
]


@pytest.mark.parametrize(("dialect", "body", "names"), ANSWERS, ids=range(len(ANSWERS)))
def test_each_dialect_reads_its_answers(dialect, body, names):
    assert DIALECTS[dialect].page(body) == (names, "")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"5", b'"data"', b'{"data": 5}', b"{}", b"\xff", b"[" * 100_000, b"[5]",
     b'{"data": null, "error": "no"}', b'{"data": [{}]}', b'{"data": {"id": "x"}}',
     b'{"data": ["x"], "has_more": true, "last_id": "\\ud800", "nextPageToken": "\\ud800", '
     b'"next_page_token": "\\ud800"}'],
    ids=range(13),
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_response_that_is_not_a_list_of_models_is_refused(dialect, body):
    with pytest.raises(ValueError):  # noqa: PT011
        DIALECTS[dialect].page(body)
