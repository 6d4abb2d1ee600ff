"""The operator's egress proxy: tests and guarded calls use it, and all checks still apply."""

import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from flask_model_registry.errors import UpstreamError
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.providers.proxy import ProxiedTransport
from flask_model_registry.providers.transport import Network
from flask_model_registry.secret import Secret
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, connection, register
from tests.ports import free_port
from tests.upstream import LISTING, Upstream, answers, is_silent, wait_until

pytestmark = pytest.mark.databases("sqlite")

HEADERS = {"Authorization": f"Bearer {CANARY}"}


def refuses(upstream, connection):
    upstream.requests.append(connection.recv(65536).decode())
    connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")


def tunnels_to(port):
    """Connect each client to a port of this machine, and keep what passes."""

    def handle(upstream, client):
        upstream.requests.append(client.recv(65536).decode())
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
            threading.Thread(target=copy, args=(server, client), daemon=True).start()
            copy(client, server, upstream.passed)

    def copy(source, target, kept=None):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                if kept is not None:
                    kept.append(data)
            target.shutdown(socket.SHUT_WR)

    return handle


@pytest.fixture
def serve():
    started = []

    def serve(handler, **options):
        started.append(Upstream(handler, **options))
        started[-1].passed = []
        return started[-1]

    yield serve
    for upstream in started:
        upstream.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def transport(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def transport(proxy, *, policy=None, names=None, timeout=5.0):
        def look_up(name, _port):
            if name not in (names or {}):
                raise OSError("unknown")
            return names[name]

        network = Network(lambda: context, look_up, sleep=lambda _: None)
        return ProxiedTransport(policy or AddressPolicy(), network, timeout, Secret(proxy))

    return transport


def failure(transport, url):
    with pytest.raises(UpstreamError) as caught:
        transport.get(url, HEADERS)
    return caught.value.result


def test_a_list_comes_through_the_proxy_and_the_key_stays_encrypted(serve, authority, transport):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("up.example.com").configure_cert(context)
    upstream = serve(answers(LISTING), ssl_context=context)
    proxy = serve(tunnels_to(upstream.port))
    through = transport(f"http://us%40er:pass%3Aword@127.0.0.1:{proxy.port}")

    status, body = through.get("https://up.example.com/v1/models", HEADERS)

    assert (status, body) == (200, LISTING)
    (asked,) = proxy.requests
    assert asked.startswith("CONNECT up.example.com:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dXNAZXI6cGFzczp3b3Jk\r\n" in asked  # us@er:pass:word
    assert f"Authorization: Bearer {CANARY}\r\n" in upstream.requests[0]
    assert "Proxy-Authorization" not in upstream.requests[0]
    assert traces([asked, str(proxy.passed)]) == []


def test_the_certificate_is_that_of_the_host_behind_the_proxy(serve, authority, transport):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example.com").configure_cert(context)
    upstream = serve(answers(LISTING), ssl_context=context)
    proxy = serve(tunnels_to(upstream.port))

    assert failure(transport(f"http://127.0.0.1:{proxy.port}"), "https://up.example.com/") == (
        "tls_error"
    )
    assert upstream.requests == []


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"]])
def test_a_name_that_is_known_to_be_internal_does_not_reach_the_proxy(serve, transport, addresses):
    proxy = serve(refuses)
    through = transport(f"http://127.0.0.1:{proxy.port}", names={"up.example.com": addresses})

    assert failure(through, "https://up.example.com/v1") == "unreachable"
    assert proxy.connections == 0


def test_hosts_that_the_operator_allows_are_called_directly(serve, transport):
    proxy, upstream = serve(refuses), serve(answers(LISTING))
    policy = AddressPolicy(hosts=frozenset({"up.example.com"}))
    names = {"up.example.com": ["127.0.0.1"]}
    through = transport(f"http://127.0.0.1:{proxy.port}", policy=policy, names=names)

    assert through.get(f"http://up.example.com:{upstream.port}/", HEADERS) == (200, LISTING)
    assert proxy.connections == 0


def test_a_proxy_that_refuses_or_is_away_makes_a_host_unreachable(serve, transport):
    refusing = serve(refuses)
    port = free_port()

    for each in (refusing.port, port):
        assert failure(transport(f"http://127.0.0.1:{each}"), "https://up.example.com/") == (
            "unreachable"
        )
    assert refusing.connections == 1


def test_a_silent_proxy_and_a_slow_look_up_keep_to_the_deadline(serve, transport):
    silent = serve(is_silent)
    through = transport(f"http://127.0.0.1:{silent.port}", timeout=0.6)
    go_on, waited = threading.Event(), []

    def slow(*_):
        waited.append(go_on.wait(120))
        return []

    through._network = Network(through._network.ssl_context, slow, sleep=lambda _: None)

    assert failure(through, "https://up.example.com/") == "timeout"
    assert waited == []
    wait_until(lambda: silent.connections)
    assert silent.connections == 1
    go_on.set()


@pytest.fixture
def behind(hosts, serve):
    proxy = serve(refuses)
    config = {
        "MODEL_REGISTRY_PROXY": f"http://user:hunter2@localhost:{proxy.port}",
        "MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"],
    }
    return hosts(config=config), proxy


def test_tests_and_calls_of_an_app_go_through_its_proxy(behind, serve):
    httpx = pytest.importorskip("httpx")
    host, proxy = behind
    alice, upstream, other = host.client("alice"), serve(answers(LISTING)), serve(refuses)
    register(alice, "away", base_url="https://up.example.com/v1")
    register(alice, "local", base_url=f"http://localhost:{upstream.port}/v1")
    with host.app.app_context():
        away, local = (
            host.registry.resolve(each, user=host.load("alice")) for each in ("away", "local")
        )

    tested = alice.post(
        f"{PREFIX}/test-connection", json=connection(base_url="https://up.example.com/v1")
    ).json
    with away.http_client("httpx") as client, pytest.raises(httpx.ProxyError) as caught:
        client.get("https://up.example.com/v1/models")
    with (
        away.http_client("httpx", proxy=f"http://localhost:{other.port}") as client,
        pytest.raises(httpx.ProxyError),
    ):
        client.get("https://up.example.com/v1/models")
    with local.http_client("httpx") as client:
        status = client.get(f"http://localhost:{upstream.port}/v1/models").status_code

    assert tested["result"] == "unreachable"
    assert [each.split("\r\n")[0] for each in proxy.requests] == [
        "CONNECT up.example.com:443 HTTP/1.1"
    ] * 2
    assert len(other.requests) == 1
    assert (status, len(upstream.requests)) == (200, 1)
    assert "hunter2" not in f"{caught.value}{away!r}{vars(away)}{tested}"


def test_the_password_of_the_proxy_is_not_shown(behind):
    host, _ = behind

    assert "hunter2" not in repr(host.services.providers)
    assert "hunter2" not in host.run("doctor")[0]
