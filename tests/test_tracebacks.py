"""No frame of the library's holds an API key when an exception passes through it.

Every public call and every route is found by introspection, and fails at each of its external
calls, one after the other: statements, commits, callbacks, signals, the secret box, the
clock, the network.
"""

from __future__ import annotations

import base64
import inspect
import json
import logging
import secrets
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from itertools import count, product

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, request
from marshmallow import fields

from flask_model_registry import (
    AesGcmBox,
    CannotOpenError,
    ConfigError,
    EncryptionKey,
    ModelRegistry,
    UnavailableError,
    signals,
)
from flask_model_registry.cli import model_registry
from flask_model_registry.errors import RegistryError, UpstreamError, ValidationError
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.providers.transport import Network, Transport
from flask_model_registry.web.views import ROUTES
from tests.conftest import traces
from tests.databases import do_not_wait_for_the_disk
from tests.frames import frames, is_called_by_us, is_no_test, is_ours, leaks, objects, texts
from tests.hosts import CANARY, PREFIX, declare, model
from tests.upstream import Upstream, answers, echoes, received

NOTHING_FAILS = nullcontext()
LISTING = b'{"data": [{"id": "gpt-4o-2024-11-20"}]}'
pytestmark = pytest.mark.forces_errors
# The edge raises before the driver is called, so a second server has no frames that the first doesn't have. The first
# has others than SQLite, but no others for another exception.
NO_DRIVER_RAISES = pytest.mark.databases("sqlite", "postgresql")
KILLED = pytest.param("killed", marks=pytest.mark.databases("sqlite"))


class Killed(BaseException):
    """An exception that servers raise anywhere, such as Gevent's timeout."""


class Edges:
    """The external calls of the library, of which one at a time fails."""

    def __init__(self):
        self.turn, self.kind, self.failed = None, None, None
        self.has_written = False  # to the database, whether or not that was rolled back

    @contextmanager
    def failing(self, turn, kind):
        self.turn, self.kind, self.failed = turn, kind, None
        try:
            yield
        finally:
            self.turn = None

    def __call__(self, own_error=LookupError):
        if self.turn is None:
            return
        self.turn -= 1
        if self.turn < 0:
            self.turn = None
            self.failed = {"any": LookupError, "killed": Killed, "own": own_error}[self.kind]
            raise self.failed("at an edge")

    def wrap(self, function, own_error=LookupError):
        def edge(*args, **options):
            self(own_error)
            return function(*args, **options)

        return edge


class Box(AesGcmBox):
    """A host's box that holds the key when it fails; it isn't part of the library."""

    edges = None

    def seal(self, plaintext, context):
        self.edges(UnavailableError)
        return super().seal(plaintext, context)

    def open(self, blob, context):
        self.edges(CannotOpenError)
        return super().open(blob, context)


def watch_the_database(engine, edges):
    def execute(cursor, statement, *_):
        edges(engine.dialect.loaded_dbapi.OperationalError)
        edges.has_written |= statement.startswith(("INSERT", "UPDATE", "DELETE"))

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        sa.event.listen(engine, name, execute)


@pytest.fixture
def edges():
    return Edges()


@pytest.fixture
def upstream():
    upstream = Upstream(answers(LISTING))
    yield upstream
    upstream.close()


@pytest.fixture
def edged(hosts, edges, upstream):
    """A host that can fail wherever the library calls it, with models at a provider of its own."""
    keys = [EncryptionKey(name, secrets.token_bytes(32)) for name in ("new", "old")]
    box = Box(keys, random=edges.wrap(secrets.token_bytes))
    box.edges = edges

    def load_user():
        edges()
        return host.load(request.headers["X-User"]) if "X-User" in request.headers else None

    host = hosts(
        secret_box=box,
        secret_source=edges.wrap(lambda name, **about: secret(), UnavailableError),
        user_loader=load_user,
        can_share=edges.wrap(lambda user: True),
        groups=edges.wrap(lambda user: ["ops"]),
        config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]},
    )
    prepare(host, edges, f"http://localhost:{upstream.port}/v1")
    yield host
    for signal in signals.namespace.values():
        signal.disconnect(host.receiver)
    assert traces(texts(host.alive)) == []


