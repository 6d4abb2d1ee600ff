"""Clients that use credentials at once: attach, move, detach, register, transfer, delete and rotate."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import replace
from urllib.parse import urlsplit

import sqlalchemy as sa

from flask_model_registry import UnavailableError
from tests.hosts import CANARY
from tests.reliability import load
from tests.reliability.history import EFFECTS, Operation

HOSTS = ("a.example.com", "b.example.com")
ANY = "any"  # host of an API key whose client did not know where its credential was by then
FEW, MANY = 3, 12  # credentials and models of a user, from which on there are no more made
ACTIONS = {
    "create": 1, "read": 4, "register": 3, "attach": 4, "detach": 3, "move": 3, "rotate": 2, "transfer": 1,
    "delete_model": 1, "delete": 1,
}  # fmt: skip


def name_of(credential_id):
    """Return what a credential is called in histories, beside the ``model_id`` of models."""
    return f"credential-{credential_id}"


class AccountClient(load.Client):
    """A client that uses the credentials of one user, and the models that they are for.

    Each API key says whose it is, and which host it is for. With it comes a header of a name of its
    own, which responses show.

    Attributes:
        credentials, models: Ids that all clients of the user know of.
        pairs: What was registered by one request.
    """

    def __init__(self, *args, user, credentials, models, **options):
        super().__init__(*args, [], **options)
        self.user, self.credentials, self.models = user, credentials, models
        self.pairs, self.made = [], 0

    def step(self):
        """Do one of the things that people do."""
        if not self.credentials:
            self.create()
            return
        kind = self.chance.choices([*ACTIONS], [*ACTIONS.values()])[0]
        if kind == "create" and len(self.credentials) >= FEW:
            kind = "move"
        if kind == "register" and len(self.models) >= MANY:
            kind = "attach"
        getattr(self, kind)()

    def create(self):
        value, _, place = self.secret()
        body = {**place, "name": self.new(), "model_provider": "openai"}
        start = time.monotonic()
        status, made = self.call("POST", "/credentials", body)
        assert status in {201} | load.REFUSED, status
        if status == 201:
            done = Operation("register", value, start, time.monotonic(), 201)
            self.enter(name_of(made["id"]), done)
            self.credentials.append(made["id"])

    def register(self):
        pair = tuple(f"{self.user}-on-{self.new()}" for _ in range(2))
        models = [{"model_id": each, "model_name": each, "abilities": ["chat"]} for each in pair]
        start = time.monotonic()
        path = f"/credentials/{self.chance.choice(self.credentials)}/models"
        status, made = self.call("POST", path, {"models": models})
        if status == 404:  # the credential was deleted
            return
        assert status in {201} | load.REFUSED, status
        self.pairs.append(pair)
        for model_id in pair:
            self.ended(model_id, Operation("register", model_id, start), status)
        if status == 201:
            self.models += [(each["id"], each["model_id"]) for each in made]

    def attach(self):
        for row_id, _ in self.some_model():
            credential = {"credential": self.chance.choice(self.credentials)}
            # 422: one is elsewhere, or another user's by now.
            self.expect({204, 403, 404, 409, 422}, "PUT", f"/{row_id}/credential", credential)

    def detach(self):
        for row_id, _ in self.some_model():
            _, key, place = self.secret()
            body = {"base_url": place["base_url"], "api_key": key}
            self.expect({200, 404, 409}, "PATCH", f"/{row_id}", body)

    def transfer(self):
        for row_id, model_id in self.some_model():
            body = {"user": self.other, "without_key": True}
            status = self.expect({204, 404, 409}, "POST", f"/{row_id}/transfer", body)
            if status == 204:
                self.forget(self.models, (row_id, model_id))

    def delete_model(self):
        for row_id, model_id in self.some_model():
            begun = Operation("delete", None, time.monotonic())
            status, _ = self.call("DELETE", f"/{row_id}")
            if status != 404:  # it may be another user's by now
                self.ended(model_id, begun, status)
            self.forget(self.models, (row_id, model_id))

    def move(self):
        value, _, place = self.secret()
        self.change_credential(value, "PATCH", "", place)

    def rotate(self):
        value, _, place = self.secret(ANY)
        self.change_credential(value, "PUT", "/secret", place["secret"])

    def read(self):
        credential, start = self.chance.choice(self.credentials), time.monotonic()
        status, shown = self.call("GET", f"/credentials/{credential}")
        value = shown["headers"][0] if shown else None
        self.ended(name_of(credential), Operation("read", value, start), status)

    def change_credential(self, value, method, path, body):
        credential = self.chance.choice(self.credentials)
        path = f"/credentials/{credential}{path}"
        self.write(name_of(credential), "change", value, method, path, body)

    def delete(self):
        credential = self.chance.choice(self.credentials)
        detach = self.chance.choice(["", "?detach=true"])
        path = f"/credentials/{credential}{detach}"
        if self.write(name_of(credential), "delete", None, "DELETE", path) in {204, 404}:
            self.forget(self.credentials, credential)

    def write(self, name, kind, value, method, path, body=None):
        """Change one thing, and enter it into the history."""
        begun = Operation(kind, value, time.monotonic())
        status, _ = self.call(method, path, body)
        return self.ended(name, begun, 200 if (kind, status) == ("change", 204) else status)

    def ended(self, name, operation, status):
        end = math.inf if status is None else time.monotonic()
        is_known = status in EFFECTS[operation.kind]
        assert is_known or status in load.REFUSED, (operation.kind, status)
        self.enter(name, replace(operation, end=end, status=status if is_known else None))
        return status

    def enter(self, name, operation):
        if operation.status is not None:
            self.note(name, operation)
        self.history[name].append(operation)

    def expect(self, statuses, *request):
        status, _ = self.call(*request)
        assert status in statuses | load.REFUSED, (status, request[:2])
        return status

    def some_model(self):
        """Return a model in a list, or none."""
        return self.chance.sample([*self.models], min(1, len(self.models)))

    @staticmethod
    def forget(known, item):
        with contextlib.suppress(ValueError):  # another client was first
            known.remove(item)

    def new(self):
        self.made += 1
        return f"{self.name}-{self.made}"

    def secret(self, host=None):
        """Return the name of a header, the API key with it, and what a credential is moved by."""
        host, number = host or self.chance.choice(HOSTS), self.new()
        key, header = f"{CANARY}-{self.user}-{host}-{number}", f"X-{number}"
        secret = {"api_key": key, "headers": {header: CANARY}}
        return header, key, {"base_url": f"https://{host}/v1", "secret": secret}


def team(host, address, folder, *, users, each=2):
    """Return so many clients of each of these users, who use the same credentials and models."""
    names = [f"user-{number}" for number in range(users)]
    keys = {name: str(host.user(name)) for name in names}
    of_users = {name: {"user": name, "credentials": [], "models": []} for name in names}
    return [
        AccountClient(
            f"account-{number}-{place}",
            address,
            host.token(name),
            other=keys[names[(number + 1) % users]],
            journal=folder / f"journal-account-{number}-{place}",
            **of_users[name],
        )
        for number, name in enumerate(names)
        for place in range(each)
    ]


@contextlib.contextmanager
def rotating(host):
    """Encrypt all API keys again and again, with either encryption key by turns."""
    keys = host.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"].split(",")
    rotators = [host.again(MODEL_REGISTRY_ENCRYPTION_KEYS=each) for each in (keys, keys[::-1])]
    stop, done = threading.Event(), []

    def rotate():
        while not stop.wait(0.2):
            with contextlib.suppress(sa.exc.DBAPIError, UnavailableError):
                done.append(rotators[len(done) % 2].run("rotate-keys")[1])

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()
        for each in rotators:
            with each.app.app_context():
                each.db.engine.dispose()


def is_on_account(row):
    """Return whether a model was registered by these clients."""
    return "-on-account-" in row.model_id


def credential_values(host, ids):
    """Return the header's name of those of these credentials that there are, or what differs."""
    names = {key: name for name, key in host.users.items()}
    values = {}
    for row in host.rows("credentials"):
        if row.id in ids:
            with host.app.app_context():
                user, model = (
                    host.load(names[row.owner_id]),
                    {"model_id": "last", "model_name": "m"},
                )
                (made,) = host.registry.create_models(row.id, [model], user=user)
                resolved = host.registry.resolve(made["id"], user=user)
                host.db.session.rollback()
            key, (header,) = resolved.api_key.reveal(), resolved.headers
            is_whole = key.endswith(f"-{header[2:]}") and [header] == row.secret_names["headers"]
            values[row.id] = header if is_whole else (key, header, row.secret_names)
    return values


