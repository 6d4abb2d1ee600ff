"""Clients that use the API at once, journal the responses, and keep a history of them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import math
import os
import random
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.hosts import CANARY, PREFIX, model
from tests.reliability.history import EFFECTS, Operation

TIMEOUT = 300  # seconds
REFUSED = {None, 500, 503}  # with the worker or the database
METHODS = {"register": "POST", "change": "PATCH", "delete": "DELETE", "read": "GET"}
OTHERS = (
    ("GET", "/?sort=-id&limit=20", None),
    ("GET", "/summary", None),
    ("GET", "/providers", None),
    ("GET", "/v1/models", None),
    ("GET", "/defaults", None),
    ("PUT", "/defaults/general", {"id": "row"}),
    ("GET", "/row/grants", None),
    ("PUT", "/row/grants/users/other", {"can_edit": True}),
)


def secret(value):
    """Return the API key that is written together with a value."""
    return f"{CANARY}-{value}"


class Client:
    """A client that uses a few models of one user, and journals each acknowledged write on disk."""

    def __init__(self, name, address, token, ids, *, other, journal):
        self.name, self.token, self.ids, self.other = name, token, ids, other
        self.connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
        self.journal = journal.open("a")
        self.chance = random.Random(name)
        self.history, self.statuses = defaultdict(list), Counter()
        self.row_id = None  # of the model that was seen last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.journal.close()

    def step(self):
        """Do one of the things that people do."""
        if self.row_id and self.chance.random() < 0.25:
            method, path, body = self.chance.choice(OTHERS)
            path = path.replace("row", str(self.row_id)).replace("other", self.other)
            self.call(method, path, {"id": self.row_id} if body == {"id": "row"} else body)
        else:
            kind = self.chance.choices([*METHODS], [4, 3, 2, 3])[0]
            self.do(kind, self.chance.choice(self.ids))

    def do(self, kind, model_id):
        """Do something to one model, and enter it into the history."""
        value = f"{self.name}-{sum(self.statuses.values())}"
        path, body = f"/by-id/{model_id}", None
        if kind == "register":
            path, body = "/", model(model_id=model_id, abilities=["chat"])
        if kind in {"register", "change"}:
            body = {**(body or {}), "model_name": value, "api_key": secret(value)}
        start = time.monotonic()
        status, answer = self.call(METHODS[kind], path, body)
        # What was refused is over, done or not; what was not answered may still be under way.
        operation = Operation(kind, value, start, math.inf if status is None else time.monotonic())
        if status in EFFECTS[kind]:
            if status in {200, 201}:
                self.row_id, told = answer["id"], answer["model_name"]
                assert kind == "read" or told == value, (kind, told, value)
                value = told
            operation = replace(operation, value=value, status=status)
            self.note(model_id, operation)
        else:
            assert status in REFUSED, (kind, status)
        self.history[model_id].append(operation)

    def note(self, model_id, operation):
        """Keep on disk what was acknowledged."""
        self.journal.write(json.dumps([model_id, *vars(operation).values()]) + "\n")
        self.journal.flush()
        os.fsync(self.journal.fileno())

    def call(self, method, path, body=None):
        """Return the status and the payload, or ``None`` for each if no response came."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            content = None if body is None else json.dumps(body)
            self.connection.request(method, PREFIX + path, content, headers)
            response = self.connection.getresponse()
            status, answer = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            status, answer = None, b""
        if status in {None, 503}:
            time.sleep(0.1)
        self.statuses[status] += 1
        return status, json.loads(answer) if status in {200, 201} else None


def team(host, address, folder, *, clients, users, models):
    """Return clients of so many users, who have so many models each."""
    names = [f"user-{number}" for number in range(users)]
    keys = {name: str(host.user(name)) for name in names}
    return [
        Client(
            f"client-{number}",
            address,
            host.token(names[number % users]),
            [f"{names[number % users]}-m{each}" for each in range(models)],
            other=keys[names[(number + 1) % users]],
            journal=folder / f"journal-{number}",
        )
        for number in range(clients)
    ]


@contextlib.contextmanager
def busy(clients, steps=None):
    """Have the clients at work at once, each until the block ends, or for so many steps."""
    stop = threading.Event()

    def work(client):
        with client:
            for _ in itertools.repeat(None) if steps is None else range(steps):
                client.step()
                if stop.is_set() and steps is None:
                    return

    with ThreadPoolExecutor(len(clients)) as threads:
        working = [threads.submit(work, client) for client in clients]
        try:
            yield
        finally:
            stop.set()
            for each in working:
                each.result()


def statuses(clients):
    """Return how often each status was returned. ``None`` stands for no response."""
    return sum((client.statuses for client in clients), Counter())


def count_acknowledged(folder):
    """Return how much the journals hold."""
    return sum(each.read_bytes().count(b"\n") for each in folder.glob("journal-*"))


def acknowledged(folder):
    """Return what was acknowledged by the journals: models, and what was done to them."""
    lines = [line for each in folder.glob("journal-*") for line in each.read_text().splitlines()]
    return [(model_id, Operation(*values)) for model_id, *values in map(json.loads, lines)]
