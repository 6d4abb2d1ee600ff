"""Requests a second and their times under Gunicorn, with 1 and 2 workers and 8 connections."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from flask_model_registry import configure_sqlite

from . import floor, ordinary
from .cost import SIDES
from .host import User, body, create_app, db, tokens

CONNECTIONS, ROUNDS = 8, 5
URL, IS_CONFIGURED = "BENCH_URL", "BENCH_IS_CONFIGURED"


def served_app():
    app = create_app(os.environ[URL])
    app.register_blueprint(floor.blueprint, url_prefix="/floor")
    app.register_blueprint(ordinary.blueprint, url_prefix="/ordinary")
    if os.environ.get(IS_CONFIGURED):
        with app.app_context():
            configure_sqlite(db.engine)
    return app


def run(name, url, seconds, *, is_configured=False):
    """Return the figures for each number of workers, kind of request and side."""
    os.environ |= {URL: url, IS_CONFIGURED: "1" if is_configured else ""}
    app, found = served_app(), {}
    with app.app_context():
        db.create_all()
        db.session.add_all([User(id=number) for number in (1, 2)])
        db.session.commit()
        db.engine.dispose()
    token = tokens(app, (1, 2))
    for workers in (1, 2):
        server, address = _start(workers)
        try:
            load = Load(address, token)
            load.wait()
            if workers == 1:
                for number in range(100):
                    load.register("/api/models", "1", f"first-{number}")
            for kind in ("register", "get-one", "list-100"):
                label = f"{kind}, {workers} worker{'s' * (workers > 1)}"
                found[label] = _compare(load, kind, seconds)
                print(name, label, found[label], flush=True)
        finally:
            server.terminate()
            server.wait()
    return found


def _start(workers):
    listening = socket.create_server(("127.0.0.1", 0))
    number = listening.fileno()
    options = f"--workers {workers} --worker-class gthread --threads 4 --keep-alive 60".split()
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "--bind", f"fd://{number}", "--log-level",
         "warning", "benchmarks.served:served_app()"],
        pass_fds=[number], cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    return server, listening.getsockname()


def _compare(load, kind, seconds):
    rounds = [
        {side: load.run(kind, prefix, seconds / ROUNDS) for side, prefix in SIDES.items()}
        for _ in range(ROUNDS)
    ]
    found = {}
    for side in SIDES:
        taken = [each[side] for each in rounds]
        found[side] = {
            "a second": round(statistics.median(len(each) / seconds * ROUNDS for each in taken)),
            "p50 ms": round(statistics.median(map(statistics.median, taken)) * 1000, 1),
            "p99 ms": round(statistics.median(map(p99, taken)) * 1000, 1),
        }
    for other in ("floor", "ordinary"):
        ratios = (len(each["library"]) / len(each[other]) for each in rounds)
        found[f"library/{other}"] = round(1 / statistics.median(ratios), 2)
    return found


def p99(times):
    return statistics.quantiles(times, n=100)[-1]


class Load:
    """So many connections, each with one request at a time, for so long."""

    def __init__(self, address, tokens):
        self.address, self.tokens = address, tokens

    def run(self, kind, prefix, seconds):
        end, taken = time.monotonic() + seconds, []
        threads = [
            threading.Thread(target=self._client, args=(kind, prefix, end, taken, number))
            for number in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return taken

    def wait(self):
        """Wait for the workers: the socket has a queue for those who come before them."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        for _ in range(20):
            self._ask(connection, "GET", "/api/models/providers", 1, "")
        connection.close()

    def register(self, prefix, user, model_id):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        self._ask(connection, "POST", f"{prefix}/register", user, model_id)
        connection.close()

    def _client(self, kind, prefix, end, taken, number):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        path = {"get-one": "/50", "list-100": "/?limit=100", "register": "/register"}[kind]
        method, user = ("POST", 2) if kind == "register" else ("GET", 1)
        while (start := time.monotonic()) < end:
            model_id = f"{prefix.strip('/')}-{number}-{time.time_ns()}"
            self._ask(connection, method, prefix + path, user, model_id)
            taken.append(time.monotonic() - start)
        connection.close()

    def _ask(self, connection, method, path, user, model_id):
        headers = {"Authorization": f"Bearer {self.tokens[int(user)]}"}
        content = json.dumps({**body(0), "model_id": model_id}) if method == "POST" else None
        if content:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} returned {answer.status}")
