"""The arguments that a resolved model has for each client, and those that it refuses."""

import asyncio
import dataclasses
import re
from dataclasses import replace
from importlib.util import find_spec

import pytest

from flask_model_registry import Provider, ResolvedModel, UnsupportedClientError
from flask_model_registry.providers.catalogue import PROVIDERS
from tests.hosts import CANARY, model
from tests.upstream import Upstream, answers

pytestmark = pytest.mark.databases("sqlite")
needs_httpx2 = pytest.mark.skipif(find_spec("httpx2") is None, reason="httpx2 is not installed")


@pytest.fixture
def inside(host):
    """The host, in an app context."""
    host.user("alice")
    with host.app.app_context():
        yield host


# The arguments of the clients for one kind of API, for a model at https://a.example.
OWN = {
    "anthropic_kwargs": ("anthropic", {"api_key": CANARY, "base_url": "https://a.example"}),
    "azure_kwargs": ("azure-openai", {"api_key": CANARY, "azure_endpoint": "https://a.example"}),
    "google_kwargs": (
        "gemini",
        {
            "api_key": CANARY,
            "vertexai": False,
            "http_options": {"base_url": "https://a.example", "api_version": "v1beta"},
        },
    ),
    "ollama_kwargs": (
        "ollama",
        {
            "host": "https://a.example",
            "headers": {"Authorization": f"Bearer {CANARY}"},
            "follow_redirects": False,
        },
    ),
}


def test_each_model_has_the_kwargs_of_its_providers_clients_and_names_them(inside):
    """Each provider of the catalogue, in each of its categories."""
    alice = inside.load("alice")
    everyones = {name for name in dir(ResolvedModel) if name.endswith("_kwargs")}
    everyones -= {*OWN, "call_kwargs", "boto3_kwargs"}
    for provider in (*PROVIDERS, Provider("unknown", "Unknown")):
        for category in provider.categories:
            fields = model(model_provider=provider.id, base_url="https://a.example")
            created = inside.registry.create(
                user=alice,
                **{**fields, "model_id": f"{provider.id}/{category}", "category": category},
            )
            resolved = inside.registry.resolve(created["id"], user=alice)
            own = {name for name, (dialect, _) in OWN.items() if dialect == provider.dialect}
            for name in everyones:
                assert getattr(resolved, name)()["api_key"] == CANARY
            for name in own:
                assert getattr(resolved, name)() == OWN[name][1]
            if provider.dialect == "openai":  # a gateway there may have any API
                for name in OWN:
                    assert CANARY in str(getattr(resolved, name)())
                if provider.base_url is None:
                    continue
                resolved = replace(resolved, base_url=provider.base_url)
            for name in {*OWN, "boto3_kwargs"} - own:
                with pytest.raises(
                    UnsupportedClientError, match=rf" has no {name}\(\); "
                ) as caught:
                    getattr(resolved, name)()
                named = str(caught.value).partition("; it has ")[2]
                assert {*re.findall(r"(\w+)\(\)", named)} == own | everyones


@pytest.mark.parametrize(
    ("category", "field", "sent"),
    [
        ("llm", {"temperature": 0}, {"temperature": 0}),
        ("llm", {"temperature": 0.5}, {"temperature": 0.5}),
        ("image", {"temperature": 1}, {"temperature": 1}),
        ("embedding", {"dimension": 256}, {"dimensions": 256}),
        ("embedding", {}, {}),
        ("rerank", {}, {}),
    ],
)
def test_registered_parameters_are_in_the_call(inside, category, field, sent):
    alice = inside.load("alice")
    inside.registry.create(user=alice, **model(category=category, **field))
    resolved = inside.registry.resolve("gpt-4o", user=alice)

    named = {"model": "gpt-4o-2024-11-20"}
    assert resolved.call_kwargs() == (named | {"extra_body": sent} if sent else named)
    by = "model_name" if category == "embedding" else "model"
    expected = {by: "gpt-4o-2024-11-20", "api_key": CANARY, "api_base": resolved.base_url, **sent}
    if category != "embedding":
        expected["is_chat_model"] = True
    assert resolved.llamaindex_kwargs() == expected