def prepare(host, edges, base_url):
    services = host.services
    for part in (services.models, services.ownership, services.accounts, services.attachments):
        for name in {"_clock", "_new_uuid"} & vars(part).keys():
            setattr(part, name, edges.wrap(getattr(part, name)))
    transport = host.services.providers.client._transport
    transport._network = replace(transport._network, clock=edges.wrap(transport._network.clock))
    host.receiver = edges.wrap(lambda sender, **facts: None)
    for signal in signals.namespace.values():
        signal.connect(host.receiver, sender=host.app)
    # Objects that live as long as the app are checked once, at the end.
    host.alive = objects([host.registry, host.services, ROUTES], depth=12)
    host.known = {*map(id, host.alive)}
    box = host.registry._secret_box
    for name in ("alice", "bob"):
        host.user(name)  # before the transaction that is to see them
    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        host.base_url = base_url
        box.key_id, box._newest = box.key_ids[1], "old"  # so that there is something to rotate
        host.row_id = host.registry.create(user=alice, **model(model_id="m", base_url=base_url))[
            "id"
        ]
        place = {"model_provider": "vllm", "base_url": base_url}
        made = host.registry.create_credential(name="c", user=alice, secret=secret(), **place)
        host.credential_id = made["id"]
        models = [{"model_id": "on-account", "model_name": "gpt-4o-2024-11-20"}]
        host.registry.create_models(made["id"], models, user=alice)
        made = host.registry.create_credential(name="r", user=alice, reference="r", **place)
        models = [{"model_id": "elsewhere", "model_name": "gpt-4o-2024-11-20"}]
        host.registry.create_models(made["id"], models, user=alice)
        host.registry.set_default("small_fast", "elsewhere", user=alice)
        host.registry.grant("m", to=bob, user=alice)
        host.registry.grant("m", group="ops", user=alice)
        host.registry.set_default("general", "m", user=alice)
        host.registry.create(user=alice, **model(model_id="shared", share_with_users=True))
        host.registry.set_default("general", "shared", user=alice, scope="app")
        box.key_id, box._newest = box.key_ids[0], "new"
        host.db.session.commit()
        do_not_wait_for_the_disk(host.db.engine)
        watch_the_database(host.db.engine, edges)
        sa.event.listen(host.db.session, "before_commit", lambda session: edges())


def secret():
    return {"api_key": CANARY, "headers": {"X-A": CANARY}}


def public_calls():
    calls = inspect.getmembers(ModelRegistry, inspect.isfunction)
    return sorted(name for name, _ in calls if not name.startswith("_") and name != "init_app")


def arguments(host, name):
    """Return the arguments of a call, by the names of its parameters."""
    alice, bob = host.load("alice"), host.load("bob")
    fields = model(model_id="new", base_url="https://a.example.com", share_with_users=True)
    known = {"ref": "m", "user": alice, "to": bob, "config_type": "general", "scope": "user"}
    known |= {"can_edit": True, "can_delete": True, "group": None, "transfer_to": bob}
    known |= {"fields": fields, "filters": {"q": "m"}}
    account = {"name": "n", "model_provider": "vllm", "base_url": "https://b.example.com"}
    if name.endswith("_credential"):
        known["fields"] = {**account, "secret": secret()}
    if name == "use_credential":
        known["ref"] = "on-account"
    known |= {"credential_id": host.credential_id, "secret": secret(), "change": secret()}
    known |= {"models": [{"model_id": "new", "model_name": "m"}], "detach": True}
    given = {}
    for parameter in inspect.signature(getattr(ModelRegistry, name)).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= known[parameter.name]
        elif parameter.name in known:
            given[parameter.name] = known[parameter.name]
        else:
            assert parameter.default is not parameter.empty, "a new parameter: name it above"
    return given