def misplaced(host):
    """Yield models on another user's credential or away from theirs, or with a key not for them."""
    names = {key: name for name, key in host.users.items()}
    credentials = {row.id: row for row in host.rows("credentials")}
    for row in filter(is_on_account, host.rows("models")):
        if row.credential_id is not None:
            of_it = credentials.get(row.credential_id)
            place = of_it and (of_it.owner_id, of_it.model_provider, of_it.base_url)
            if place != (row.owner_id, row.model_provider, row.base_url) or row.ciphertext:
                yield row.model_id
                continue
        if (row.credential_id or row.ciphertext) and row.is_active:
            with host.app.app_context():
                user = host.load(names[row.owner_id])
                key = host.registry.resolve(row.id, user=user).api_key.reveal()
            place = urlsplit(row.base_url).hostname
            if not key.startswith(
                tuple(f"{CANARY}-{names[row.owner_id]}-{each}-" for each in (place, ANY))
            ):
                yield row.model_id


def halved(host, clients):
    """Yield pairs of models of which one is there, though no client tried to delete the other."""
    stored = {row.model_id for row in host.rows("models")}
    tried = {
        name
        for client in clients
        for name, operations in client.history.items()
        if any(each.kind == "delete" for each in operations)
    }
    for client in clients:
        for pair in getattr(client, "pairs", ()):
            if len(stored.intersection(pair)) == 1 and not tried.intersection(pair):
                yield pair
