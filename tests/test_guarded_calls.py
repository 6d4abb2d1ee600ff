"""Real SDKs call models: where the guarded client lets them connect, and what it sends.

Names are looked up in a table; sockets, TLS and SDKs are real. The network 127.0.1.0/24 stands for
the internet, because the operator allows it. The rest of 127.0.0.0/8 is the internal network.
"""

import itertools
import json
import os
import re
import ssl
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme

from flask_model_registry.cli import new_key
from tests.conftest import traces
from tests.hosts import CANARY
from tests.ports import free_port
from tests.upstream import (
    PRIVATE,
    WORDS,
    Upstream,
    answers,
    received_whole,
    speak,
    stream_events,
)

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "chat" / "app.py"
SDKS = ("openai", "anthropic", "litellm")
PUBLIC, INTERNAL = "127.0.1.1", "127.0.0.1"
REDIRECTS = (301, 302, 303, 307, 308)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, SDKS)), reason="an SDK is not installed"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    authority.path = str(path)
    return authority


@pytest.fixture
def serve(authority):
    """Start servers, with a certificate of all names, for the length of the test."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("*.example.com", "localhost", INTERNAL, PUBLIC).configure_cert(context)
    started = []

    def serve(handler, address=PUBLIC, *, tls=True, port=0):
        started.append(Upstream(handler, context if tls else None, address=address, port=port))
        return started[-1]

    yield serve
    for each in started:
        each.close()


@pytest.fixture
def call(tmp_path, authority):
    """Call models in a process of its own, and return the result of each."""

    def call(cases, names=(), **environ):
        cases = [{"guarded": True, "async": False, "stream": False, **each} for each in cases]
        for each in cases:
            each["api_key"] = CANARY
        result = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-m", "tests.calling"],
            input=json.dumps([str(EXAMPLE), dict(names), cases]),
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'calls.sqlite'}",
                "FLASK_JWT_SECRET_KEY": "k" * 48,
                "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key(),
                "FLASK_MODEL_REGISTRY_ALLOWED_HOSTS": '["127.0.1.0/24"]',
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "SSL_CERT_FILE": authority.path,
                **environ,
            },
            cwd=ROOT,
        )
        assert result.returncode == 0, result.stderr[-3000:]
        told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"')]
        last = told.pop()
        assert len(told) == len(cases)
        call.connected = {tuple(each) for each in last["connected"]}
        if all(each["guarded"] for each in cases):
            assert last["in_loop"] == []
            assert traces([result.stdout, result.stderr]) == []
        return told

    return call


def every_way(**fields):
    """Return a case for each SDK, sync and async, streamed and not."""
    return [
        {"sdk": sdk, "async": is_async, "stream": stream, **fields}
        for sdk, is_async, stream in itertools.product(SDKS, (False, True), (False, True))
    ]


def at(upstream, host="up.example.com"):
    return f"https://{host}:{upstream.port}/v1"


UP = {"up.example.com": [[PUBLIC]]}


def both(upstream, connection):
    """Answer chats, in events where they are asked for."""
    asked = received_whole(upstream, connection)
    (stream_events if asked.get("stream") else speak)(upstream, connection, asked)


def test_every_sdk_calls_and_streams_through_the_guarded_client(serve, call):
    upstream = serve(both)
    cases = every_way(base_url=at(upstream))
    # The older library, which OpenAI's SDK takes too.
    cases += [
        {"sdk": "openai", "async": each, "base_url": at(upstream), "http_client": ["httpx"]}
        for each in (False, True)
    ]

    told = call(cases, UP)

    assert [each.get("text") for each in told] == [
        "".join(WORDS) if case.get("stream") else "You said: How are you?" for case in cases
    ], told
    for request in upstream.requests:
        head = request.partition("\r\n\r\n")[0]
        assert f"\r\nHost: up.example.com:{upstream.port}\r\n" in head
        assert head.count(CANARY) == 1


def redirects(internal):
    """Return a handler that redirects as the path says: /status/where to/..."""
    port, tls = internal["http"].port, internal["https"].port
    places = {
        "loopback": f"http://{INTERNAL}:{port}/v1",
        "name": f"http://intra.example.com:{port}/v1",
        "rebinding": f"https://rebind.example.com:{tls}/v1",
        "localhost": f"https://localhost:{tls}/v1",
    }

    def handle(upstream, connection):
        received_whole(upstream, connection)
        status, place = re.search(r" /(30\d)/(\w+)/", upstream.requests[-1]).groups()
        itself = f"https://up.example.com:{upstream.port}/elsewhere"
        lines = [f"HTTP/1.1 {status} Go", f"Location: {places.get(place, itself)}"]
        lines += ["Content-Length: 0", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode())

    return handle


PLACES = ("loopback", "name", "rebinding", "localhost", "itself")
INWARD = {
    **UP,
    "intra.example.com": [[INTERNAL]],
    "rebind.example.com": [[INTERNAL]],
    "localhost": [[INTERNAL]],
}


@pytest.fixture
def internal(serve):
    """Servers on the internal network, which no user may reach."""
    return {
        "http": serve(answers(), INTERNAL, tls=False),
        "https": serve(answers(), INTERNAL),
    }


def test_no_sdk_follows_a_redirect_through_the_guarded_client(serve, internal, call):
    upstream = serve(redirects(internal))
    # Each way meets each status and each place; each status, each place.
    cases = [
        {**case, "base_url": f"https://up.example.com:{upstream.port}/{status}/{place}/v1"}
        for turn, case in enumerate(every_way())
        for status, place in zip(REDIRECTS, PLACES[turn % 5 :] + PLACES[: turn % 5], strict=True)
    ]

    told = call(cases, INWARD)

    assert [each for each in told if "text" in each or not each["is_api_error"]] == []
    assert [each for each in told if each["status"] not in (*REDIRECTS, 500)] == []
    assert len(upstream.requests) == len(cases)
    assert [each for each in upstream.requests if "/elsewhere" in each.partition("\n")[0]] == []
    assert {name: each.connections for name, each in internal.items()} == {"http": 0, "https": 0}
    assert call.connected == {(PUBLIC, upstream.port)}


def test_without_it_each_sdk_would(serve, internal, call):
    """Shows that the test above can fail."""
    upstream = serve(redirects(internal))
    cases = [
        {**case, "base_url": f"https://up.example.com:{upstream.port}/307/{place}/v1"}
        for place in PLACES[:-1]
        for case in every_way(guarded=False)
    ]

    call(cases, INWARD)

    assert sum(each.connections for each in internal.values()) == len(cases)


def test_a_name_that_stands_for_an_internal_address_is_not_called(serve, internal, call):
    """Also if it stood for a public one a moment before, or does beside it."""
    port = free_port()
    upstream = serve(both, port=port)
    behind = serve(answers(), INTERNAL, port=port)
    names, cases = {}, []
    for case in every_way():
        for turns in ([[PUBLIC], [INTERNAL]], [[INTERNAL]], [[PUBLIC, INTERNAL]]):
            name = f"n{len(names)}.example.com"
            names[name] = turns
            cases += [{**case, "base_url": at(upstream, name)}] * len(turns)

    told = call(cases, names)

    expected = [True, False, False, False] * len(every_way())
    assert ["text" in each for each in told] == expected
    refused = [each for each in told if "text" not in each]
    assert [each for each in refused if not each["is_api_error"]] == []
    assert {each["said"].count("MODEL_REGISTRY_ALLOWED_HOSTS") > 0 for each in refused} == {True}
    assert [each["results"] for each in refused] == [["unreachable"]] * len(refused)
    assert (behind.connections, call.connected) == (0, {(PUBLIC, upstream.port)})


def test_without_it_each_sdk_calls_such_a_name(serve, call):
    behind = serve(both, INTERNAL)
    cases = every_way(base_url=at(behind, "evil.example.com"), guarded=False)

    call(cases, {"evil.example.com": [[INTERNAL]]})

    assert behind.connections == len(cases)


def test_no_internal_address_is_connected_to(call):
    names = {f"p{number}.example.com": [[each]] for number, each in enumerate(PRIVATE)}
    cases = [
        {"sdk": "openai", "async": is_async, "base_url": f"https://{name}/v1"}
        for name in names
        for is_async in (False, True)
    ]

    told = call(cases, names, FLASK_MODEL_REGISTRY_ALLOWED_HOSTS="[]")

    assert {(each["error"], *each["results"]) for each in told} == {
        ("APIConnectionError", "unreachable")
    }
    assert call.connected == set()


def test_the_stored_key_goes_to_the_stored_address_whatever_the_environment(serve, call, tmp_path):
    upstream, evil = serve(both), serve(answers(), INTERNAL, tls=False)
    cases = every_way(base_url=at(upstream))
    foreign = "of-the-environment"
    (tmp_path / ".netrc").write_text(f"machine up.example.com login a password {foreign}")
    at_evil = f"http://{INTERNAL}:{evil.port}"
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    environ = {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / ".netrc"),
        **dict.fromkeys([*proxies, *map(str.upper, proxies)], at_evil),
        **{f"{sdk.upper()}_API_KEY": f"sk-{foreign}" for sdk in SDKS},
        **{f"{sdk.upper()}_BASE_URL": f"{at_evil}/v1" for sdk in SDKS},
        **{f"{sdk.upper()}_API_BASE": f"{at_evil}/v1" for sdk in SDKS},
        "OPENAI_ADMIN_KEY": f"sk-admin-{foreign}",
        "OPENAI_ORG_ID": f"org-{foreign}",
        "OPENAI_ORGANIZATION": f"organization-{foreign}",
        "OPENAI_PROJECT_ID": f"project-{foreign}",
        "OPENAI_CUSTOM_HEADERS": f"Authorization: Bearer sk-{foreign}\nX-Gateway: {foreign}",
        "ANTHROPIC_AUTH_TOKEN": f"token-{foreign}",
        "ANTHROPIC_CUSTOM_HEADERS": f"Authorization: Bearer sk-{foreign}\nX-Api-Key: sk-{foreign}",
    }

    told = call(cases, UP, **environ)

    assert [each for each in told if "text" not in each] == []
    assert (len(upstream.requests), evil.connections) == (len(cases), 0)
    assert call.connected == {(PUBLIC, upstream.port)}
    for request in upstream.requests:
        assert foreign not in request
        assert request.count(CANARY) == 1
        assert f"Bearer {CANARY}\r\n" in request


# LiteLLM calls models of these names with an HTTP client of its own.
RESPONSES = ("responses/x", "gpt-5-codex", "o1-pro", "openai/responses/x", "x")


def test_litellm_calls_with_the_guarded_client_or_not_at_all(serve, internal, call):
    upstream = serve(redirects(internal))
    base_url = f"https://up.example.com:{upstream.port}/307/loopback/v1"
    cases = [
        {**case, "model_name": name, "base_url": base_url}
        for name in RESPONSES
        for case in every_way()
        if case["sdk"] == "litellm"
    ]

    told = call(cases, INWARD)

    assert [each for each in told if "text" in each] == []
    assert internal["http"].connections == 0
    assert call.connected == {(PUBLIC, upstream.port)}
    assert all(request.startswith("POST /307/loopback/v1/chat/") for request in upstream.requests)

    call([{**case, "knows_the_key": True} for case in cases[:1]], INWARD)
    assert internal["http"].connections == 1  # this shows that the test can fail
