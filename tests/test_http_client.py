"""The HTTP clients that SDKs take: one server, checked addresses, one API key, no redirects.

Without SDKs: what these make of it is in test_guarded_calls.py. Only DNS is faked.
"""

import asyncio
import copy
import dataclasses
import gc
import json
import os
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from ipaddress import ip_network

import pytest
import trustme

from flask_model_registry import BlockedAddressError, ConfigError, ResolvedModel, Secret
from flask_model_registry.errors import UpstreamError
from flask_model_registry.providers.base_urls import AddressPolicy, parse_base_url
from flask_model_registry.providers.transport import Network, Transport
from tests.conftest import traces
from tests.frames import frames, is_no_test, is_ours, leaks
from tests.hosts import CANARY, default_context, register
from tests.ports import free_port
from tests.sockets import watch_connections
from tests.upstream import HOSTILE, PRIVATE, answers, echoes, is_silent, sends, wait_until

LIBRARIES = [name for name in ("httpx2", "httpx") if find_spec(name)]
pytestmark = pytest.mark.skipif(not LIBRARIES, reason="neither httpx nor httpx2 is installed")

NAMES = {"up.example.com": ["127.0.0.1"]}
LOCAL = AddressPolicy(hosts=frozenset({"up.example.com"}))
ALIAS = "https://alias.invalid"
KEY = {"Authorization": f"Bearer {CANARY}"}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def look_up_in(names):
    def look_up(host, port):
        answer = names.get(host)
        if answer is None:
            raise OSError("unknown")
        return answer() if callable(answer) else answer

    return look_up


@dataclasses.dataclass
class Client:
    """One of the four kinds of client, called in the same way."""

    library: object
    is_async: bool
    inner: object

    def request(self, method, url, **options):
        """Return the response, read."""
        if self.is_async:
            return self.run(self.inner.request(method, url, **options))
        return self.inner.request(method, url, **options)

    def send(self, request):
        sent = self.inner.send(request)
        return self.run(sent) if self.is_async else sent

    def get(self, url, **options):
        return self.request("GET", url, **options)

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def __post_init__(self):
        self.loop = asyncio.new_event_loop() if self.is_async else None

    def close(self):
        if self.is_async:
            self.run(self.inner.aclose())
            self.loop.close()
        else:
            self.inner.close()

    def failure(self, url, **options):
        """Return what the library raises, with what was the cause of it."""
        with pytest.raises(self.library.TransportError) as caught:
            self.get(url, headers=KEY, **options)
        assert traces([repr(caught.value), str(caught.value), str(caught.value.__cause__)]) == []
        return caught.value, getattr(caught.value.__cause__, "result", None)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client_for(request, library):
    """Make a client for a base URL."""
    from flask_model_registry.providers.destination import Destination
    from flask_model_registry.providers.http_client import open_client

    made = []

    def client_for(base_url, *, policy=LOCAL, names=NAMES, authority=None, proxy=None, key=CANARY):
        context = default_context() if authority is None else ssl.create_default_context()
        if authority is not None:
            authority.configure_trust(context)
        look_up = names if callable(names) else look_up_in(names)
        transport = Transport(policy, Network(lambda: context, look_up), 0)
        destination = Destination(parse_base_url(base_url), parse_base_url(ALIAS), Secret(key))
        inner = open_client(
            transport, destination, is_async=request.param, library=library, proxy=proxy
        )
        made.append(Client(import_module(library), request.param, inner))
        return made[-1]

    yield client_for
    for each in made:
        each.close()


def at(upstream, host="up.example.com"):
    return f"http://{host}:{upstream.port}/v1"


def test_the_client_is_one_of_the_library(client_for, library):
    client = client_for("https://up.example.com/v1")
    name = "AsyncClient" if client.is_async else "Client"

    assert isinstance(client.inner, getattr(import_module(library), name))
    assert client.inner.trust_env is False


def test_the_server_is_called_under_its_own_name(serve, client_for):
    upstream = serve(answers(b'{"data": []}'))

    response = client_for(at(upstream)).get(f"{at(upstream)}/models?a=b", headers=KEY)

    assert (response.status_code, response.json()) == (200, {"data": []})
    (request,) = upstream.requests
    assert request.startswith("GET /v1/models?a=b HTTP/1.1\r\n")
    assert f"Host: up.example.com:{upstream.port}\r\n" in request
    assert f"Authorization: Bearer {CANARY}\r\n" in request