def call(host, name, failing=NOTHING_FAILS, **changes):
    """Make a call of the host's; return what it raised."""
    with host.app.app_context():
        given = {**arguments(host, name), **changes}
        host.db.session.commit()
        [host.load(each) for each in ("alice", "bob")]
        try:
            with failing:
                getattr(host.registry, name)(**given)
        except BaseException as error:
            return error
        finally:
            host.db.session.rollback()
    return None


@NO_DRIVER_RAISES
@pytest.mark.slow
@pytest.mark.parametrize("name", public_calls())
def test_a_call_that_fails_anywhere_leaves_no_key_in_a_frame(
    edged, edges, database, subtests, name
):
    for kind in ("any", "own", "killed") if database.name == "sqlite" else ("own",):
        with subtests.test(kind):
            for turn in count():
                error = call(edged, name, edges.failing(turn, kind))
                if edges.failed is None:
                    break
                assert leaks(error, is_no_test, known=edged.known) == [], turn
            assert turn > 0, "it touches nothing"


@pytest.mark.databases("sqlite")  # it fails before any write
def test_a_secret_that_is_refused_is_in_no_frame(edged, subtests):
    wrong = [
        {"api_key": CANARY + "\n"},
        {"api_key": [CANARY]},
        {"api_key": CANARY, CANARY: "x"},
        {**secret(), "headers": {CANARY: "\n"}},
        {**secret(), "headers": {"X-A": CANARY + "\n"}},
        {**secret(), "headers": {"X-A": [CANARY]}},
        {**secret(), "headers": {"X-A": CANARY, "x-a": CANARY}},
        {**secret(), "headers": [CANARY]},
    ]
    for name in ("create_credential", "update_credential", "set_secret"):
        with subtests.test(name):
            for each in wrong:
                error = call(edged, name, **(each if name == "set_secret" else {"secret": each}))
                assert isinstance(error, ValidationError)
                assert leaks(error, is_no_test, known=edged.known) == [], wrong.index(each)


@pytest.mark.databases("sqlite")  # it fails before any write
def test_a_key_among_models_that_are_refused_is_in_no_frame(edged):
    wrong = [
        CANARY,
        [CANARY],
        [{"model_id": "n", "model_name": "n", "api_key": CANARY}],
        [{"model_id": "n", "model_name": CANARY + "\n"}],
    ]
    for each in wrong:
        error = call(edged, "create_models", models=each)
        assert isinstance(error, RegistryError)
        assert leaks(error, is_no_test, known=edged.known) == [], wrong.index(each)


@pytest.mark.databases("sqlite")  # it fails before any write
@pytest.mark.parametrize("name", ["create", "update"])
def test_a_call_that_is_refused_leaves_no_key_in_a_frame(edged, name):
    given = model(model_id="new")
    changes = [
        *({field: {"nested": [CANARY]}} for field in {**given, "category": 1, "abilities": 1}),
        {"api_key": CANARY + "\n"},
        {"api_key": CANARY.encode() + b"\xff"},
        {"api_key": [CANARY]},
        {"api_key": CANARY * 300},
        {"apikey": CANARY},
        {CANARY: "x"},
        {"base_url": "https://10.0.0.1", "api_key": CANARY},
        {"model_id": "m"} if name == "create" else {"ref": "none"},
        {"user": "unknown"},
    ]

    for each in changes:
        error = call(edged, name, **each)
        assert isinstance(error, (RegistryError, ConfigError)), each.keys()
        assert leaks(error, is_no_test, known=edged.known) == [], each.keys()


class CarelessBox:
    """A host's box that deletes nothing."""

    def __init__(self):
        self.fails = False

    def seal(self, plaintext, context):
        return self.pause(plaintext.encode()[::-1])

    def open(self, blob, context):
        return self.pause(blob[::-1].decode())

    def pause(self, held):
        if self.fails:
            try:
                raise LookupError
            except LookupError as error:
                raise OSError("at the box") from error
        return held


