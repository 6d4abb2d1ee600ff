"""One GET: to checked addresses only, before a deadline, up to a size."""

import datetime
import ssl
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from ipaddress import ip_network
from itertools import count

import httpcore2
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flask_model_registry.errors import UpstreamError
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.providers.transport import Network, Transport, look_up, system_network
from tests.conftest import traces
from tests.hosts import CANARY, default_context
from tests.ports import free_port
from tests.upstream import HOSTILE, PRIVATE, answers, echoes, is_silent, wait_until

TIMEOUT = 0.5
LOCAL = AddressPolicy(hosts=frozenset({"up.example.com"}))
NAMES = {"up.example.com": ["127.0.0.1"]}
HEADERS = {"Authorization": f"Bearer {CANARY}"}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


class Dns:
    """Answers from a table, and counts."""

    def __init__(self, names):
        self.names, self.asked = names, []

    def __call__(self, host, port):
        self.asked.append(host)
        answer = self.names.get(host, OSError("unknown"))
        if isinstance(answer, OSError):
            raise answer
        return answer


def transport(
    authority=None, *, policy=LOCAL, names=NAMES, timeout=TIMEOUT, sleeps=None, clock=time.monotonic
):
    context = default_context() if authority is None else ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    dns = names if callable(names) else Dns(names)
    sleep = time.sleep if sleeps is None else sleeps.append
    return Transport(policy, Network(lambda: context, dns, clock=clock, sleep=sleep), timeout)


def test_a_fetch_names_the_host_of_the_url(serve):
    upstream = serve(answers(b'{"data": []}'))

    status, body = transport().get(f"http://up.example.com:{upstream.port}/v1/models", HEADERS)

    assert (status, body) == (200, b'{"data": []}')
    (request,) = upstream.requests
    assert request.startswith("GET /v1/models HTTP/1.1\r\n")
    assert f"Host: up.example.com:{upstream.port}\r\n" in request
    assert f"Authorization: Bearer {CANARY}\r\n" in request


