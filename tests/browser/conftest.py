"""A browser, the demo server, and windows in which nothing may go wrong unseen."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import upstream
from tests.conftest import traces
from tests.hosts import make_host
from tests.ports import free_port

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
ROOT = Path(__file__).parent.parent.parent
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
# Where screenshots are kept, to be looked at.
ARTEFACTS = Path(os.environ.get("TEST_ARTEFACTS", "build/screenshots"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The headless shell takes half the time: a whole Chromium also draws its own toolbar for each window.
CHROMIUM = "chromium-headless-shell", "chromium", "chromium-browser"
# Milliseconds until the page must have done something. A test that passes takes no longer with more.
PATIENCE = 60_000
# Everything that the page keeps anywhere: elements, what is typed in them, and storage.
KEPT = """() => {
  const texts = [document.cookie, JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage})];
  const walk = (root) => {
    texts.push(root.innerHTML ?? root.documentElement.outerHTML);
    for (const node of root.querySelectorAll("*")) {
      if ("value" in node) texts.push(String(node.value));
      if (node.shadowRoot) walk(node.shadowRoot);
    }
  };
  walk(document);
  return texts;
}"""
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def missing(what):
    """Skip on a machine that lacks something, unless the browser tests are asked for."""
    if os.environ.get("TEST_BROWSER"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


# Playwright starts once in a process, and tests/software has these fixtures too.
_browsers = []


@pytest.fixture(scope="session")
def browser():
    """Chromium, as the system installs it: its headless shell, or the program that TEST_CHROMIUM names."""
    if _browsers:
        yield _browsers[0]
        return
    api = pytest.importorskip("playwright.sync_api")
    api.expect.set_options(timeout=PATIENCE)
    names = os.environ.get("TEST_CHROMIUM", ""), *CHROMIUM
    program = next(filter(None, map(shutil.which, names)), None) or missing("Chromium")
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        _browsers.append(browser)
        yield browser
        _browsers.clear()
        browser.close()


def stand_in_for_the_world(route):
    """Answer for providers that are not the suite's own, as no test calls the world."""
    body = route.request.post_data_json or {}
    if body.get("model_provider") == "stand-in" or "/stand-in/" in route.request.url:
        route.fallback()
    else:
        answer = {"result": "ok", "latency_ms": 1, "key_checked": True, "models": ["gpt-4o"]}
        route.fulfill(status=200, body=json.dumps(answer))


def stand_in_for_its_provider(route):
    """Answer for the provider of a saved model, which the page tests after registering it."""
    request = route.request
    saved = route.fetch(url=request.url.removesuffix("/test"), method="GET", post_data="")
    if saved.ok and saved.json()["model_provider"] != "stand-in":
        body = json.dumps({"result": "ok", "latency_ms": 1, "key_checked": True})
        route.fulfill(status=200, body=body)
    else:
        route.fallback()


@pytest.fixture
def windows(browser):
    """Open windows, each of a browser of its own; what goes wrong in one fails the test."""
    opened, faults = [], []

    def open_window(url, **options):
        context = browser.new_context(**options)
        context.add_init_script(WATCH)
        for path in ("test-connection", "providers/*/models"):
            context.route(f"**/{path}", stand_in_for_the_world)
        context.route(re.compile(r"/models/\d+/test$"), stand_in_for_its_provider)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.on("response", lambda response: open_window.statuses.append(response.status))
        opened.append(page)
        page.goto(url)
        return page

    open_window.statuses = []
    yield open_window
    for page in opened:
        # The event in which the page removes a closed dialog is a task of its own.
        page.locator("dialog:not([open])").first.wait_for(state="detached")
        faults += page.evaluate("window.violations")
        assert traces(page.evaluate(KEPT)) == []
        # What the page has asked for meanwhile may find its context closed.
        for routed in (page, page.context):
            routed.unroute_all(behavior="ignoreErrors")
        page.context.close()
    assert faults == []


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory):
    """The address of a demo server."""
    port = free_port()
    instance = tmp_path_factory.mktemp("demo")
    environ = {**os.environ, "PORT": str(port), "DEMO_INSTANCE": str(instance)}
    command = [sys.executable, str(ROOT / "examples" / "demo" / "app.py")]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        while not process.stdout.readline().startswith("Serving"):
            assert process.poll() is None
        yield f"http://127.0.0.1:{port}"
        process.terminate()


class Demo:
    """The demo as it begins, and what its API says past the page."""

    def __init__(self, address, windows):
        self.address, self._windows = address, windows
        request = urllib.request.Request(f"{address}/reset", method="POST")
        urllib.request.urlopen(request).close()

    def open(self, name, **options):
        """Open the page of a person, and wait for its models."""
        page = self._windows(f"{self.address}/as/{name}", **options)
        page.locator("model-registry .models:not([aria-busy]) > li").first.wait_for()
        return page

    def ask(self, name, method, path, body=None):
        """Send a request to the API as a person."""
        token = self._send("POST", f"/as/{name}/token")["token"]
        return self._send(method, f"/api/models{path}", body, {"Authorization": f"Bearer {token}"})

    def fill(self, name, count):
        """Register as many models for a person: m-000, m-001, ..."""
        for number in range(count):
            body = {"model_provider": "stand-in", "model_name": "x", "api_key": "k"}
            self.ask(name, "POST", "/register", {**body, "model_id": f"m-{number:03}"})

    def names(self, name):
        return [model["model_id"] for model in self.ask(name, "GET", "/?is_active=all")]

    def _send(self, method, path, body=None, headers=()):
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **dict(headers)},
        )
        with urllib.request.urlopen(request) as response:
            text = response.read()
        return json.loads(text) if text else None


@pytest.fixture
def demo(demo_server, windows):
    return Demo(demo_server, windows)


@pytest.fixture
def served(tmp_path, canary):
    """Serve a host app of another make; returns the host and its address."""
    running = contextlib.ExitStack()

    def serve(add_pages, **config):
        host = make_host(f"sqlite:///{tmp_path / 'host.sqlite'}", config=config)
        add_pages(host)
        running.callback(host.close)
        port = running.enter_context(upstream.served(host.app))
        return host, f"http://127.0.0.1:{port}"

    yield serve
    running.close()


@pytest.fixture(scope="session")
def axe():
    """Check a page by axe-core's rules; returns what it finds, each with the elements."""
    source = AXE.read_text() if AXE.exists() else missing("axe-core (npm install in tests/browser)")

    def check(page):
        page.evaluate(source)
        found = page.evaluate("(tags) => axe.run({runOnly: tags})", RULES)
        return [
            (each["id"], [node["target"] for node in each["nodes"]]) for each in found["violations"]
        ]

    return check