@pytest.mark.sampled(2)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["create", "update", "resolve", "default"])
def test_a_careless_secret_box_that_fails_leaves_no_key_in_a_frame(hosts, name):
    box = CarelessBox()
    host = hosts(secret_box=box)
    with host.app.app_context():
        alice = host.load("alice")
        host.registry.create(user=alice, **model(model_id="m"))
        host.registry.set_default("general", "m", user=alice)
        box.fails = True
        given = {
            "create": {**model(model_id="new")},
            "update": {"ref": "m", "api_key": CANARY},
            "resolve": {"ref": "m"},
            "default": {"config_type": "general"},
        }[name]
        with pytest.raises(OSError, match="at the box") as caught:
            getattr(host.registry, name)(user=alice, **given)
        here = inspect.currentframe()
        assert leaks(caught.value, lambda frame: frame is not here) == []


class CarelessSource:
    """A host's source of secrets that deletes nothing, and returns its argument."""

    def __init__(self):
        self.error, self.odd = None, None

    def __call__(self, name, **about):
        held = {"api_key": CANARY, "headers": {"X-A": CANARY}}
        if self.error is not None:
            try:
                raise LookupError
            except LookupError as error:
                raise self.error from error
        return held if self.odd is None else self.odd(held)


SOURCES = {
    "create_credential": {"name": "n", "model_provider": "openai", "reference": "r"},
    "update_credential": {"reference": "r"},
    "set_secret": {"reference": "r"},
    "update_secret": {"reference": "r"},
    "resolve": {"ref": "m"},
    "default": {"config_type": "general"},
}
FAILURES = {
    "LookupError": lambda: {"error": LookupError("at the source")},
    "UnavailableError": lambda: {"error": UnavailableError("at the source")},
    "a database": lambda: {"error": sa.exc.TimeoutError("at the source")},
    "killed": lambda: {"error": Killed("at the source")},
    "a list": lambda: {"odd": lambda held: [held]},
    "an unknown member": lambda: {"odd": lambda held: {**held, CANARY: CANARY}},
    "a line": lambda: {"odd": lambda held: held["api_key"] + "\n"},
    "a header": lambda: {"odd": lambda held: {**held, "headers": {"Cookie": CANARY}}},
    "a nested key": lambda: {"odd": lambda held: {"api_key": held}},
}


@pytest.mark.sampled(2)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", SOURCES)
def test_a_careless_secret_source_leaves_no_key_in_a_frame(hosts, name):
    source = CarelessSource()
    host = hosts(secret_source=source)
    with host.app.app_context():
        alice = host.load("alice")
        account = {**SOURCES["create_credential"], "name": "first"}
        made = host.registry.create_credential(user=alice, **account)
        models = [{"model_id": "m", "model_name": "m"}]
        (row,) = host.registry.create_models(made["id"], models, user=alice)
        host.registry.set_default("general", row["id"], user=alice)
        known = {"credential_id": made["id"]} if name.startswith(("update_", "set_")) else {}
        here = inspect.currentframe()
        for failure, fails in FAILURES.items():
            vars(source).update({"error": None, "odd": None, **fails()})
            with pytest.raises((RegistryError, sa.exc.TimeoutError, Killed)) as caught:
                getattr(host.registry, name)(user=alice, **known, **SOURCES[name])
            assert leaks(caught.value, lambda frame: frame is not here) == [], failure
            assert traces(texts([caught.value, caught.value.__context__])) == [], failure


SPOILED = {
    "a text": lambda: EncryptionKey("k", CANARY),
    "a list": lambda: EncryptionKey("k", [CANARY]),
    "an entry of bytes": lambda: EncryptionKey.parse(b"k:" + CANARY.encode()),
    "an entry in a list": lambda: EncryptionKey.parse([CANARY]),
    "no text": lambda: opened_as_text(CANARY.encode() + b"\xff"),
}


def opened_as_text(plaintext):
    key, header = EncryptionKey("k", bytes(range(32))), b"\x01\x01k"
    sealed = AESGCM(key.reveal()).encrypt(bytes(12), plaintext, header + b"c")
    del plaintext
    return AesGcmBox([key]).open(header + bytes(12) + sealed, "c")


