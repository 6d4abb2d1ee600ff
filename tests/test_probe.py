"""A connection test uses a provider's list of models, and shows nothing else of its response."""

import json
import time

import pytest

from flask_model_registry.errors import UpstreamError
from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.app_providers import Catalogue
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.providers.catalogue import Provider
from flask_model_registry.providers.client import RESULTS, ConnectionResult, ProviderClient
from flask_model_registry.providers.transport import Network, Transport
from tests.conftest import traces
from tests.hosts import CANARY, default_context
from tests.upstream import Upstream, answers, echoes, received

LOCAL = AddressPolicy(hosts=frozenset({"up.example.com"}))


@pytest.fixture
def probe():
    """Test a server with this response, in one dialect."""
    started = []

    def probe(
        handler,
        dialect="openai",
        *,
        model_name="m",
        base_url=None,
        policy=LOCAL,
        timeout=5.0,
        **options,
    ):
        upstream = Upstream(handler)
        started.append(upstream)
        network = Network(default_context, lambda *_: ["127.0.0.1"], sleep=lambda _: None)
        url = base_url or f"http://up.example.com:{upstream.port}/v1"
        own = url if options else None
        catalogue = Catalogue([Provider("acme", "Acme", own, dialect=dialect, **options)])
        prober = ProviderClient(catalogue, policy, lambda: Transport(policy, network, timeout))
        probe.upstream = upstream
        probe.prober, probe.url = prober, url
        return prober.probe("acme", url, model_name, CANARY)

    yield probe
    for upstream in started:
        upstream.close()


def listing(*names):
    return json.dumps({"data": [{"id": name} for name in names]}).encode()


# The responses of Gemini, xAI and a LiteLLM proxy without a database to a wrong key.
GEMINI = (
    b'{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", '
    b'"details": [{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}}'
)
XAI = b'{"code": "Client specified an invalid argument", "error": "Incorrect API key provided."}'
LITELLM = b'{"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}}'
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
    "400 of Gemini": (answers(GEMINI, status="400 Bad Request"), "auth_failed"),
    "400 of xAI": (answers(XAI, status="400 Bad Request"), "auth_failed"),
    "400 of LiteLLM": (answers(LITELLM, status="400 Bad Request"), "auth_failed"),
    "400": (answers(b'{"error": "bad page"}', status="400 Bad Request"), "bad_response"),
    "402": (answers(status="402 Payment Required"), "rate_limited"),
    "429": (answers(status="429 Too Many Requests"), "rate_limited"),
    "302": (answers(status="302 Found", headers=["Location: https://a.example/"]), "bad_response"),
    "404": (answers(status="404 Not Found"), "no_list"),
    "405": (answers(status="405 Method Not Allowed"), "no_list"),
    "501": (answers(status="501 Not Implemented"), "no_list"),
    "500": (answers(status="500 Oops"), "unavailable"),
    "503": (answers(status="503 Service Unavailable"), "unavailable"),
    "529": (answers(status="529 Overloaded"), "unavailable"),
    "201 and a list": (answers(listing("m"), status="201 Created"), "bad_response"),
    "no JSON": (answers(b"<html>"), "bad_response"),
    "another shape": (answers(b'{"data": {}}'), "bad_response"),
    "a list of something else": (answers(b'{"data": [{"n": "m"}]}'), "bad_response"),
    "an error with 200": (
        answers(b'{"code": 1001, "msg": "bad token", "data": null}'),
        "bad_response",
    ),
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


def by_key(with_key, without_key):
    """Return one response to requests with the key, and another to those without."""

    def handle(upstream, connection):
        received(upstream, connection)
        body, status = with_key if CANARY in upstream.requests[-1] else without_key
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return handle


OPEN, REFUSED, FAILED = (listing("m"), "200 OK"), (b"{}", "401 No"), (b"{}", "500 Oops")


@pytest.mark.parametrize(
    ("without_key", "key_checked"),
    [(OPEN, False), (REFUSED, True), (FAILED, None), ((LITELLM, "400 No"), True),
     ((b"<html>", "200 OK"), None)],
    ids=range(5),
)  # fmt: skip
def test_whether_the_key_was_checked_shows_without_one(probe, without_key, key_checked):
    outcome = probe(by_key(OPEN, without_key))

    assert (outcome.result, outcome.key_checked) == ("ok", key_checked)
    assert ["Authorization" in request for request in probe.upstream.requests] == [True, False]


def test_a_server_that_refuses_a_key_has_checked_it(probe):
    assert probe(answers(status="401 No")).key_checked is True
    assert probe(answers(status="503 Busy")).key_checked is None


@pytest.mark.parametrize(
    ("checked", "result", "key_checked"),
    [(OPEN, "ok", True), (REFUSED, "auth_failed", True), (FAILED, "ok", None)],
    ids=["good", "refused", "unknown"],
)
def test_a_key_is_checked_where_its_provider_does_that(probe, checked, result, key_checked):
    def handle(upstream, connection):
        received(upstream, connection)
        body, status = checked if "/v1/user " in upstream.requests[-1] else OPEN
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    outcome = probe(handle, lists_to_anyone=True, key_check="/v1/user")

    assert (outcome.result, outcome.key_checked) == (result, key_checked)
    assert [request.split()[1] for request in probe.upstream.requests] == ["/v1/models", "/v1/user"]


def test_a_provider_that_lists_to_anyone_is_not_asked_twice(probe):
    assert probe(answers(listing("m")), lists_to_anyone=True).key_checked is False
    assert len(probe.upstream.requests) == 1


