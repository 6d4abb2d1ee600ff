"""Pasted base URLs, API keys and providers are understood, or refused with help."""

import re

import pytest

from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.app_providers import Catalogue
from flask_model_registry.providers.base_urls import parse_base_url
from flask_model_registry.providers.pasted import base_url_of
from tests.addresses import SPELLINGS
from tests.doc_runner import ROOT, text_of
from tests.hosts import CANARY, PREFIX, connection, model, register
from tests.upstream import LISTING, Upstream, answers

pytestmark = pytest.mark.databases("sqlite")

OWN = "https://a.example"
AZURE = "https://x.openai.azure.com"
FOUNDRY = "https://x.services.ai.azure.com"
GOOGLE = "https://generativelanguage.googleapis.com"

# The provider, the pasted URL, and the URL where its models are then called.
MEANT = [
    ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
    ("openai", "HTTPS://API.OpenAI.com/", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1/responses/", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1/models", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1/images/generations", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1/audio/speech", "https://api.openai.com/v1"),
    ("openai", "https://api.openai.com/v2", "https://api.openai.com/v2"),
    ("openrouter", "https://openrouter.ai", "https://openrouter.ai/api/v1"),
    ("openrouter", "https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
    ("openrouter", "https://openrouter.ai/api/v1/embeddings", "https://openrouter.ai/api/v1"),
    ("groq", "https://api.groq.com/openai/", "https://api.groq.com/openai/v1"),
    ("groq", "https://api.groq.com/openai/models", "https://api.groq.com/openai/v1"),
    ("mistral", "https://a.example", "https://a.example"),
    ("anthropic", "https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1"),
    ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
    ("gemini", f"{GOOGLE}/v1beta", f"{GOOGLE}/v1beta/openai"),
    ("gemini", f"{GOOGLE}/v1beta/models", f"{GOOGLE}/v1beta/openai"),
    (
        "gemini",
        f"{GOOGLE}/v1beta/models/gemini-x:generateContent",
        f"{GOOGLE}/v1beta/openai",
    ),
    ("gemini", f"{GOOGLE}/v1beta/openai/chat/completions", f"{GOOGLE}/v1beta/openai"),
    (
        "azure-openai",
        f"{AZURE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
        f"{AZURE}/openai/v1",
    ),
    (
        "azure-openai",
        f"{AZURE}/openai/responses?api-version=2025-04-01-preview",
        f"{AZURE}/openai/v1",
    ),
    (
        "azure-openai",
        f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview",
        f"{FOUNDRY}/openai/v1",
    ),
    ("azure-openai", f"{AZURE}/openai/v1/", f"{AZURE}/openai/v1"),
    ("azure-openai", f"{OWN}/openai/deployments/d", f"{OWN}/openai/deployments/d"),
    ("cohere", "https://api.cohere.com/v2/chat", "https://api.cohere.com/compatibility/v1"),
    ("cohere", "https://api.cohere.com/v2/rerank", "https://api.cohere.com/compatibility/v1"),
    ("ollama", "http://localhost:11434/api", "http://localhost:11434/v1"),
    ("ollama", "http://localhost:11434/api/chat", "http://localhost:11434/v1"),
    ("ollama", "http://localhost:11434/api/embeddings", "http://localhost:11434/v1"),
    ("ollama", f"{OWN}/ollama", f"{OWN}/ollama/v1"),
    ("lm-studio", "http://localhost:1234", "http://localhost:1234/v1"),
    ("lm-studio", "http://localhost:1234/v1/models", "http://localhost:1234/v1"),
    ("vllm", "http://localhost:8000/", "http://localhost:8000/v1"),
    ("openai-compatible", f"{OWN}/api/chat/completions", f"{OWN}/api"),
    ("openai-compatible", f"{OWN}/api/models", f"{OWN}/api"),
    ("openai-compatible", f"{OWN}/models", f"{OWN}/models"),
    ("openai-compatible", OWN, OWN),
    ("unknown", f"{OWN}/v1/rerank", f"{OWN}/v1"),
    ("unknown", f"{OWN}/x/chat", f"{OWN}/x/chat"),
    ("bedrock", OWN, OWN),
    ("openai", "https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
    ("openai", "https://BÜCHER.example:8443/v1", "https://xn--bcher-kva.example:8443/v1"),
    ("openai", "https://пример.example/v1", "https://xn--e1afmkfd.example/v1"),
]


@pytest.mark.parametrize(("provider", "pasted", "called"), MEANT)
def test_a_pasted_base_url_is_understood(provider, pasted, called):
    known = Catalogue()[provider]

    saved = base_url_of(pasted, known)

    assert DIALECTS[known.dialect or "openai"].completed(saved).rstrip("/") == called
    assert base_url_of(saved, known) == saved


# URLs that are still refused, for each provider.
REFUSED = [
    *(f"https://{host}/v1" for host in SPELLINGS if host.lower() != "localhost"),
    "https://", "https:///v1", "https:///", "https:/api.openai.com", "https:api.openai.com", "api.openai.com",
    "https://api.openai.com?api-version=1", "https://api.openai.com/v1?key=x", "https://api.openai.com#/v1",
    "https://api.openai.com\\@evil.example/v1", "https://evil.example@api.openai.com", "https://straße.example/v1",
    "https://faß.example", "https://\u200dx.example", "https://a\u00adb.example", "https://①②⑦.0.0.1",
    "https://x。example", "https://ｅxample.com", "https://\u212a.example", "https://ü@a.example", "https://ü:x/",
    "https://ü%2f.example", "https://" + "ü" * 64 + ".example", "https://xn--bcher-kva.example/é",
    f"{AZURE}/openai?api-version=1&key=x", f"{AZURE}/openai/chat/completions?api-version=", f"{AZURE}/openai?key=x",
]  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("provider", ["openai", "azure-openai", "ollama", "gemini", "unknown"])
def test_an_ambiguous_url_stays_refused(alice, provider):
    kept = [
        pasted
        for pasted in REFUSED
        if not (provider == "azure-openai" and pasted == "https://api.openai.com?api-version=1")
        and alice.post(
            f"{PREFIX}/register", json=model(model_provider=provider, base_url=pasted)
        ).status_code
        != 422
    ]

    assert kept == []


@pytest.mark.parametrize("provider", [*Catalogue(), "unknown"])
def test_a_key_goes_to_the_server_that_was_pasted(provider):
    known = Catalogue()[provider]
    origins = (
        "https://a.example", "https://api.openai.com.evil.example", "https://api.openai.co", "https://api.openai.com:444",
        "http://api.openai.com", "https://[2606:4700::1]:8443", "https://8.8.8.8",
    )  # fmt: skip
    paths = (
        "",
        "/",
        "/v1",
        "/api",
        "/api/chat",
        "/openai/deployments/d/chat/completions",
        "/v1/models",
    )

    for url in (origin + path for origin in origins for path in paths):
        assert parse_base_url(base_url_of(url, known)).origin == parse_base_url(url).origin


def test_the_address_to_use_is_named(alice):
    def told(**fields):
        response = alice.post(f"{PREFIX}/register", json=model(**fields))
        ((error,), status) = response.json["errors"], response.status_code
        return status, error["field"], error["message"]

    assert told(base_url="https://api.openai.com/v1?key=x") == (
        422,
        "base_url",
        "Give a base URL such as https://api.example.com/v1, without user name, query, fragment or "
        "escapes. If left out, it is https://api.openai.com/v1.",
    )
    assert told(model_provider="acme", base_url=f"{AZURE}/openai?api-version=2024-10-21") == (
        422,
        "base_url",
        "Give a base URL such as https://api.example.com/v1, without user name, query, fragment or "
        "escapes. For an Azure URL, choose the provider azure-openai.",
    )


def test_the_saved_url_is_the_one_that_is_called_and_tested(alice, host):
    upstream = Upstream(answers(LISTING))
    pasted = f"HTTP://LocalHost:{upstream.port}/v1/chat/completions"
    saved = f"http://LocalHost:{upstream.port}/v1"
    (row_id,) = register(alice, "m", base_url=pasted)

    tested = alice.post(f"{PREFIX}/test-connection", json=connection(base_url=pasted)).json
    listed = alice.post(
        f"{PREFIX}/providers/openai/models", json={"api_key": CANARY, "base_url": pasted}
    ).json

    assert alice.get(f"{PREFIX}/{row_id}").json["base_url"] == saved
    assert (tested["result"], "other" in listed["models"]) == ("ok", True)
    assert {request.split()[1] for request in upstream.requests} == {"/v1/models"}
    with host.app.app_context():
        resolved = host.registry.resolve("m", user=host.load("alice"))
    assert resolved.base_url == saved
    # To the same server, the key that is stored may stay.
    changed = alice.patch(f"{PREFIX}/{row_id}", json={"base_url": pasted})
    assert changed.json["base_url"] == saved
    assert changed.json["updated_at"] is None
    upstream.close()


def test_a_url_saved_before_stays_unchanged(host, alice):
    (row_id,) = register(alice, "m", model_provider="acme", base_url=OWN)
    models = host.registry.tables.models
    old = {"model_provider": "together_ai", "base_url": f"{OWN}/chat/completions"}
    host.execute(models.update().values(old))
    whole = alice.get(f"{PREFIX}/{row_id}").json
    sent = {name: whole[name] for name in ("model_id", "model_provider", "model_name", "base_url")}

    for answer in (
        alice.put(f"{PREFIX}/{row_id}", json={**sent, "description": "new"}),
        alice.patch(f"{PREFIX}/{row_id}", json={**sent, "description": "newer"}),
    ):
        assert answer.status_code == 200, answer.text
        assert {name: answer.json[name] for name in old} == old
    with host.app.app_context():
        assert host.registry.resolve("m", user=host.load("alice")).base_url == old["base_url"]


@pytest.mark.parametrize(
    ("name", "saved"),
    [("together_ai", "together"), ("Azure_OpenAI", "azure-openai"), ("lm_studio", "lm-studio"),
     ("google_gemini", "gemini"), ("my_own", "my_own")],
)  # fmt: skip
def test_an_underscore_in_a_provider_is_a_hyphen(alice, name, saved):
    (row_id,) = register(alice, "m", model_provider=name, base_url=OWN)

    assert alice.get(f"{PREFIX}/{row_id}").json["model_provider"] == saved
    (listed,) = alice.get(f"{PREFIX}/?model_provider={name}").json
    assert listed["id"] == row_id


KEYS = {
    f"Bearer {CANARY}": "Leave out 'Bearer': calls add it.",
    f"authorization: bearer  {CANARY}": "Leave out 'Bearer': calls add it.",
    f"{CANARY}\n": "Leave out the blank or line break around the key.",
    f" {CANARY}": "Leave out the blank or line break around the key.",
    f"{CANARY}\n{CANARY}": "Must be one key, without blanks or line breaks.",
    f"sk-{CANARY},sk-{CANARY}": "Must be one key; these are several.",
    "your-api-key-here": "This is a placeholder, not a key.",
    "YOUR_OPENAI_API_KEY": "This is a placeholder, not a key.",
    "<api-key>": "This is a placeholder, not a key.",
    "{{API_KEY}}": "This is a placeholder, not a key.",
    "${OPENAI_API_KEY}": "This is the name of a variable, not a key.",
    "$OPENAI_API_KEY": "This is the name of a variable, not a key.",
    "%OPENAI_API_KEY%": "This is the name of a variable, not a key.",
    "os.environ/OPENAI_API_KEY": "This is the name of a variable, not a key.",
}


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_the_error_says_what_is_wrong_with_a_key(alice, key):
    (row_id,) = register(alice, "m")

    for answer in (
        alice.post(f"{PREFIX}/register", json=model(model_id="n", api_key=key)),
        alice.put(f"{PREFIX}/{row_id}/credential", json={"api_key": key}),
        alice.patch(f"{PREFIX}/{row_id}", json={"api_key": key}),
        alice.post(f"{PREFIX}/test-connection", json=connection(base_url=OWN, api_key=key)),
    ):
        assert answer.status_code == 422
        assert answer.json["errors"] == [{"field": "api_key", "message": KEYS[key]}]


def test_the_table_of_what_is_pasted_is_true():
    text = text_of(ROOT / "docs" / "providers.md", "Paste a base URL")
    rows = re.findall(r"^\| `(.*)` \| (.*) \| `(.*)` \|$", text, re.MULTILINE)

    assert len(rows) == 7
    for pasted, provider, saved in rows:
        known = Catalogue()["openai" if provider == "any" else provider.strip("`")]
        assert base_url_of(pasted, known) == saved