@pytest.mark.parametrize("case", SPOILED)
def test_keys_of_another_type_are_in_no_frame(case):
    with pytest.raises((AttributeError, TypeError, CannotOpenError)) as caught:
        SPOILED[case]()

    assert leaks(caught.value, is_no_test) == []
    assert traces(texts([caught.value, caught.value.__context__])) == []


def test_the_check_finds_what_a_frame_holds():
    def fail(api_key):
        raise LookupError

    with pytest.raises(LookupError) as caught:
        fail({"deep": [(CANARY[10:20].encode(),)]})

    assert leaks(caught.value, lambda frame: True) == ["test_tracebacks.py:fail:api_key"]


class Seen(logging.Handler):
    """Keeps the exceptions that were logged."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.errors = []

    def emit(self, record):
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


@pytest.fixture
def raised(edged, monkeypatch):
    """The exceptions of requests: those that Flask gets, handled or not, and those that are logged."""
    seen, log = [], Seen()
    handle = edged.app.handle_user_exception

    def handle_and_keep(error):
        seen.append(error)
        return handle(error)

    monkeypatch.setattr(edged.app, "handle_user_exception", handle_and_keep)
    logging.getLogger().addHandler(log)
    log.errors = seen
    yield seen
    logging.getLogger().removeHandler(log)


def routes(app):
    """Yield each route and method of the blueprint, with a path and a body for it."""
    for rule in app.url_map.iter_rules():
        name = rule.endpoint.rpartition(".")[2]
        if rule.endpoint.startswith("model_registry."):
            _, views = ROUTES.get(name, ("", {}))
            for method in rule.methods:
                yield rule, method, views.get(method) and views[method].body


def path_of(host, rule):
    known = {"id": host.row_id, "model_id": "m", "user": str(host.user("bob")), "group": "ops"}
    known |= {"config_type": "general", "provider": "vllm", "rest": "x", "filename": "x.js"}
    known["credential"] = host.credential_id
    with host.app.test_request_context():
        adapter = host.app.url_map.bind("localhost")
        return adapter.build(rule.endpoint, {name: known[name] for name in rule.arguments})


def body_of(host, schema):
    known = model(model_id="new", base_url=host.base_url, model_provider="vllm")
    known |= {"user": str(host.user("bob")), "id": host.row_id, "is_active": True}
    optional = {"category", "temperature", "dimension", "abilities", "description"}
    optional |= {"share_with_users", "can_edit", "can_delete"}
    known |= {"name": "n", "secret": secret(), "headers": secret()["headers"], "kind": "key"}
    known |= {"settings": {}, "expires_at": None, "without_key": False}
    known["models"] = [{"model_id": "new", "model_name": "m"}]
    known |= {"parameters": {}, "info": {}, "billed_call": True}
    optional |= {"from_model", "credential", "reference", "service_account"}
    optional |= {"access_key_id", "secret_access_key", "session_token"}
    return {name: known[name] for name in schema.fields if name not in optional}


def send(host, method, path, **options):
    """Send a request of Alice's; return the exception that left the app, if any."""
    headers = {"X-User": "alice", **options.pop("headers", {})}
    try:
        host.app.test_client().open(path, method=method, headers=headers, **options)
    except BaseException as error:
        return [error]
    return []


@NO_DRIVER_RAISES
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["own", KILLED])
def test_a_request_that_fails_anywhere_leaves_no_key_in_a_frame(edged, edges, raised, kind):
    names = ("credentials", "models", "abilities", "grants", "defaults", "app_defaults")
    before, edges.has_written = edged.snapshot(names), False
    failures = 0
    for rule, method, schema in routes(edged.app):
        options = {} if schema is None else {"json": body_of(edged, schema)}
        path = path_of(edged, rule)
        for turn in count():
            with edges.failing(turn, kind):
                errors = [*send(edged, method, path, **options), *raised]
            raised.clear()
            for error in errors:
                assert leaks(error, is_called_by_us, known=edged.known) == [], (method, path, turn)
            if edges.has_written:
                edged.restore(before)
                edges.has_written = False
            failures += len(errors)
            if edges.failed is None:
                break
    assert failures > 200


