"""Names with slashes through real servers and proxies: exact, or refused, and never another's."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.ports import free_port
from tests.reliability.served_app import JWT_SECRET_KEY
from tests.software.names import IN_SCRIPT, NAMES, PATHS, finds, outcomes
from tests.upstream import served

# Which names are stored exactly, tests/test_names.py tests on each database.
pytestmark = pytest.mark.databases("sqlite")

ROOT = Path(__file__).parents[2]
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
MODULES = Path("/usr/lib/apache2/modules")
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/log; {user} events {{}}
http {{
  access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
  fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; location / {{ {lines} }} }}
}}
"""
APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/log
DefaultRuntimeDir {folder}
Mutex file:{folder}
{modules}
{user}
{lines}
"""


def program(*names):
    found = [path for name in names if (path := shutil.which(name, path=PLACES))]
    return found[0] if found else pytest.skip(f"{names[0]} is not installed")


@pytest.fixture
def start(record_property):
    """Start servers on ports of 127.0.0.1, and stop them at the end."""
    with contextlib.ExitStack() as stack:

        def run(command, port, what, **environ):
            record_property("software", what)
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ})
            stack.callback(process.wait, 120)
            stack.callback(process.send_signal, signal.SIGTERM)
            for _ in range(3000):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return f"http://127.0.0.1:{port}"
                assert process.poll() is None, f"{what} ended"
                time.sleep(0.1)
            pytest.fail(f"{what} does not answer")

        yield run


@pytest.fixture
def environ(host):
    """What another process needs to serve the same app."""
    url = host.app.config["SQLALCHEMY_DATABASE_URI"]
    keys = host.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {"TEST_URL": url, "TEST_KEYS": keys, "PYTHONPATH": path}


@pytest.fixture
def gunicorn(start, environ):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--threads", "4", "--bind", f"127.0.0.1:{port}"]
    app = "tests.software.named_app:create_app()"
    return start([*command, app], port, f"Gunicorn {version('gunicorn')}", **environ)


@pytest.fixture
def nginx(start, tmp_path):
    def serve(lines):
        path, folder, port = program("nginx"), tmp_path / "nginx", free_port()
        folder.mkdir()
        user = "user root root;" if os.geteuid() == 0 else ""
        text = NGINX.format(folder=folder, port=port, lines=lines, user=user)
        (folder / "conf").write_text(text)
        printed = subprocess.run([path, "-v"], capture_output=True, text=True, check=True).stderr
        options = ["-p", str(folder), "-c", str(folder / "conf"), "-e", str(folder / "log")]
        return start([path, *options], port, printed.strip())

    return serve


@pytest.fixture
def apache(start, tmp_path):
    def serve(lines, *modules):
        path, folder, port = program("apache2", "httpd"), tmp_path / "apache", free_port()
        if not all((MODULES / f"mod_{each}.so").exists() for each in modules):
            pytest.skip(f"Apache has not all of {modules}")
        folder.mkdir()
        loaded = [
            f"LoadModule {each}_module {MODULES}/mod_{each}.so"
            for each in ("mpm_event", "authz_core", *modules)
        ]
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        text = APACHE.format(
            folder=folder, port=port, modules="\n".join(loaded), lines=lines, user=user
        )
        (folder / "conf").write_text(text)
        printed = subprocess.run([path, "-v"], capture_output=True, text=True, check=True).stdout
        options = ["-d", str(folder), "-f", str(folder / "conf"), "-DFOREGROUND"]
        return start([path, *options], port, printed.splitlines()[0])

    return serve


def test_gunicorn(host, gunicorn):
    assert outcomes(host, gunicorn) == (NAMES, [])
    assert (
        finds(host, gunicorn, "/v1/models/meta/llama:3", "/v1/models/meta%2Fllama%3A3")
        == ["meta/llama:3"] * 2
    )
    assert finds(host, gunicorn, *PATHS) == [IN_SCRIPT] * 4


@pytest.fixture
def threaded(host, monkeypatch):
    """Serve the app in a thread; returns the URL."""
    monkeypatch.setitem(host.app.config, "JWT_SECRET_KEY", JWT_SECRET_KEY)
    with contextlib.ExitStack() as stack:

        def serve(server):
            if server == "waitress":
                return f"http://127.0.0.1:{stack.enter_context(served(host.app))}"
            running = make_server("127.0.0.1", 0, host.app, threaded=True)
            thread = threading.Thread(target=running.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(running.shutdown)
            return f"http://127.0.0.1:{running.server_port}"

        yield serve


@pytest.mark.parametrize("server", ["waitress", "Werkzeug"])
def test_servers_in_a_thread(host, threaded, server):
    url = threaded(server)

    assert outcomes(host, url) == (NAMES, [])
    assert finds(host, url, *PATHS) == [IN_SCRIPT] * 4


def test_nginx_passes_the_path_as_it_is(host, gunicorn, nginx):
    forwarded = "proxy_set_header X-Forwarded-For $remote_addr;"

    url = nginx(f"proxy_pass {gunicorn}; {forwarded}")

    assert outcomes(host, url) == (NAMES, [])
    assert finds(host, url, "/v1/models/meta%2Fllama:3") == ["meta/llama:3"]
    assert finds(host, url, *PATHS) == [IN_SCRIPT] * 4


@pytest.mark.parametrize("server", ["Gunicorn", "waitress"])
def test_nginx_that_decodes_the_path_has_names_refused(request, host, threaded, nginx, server):
    # waitress removes the headers by which a proxy shows itself.
    url = threaded(server) if server == "waitress" else request.getfixturevalue("gunicorn")
    lines = f"proxy_pass {url}/; proxy_http_version 1.1; proxy_set_header X-Forwarded-For x;"
    # Of "/ai" and "a/../b" nothing is left that shows it: docs/deploy.md.
    names = ["/team/ai", "ops/", "ops", "a//b", "a/b", "é/ü", "//x/y"]

    url = nginx(lines)
    exact, refused = outcomes(host, url, names)

    assert (exact, refused) == (["ops"], [each for each in names if each != "ops"])
    assert finds(host, url, *PATHS) == [IN_SCRIPT] * 4


def test_apache_proxies_the_path_as_it_is(host, gunicorn, apache):
    lines = f"AllowEncodedSlashes NoDecode\nMergeSlashes Off\nProxyPass / {gunicorn}/ nocanon"

    url = apache(lines, "proxy", "proxy_http")

    exact, refused = outcomes(host, url)
    assert {*exact} >= {"/team/ai", "/ai", "ops/", "ops", "a//b", "a/b", "%2Fai", "100%25", "é/ü"}
    assert {*refused} <= {"a/../b"}
    assert finds(host, url, "/v1/models/meta%2Fllama:3") == ["meta/llama:3"]
    assert finds(host, url, *PATHS) == [IN_SCRIPT] * 4


@pytest.mark.parametrize("slashes", ["Off", "On", "NoDecode"])
@pytest.mark.parametrize("merging", ["Off", "On"])
def test_apache_without_nocanon_changes_no_name(host, gunicorn, apache, slashes, merging):
    lines = f"AllowEncodedSlashes {slashes}\nMergeSlashes {merging}\nProxyPass / {gunicorn}/"
    names = ["/team/ai", "ops/", "ops", "a//b", "a/b", "é"]

    exact, _ = outcomes(host, apache(lines, "proxy", "proxy_http"), names)

    assert {"ops", "é"} <= {*exact}
