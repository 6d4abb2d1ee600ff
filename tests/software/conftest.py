"""Servers that people really run in front of an app, on free ports and from temporary folders.

Each names itself and its version at the end of the run. One that isn't installed skips its tests,
or fails them with ``TEST_ALL_SOFTWARE=1``.
"""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.browser.conftest import browser, windows  # noqa: F401  # fixtures
from tests.doc_runner import ROOT
from tests.ports import free_port

HERE = Path(__file__).parent
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
MODULES = "/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"
RAN = set()
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {lines}
  }}
}}
"""
APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
DefaultRuntimeDir {folder}
Mutex file:{folder}
{modules}
{user}
{lines}
"""


@pytest.fixture(autouse=True)
def _names_what_ran(record_property):
    yield
    for each in sorted(RAN):
        record_property("software", each)


def missing(what):
    """Skip on a machine that lacks something, unless all software is asked for."""
    if os.environ.get("TEST_ALL_SOFTWARE"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def program(name, *commands):
    """Return the path of a program that has one of several names."""
    found = [path for each in commands if (path := shutil.which(each, path=PLACES))]
    return found[0] if found else missing(name)


def printed(*command):
    """Return what a program prints about itself."""
    process = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=300,
    )
    return process.stdout


def package(name, module=None):
    """Note the version of a Python package, and import it."""
    try:
        imported = __import__(module or name.lower().replace("-", "_"))
    except ImportError:
        missing(name)
    RAN.add(f"{name} {version(name)}")
    return imported


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Start a server that listens on a port of 127.0.0.1; returns its URL."""
    with contextlib.ExitStack() as stack:

        def run(name, command, port, **environ):
            log = tmp_path_factory.mktemp("log") / "output"
            with log.open("w") as output:
                process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **environ},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            stack.callback(process.wait, 120)
            stack.callback(process.terminate)
            for _ in range(3000):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return f"http://127.0.0.1:{port}"
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            pytest.fail(f"{name} does not answer:\n{log.read_text()}")

        yield run


@pytest.fixture(scope="session")
def gunicorn(start, tmp_path_factory):
    """Serve ``tests.software.app``, or another app, with these variables in its environment."""

    def serve(app="tests.software.app:create_app()", path=ROOT, **environ):
        package("gunicorn")
        database = tmp_path_factory.mktemp("app") / "app.sqlite"
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--threads",
            "4",
            app,
        ]
        return start(
            "Gunicorn",
            [*command, "--bind", f"127.0.0.1:{port}"],
            port,
            DATABASE_URL=f"sqlite:///{database}",
            PYTHONPATH=os.pathsep.join([str(path), str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **environ,
        )

    return serve


@pytest.fixture(scope="session")
def nginx(start, tmp_path_factory):
    """Start nginx with these lines in its ``server`` block."""

    def serve(lines):
        path = program("nginx", "nginx")
        RAN.add("nginx " + re.search(r"nginx/(\S+)", printed(path, "-v"))[1])
        folder, port = tmp_path_factory.mktemp("nginx"), free_port()
        # The folder is that of who runs the tests, and so must be what writes to it.
        user = "user root root;" if os.geteuid() == 0 else ""
        text = NGINX.format(folder=folder, port=port, user=user, lines=lines)
        (folder / "nginx.conf").write_text(text)
        options = [
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ]
        return start("nginx", [path, *options], port)

    return serve


@pytest.fixture(scope="session")
def apache(start, tmp_path_factory):
    """Start Apache with modules, such as ``deflate``, and these lines of configuration."""

    def serve(lines, *modules):
        path = program("Apache", "apache2", "httpd")
        RAN.add("Apache " + re.search(r"Apache/(\S+)", printed(path, "-v"))[1])
        folder, port = tmp_path_factory.mktemp("apache"), free_port()
        places = [Path(each) for each in MODULES if Path(each).is_dir()]
        built_in = printed(path, "-l")
        wanted = ["mpm_event", "unixd", "authz_core", *modules]
        loaded = [
            f"LoadModule {each}_module {_module(places, each)}"
            for each in wanted
            if f"mod_{each}.c" not in built_in
        ]
        text = APACHE.format(
            folder=folder, port=port, modules="\n".join(loaded), user=_unprivileged(), lines=lines
        )
        (folder / "apache.conf").write_text(text)
        options = ["-d", str(folder), "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
        return start("Apache", [path, *options], port)

    return serve


def _module(places, name):
    found = [path for each in places if (path := each / f"mod_{name}.so").exists()]
    return found[0] if found else missing(f"Apache's mod_{name}")


def _unprivileged():
    """Return the lines that name a user for Apache, which refuses to serve as root."""
    if os.geteuid() != 0:
        return ""
    names = {each.pw_name: each for each in pwd.getpwall()}
    user = next(names[each] for each in ("www-data", "apache", "nobody") if each in names)
    return f"User {user.pw_name}\nGroup #{user.pw_gid}"