def spoiled(body):
    """Yield bodies that are refused, with the key in odd places, and how they are sent."""
    text = json.dumps(body)
    yield {"data": text[:-1], "content_type": "application/json"}
    yield {"data": text.encode() + b"\xff", "content_type": "application/json"}
    yield {"data": text[:-1] + ', "x": 1, "x": 2}', "content_type": "application/json"}
    yield {"data": text, "content_type": "text/plain"}
    yield {"data": text + " " * 70_000, "content_type": "application/json"}
    yield {"json": [body]}
    yield {"json": CANARY}
    yield {"json": body, "query_string": {"api_key": CANARY}}
    yield {"json": body, "query_string": [("api_key", CANARY), ("api_key", CANARY)]}
    yield {"json": {**body, "apikey": CANARY}}
    yield {"json": {**body, CANARY: 1}}
    for name in body:
        yield {"json": {**body, name: {"api_key": [CANARY]}}}
    if "secret" in body:
        yield {"json": {**body, "secret": {"api_key": CANARY + "\n"}}}
        yield {"json": {**body, "secret": {**secret(), CANARY: CANARY}}}
        yield {"json": {**body, "secret": {**secret(), "headers": {CANARY: "\n"}}}}
        yield {"json": {**body, "secret": {**secret(), "headers": {"X-A": CANARY + "\n"}}}}
    if "api_key" in body:
        yield {"json": {**body, "api_key": [CANARY]}}
        yield {"json": {**body, "api_key": CANARY + "\n"}}


@pytest.mark.databases("sqlite")  # it fails before any write
def test_a_request_that_is_refused_leaves_no_key_in_a_frame(edged, raised):
    refused = 0
    for rule, method, schema in routes(edged.app):
        if schema is None:
            continue
        for options in spoiled(body_of(edged, schema)):
            assert send(edged, method, path_of(edged, rule), **options) == []
            assert raised, (method, rule, options)
            for error in raised:
                assert leaks(error, is_called_by_us, known=edged.known) == [], (
                    method,
                    rule,
                    options,
                )
            refused += len(raised)
            raised.clear()
    assert refused > 100


@pytest.mark.databases("sqlite")  # it fails before any write
@pytest.mark.parametrize("error", [RuntimeError, Killed])
def test_a_field_that_fails_to_load_a_key_leaves_it_in_no_frame(edged, raised, monkeypatch, error):
    def load(field, value, *args, **options):
        if value == CANARY:
            raise error
        return value

    monkeypatch.setattr(fields.String, "_deserialize", load)

    escaped = send(edged, "POST", f"{PREFIX}/register", json=model())

    assert [*escaped, *raised]
    assert [leak for each in [*escaped, *raised] for leak in leaks(each)] == []


class Broken:
    """A body that ends with the server's error, after most of it has arrived."""

    def __init__(self, body, error):
        self.body, self.error = body, error

    def read(self, size=-1):
        if not self.body:
            raise self.error
        body, self.body = self.body, b""
        return body

    readline = read


@pytest.mark.databases("sqlite")  # it fails before any write
def test_a_body_that_does_not_arrive_whole_leaves_no_key_in_a_frame(edged, raised, subtests):
    ends = {"wsgi.input_terminated": True}, {"CONTENT_LENGTH": "1000"}
    for environ, error in product(ends, (OSError, Killed)):
        with subtests.test(f"{error.__name__}, {environ}"):
            raised.clear()
            stream = Broken(json.dumps(model()).encode(), error())

            escaped = send(
                edged, "POST", f"{PREFIX}/register", input_stream=stream,
                content_type="application/json", environ_overrides=environ,
            )  # fmt: skip

            assert [*escaped, *raised]
            assert [leak for each in [*escaped, *raised] for leak in leaks(each)] == []


def closes(upstream, connection):
    received(upstream, connection)


