"""Real Gunicorn keeps serving during many connection tests of hanging providers."""

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from flask_model_registry.cli import new_key
from tests.hosts import PREFIX, connection
from tests.reliability.served_app import make
from tests.reliability.servers import Gunicorn
from tests.upstream import LISTING, Upstream, answers, wait_until

pytestmark = pytest.mark.slow

# As in the documentation; with gevent, before and after the app is imported.
KINDS = {
    "gthread": "--worker-class gthread --threads 8",
    "gevent": "--worker-class gevent",
    "gevent, preloaded": "--worker-class gevent --preload",
}
WORKERS, USERS, TESTS, LISTS = 2, 8, 200, 20
MOST = WORKERS * 5  # one more than one user may have, in each worker


@pytest.fixture(params=KINDS)
def kind(request):
    if "gevent" in request.param and find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    return KINDS[request.param]


@pytest.fixture
def serve(tmp_path, kind):
    """Serve a host on SQLite; return it as this process has it, and its server."""
    url, keys = f"sqlite:///{tmp_path / 'host.sqlite'}", new_key("test")
    host = make(url, keys)
    with host.app.app_context():
        host.db.create_all()
    environ = {"TEST_URL": url, "TEST_KEYS": keys}
    app = "tests.reliability.probing_app:create_app()"
    server = Gunicorn(environ, tmp_path / "gunicorn.log", workers=WORKERS, kind=kind, app=app)
    yield host, server
    server.kill()
    host.close()


@pytest.fixture
def hanging():
    """A provider that responds only once the test lets it."""
    go_on = threading.Event()

    def wait(upstream, connection):
        go_on.wait(300)
        answers(LISTING)(upstream, connection)

    upstream = Upstream(wait)
    upstream.go_on = go_on.set
    yield upstream
    go_on.set()
    upstream.close()


def ask(server, token, method, path, body=None):
    """Return a response's status, its `Retry-After` and its body."""
    client = http.client.HTTPConnection(*server.address, timeout=300)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    client.request(method, PREFIX + path, body and json.dumps(body), headers)
    response = client.getresponse()
    told = response.status, response.headers["Retry-After"], json.loads(response.read())
    client.close()
    return told


def test_hanging_providers_do_not_stall_the_app(serve, hanging):
    host, server = serve
    tokens = [host.token(f"user-{number}") for number in range(USERS)]
    reader = host.token("reader")
    body = connection(base_url=f"http://localhost:{hanging.port}/v1")

    with ThreadPoolExecutor(TESTS) as threads:
        asked = [
            threads.submit(ask, server, tokens[number % USERS], "POST", "/test-connection", body)
            for number in range(TESTS)
        ]
        wait_until(lambda: sum(each.done() for each in asked) >= TESTS - MOST)
        refused = [each.result() for each in asked if each.done()]
        read = [threads.submit(ask, server, reader, "GET", "/") for _ in range(LISTS)]
        wait_until(lambda: all(each.done() for each in read))
        lists = [each.result()[0] for each in read if each.done()]
        hanging.go_on()
        told = Counter(each.result()[2].get("result") for each in asked)

    assert lists == [200] * LISTS
    assert len(refused) >= TESTS - MOST
    assert {status for status, *_ in refused} <= {429, 503}
    assert {after for _, after, _ in refused} == {"1"}
    assert 0 < told["ok"] <= MOST
    assert (
        hanging.connections == 2 * told["ok"]
    )  # each sends a request with the key and one without
