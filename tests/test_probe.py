"""A probe: what a provider's list of models tells, and nothing else that it says."""

import json
import ssl

import pytest

from flask_model_registry.errors import UpstreamError
from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.providers.catalogue import Provider
from flask_model_registry.providers.client import RESULTS, ConnectionResult, ProviderClient
from flask_model_registry.providers.known_providers import Catalogue
from flask_model_registry.providers.transport import Network, Transport
from tests.conftest import traces
from tests.hosts import CANARY
from tests.upstream import Upstream, answers, echoes

LOCAL = AddressPolicy(hosts=frozenset({"up.example.com"}))


@pytest.fixture
def probe():
    """Probe a server that answers so, in one dialect."""
    started = []

    def probe(handler, dialect="openai", *, model_name="m", base_url=None, policy=LOCAL):
        upstream = Upstream(handler)
        started.append(upstream)
        network = Network(
            ssl.create_default_context, lambda *_: ["127.0.0.1"], sleep=lambda _: None
        )
        catalogue = Catalogue([Provider("acme", "Acme", dialect=dialect)])
        prober = ProviderClient(catalogue, policy, lambda: Transport(policy, network, 5.0))
        url = base_url or f"http://up.example.com:{upstream.port}/v1"
        probe.upstream = upstream
        probe.prober, probe.url = prober, url
        return prober.probe("acme", url, model_name, CANARY)

    yield probe
    for upstream in started:
        upstream.close()


def listing(*names):
    return json.dumps({"data": [{"id": name} for name in names]}).encode()


CASES = {
    "listed": (answers(listing("a", "m")), "ok"),
    "listed as the latest": (answers(listing("m:latest")), "ok"),
    "not listed": (answers(listing("a")), "model_not_found"),
    "listed among too many": (
        answers(b'{"data": [' + b"1," * 300_000 + b'{"id": "m"}]}'),
        "bad_response",
    ),
    "none listed": (answers(listing()), "model_not_found"),
    "401": (answers(status="401 Unauthorized"), "auth_failed"),
    "403": (answers(status="403 Forbidden"), "auth_failed"),
    "302": (answers(status="302 Found", headers=["Location: https://a.example/"]), "bad_response"),
    "404": (answers(status="404 Not Found"), "bad_response"),
    "429": (answers(status="429 Too Many Requests"), "bad_response"),
    "500": (answers(status="500 Oops"), "bad_response"),
    "201 and a list": (answers(listing("m"), status="201 Created"), "bad_response"),
    "no JSON": (answers(b"<html>"), "bad_response"),
    "another shape": (answers(b'{"data": {}}'), "bad_response"),
    "an echo": (echoes, "bad_response"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_probe_ends_with_one_of_a_few_results(probe, name):
    handler, result = CASES[name]

    outcome = probe(handler)

    assert outcome.result == result
    assert result in RESULTS
    assert (outcome.latency_ms is None) is (result not in {"ok", "model_not_found"})
    assert traces([repr(outcome)]) == []


def test_the_key_is_sent_once_and_in_a_header(probe):
    probe(answers(listing("m")))

    (request,) = probe.upstream.requests
    assert request.count(CANARY) == 1
    assert CANARY not in request.partition("\r\n")[0]


def test_a_deployment_may_have_another_name_than_the_models_that_are_listed(probe):
    assert probe(answers(listing("gpt-4o")), "azure-openai", model_name="ours").result == "ok"


def test_an_address_that_is_not_allowed_any_more_is_not_called(probe):
    for base_url in (
        "http://up.example.com/v1",
        "https://10.0.0.1/v1",
        "https://localhost/v1",
        "x",
    ):
        outcome = probe(answers(), base_url=base_url, policy=AddressPolicy())

        assert (outcome, probe.upstream.connections) == (ConnectionResult("blocked_address"), 0)


def test_a_provider_without_an_address_is_not_called():
    prober = ProviderClient(Catalogue(), AddressPolicy(), lambda: None)

    assert prober.probe("vllm", None, "m", CANARY) == ConnectionResult("blocked_address")


def test_only_names_that_can_be_used_are_passed_on(probe):
    names = [
        "good",
        "Ünïcode/ok",
        "",
        "line\nbreak",
        "\x1b[2J",
        "a" * 256,
        "\u202eevil",
        "x\u2028y",
        " outer",
        "\u200bhidden",
        "\ufeffmark",
        "isolate\u2066",
        "tag\U000e0041",
    ]
    probe(answers(listing(*names)))

    assert probe.prober.names("acme", probe.url, CANARY) == ["good", "Ünïcode/ok"]


@pytest.mark.parametrize(
    ("dialect", "model_name", "listed"),
    [
        ("anthropic", "claude-x", "claude-x-20260101"),
        ("anthropic", "claude-x-latest", "claude-x-20260101"),
        ("ollama", "llama3", "llama3:latest"),
        ("gemini", "models/gemini-x", "gemini-x"),
        ("openai", "gpt-latest", "gpt-latest"),
    ],
)
def test_a_model_has_other_names(dialect, model_name, listed):
    assert DIALECTS[dialect].lists(model_name, [listed])
    assert not DIALECTS[dialect].lists(f"{model_name}-mini", [listed])
    assert not DIALECTS[dialect].lists(model_name, [f"{listed}-mini", f"x{listed}"])


def test_a_latency_is_in_milliseconds_to_the_ten(probe):
    ticks = iter([10.0, 10.1234])
    probe(answers(listing("m")))
    catalogue = Catalogue([Provider("acme", "Acme")])
    slow = ProviderClient(
        catalogue, LOCAL, lambda: probe.prober._transport, clock=lambda: next(ticks)
    )

    assert slow.probe("acme", probe.url, "m", CANARY) == ConnectionResult("ok", 120)


def test_names_are_not_made_up(probe):
    probe(answers(status="401 No"))

    with pytest.raises(UpstreamError) as caught:
        probe.prober.names("acme", probe.url, CANARY)
    assert caught.value.result == "auth_failed"