PROVIDERS = {
    "refuses": answers(f'{{"error": "{CANARY}"}}'.encode(), "401 Unauthorized"),
    "answers nonsense": answers(f"[{CANARY}".encode()),
    "sends no HTTP": lambda upstream, connection: connection.sendall(CANARY.encode() * 9),
    "sends too much": answers(CANARY.encode() * 100_000),
    "closes": closes,
    "echoes": echoes,
}


@pytest.mark.databases("sqlite")  # it fails before any write
def test_a_provider_that_fails_leaves_no_key_in_a_frame(edged, raised, subtests):
    client = edged.services.providers.client
    for name, answer in PROVIDERS.items():
        raised.clear()
        upstream = Upstream(answer)
        body = {"api_key": CANARY, "base_url": f"http://localhost:{upstream.port}"}
        with subtests.test(name), closing(upstream):
            assert send(edged, "POST", f"{PREFIX}/providers/vllm/models", json=body) == []
            if name != "echoes":
                with pytest.raises(UpstreamError) as caught:
                    client.names("vllm", body["base_url"], CANARY)
                raised.append(caught.value)

            assert name == "echoes" or len(raised) == 2
            assert [
                leak
                for error in raised
                for leak in leaks(error, is_no_test if error is raised[-1] else is_ours)
            ] == []


@pytest.mark.parametrize("error", [LookupError, Killed, OSError, MemoryError])
@pytest.mark.parametrize("edge", ["clock", "ssl_context", "stream"])
def test_a_transport_that_fails_leaves_no_header_in_a_frame(upstream, edge, error, monkeypatch):
    def fail(*_):
        raise error

    if edge == "stream":
        monkeypatch.setattr("httpcore2._backends.sync.SyncStream.write", fail)
    ticks = count()
    network = Network(
        ssl_context=fail,
        look_up=lambda host, port: ["127.0.0.1"],
        clock=lambda: fail() if edge == "clock" and next(ticks) > 6 else 0.0,
        sleep=lambda _: None,
    )
    transport = Transport(AddressPolicy(frozenset({"localhost"})), network, 5.0)
    scheme = "https" if edge == "ssl_context" else "http"

    with pytest.raises(error) as caught:
        transport.get(
            f"{scheme}://localhost:{upstream.port}/v1", {"Authorization": f"Bearer {CANARY}"}
        )

    assert any(is_ours(frame) for frame in frames(caught.value))
    assert leaks(caught.value, is_no_test) == []


@pytest.fixture
def lines(edged, tmp_path):
    """A file to import: models and credentials of Alice's, new and changed, and refused lines."""
    owned = {"owner": str(edged.user("alice")), "base_url": edged.base_url}
    account = {**owned, "type": "credential", "model_provider": "openai"}
    secret = {"api_key": CANARY, "headers": {"X-Team": CANARY}}
    uses = {name: value for name, value in model(**owned).items() if name != "api_key"}
    models = [
        {**account, "name": "new", "secret": secret},
        {**account, "name": "c", "secret": {"api_key": f"{CANARY}-changed"}},
        {**account, "name": "odd", "secret": {"api_key": CANARY, "headers": {"Host": CANARY}}},
        {**account, "name": [CANARY], "secret": CANARY},
        {**uses, "model_id": "uses", "credential": "new"},
        {**uses, "model_id": "m", "credential": "new"},
        {**uses, "model_id": "lost", "credential": [CANARY]},
        model(model_id="new", **owned),
        model(model_id="m", model_name="x", **owned),
        model(model_id="odd", apikey=CANARY, **owned),
        model(model_id=[CANARY], **owned),
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, models)) + f'\n{{"api_key": "{CANARY}')
    return path


@pytest.fixture
def litellm_config(edged, tmp_path):
    """A proxy's configuration to import, with a model that is new and one that is there."""
    entries = [
        {
            "model_name": name,
            "litellm_params": {"model": "openai/x", "api_base": edged.base_url, "api_key": CANARY},
        }
        for name in ("from-litellm", "m")
    ]
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"model_list": entries}))  # which is YAML too
    return path