def test_over_tls_the_name_is_that_of_the_base_url(serve, client_for, authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("up.example.com").configure_cert(context)
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    upstream = serve(answers(), ssl_context=context)
    url = f"https://up.example.com:{upstream.port}/v1"
    client = client_for(url, authority=authority)

    # An SDK cannot ask for another name.
    response = client.get(url, headers={"Host": "x.example.com"}, extensions={"sni_hostname": "x"})

    assert (response.status_code, names) == (200, ["up.example.com"])
    assert f"\r\nHost: up.example.com:{upstream.port}\r\n" in upstream.requests[0]
    assert "x.example.com" not in upstream.requests[0]


@pytest.mark.parametrize("case", ["another name", "unknown authority", "no TLS"])
def test_a_bad_certificate_is_refused(serve, client_for, authority, case):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    name = "other.example.com" if case == "another name" else "up.example.com"
    issuer = trustme.CA() if case == "unknown authority" else authority
    issuer.issue_cert(name).configure_cert(context)
    no_tls = lambda _upstream, connection: connection.sendall(b"220 mail.example.com\r\n")  # noqa: E731
    upstream = serve(no_tls) if case == "no TLS" else serve(answers(), ssl_context=context)
    url = f"https://up.example.com:{upstream.port}/"

    error, result = client_for(url, authority=authority).failure(url)

    assert (type(error).__name__, result, upstream.requests) == ("ConnectError", "tls_error", [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_even_if_the_caller_asks_for_it(serve, client_for, status):
    evil = serve(answers())
    target = [f"http://127.0.0.1:{evil.port}/v1"]

    def redirects(upstream, connection):
        headers = [f"Location: {target[0]}", "Connection: close"]
        answers(status=f"{status} Go", headers=headers)(upstream, connection)

    upstream = serve(redirects)
    client = client_for(at(upstream))
    for location in (target[0], f"{at(upstream)}/elsewhere"):
        target[0] = location
        for options in ({}, {"follow_redirects": True}):
            response = client.request("POST", at(upstream), headers=KEY, **options)
            assert response.status_code == status
            with pytest.raises(client.library.HTTPStatusError):
                response.raise_for_status()
        request = client.inner.build_request("POST", at(upstream))
        sent = client.inner.send(request, follow_redirects=True)
        assert (client.run(sent) if client.is_async else sent).status_code == status

    assert evil.connections == 0
    assert len(upstream.requests) == 6
    assert all(request.startswith("POST /v1 ") for request in upstream.requests)


def test_a_client_refuses_every_other_server(serve, client_for):
    upstream, evil = serve(answers()), serve(answers())
    names = {**NAMES, "api.up.example.com": ["127.0.0.1"], "localhost": ["127.0.0.1"]}
    policy = AddressPolicy(hosts=frozenset(names), networks=(ip_network("127.0.0.0/8"),))
    client = client_for(at(upstream), policy=policy, names=names)
    elsewhere = [
        f"http://up.example.com:{evil.port}/v1",
        f"http://localhost:{evil.port}/v1",
        f"http://127.0.0.1:{evil.port}/v1",
        f"http://127.0.0.1:{upstream.port}/v1",
        f"http://api.up.example.com:{upstream.port}/v1",
        f"http://up.example.com.:{upstream.port}/v1",
        f"https://up.example.com:{upstream.port}/v1",
        f"http://up.example.com:{upstream.port}@127.0.0.1:{evil.port}/",
        "http://up.example.com/v1",
        f"http://alias.invalid:{evil.port}/v1",
    ]

    told = {client.failure(url)[1] for url in elsewhere}

    assert told == {"blocked_address"}
    assert (upstream.connections, evil.connections) == (0, 0)


def test_the_alias_stands_for_the_server(serve, client_for):
    upstream = serve(answers())

    client_for(at(upstream)).get(f"{ALIAS}/v1/models", headers={"Authorization": "Bearer unused"})

    assert f"\r\nHost: up.example.com:{upstream.port}\r\n" in upstream.requests[0]
    assert upstream.requests[0].count(f"Authorization: Bearer {CANARY}\r\n") == 1
    assert "unused" not in upstream.requests[0]


@pytest.fixture
def connects():
    """The addresses that sockets are connected to."""
    with watch_connections() as seen:
        yield lambda: [each for each in seen if isinstance(each, tuple)]


def test_no_name_of_an_internal_address_is_called(client_for, connects):
    names = {}
    for number, address in enumerate(PRIVATE):
        names[f"alone{number}.example.com"] = [address]
        names[f"after{number}.example.com"] = ["93.184.216.34", address]
        names[f"before{number}.example.com"] = [address, "93.184.216.34"]
    told = set()

    for name in [*names, "unknown.example.com"]:
        client = client_for(f"https://{name}/v1", policy=AddressPolicy(), names=names)
        error, result = client.failure(f"https://{name}/v1")
        told.add((type(error).__name__, result, str(error)))

    assert connects() == []
    assert len(told) == 1
    ((kind, result, text),) = told
    assert (kind, result) == ("ConnectError", "unreachable")
    assert "MODEL_REGISTRY_ALLOWED_HOSTS" in text


def test_refused_unknown_and_forbidden_hosts_say_the_same(serve, client_for):
    port = free_port()
    names = {**NAMES, "blocked.example.com": ["10.0.0.1"]}
    policy = AddressPolicy(hosts=frozenset({"up.example.com"}))
    texts = set()
    for host in ("up.example.com", "blocked.example.com", "unknown.example.com"):
        url = f"http://{host}:{port}/v1"
        error, result = client_for(url, policy=policy, names=names).failure(url)
        texts.add((str(error), result, repr(error.__cause__)))

    assert len(texts) == 1


def test_each_connection_goes_to_the_address_that_was_checked(serve, client_for):
    port = free_port()
    public = serve(answers(headers=["Connection: close"]), address="127.0.1.1", port=port)
    internal = serve(answers(), port=port)
    turns = iter([["127.0.1.1"], ["127.0.0.1"], ["127.0.1.1", "127.0.0.1"], ["127.0.1.1"]])
    policy = AddressPolicy(networks=(ip_network("127.0.1.0/24"),))
    names = {"rebind.example.com": lambda: next(turns)}
    url = f"http://rebind.example.com:{public.port}/v1"
    # https is what users could save; TLS makes no difference to where connections go.
    client = client_for(url, policy=policy, names=names)

    statuses = [client.get(url).status_code]
    refused = [client.failure(url)[1], client.failure(url)[1]]
    statuses.append(client.get(url).status_code)

    assert (statuses, refused) == ([200, 200], ["unreachable", "unreachable"])
    assert (public.connections, internal.connections) == (2, 0)


def test_the_next_address_is_called_if_one_does_not_answer(serve, client_for):
    upstream = serve(answers())
    names = {"up.example.com": ["127.0.0.2", "127.0.0.1"]}

    assert client_for(at(upstream), names=names).get(at(upstream)).status_code == 200


def test_a_connection_is_kept_for_the_next_request(serve, client_for):
    def twice(upstream, connection):
        for _ in range(2):
            answers(b"{}")(upstream, connection)

    upstream = serve(twice)
    client = client_for(at(upstream))

    assert [client.get(at(upstream)).status_code for _ in range(2)] == [200, 200]
    assert upstream.connections == 1


def test_nothing_of_the_environment_is_used(serve, client_for, monkeypatch, tmp_path):
    evil, upstream = serve(answers()), serve(answers())
    (tmp_path / ".netrc").write_text("machine up.example.com login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.setenv(name, f"http://127.0.0.1:{evil.port}")
    client = client_for(at(upstream))

    client.get(at(upstream))

    assert evil.connections == 0
    assert "authorization" not in upstream.requests[0].lower()


ENVIRONMENT = {
    "OPENAI_ORG_ID": "org-env",
    "OPENAI_ORGANIZATION": "org-env-2",
    "OPENAI_PROJECT_ID": "proj-env",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-env\nX-Gateway : sk-env-gateway \nnonsense\n"
    "anthropic-version: 2024-01-01",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Api-Key: sk-env-2\nX-Trace: a:b",
}
SENT = [
    # What an SDK sends, and what goes out.
    ({"Authorization": f"Bearer {CANARY}"}, {"authorization": f"Bearer {CANARY}"}),
    ({"X-Api-Key": CANARY}, {"x-api-key": CANARY}),
    ({"api-key": CANARY}, {"api-key": CANARY}),
    ({"x-goog-api-key": CANARY}, {"x-goog-api-key": CANARY}),
    ({"Authorization": "Bearer sk-env"}, {"authorization": f"Bearer {CANARY}"}),
    ({"Authorization": "Bearer sk-other"}, {"authorization": f"Bearer {CANARY}"}),
    ({"Authorization": "Basic YTpi"}, {"authorization": f"Bearer {CANARY}"}),
    ({"X-Api-Key": "sk-env-2"}, {"x-api-key": CANARY}),
    ({"X-Api-Key": CANARY, "Authorization": "Bearer sk-env"}, {"x-api-key": CANARY}),
    ({"Authorization": "x", "X-Api-Key": "x"}, {"authorization": f"Bearer {CANARY}"}),
    ({"X-Api-Key": "x", "api-key": "x"}, {"x-api-key": CANARY}),
    ({"Authorization": f"Bearer {CANARY}", "api-key": "x"}, {"authorization": f"Bearer {CANARY}"}),
    ({"X-Gateway": "sk-env-gateway", "X-Trace": "a:b"}, {}),
    ({"x-gateway": "sk-env-gateway", "X-Mine": "sk-mine"}, {"x-mine": "sk-mine"}),
    ({"X-Gateway": "mine"}, {"x-gateway": "mine"}),
    ({"OpenAI-Organization": "org-env", "OpenAI-Project": "proj-env"}, {}),
    ({"OpenAI-Organization": "org-env-2"}, {}),
    ({"OpenAI-Organization": "org-mine"}, {"openai-organization": "org-mine"}),
    ({"anthropic-version": "2024-01-01"}, {"anthropic-version": "2024-01-01"}),
    ({"Proxy-Authorization": "Basic YTpi"}, {}),
]


@pytest.mark.parametrize(("sent", "received"), SENT, ids=lambda each: " ".join(each) or "nothing")
def test_the_models_key_goes_out_and_no_other(serve, client_for, monkeypatch, sent, received):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    upstream = serve(answers())

    client_for(at(upstream)).get(at(upstream), headers=sent)

    lines = upstream.requests[0].split("\r\n")[1:]
    headers = [tuple(line.split(": ", 1)) for line in lines if line]
    usual = {"host", "accept", "accept-encoding", "connection", "user-agent"}
    told = [(name.lower(), value) for name, value in headers if name.lower() not in usual]
    assert told == [*received.items()]


def test_no_cookies_are_kept(serve, client_for):
    upstream = serve(answers(headers=["Set-Cookie: session=1; Path=/", "Connection: close"]))
    client = client_for(at(upstream))

    for _ in range(2):
        client.get(at(upstream))

    assert [*client.inner.cookies] == []
    assert "cookie" not in upstream.requests[1].lower()


def test_a_stream_is_read_as_it_comes(serve, client_for):
    go_on = threading.Event()

    def drips(upstream, connection):
        sends(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: 1\n\n", pause=0)(
            upstream, connection
        )
        go_on.wait(120)
        connection.sendall(b"data: 2\n\n")

    upstream = serve(drips)
    client = client_for(at(upstream))

    async def read_async():
        async with client.inner.stream("GET", at(upstream)) as response:
            pieces = response.aiter_bytes()
            first = await anext(pieces)
            go_on.set()
            return first, b"".join([each async for each in pieces])

    def read():
        with client.inner.stream("GET", at(upstream)) as response:
            pieces = response.iter_bytes()
            first = next(pieces)
            go_on.set()
            return first, b"".join(pieces)

    told = client.run(read_async()) if client.is_async else read()

    assert told == (b"data: 1\n\n", b"data: 2\n\n")


def test_an_answer_of_any_size_is_read(serve, client_for):
    upstream = serve(answers(b"x" * 6_000_000))

    assert len(client_for(at(upstream)).get(at(upstream)).content) == 6_000_000


def test_a_server_that_breaks_off_is_an_error_of_the_library(serve, client_for):
    for name, expected in (
        ("is no HTTP", "RemoteProtocolError"),
        ("hangs up", "ReadError RemoteProtocolError"),
        ("breaks off", "RemoteProtocolError"),
    ):
        upstream = serve(HOSTILE[name][0])
        error, _ = client_for(at(upstream)).failure(at(upstream))
        assert type(error).__name__ in expected.split()
        assert "ESMTP" not in str(error)


def hangs_up(upstream, connection):
    connection.recv(1)


@pytest.mark.parametrize("case", ["hangs up", "is away", "is another"])
def test_a_call_that_fails_leaves_no_key_in_a_frame(serve, client_for, case):
    upstream = serve(hangs_up)
    if case == "is away":
        upstream.close()
    client = client_for(at(upstream))

    url = "https://evil.example.com" if case == "is another" else at(upstream)
    request = client.inner.build_request("GET", url, headers=KEY)
    with pytest.raises(client.library.TransportError) as caught:
        client.send(request)

    assert any(is_ours(frame) for frame in frames(caught.value))
    assert leaks(caught.value, is_no_test) == []


def test_a_body_that_fails_leaves_no_key_in_a_frame_of_ours(serve, client_for):
    upstream = serve(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    client = client_for(at(upstream))

    error, _ = client.failure(at(upstream))

    assert any(is_ours(frame) for frame in frames(error))
    assert leaks(error) == []


def test_an_exception_that_the_host_app_was_handling_keeps_its_variables(serve, client_for):
    url = at(serve(answers(b"x" * 1_000_000)))
    client = client_for(url)

    def fail():
        needed = "for the report of the host app"
        raise LookupError(needed)

    def close_while_handling():
        with client.inner.stream("GET", url) as response:
            pieces = response.iter_raw(1)
            next(pieces)
            try:
                fail()
            except LookupError as error:
                pieces.close()
                return error

    async def close_while_handling_async():
        async with client.inner.stream("GET", url) as response:
            pieces = response.aiter_raw(1)
            await anext(pieces)
            try:
                fail()
            except LookupError as error:
                await pieces.aclose()
                await response.aclose()
                return error

    error = client.run(close_while_handling_async()) if client.is_async else close_while_handling()

    assert [*frames(error)][-1].f_locals == {"needed": "for the report of the host app"}


def test_a_servers_response_is_in_no_error_and_no_log(serve, client_for, caplog):
    def garbles(upstream, connection):
        headers = connection.recv(65536).split(b"\r\n", 1)[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers.replace(b": ", b" "))

    for handler in (echoes, garbles):
        upstream = serve(handler)
        client = client_for(at(upstream))
        if handler is garbles:
            assert client.failure(at(upstream))[0].__cause__ is None
        else:
            client.get(at(upstream), headers=KEY)

    ours = [each.getMessage() for each in caplog.records if each.name.startswith("httpcore")]
    assert traces(ours) == []  # the log is at DEBUG


def test_the_caller_says_how_long_to_wait_for_an_answer(serve, client_for):
    upstream = serve(is_silent)
    client = client_for(at(upstream))
    error, _ = client.failure(at(upstream), timeout=0.3)

    assert type(error).__name__ == "ReadTimeout"  # otherwise it would wait for ever


@pytest.mark.parametrize("timeout", [None, 600])
def test_the_wait_for_a_connection_has_a_bound_of_its_own(client_for, monkeypatch, timeout):
    for module in ("destination", "http_client"):
        monkeypatch.setattr(f"flask_model_registry.providers.{module}.CONNECT_TIMEOUT", 0.3)
    go_on, waited = threading.Event(), []

    def never():
        waited.append(go_on.wait(120))
        return []

    client = client_for("https://up.example.com/v1", names={"up.example.com": never})
    _, result = client.failure("https://up.example.com/v1", timeout=timeout)

    assert result == "unreachable"
    assert waited == []  # the look-up still goes on
    go_on.set()


def test_a_look_up_does_not_block_the_event_loop(serve, client_for):
    begun, go_on, waits = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        waits.append(go_on.wait(120))
        return ["127.0.0.1"]

    upstream = serve(answers())
    client = client_for(at(upstream), names={"up.example.com": slow})
    if not client.is_async:
        return

    async def both():
        call = asyncio.ensure_future(client.inner.get(at(upstream)))
        while not begun.is_set() and not call.done():
            await asyncio.sleep(0.01)
        go_on.set()  # only while the loop runs
        return await call

    assert client.run(both()).status_code == 200
    assert waits == [True]


def test_threads_share_a_client(serve, client_for):
    upstream = serve(answers(headers=["Connection: close"]))
    client = client_for(at(upstream))
    if client.is_async:
        return

    with ThreadPoolExecutor(8) as threads:
        statuses = [*threads.map(lambda _: client.get(at(upstream)).status_code, range(32))]

    assert statuses == [200] * 32


def is_a_proxy(upstream, connection):
    """Take a CONNECT, and then answer by itself whatever is asked."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    upstream.requests.append(data.decode())
    if data.startswith(b"CONNECT"):
        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    else:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def test_a_proxy_is_used_if_the_host_app_names_one(serve, client_for):
    proxy = serve(is_a_proxy)
    address = f"http://user:secret@127.0.0.1:{proxy.port}"
    plain = client_for("http://up.example.com/v1", proxy=address)
    secure = client_for(
        "https://up.example.com/v1", policy=AddressPolicy(), names={}, proxy=address
    )

    response = plain.get("http://up.example.com/v1", headers=KEY)
    error, _ = secure.failure("https://up.example.com/v1")

    assert response.status_code == 200
    assert type(error).__name__ == "ProxyError"
    assert proxy.requests[0].startswith("GET http://up.example.com:80/v1 HTTP/1.1\r\n")
    assert proxy.requests[1].startswith("CONNECT up.example.com:443 HTTP/1.1\r\n")
    assert all("Proxy-Authorization: Basic " in each for each in proxy.requests)
    assert traces(proxy.requests[1:]) == []


def test_behind_a_proxy_a_name_known_to_be_internal_is_refused(serve, client_for):
    proxy = serve(is_a_proxy)
    client = client_for(
        "https://evil.example.com/v1",
        policy=AddressPolicy(),
        names={"evil.example.com": ["93.184.216.34", "10.0.0.1"]},
        proxy=f"http://127.0.0.1:{proxy.port}",
    )

    _, result = client.failure("https://evil.example.com/v1")
    again, result_again = client.failure("http://127.0.0.1/")

    assert (result, result_again, proxy.connections) == ("unreachable", "blocked_address", 0)


def test_a_proxy_that_is_away_is_an_error(client_for):
    port = free_port()
    client = client_for("https://up.example.com/v1", proxy=f"http://127.0.0.1:{port}")

    assert client.failure("https://up.example.com/v1")[1] == "unreachable"


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://user:hunter2@127.0.0.1:1",
        "127.0.0.1:1",
        "",
        "http://",
        "nonsense://user:hunter2@x",
        b"http://user:hunter2@127.0.0.1:1",
    ],
)
def test_a_proxy_of_another_kind_is_refused_without_its_password(client_for, proxy):
    with pytest.raises(ConfigError, match="proxy") as caught:
        client_for("https://up.example.com/v1", proxy=proxy)

    assert "hunter2" not in str(caught.value)


@pytest.fixture
def resolved(host, alice):
    register(alice, "m", base_url="https://a.example.com/v1")
    with host.app.app_context():
        return host.registry.resolve("m", user=host.load("alice"))


def test_a_resolved_model_makes_both_clients(resolved, library):
    module = import_module(library)

    with resolved.http_client(library) as client:
        assert isinstance(client, module.Client)
    asynchronous = resolved.async_http_client(library)
    assert isinstance(asynchronous, module.AsyncClient)
    asyncio.run(asynchronous.aclose())


def test_the_default_is_the_newest_library(resolved):
    with resolved.http_client() as client:
        assert isinstance(client, import_module(LIBRARIES[0]).Client)


def test_a_library_that_is_missing_is_named(resolved, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ConfigError, match="pip install httpx2"):
        resolved.http_client("httpx2")
    if "httpx" in LIBRARIES:
        with resolved.http_client() as client:
            assert isinstance(client, import_module("httpx").Client)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigError, match="needs httpx2, which isn't installed"):
        resolved.http_client()


def test_a_library_that_is_unknown_is_refused(resolved):
    with pytest.raises(ConfigError, match="httpx2, httpx"):
        resolved.http_client("requests")


def test_the_client_factory_is_not_a_field_of_the_model(resolved):
    names = [each.name for each in dataclasses.fields(resolved)]
    twin = ResolvedModel(**{name: getattr(resolved, name) for name in names})

    assert "client" not in repr(resolved)
    assert not [name for name in dataclasses.asdict(resolved) if "client" in name]
    assert twin == resolved
    assert copy.deepcopy(resolved) == resolved
    copy.deepcopy(resolved).http_client().close()
    with pytest.raises(ConfigError, match=r"registry.resolve\(\)"):
        twin.http_client()


@pytest.mark.parametrize("base_url", ["http://a.example.com/v1", "https://10.0.0.1", "nonsense"])
def test_a_changed_copy_is_held_to_the_same_policy(resolved, base_url):
    renamed = dataclasses.replace(resolved, model_name="other")
    moved = dataclasses.replace(resolved, base_url=base_url)

    renamed.http_client().close()
    with pytest.raises(BlockedAddressError):
        moved.http_client()


@pytest.mark.databases("sqlite")
def test_a_client_that_is_forgotten_closes_its_connections(host, alice, serve, database):
    def answers_once(upstream, connection):
        answers(b"{}")(upstream, connection)
        upstream.closed = connection.recv(1) == b""

    upstream = serve(answers_once)
    register(alice, "m", base_url=f"http://localhost:{upstream.port}/v1")
    with host.app.app_context():
        model = host.registry.resolve("m", user=host.load("alice"))
    client = model.http_client()
    client.get(model.base_url)

    del client
    gc.collect()  # with warnings as errors

    wait_until(lambda: hasattr(upstream, "closed"))
    assert upstream.closed


def test_look_ups_of_tests_do_not_hold_up_calls(host, alice, serve):
    """There are so many at once; users can make those of tests take long."""
    upstream = serve(answers())
    register(alice, "m", base_url=f"http://localhost:{upstream.port}/v1")
    look_ups = host.services.providers.client._transport._look_ups
    taken = sum(iter(lambda: look_ups.acquire(blocking=False), False))
    with host.app.app_context():
        model = host.registry.resolve("m", user=host.load("alice"))

    with model.http_client() as client:
        assert client.get(model.base_url).status_code == 200

    look_ups.release(taken)  # the host is that of other tests as well


def test_the_start_of_an_app_loads_no_client():
    program = (
        "import json, sys, flask_model_registry; print(json.dumps([each for each in sys.modules "
        "if each.partition('.')[0] in ('httpx', 'httpx2', 'httpcore2', 'anyio') "
        "or each.endswith('http_client')]))"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )

    assert json.loads(result.stdout) == []


def test_the_cause_says_which_kind_of_failure_it_is(client_for):
    error, _ = client_for("https://up.example.com/v1", names={}).failure("https://up.example.com/")

    assert isinstance(error.__cause__, UpstreamError)
    assert error.__cause__.problem()["result"] == "unreachable"
    assert error.__cause__.detail == str(error)


def test_litellm_gets_neither_the_base_url_nor_the_key(resolved):
    openai = pytest.importorskip("openai", reason="the SDK is not installed")
    with openai.OpenAI(**resolved.openai_kwargs(), http_client=resolved.http_client()) as client:
        kwargs = resolved.litellm_kwargs(client)

        assert kwargs["api_base"].startswith("https://only-for-the-guarded-client.invalid/")
        assert str(kwargs["client"].base_url).rstrip("/") == kwargs["api_base"].rstrip("/")
        assert {kwargs["api_key"], kwargs["client"].api_key} == {"unused"}
