"""Tests of models over HTTP use the key at its own address, and hold no database connection."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flask_model_registry import Provider
from flask_model_registry.providers.client import RESULTS
from tests.hosts import CANARY, PREFIX, connection, granted, model, register, services_of
from tests.upstream import LISTING, answers, echoes, is_silent, wait_until

pytestmark = pytest.mark.databases("sqlite")


def at(upstream):
    return f"http://localhost:{upstream.port}/v1"


def test_a_saved_model_is_tested_with_its_stored_key(alice, serve):
    upstream = serve(answers(LISTING))
    (row_id,) = register(alice, "m", base_url=at(upstream))

    answer = alice.post(f"{PREFIX}/{row_id}/test").json

    assert answer.keys() == {"result", "latency_ms", "key_checked", "billed"}
    assert (answer["result"], answer["key_checked"], answer["billed"]) == ("ok", False, False)
    assert answer["latency_ms"] % 10 == 0
    assert f"Authorization: Bearer {CANARY}\r\n" in upstream.requests[0]


def test_an_unsaved_model_is_tested_with_the_submitted_values(alice, serve):
    upstream = serve(answers(LISTING))

    answer = alice.post(f"{PREFIX}/test-connection", json=connection(base_url=at(upstream)))

    assert (answer.status_code, answer.json["result"]) == (200, "ok")
    assert alice.get(f"{PREFIX}/").json == []


def test_a_provider_is_asked_for_its_models(alice, serve):
    upstream = serve(answers(LISTING))
    body = {"api_key": CANARY, "base_url": at(upstream)}

    answer = alice.post(f"{PREFIX}/providers/vllm/models", json=body)

    assert answer.json == {"models": ["gpt-4o-2024-11-20", "other"]}


@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("handler", "status", "result"),
    [
        (answers(status="401 No"), 502, "auth_failed"),
        (answers(b"<html>"), 502, "bad_response"),
        (answers(status="404 No"), 502, "no_list"),
        (answers(status="429 No"), 502, "rate_limited"),
        (answers(status="503 No"), 502, "unavailable"),
        (echoes, 502, "bad_response"),
    ],
    ids=range(6),
)
def test_a_provider_that_does_not_list_its_models_is_a_bad_gateway(
    alice, serve, handler, status, result
):
    body = {"api_key": CANARY, "base_url": at(serve(handler))}

    answer = alice.post(f"{PREFIX}/providers/vllm/models", json=body)

    assert (answer.status_code, answer.json["result"]) == (status, result)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["type"].endswith(":upstream")


@pytest.mark.forces_errors
def test_a_provider_that_does_not_answer_in_time_is_a_gateway_timeout(hosts, serve):
    host = hosts(
        config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"], "MODEL_REGISTRY_PROBE_TIMEOUT": 0.2}
    )
    alice, upstream = host.client("alice"), serve(is_silent)
    body = {"api_key": CANARY, "base_url": at(upstream)}

    begun = time.monotonic()
    listing = alice.post(f"{PREFIX}/providers/vllm/models", json=body)
    probe = alice.post(f"{PREFIX}/test-connection", json=connection(base_url=at(upstream)))

    assert (listing.status_code, listing.json["result"]) == (504, "timeout")
    silent = {"result": "timeout", "latency_ms": None, "key_checked": None, "billed": False}
    assert probe.json == silent
    assert time.monotonic() - begun < 18  # and not the default, twice


@pytest.mark.parametrize(
    "base_url",
    [
        "http://a.example.com/v1",
        "https://10.0.0.1/v1",
        "https://169.254.169.254/",
        "https://metadata.internal/x",
        "x",
    ],
)
def test_an_address_that_may_not_be_saved_may_not_be_tested(alice, base_url):
    tested = alice.post(f"{PREFIX}/test-connection", json=connection(base_url=base_url))
    asked = alice.post(
        f"{PREFIX}/providers/vllm/models", json={"api_key": CANARY, "base_url": base_url}
    )

    for answer in (tested, asked):
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "base_url")


def test_a_provider_that_cannot_be_asked_says_so(alice):
    body = connection(model_provider="vertex", base_url="https://a.example.com")
    (row_id,) = register(alice, "m", model_provider="vertex", base_url="https://a.example.com")

    tested = alice.post(f"{PREFIX}/test-connection", json=body)

    assert (tested.status_code, tested.json["errors"][0]["field"]) == (422, "model_provider")
    assert alice.post(f"{PREFIX}/{row_id}/test").status_code == 409


def test_a_model_whose_provider_is_gone_is_not_tested(hosts):
    host = hosts(providers=[Provider("acme", "Acme", "https://a.example.com/v1")])
    alice = host.client("alice")
    (row_id,) = register(alice, "m", model_provider="acme", base_url=None)
    del services_of(host.app).providers.catalogue["acme"]

    answer = alice.post(f"{PREFIX}/{row_id}/test")

    assert (answer.status_code, answer.json["type"].rpartition(":")[2]) == (409, "no-address")


def test_a_model_without_a_key_that_opens_is_not_tested(host, alice, serve):
    upstream = serve(answers(LISTING))
    (row_id,) = register(alice, "m", base_url=at(upstream))
    alice.delete(f"{PREFIX}/{row_id}/credential")

    answer = alice.post(f"{PREFIX}/{row_id}/test")

    assert (answer.status_code, answer.json["type"].rpartition(":")[2]) == (
        409,
        "credential-unreadable",
    )
    assert upstream.connections == 0


def test_a_stored_key_does_not_go_to_an_address_edited_in_sql(host, alice, serve):
    evil = serve(answers(LISTING))
    (row_id,) = register(alice, "m", base_url="https://a.example.com/v1")
    host.execute(host.registry.tables.models.update().values(base_url=at(evil)))

    assert alice.post(f"{PREFIX}/{row_id}/test").status_code == 409
    assert evil.connections == 0


def test_a_user_who_may_use_a_model_may_test_it(host, alice, bob, serve):
    (row_id,) = register(alice, "m", base_url=at(serve(answers(LISTING))))
    assert bob.post(f"{PREFIX}/{row_id}/test").status_code == 404

    granted(alice, row_id, user=host.user("bob"))

    assert bob.post(f"{PREFIX}/{row_id}/test").json["result"] == "ok"


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_no_connection_to_the_database_is_held_meanwhile(host, alice, serve):
    held = []

    def look(upstream, connection):
        held.append(pool.checkedout())
        answers(LISTING)(upstream, connection)

    with host.app.app_context():
        pool = host.db.engine.pool
    (row_id,) = register(alice, "m", base_url=at(serve(look)))

    alice.post(f"{PREFIX}/{row_id}/test")
    alice.post(f"{PREFIX}/test-connection", json=connection(base_url=at(serve(look))))
    listing = {"api_key": CANARY, "base_url": at(serve(look))}
    alice.post(f"{PREFIX}/providers/vllm/models", json=listing)
    alice.post(f"{PREFIX}/{row_id}/test", json={"billed_call": True})

    assert held == [0] * 6  # a test sends two requests: with the key and without


@pytest.mark.parametrize("kind", ["saved", "submitted", "listing"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_user_has_so_many_tests_at_once_and_others_have_theirs(hosts, serve, kind, concurrency):
    host = hosts(
        config={
            "MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"],
            "MODEL_REGISTRY_PROBE_CONCURRENCY": concurrency,
            "MODEL_REGISTRY_PROBE_TIMEOUT": 120,
        }
    )
    for name in ("alice", "bob"):
        host.user(name)
    go_on = threading.Event()

    def wait(upstream, connection):
        go_on.wait(120)
        answers(LISTING)(upstream, connection)

    slow, quick = serve(wait), serve(answers(LISTING))

    def ask(name, upstream):
        client, address = host.client(name), at(upstream)
        if kind == "saved":
            client.post(f"{PREFIX}/", json=model(model_id=f"m{upstream.port}", base_url=address))
            listed = client.get(f"{PREFIX}/").json
            row_id = next(each["id"] for each in listed if each["base_url"] == address)
            return client.post(f"{PREFIX}/{row_id}/test")
        if kind == "submitted":
            return client.post(f"{PREFIX}/test-connection", json=connection(base_url=address))
        body = {"api_key": CANARY, "base_url": address}
        return client.post(f"{PREFIX}/providers/vllm/models", json=body)

    with ThreadPoolExecutor(concurrency) as threads:
        running = [threads.submit(ask, "alice", slow) for _ in range(concurrency)]
        wait_until(lambda: slow.connections >= concurrency)
        more, others = ask("alice", quick), ask("bob", quick)
        go_on.set()

    assert (more.status_code, more.headers["Retry-After"]) == (429, "1")
    assert [each.result().status_code for each in running] == [200] * concurrency
    assert (others.status_code, ask("alice", quick).status_code) == (200, 200)


@pytest.mark.forces_errors
@pytest.mark.parametrize("concurrency", [1, 4])
def test_all_users_have_one_test_more_than_one_user_at_once(hosts, serve, concurrency):
    config = {"MODEL_REGISTRY_PROBE_CONCURRENCY": concurrency, "MODEL_REGISTRY_PROBE_TIMEOUT": 120}
    host = hosts(config={**config, "MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    names = [f"user-{number}" for number in range(8)]
    clients = {name: host.client(name) for name in names}
    go_on = threading.Event()

    def wait(upstream, connection):
        go_on.wait(120)
        answers(LISTING)(upstream, connection)

    slow, quick = serve(wait), serve(answers(LISTING))
    body, listing = connection(base_url=at(quick)), {"api_key": CANARY, "base_url": at(quick)}

    def ask(name):
        body = connection(base_url=at(slow))
        return clients[name].post(f"{PREFIX}/test-connection", json=body)

    with ThreadPoolExecutor(concurrency + 1) as threads:
        running = [threads.submit(ask, names[number]) for number in range(concurrency + 1)]
        wait_until(lambda: slow.connections > concurrency)
        refused = [
            clients["user-7"].post(f"{PREFIX}/test-connection", json=body),
            clients["user-7"].post(f"{PREFIX}/providers/vllm/models", json=listing),
            clients["user-0"].post(f"{PREFIX}/test-connection", json=body),
        ]
        others = clients["user-7"].get(f"{PREFIX}/")
        go_on.set()

    told = [
        (each.status_code, each.headers.get("Retry-After"), each.json["type"]) for each in refused
    ]
    urn = "urn:problem-type:model-registry:"
    busy = (503, "1", f"{urn}probes-busy")
    own = (429, "1", f"{urn}too-many-probes") if concurrency == 1 else busy
    assert told == [busy, busy, own]
    assert others.status_code == 200
    assert [each.result().status_code for each in running] == [200] * (concurrency + 1)
    again = clients["user-7"].post(f"{PREFIX}/test-connection", json=body)
    assert again.json["result"] == "ok"


def test_a_model_without_an_address_is_not_tested(alice):
    body = connection(model_provider="vllm", base_url=None)

    answer = alice.post(f"{PREFIX}/test-connection", json=body)

    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "base_url")


@pytest.mark.parametrize("provider", ["a%00b", "x" * 65, "-", "a b", "é"])
def test_an_impossible_provider_name_is_not_found(alice, provider):
    body = {"api_key": CANARY, "base_url": "https://a.example.com"}

    assert alice.post(f"{PREFIX}/providers/{provider}/models", json=body).status_code == 404


def test_a_test_does_not_name_encryption_keys(host, alice, bob):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    host.execute(host.registry.tables.models.update().values(key_id="k-of-the-operator#00000000"))

    answer = bob.post(f"{PREFIX}/{row_id}/test")

    assert answer.status_code == 409
    assert "k-of-the-operator" not in answer.text


DIALECTS = [
    ("vllm", "/v1", "/v1/models", "Authorization: Bearer "),
    ("claude", "/v1", "/v1/models?limit=1000", "x-api-key: "),
    ("gemini", "/v1beta/openai", "/v1beta/models?pageSize=1000", "x-goog-api-key: "),
    ("azure", "/openai/v1", "/openai/v1/models", "api-key: "),
    ("cohere", "/compatibility/v1", "/v1/models?page_size=1000", "Authorization: Bearer "),
    ("ollama", "/v1", "/api/tags", "Authorization: Bearer "),
]


@pytest.mark.parametrize(("provider", "path", "asked", "header"), DIALECTS, ids=lambda each: each)
def test_the_key_goes_to_the_stored_address_in_one_header_whatever_the_environment(
    alice, serve, monkeypatch, tmp_path, provider, path, asked, header
):
    listing = {"data": [{"id": "m"}], "models": [{"name": "models/m"}, {"name": "m"}]}
    upstream, evil = serve(answers(json.dumps(listing).encode())), serve(answers(LISTING))
    (tmp_path / ".netrc").write_text("default login a password sk-of-the-environment")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{evil.port}")
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE_OPENAI", "COHERE", "OLLAMA"):
        monkeypatch.setenv(f"{name}_API_KEY", "sk-of-the-environment")
        monkeypatch.setenv(f"{name}_BASE_URL", f"http://127.0.0.1:{evil.port}")
    address = f"http://localhost:{upstream.port}{path}"
    (row_id,) = register(alice, "m", model_provider=provider, model_name="m", base_url=address)
    sent = {"api_key": CANARY, "base_url": address}

    results = [
        alice.post(f"{PREFIX}/{row_id}/test").json["result"],
        alice.post(
            f"{PREFIX}/test-connection",
            json={**sent, "model_provider": provider, "model_name": "m"},
        ).json["result"],
        "m" in alice.post(f"{PREFIX}/providers/{provider}/models", json=sent).json["models"],
    ]

    found = "not_listed" if provider == "azure" else "ok"
    assert results == [found, found, True]
    assert (len(upstream.requests), evil.connections) == (5, 0)
    for number, request in enumerate(upstream.requests):
        assert request.startswith(f"GET {asked} HTTP/1.1\r\n")
        is_with_key = number in {0, 2, 4}  # a test also sends a request without one
        assert (f"\r\n{header}{CANARY}\r\n" in request) is is_with_key
        assert request.count(CANARY) == is_with_key
        assert (header in request) is is_with_key
        assert "environment" not in request


def test_every_result_is_documented():
    text = (Path(__file__).parent.parent / "docs" / "providers.md").read_text()

    assert [result for result in RESULTS if f"`{result}`" not in text] == []