def test_over_tls_the_name_is_that_of_the_address_that_was_asked_for(serve, authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("up.example.com").configure_cert(context)
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    upstream = serve(answers(b"{}"), ssl_context=context)

    status, _ = transport(authority).get(f"https://up.example.com:{upstream.port}/", HEADERS)

    assert (status, names) == (200, ["up.example.com"])


def self_signed(host, folder):
    """Return a file with a key and a self-signed certificate for the host."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "self-signed.pem"
    path.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return path


def failure(fetch, url):
    with pytest.raises(UpstreamError) as caught:
        fetch.get(url, HEADERS)
    assert traces([repr(caught.value), str(caught.value)]) == []
    return caught.value.result


@pytest.mark.parametrize("case", ["another name", "unknown authority", "self-signed", "expired"])
def test_a_certificate_that_is_not_good_is_refused(serve, authority, case, tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if case == "another name":
        authority.issue_cert("other.example.com").configure_cert(context)
    elif case == "self-signed":
        context.load_cert_chain(self_signed("up.example.com", tmp_path))
    elif case == "unknown authority":
        trustme.CA().issue_cert("up.example.com").configure_cert(context)
    else:
        long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
        authority.issue_cert(
            "up.example.com", not_before=long_ago, not_after=long_ago
        ).configure_cert(context)
    upstream = serve(answers(), ssl_context=context)

    code = failure(transport(authority), f"https://up.example.com:{upstream.port}/")

    assert (code, upstream.requests) == ("tls_error", [])


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("before", [[], ["93.184.216.34"]], ids=["alone", "after a public one"])
def test_a_name_that_stands_for_a_private_address_is_not_called(serve, address, before):
    upstream = serve(answers())
    dns = Dns({"evil.example.com": [*before, address]})
    fetch = transport(policy=AddressPolicy(), names=dns, sleeps=[], timeout=20 * TIMEOUT)

    code = failure(fetch, f"https://evil.example.com:{upstream.port}/")

    assert (code, upstream.connections, dns.asked) == ("unreachable", 0, ["evil.example.com"])


def test_the_address_that_was_checked_is_the_one_that_is_called(serve):
    upstream = serve(answers())
    answers_in_turn = iter([["127.0.0.1"], ["10.0.0.1"]])
    fetch = transport(names=lambda host, port: next(answers_in_turn))

    assert fetch.get(f"http://up.example.com:{upstream.port}/", {})[0] == 200
    assert upstream.connections == 1


def test_the_next_address_is_called_if_one_does_not_answer(serve):
    upstream = serve(answers())
    names = {"up.example.com": ["127.0.0.2", "127.0.0.1"]}

    assert transport(names=names).get(f"http://up.example.com:{upstream.port}/", {})[0] == 200


MANY = [f"127.{number // 250}.{number % 250}.2" for number in range(3900)]


@pytest.fixture
def called(monkeypatch):
    """The addresses of attempted connections, all of which are refused."""
    tried = []

    def refuse(_backend, host, *_args, **_options):
        tried.append(host)
        raise httpcore2.ConnectError

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", refuse)
    return tried


LOOPBACK = AddressPolicy(networks=(ip_network("127.0.0.0/8"),))


def test_a_handful_of_the_addresses_of_a_name_is_called(called):
    fetch = transport(policy=LOOPBACK, names={"up.example.com": MANY}, sleeps=[], timeout=60)

    assert failure(fetch, "http://up.example.com/") == "unreachable"
    assert called == MANY[:8]


def test_all_addresses_of_a_name_are_checked(called):
    names = {"up.example.com": [*MANY, "10.0.0.1"]}
    fetch = transport(policy=LOOPBACK, names=names, sleeps=[], timeout=60)

    assert failure(fetch, "http://up.example.com/") == "unreachable"
    assert called == []


def test_refused_unknown_and_blocked_hosts_cannot_be_told_apart(serve):
    port = free_port()
    names = {"up.example.com": ["127.0.0.1"], "blocked.example.com": ["10.0.0.1"]}
    told = {}
    for host in ("up.example.com", "unknown.example.com", "blocked.example.com"):
        sleeps = []
        clock = count(0, 1 / 1024).__next__  # a busy machine takes longer than the pause
        fetch = transport(names=names, sleeps=sleeps, timeout=10, clock=clock)
        code = failure(fetch, f"http://{host}:{port}/")
        told[host] = (code, len(sleeps), 0.9 < sleeps[0] <= 1)

    assert {*told.values()} == {("unreachable", 1, True)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_server_that_is_hostile_gets_no_further(serve, name):
    handler, expected = HOSTILE[name]
    upstream = serve(handler)
    begun = time.monotonic()

    # A busy machine may need longer than that to find the fault.
    timeout = TIMEOUT if expected == "timeout" else 20 * TIMEOUT
    code = failure(transport(timeout=timeout), f"http://up.example.com:{upstream.port}/")

    assert code == expected
    assert time.monotonic() - begun < timeout + 60  # and not as long as the server wants


@pytest.mark.parametrize("name", ["says nothing", "is no TLS"])
def test_a_handshake_that_does_not_end_is_given_up(serve, name):
    no_tls = lambda _upstream, connection: connection.sendall(b"220 mail.example.com\r\n")  # noqa: E731
    upstream = serve({"says nothing": is_silent, "is no TLS": no_tls}[name])

    code = failure(transport(), f"https://up.example.com:{upstream.port}/")

    assert code == {"says nothing": "timeout", "is no TLS": "tls_error"}[name]


def test_a_look_up_that_does_not_end_is_given_up():
    go_on, waited = threading.Event(), []

    def slow(host, port):
        waited.append(go_on.wait(120))

    code = failure(transport(names=slow, sleeps=[]), "https://up.example.com/")

    assert code == "unreachable"
    assert waited == []
    go_on.set()


GEVENT = """
from flask_model_registry.providers import transport  # a host may import it before
from gevent import monkey
monkey.patch_all()
import gevent, ssl, sys, threading
from flask_model_registry.providers.base_urls import AddressPolicy

go_on, port = threading.Event(), sys.argv[1]
gevent.spawn_later(0.2, go_on.set)  # what runs only while nothing blocks the worker

def look_up(host, port):
    go_on.wait(20)
    return ["127.0.0.1"]

network = transport.Network(ssl.create_default_context, look_up)
policy = AddressPolicy(hosts=frozenset({"up.example.com"}))
print(*transport.Transport(policy, network, 10).get(f"http://up.example.com:{port}/", {}))
assert network.sleep is __import__("time").sleep and "gevent" in network.sleep.__module__
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
def test_a_slow_look_up_does_not_block_a_worker_of_gevent(serve):
    upstream = serve(answers(b"{}"))

    command = [sys.executable, "-W", "ignore", "-c", GEVENT, str(upstream.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("200 b'{}'\n", 0), done.stderr


def test_looking_up_an_invalid_name_finds_nothing():
    def refuse(host, port):
        raise UnicodeError("label too long")

    begun = time.monotonic()
    fetch = transport(names=refuse, sleeps=[], timeout=60)

    assert failure(fetch, "https://up.example.com/") == "unreachable"
    assert time.monotonic() - begun < 30  # the call doesn't wait for it


def test_the_number_of_look_ups_at_once_is_limited(monkeypatch):
    monkeypatch.setattr("flask_model_registry.providers.transport._MAX_LOOK_UPS", 2)
    asked, go_on = [], threading.Event()

    def slow(host, port):
        asked.append(host)
        go_on.wait(120)
        return []

    fetch = transport(names=slow, sleeps=[], timeout=0.2)
    codes = [failure(fetch, f"https://{name}.example.com/") for name in "abc"]
    wait_until(lambda: len(asked) >= 2)
    go_on.set()

    assert codes == ["unreachable"] * 3
    assert sorted(asked) == ["a.example.com", "b.example.com"]


def test_a_process_without_threads_connects_nowhere(monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    fetch = transport(sleeps=[])
    monkeypatch.setattr(threading.Thread, "start", start)

    for _ in range(40):  # more than there are look-ups
        assert failure(fetch, "http://up.example.com/") == "unreachable"


def test_the_pause_ends_with_the_time_that_is_left():
    sleeps = []

    clock = count(0, 1 / 1024).__next__
    fetch = transport(sleeps=sleeps, timeout=0.3, clock=clock)
    failure(fetch, "https://unknown.example.com/")

    assert 0 < sleeps[0] <= 0.3


def test_certificates_are_checked_as_this_machine_does():
    context = system_network().ssl_context()

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_body_is_read_only_for_certain_statuses(serve):
    bad = answers(b"\x1f\x8b", status="401 No", headers=["Content-Encoding: gzip"])

    assert transport().get(f"http://up.example.com:{serve(bad).port}/", {}) == (401, b"")


def test_the_host_of_an_address_of_ipv6_is_in_brackets(serve):
    try:
        upstream = serve(answers(), address="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    policy = AddressPolicy(networks=(ip_network("::1"),))
    fetch = transport(policy=policy, names={"::1": ["::1"]})

    assert fetch.get(f"http://[::1]:{upstream.port}/v1", {})[0] == 200
    assert f"Host: [::1]:{upstream.port}\r\n" in upstream.requests[0]


def test_a_request_has_a_user_agent_and_accepts_no_compression(serve):
    upstream = serve(answers())

    transport().get(f"http://up.example.com:{upstream.port}/", HEADERS)

    (request,) = upstream.requests
    names = [line.partition(":")[0] for line in request.split("\r\n")[1:] if line]
    assert names == ["Host", "User-Agent", "Accept-Encoding", "Authorization"]
    assert "Accept-Encoding: identity\r\n" in request


def test_a_redirect_counts_as_any_other_response(serve):
    evil = serve(answers())
    upstream = serve(
        answers(status="302 Found", headers=[f"Location: http://127.0.0.1:{evil.port}/"])
    )

    status, _ = transport().get(f"http://up.example.com:{upstream.port}/", HEADERS)

    assert (status, evil.connections) == (302, 0)


def test_proxies_and_netrc_are_not_used(serve, monkeypatch, tmp_path):
    evil, upstream = serve(answers()), serve(answers())
    (tmp_path / ".netrc").write_text("machine up.example.com login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{evil.port}")

    transport().get(f"http://up.example.com:{upstream.port}/", {"Authorization": "Bearer mine"})

    assert evil.connections == 0
    assert upstream.requests[0].lower().count("authorization:") == 1
    assert "Authorization: Bearer mine" in upstream.requests[0]


def test_a_servers_response_is_not_in_the_log(serve, caplog):
    upstream = serve(echoes)

    transport().get(f"http://up.example.com:{upstream.port}/", HEADERS)

    assert traces([caplog.text]) == []  # the log is at DEBUG
    assert [each.name for each in caplog.records if each.name.startswith("httpcore")] == []


def test_names_are_looked_up_as_this_machine_does():
    assert "127.0.0.1" in look_up("localhost", 80)