def test_at_another_address_a_provider_checks_keys_in_its_own_way(probe):
    probe(answers(listing("m")), lists_to_anyone=True, key_check="/v1/user")
    other = probe.url.replace("up.example.com", "UP.example.com") + "/x"
    elsewhere = Upstream(by_key(OPEN, REFUSED))
    url = f"http://up.example.com:{elsewhere.port}/v1"

    assert probe.prober.probe("acme", other, "m", CANARY).key_checked is True
    assert probe.prober.probe("acme", url, "m", CANARY).key_checked is True
    assert [each.split()[1] for each in elsewhere.requests] == ["/v1/models"] * 2
    elsewhere.close()


@pytest.mark.parametrize(
    ("model_name", "result"),
    [("m:nitro", "not_listed"), ("x/y:fastest", "not_listed"), ("n:nitro", "model_not_found"),
     ("n", "model_not_found")],
)  # fmt: skip
def test_a_route_to_a_listed_model_need_not_be_listed(probe, model_name, result):
    assert probe(answers(listing("m", "x/y")), model_name=model_name).result == result


def test_a_model_missing_from_an_incomplete_list_may_exist(probe):
    handler = answers(listing("a"))
    outcome = probe(handler, list_is_complete=False)

    assert outcome.result == "not_listed"
    assert outcome.latency_ms is not None
    for provider in ("unknown", "openai-compatible", "xai", "fireworks"):
        assert probe.prober.probe(provider, probe.url, "m", CANARY).result == "not_listed"


PAGES = {
    "anthropic": (
        "/v1/models?limit=1000",
        b'{"data": [{"id": "a"}], "has_more": true, "last_id": "a&b=/c"}',
        "&after_id=a%26b%3D%2Fc",
        b'{"data": [{"id": "m"}], "has_more": false, "last_id": "m"}',
    ),
    "gemini": (
        "/v1/models?pageSize=1000",
        b'{"models": [{"name": "models/a"}], "nextPageToken": "t"}',
        "&pageToken=t",
        b'{"models": [{"name": "models/m"}]}',
    ),
    "cohere": (
        "/v1/models?page_size=1000",
        b'{"models": [{"name": "a"}], "next_page_token": "t"}',
        "&page_token=t",
        b'{"models": [{"name": "m"}], "next_page_token": null}',
    ),
    "openai": (
        "/v1/models",
        b'{"data": [{"id": "a"}], "has_more": true, "last_id": "a"}',
        "?after=a",
        b'{"data": [{"id": "m"}]}',
    ),
}


@pytest.mark.parametrize("dialect", PAGES)
def test_the_pages_of_a_list_are_followed(probe, dialect):
    path, first, query, last = PAGES[dialect]

    def handle(upstream, connection):
        received(upstream, connection)
        body = first if upstream.requests[-1].split()[1] == path else last
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(answer.encode() + body)

    found, absent = probe(handle, dialect), probe.prober.probe("acme", probe.url, "n", CANARY)

    assert (found.result, absent.result) == ("ok", "model_not_found")
    asked = [request.split()[1] for request in probe.upstream.requests]
    assert asked[:2] == [path, path + query]
    assert probe.prober.names("acme", probe.url, CANARY) == ["a", "m"]


def test_a_list_without_end_is_left_and_proves_nothing(probe):
    endless = b'{"models": [{"name": "a"}], "nextPageToken": "t"}'

    assert probe(answers(endless), "gemini").result == "not_listed"
    assert len(probe.upstream.requests) == 11  # and one without the key
    assert probe.prober.names("acme", probe.url, CANARY) == ["a"]


def test_a_list_of_very_many_names_is_left_too(probe):
    many = json.dumps({"models": ["a"] * 20_001, "nextPageToken": "t"}).encode()

    assert probe(answers(many), "gemini").result == "not_listed"
    assert len(probe.upstream.requests) == 2  # and one without the key


def test_pages_share_one_deadline(probe):
    def handle(upstream, connection):
        time.sleep(0.2)
        answers(b'{"models": [{"name": "a"}], "nextPageToken": "t"}')(upstream, connection)

    outcome = probe(handle, "gemini", timeout=0.5)

    assert (outcome.result, len(probe.upstream.requests) < 5) == ("timeout", True)


def test_a_page_after_the_key_is_not_asked_for(probe):
    repeats = json.dumps({"models": [{"name": "a"}], "nextPageToken": CANARY}).encode()

    assert probe(answers(repeats), "gemini").result == "bad_response"
    assert len(probe.upstream.requests) == 1


def test_the_key_is_sent_once_and_in_a_header(probe):
    probe(by_key(OPEN, REFUSED))

    request, _ = probe.upstream.requests
    assert request.count(CANARY) == 1
    assert CANARY not in request.partition("\r\n")[0]


@pytest.mark.parametrize("model_name", ["ours", "gpt-4o"])
def test_a_list_of_deployable_models_does_not_show_what_is_deployed(probe, model_name):
    outcome = probe(answers(listing("gpt-4o")), "azure-openai", model_name=model_name)

    assert outcome.result == "not_listed"


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

    assert slow.probe("acme", probe.url, "m", CANARY) == ConnectionResult("ok", 120, False)


def test_names_are_not_made_up(probe):
    probe(answers(status="401 No"))

    with pytest.raises(UpstreamError) as caught:
        probe.prober.names("acme", probe.url, CANARY)
    assert caught.value.result == "auth_failed"