@pytest.fixture
def secret_file(tmp_path):
    """A credential's secret."""
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(secret()))
    return path


@NO_DRIVER_RAISES
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["any", KILLED])
@pytest.mark.parametrize("name", sorted(model_registry.commands))
def test_a_command_that_fails_anywhere_leaves_no_key_in_a_frame(
    edged, edges, lines, litellm_config, secret_file, name, kind
):
    owned = ["--owner", str(edged.user("alice"))]
    names = ["--name", "new", "--provider", "vllm", "--base-url", edged.base_url]
    options = {
        "create-credential": [*owned, *names, "--secret", str(secret_file)],
        "set-secret": [str(edged.credential_id), "--secret", str(secret_file)],
        "delete-credential": [str(edged.credential_id), "--detach"],
        "import": ["--on-conflict", "update", str(lines)],
        "import-litellm": [*owned, "--credentials", str(litellm_config)],
        "export": ["--with-secrets"],
    }
    runner = edged.app.test_cli_runner()
    for turn in count():
        error = None
        with edges.failing(turn, kind):
            try:
                error = runner.invoke(model_registry, [name, *options.get(name, [])]).exception
            except Killed as killed:
                error = killed
        if edges.failed is None:
            break
        if error is None and kind == "any" and name.endswith(("-credential", "-secret")):
            continue  # a receiver failed, which is logged
        assert isinstance(error, (edges.failed, SystemExit)), turn
        assert leaks(error, known=edged.known) == [], turn
    assert turn > 0 or name in {"generate-key", "openapi"}


WRONG = {
    "no id": CANARY,
    "no base64": f"k:{CANARY}",
    "an id that is none": f"k k:{CANARY}",
    "too short": f"k:{base64.b64encode(CANARY.encode()).decode()}",
}


@pytest.mark.parametrize("name", WRONG)
def test_an_entry_that_is_refused_is_in_no_frame(name):
    with pytest.raises(ConfigError) as caught:
        EncryptionKey.parse(WRONG[name])

    assert leaks(caught.value, is_no_test) == []


@pytest.mark.parametrize("form", ["text", "list", "file", "another setting", "host's secret"])
def test_a_configuration_that_is_refused_is_in_no_frame(tmp_path, form):
    app, path = Flask("wrong"), tmp_path / "keys"
    path.write_bytes(f"k:{CANARY}\xff".encode("latin-1"))
    name, good = "MODEL_REGISTRY_ENCRYPTION_KEYS", base64.b64encode(CANARY[-32:].encode()).decode()
    app.config |= {
        "text": {name: f"k:{CANARY}"},
        "list": {name: [f"a:{good}", f"k:{CANARY}"]},
        "file": {f"{name}_FILE": str(path)},
        "another setting": {name: f"a:{good}", "MODEL_REGISTRY_PAGE": "yes"},
        "host's secret": {name: f"a:{good}", "SECRET_KEY": CANARY[-32:]},
    }[form]

    with pytest.raises(ConfigError) as caught:
        declare()[3].init_app(app)

    assert leaks(caught.value, is_no_test) == []


@pytest.mark.parametrize("api_key", [f"{CANARY}\ud800", CANARY], ids=["surrogate", "key"])
def test_a_box_that_cannot_seal_keeps_no_key(api_key):
    box = AesGcmBox([EncryptionKey("k", bytes(range(32)))], random=lambda size: b"short")

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # of the cipher
        box.seal(api_key, "context")

    assert leaks(caught.value, is_no_test) == []
    assert traces(texts([caught.value, caught.value.__context__])) == []


@pytest.mark.databases("sqlite")  # it fails before any write
def test_an_exception_that_the_host_was_handling_keeps_its_variables(edged):
    def fail():
        mark = "the host's own"
        raise KeyError(mark)

    try:
        fail()
    except KeyError as outer:
        error = call(edged, "create", model_id="")
        kept = outer.__traceback__.tb_next.tb_frame.f_locals

    assert isinstance(error, ValidationError)
    assert kept == {"mark": "the host's own"}
