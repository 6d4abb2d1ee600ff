"""Hostile base URLs, over HTTP: what the app connects to, and what its responses reveal."""

import socket
import ssl
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import sqlalchemy as sa
import trustme

from flask_model_registry.providers.transport import Network
from tests.addresses import NOT_PUBLIC, SPELLINGS
from tests.databases import SERVERS
from tests.hosts import CANARY, PREFIX, connection, default_context, register
from tests.ports import free_port
from tests.sockets import watch_connections
from tests.upstream import HOSTILE, LISTING, PRIVATE, Upstream, answers, is_silent, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.databases("sqlite")]


@pytest.fixture
def connected():
    """The addresses that sockets were connected to, but for databases."""
    ports = {sa.make_url(each).port for each in SERVERS.values()}
    with watch_connections() as seen:
        yield lambda: [each for each in seen if each[1] not in ports]


@pytest.fixture
def upstream():
    upstream = Upstream(answers(LISTING))
    yield upstream
    upstream.close()


def on_network(host, names):
    """Let an app look up these names, and no others; ``None`` stands for all others."""

    def look_up(name, port):
        found = names.get(name, names.get(None))
        if found is None:
            raise OSError("unknown")
        return [found]

    transport = host.services.providers.client._transport
    transport._network = Network(default_context, look_up, sleep=lambda _: None)


SPELLED = [*SPELLINGS, *(f"[{each}]" if ":" in each else each for each in NOT_PUBLIC)]


def test_no_spelling_of_an_internal_address_is_called_or_saved(hosts, upstream, connected):
    host = hosts()
    alice = host.client("alice")
    on_network(host, {None: "127.0.0.1"})
    assert len({*SPELLED}) >= 80

    for spelling in SPELLED:
        for base_url in (
            f"https://{spelling}:{upstream.port}/v1",
            f"http://{spelling}:{upstream.port}/v1",
        ):
            body = connection(base_url=base_url)
            asked = {"api_key": CANARY, "base_url": base_url}
            for answer in (
                alice.post(f"{PREFIX}/test-connection", json=body),
                alice.post(f"{PREFIX}/providers/vllm/models", json=asked),
                alice.post(f"{PREFIX}/", json={**body, "model_id": "m"}),
            ):
                fields = {each["field"] for each in answer.json["errors"]}
                assert (answer.status_code, fields) == (422, {"base_url"}), base_url

    assert connected() == []
    assert alice.get(f"{PREFIX}/").json == []


@pytest.mark.forces_errors
def test_no_name_of_an_internal_address_is_called(hosts, connected):
    host = hosts()
    alice = host.client("alice")
    (row_id,) = register(alice, "m", base_url="https://evil.example.com/v1")
    body = {"api_key": CANARY, "base_url": "https://evil.example.com/v1"}
    told = set()

    for address in PRIVATE:
        on_network(host, {None: address})
        for path, sent in (
            (f"{row_id}/test", None),
            ("test-connection", connection(base_url=body["base_url"])),
            ("providers/vllm/models", body),
        ):
            answer = alice.post(f"{PREFIX}/{path}", json=sent)
            told.add((path.rpartition("/")[2], answer.status_code, answer.json["result"]))

    assert connected() == []
    assert told == {
        ("test", 200, "unreachable"),
        ("test-connection", 200, "unreachable"),
        ("models", 502, "unreachable"),
    }


@pytest.mark.forces_errors
def test_results_do_not_reveal_what_is_at_an_address(hosts, upstream):
    """An unknown host, a refused connection, a filter and a blocked IP address look the same."""
    names = {"refused": "127.0.0.1", "filtered": "127.0.0.1", "blocked": "10.0.0.1"}
    host = hosts(
        config={
            "MODEL_REGISTRY_ALLOWED_HOSTS": ["refused.example.com", "filtered.example.com"],
            "MODEL_REGISTRY_PROBE_TIMEOUT": 0.5,
        }
    )
    alice = host.client("alice")
    on_network(host, {f"{name}.example.com": address for name, address in names.items()})
    with filtering() as filtered:
        ports = {"refused": free_port(), "filtered": filtered}
        bodies = set()
        for name in ("refused", "filtered", "blocked", "unknown"):
            base_url = f"https://{name}.example.com:{ports.get(name, 443)}/v1"
            (row_id,) = register(alice, name, base_url=base_url)
            body = {"api_key": CANARY, "base_url": base_url}
            sent = (
                alice.post(f"{PREFIX}/{row_id}/test"),
                alice.post(f"{PREFIX}/test-connection", json=connection(base_url=base_url)),
                alice.post(f"{PREFIX}/providers/vllm/models", json=body),
            )
            bodies.add(tuple((each.status, each.text, str(each.headers)) for each in sent))

    assert len(bodies) == 1
    ((saved, _, listing),) = bodies
    assert (
        saved[1] == '{"result":"unreachable","latency_ms":null,"key_checked":null,"billed":false}\n'
    )
    assert "unreachable" in listing[1]