@needs_httpx2
def test_a_google_client_takes_either_http_client(inside):
    alice = inside.load("alice")
    inside.registry.create(user=alice, **model(model_provider="gemini"))
    resolved = inside.registry.resolve("gpt-4o", user=alice)

    with resolved.http_client() as client:
        options = resolved.google_kwargs(client)["http_options"]
        assert options["httpx_client"] is client
    asynchronous = resolved.async_http_client()
    assert resolved.google_kwargs(asynchronous)["http_options"] == {
        "base_url": "https://generativelanguage.googleapis.com",
        "api_version": "v1beta",
        "httpx_async_client": asynchronous,
    }
    asyncio.run(asynchronous.aclose())


@needs_httpx2
def test_a_resolved_model_equals_a_constructed_one(inside):
    """It is made without the constructor, which takes longer than the rest."""
    alice = inside.load("alice")
    inside.registry.create(user=alice, **model())
    resolved = inside.registry.resolve("gpt-4o", user=alice)

    fields = [each.name for each in dataclasses.fields(resolved)]
    made = ResolvedModel(*(getattr(resolved, name) for name in fields))
    assert list(vars(resolved)) == list(vars(made)) == [*fields, "_open_client"]
    assert dataclasses.replace(resolved) == resolved == made
    dataclasses.replace(resolved, model_name="other").http_client().close()


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_http_client_is_also_a_transport(hosts, library, is_async):
    """For packages that have their own client, such as Ollama's."""
    module = pytest.importorskip(library)
    upstream = Upstream(answers(b"{}"))
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    host.user("alice")
    with host.app.app_context():
        fields = model(base_url=f"http://localhost:{upstream.port}/v1")
        host.registry.create(user=host.load("alice"), **fields)
        resolved = host.registry.resolve("gpt-4o", user=host.load("alice"))

    headers = {"Authorization": "Bearer sk-another"}
    elsewhere = f"http://127.0.0.1:{upstream.port}/v1"

    def call():
        with module.Client(transport=resolved.http_client(library), headers=headers) as client:
            assert client.get(resolved.base_url).json() == {}
            with pytest.raises(module.ConnectError, match="only calls the server of its own model"):
                client.get(elsewhere)

    async def call_async():
        guard = resolved.async_http_client(library)
        async with module.AsyncClient(transport=guard, headers=headers) as client:
            assert (await client.get(resolved.base_url)).json() == {}
            with pytest.raises(module.ConnectError, match="only calls the server of its own model"):
                await client.get(elsewhere)

    if is_async:
        asyncio.run(call_async())
    else:
        call()
    upstream.close()
    (request,) = upstream.requests
    assert f"Authorization: Bearer {CANARY}" in request
    assert "sk-another" not in request


def test_the_headers_and_settings_of_a_credential_are_in_each_call(inside):
    """Whatever the client's names for them are."""
    alice, headers = inside.load("alice"), {"X-Team": "blue"}
    settings = {"organization": "org-1", "project": "proj-1", "api_version": "2024-10-21"}
    resolved = {}
    for provider in ("openai", "azure-openai", "anthropic", "gemini", "ollama"):
        credential = inside.registry.create_credential(
            user=alice,
            name=provider,
            model_provider=provider,
            base_url="https://a.example",
            secret={"api_key": CANARY, "headers": headers},
            settings=settings,
        )
        (created,) = inside.registry.create_models(
            credential["id"], [{"model_id": provider, "model_name": "a"}], user=alice
        )
        resolved[provider] = inside.registry.resolve(created["id"], user=alice)

    openais = resolved["openai"].openai_kwargs()
    azures = resolved["azure-openai"].azure_kwargs()
    sent = [
        openais["default_headers"],
        azures["default_headers"],
        resolved["anthropic"].anthropic_kwargs()["default_headers"],
        resolved["gemini"].google_kwargs()["http_options"]["headers"],
        resolved["openai"].llamaindex_kwargs()["default_headers"],
        resolved["openai"].litellm_kwargs()["extra_headers"],
    ]
    assert sent == [headers] * 6
    key = {"Authorization": f"Bearer {CANARY}"}
    assert resolved["ollama"].ollama_kwargs()["headers"] == {**headers, **key}
    assert (openais["organization"], openais["project"]) == ("org-1", "proj-1")
    assert (azures["api_version"], "api_version" in openais) == ("2024-10-21", False)