@contextmanager
def filtering():
    """Yield a port that never answers: its queue is full, so the system drops what comes."""
    with ExitStack() as sockets:
        server, *callers = (sockets.enter_context(socket.socket()) for _ in range(5))
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def no_tls(upstream, connection):
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


# Those that https is spoken to, or a name is looked up for.
ALSO = {
    "never ends its handshake": ("https://localhost", is_silent, "timeout"),
    "speaks no TLS": ("https://localhost", no_tls, "tls_error"),
    "has an untrusted certificate": ("https://localhost", answers(LISTING), "tls_error"),
    "is looked up slowly": ("https://slow.example.com", answers(LISTING), "unreachable"),
}


def held_by_probes(client, pool):
    """Return a list of how many connections the thread of a probe holds, before and after it."""
    probe, counts, held = client.probe, Counter(), []
    sa.event.listen(pool, "checkout", lambda *_: counts.update([threading.get_ident()]))
    sa.event.listen(pool, "checkin", lambda *_: counts.subtract([threading.get_ident()]))

    def watched(*args, **options):
        held.append(counts[threading.get_ident()])
        try:
            return probe(*args, **options)
        finally:
            held.append(counts[threading.get_ident()])

    client.probe = watched
    return held


@pytest.mark.databases("sqlite", "postgresql")
def test_hostile_servers_get_one_word_and_hold_no_database_connection(hosts, caplog):
    config = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost", "slow.example.com"]}
    at_once = {"MODEL_REGISTRY_PROBE_CONCURRENCY": len(HOSTILE) + len(ALSO)}
    host = hosts(config={**config, **at_once, "MODEL_REGISTRY_PROBE_TIMEOUT": 10})
    transport = host.services.providers.client._transport
    looked_up, go_on = [], threading.Event()

    def look_up(name, port):
        looked_up.append(name)
        if name == "slow.example.com":
            go_on.wait(120)
        return ["127.0.0.1"]

    transport._network = Network(default_context, look_up, sleep=lambda _: None)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    cases = {name: ("http://localhost", *case) for name, case in HOSTILE.items()} | ALSO
    upstreams = {
        name: Upstream(handler, context if "certificate" in name else None)
        for name, (_, handler, _) in cases.items()
    }
    clients = {name: host.client(name) for name in cases}
    for name, each in upstreams.items():
        register(clients[name], "m", base_url=f"{cases[name][0]}:{each.port}/v1")
    ids = {name: client.get(f"{PREFIX}/").json[0]["id"] for name, client in clients.items()}
    with host.app.app_context():
        held = held_by_probes(host.services.providers.client, host.db.engine.pool)

    with ThreadPoolExecutor(len(ids)) as threads:
        running = {
            name: threads.submit(clients[name].post, f"{PREFIX}/{row_id}/test")
            for name, row_id in ids.items()
        }
        awaited = [each for name, each in upstreams.items() if "slowly" not in name]
        wait_until(lambda: all(each.connections for each in awaited))
        wait_until(lambda: "slow.example.com" in looked_up)

    told = {name: each.result() for name, each in running.items()}
    go_on.set()
    for each in upstreams.values():
        each.close()
    assert held == [0] * 2 * len(ids)
    assert upstreams["is looked up slowly"].connections == 0
    results = {name: answer.json["result"] for name, answer in told.items()}
    assert results == {name: result for name, (*_, result) in cases.items()}
    assert "ESMTP" not in "\n".join([caplog.text, *(answer.text for answer in told.values())])


def test_the_watch_sees_what_is_connected_to(host, alice, upstream, connected):
    (row_id,) = register(alice, "m", base_url=f"http://localhost:{upstream.port}/v1")

    alice.post(f"{PREFIX}/{row_id}/test")

    assert connected() == [("127.0.0.1", upstream.port)] * 2  # with the key, and without
