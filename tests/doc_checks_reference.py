"""Readers of the pages that explain, and of the reference."""

import json
import math
import os
import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from unittest import mock

import flask
import pytest
import sqlalchemy as sa
from werkzeug.exceptions import HTTPException

import flask_model_registry
from flask_model_registry import AesGcmBox, EncryptionKey
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks, reads, text_of
from tests.hosts import CANARY, PREFIX, model
from tests.kms import Kms
from tests.reliability.faults import Faults


@reads("cli.md")
def cli(page, world):
    told = re.fullmatch(
        r"(\d+) of (\d+) looked at, ([\d,]+) a second, (\d+) minutes left\n", page.take("text")
    )
    done, rows, speed, minutes = (int(each.replace(",", "")) for each in told.groups())
    assert minutes == math.ceil((rows - done) / speed / 60)
    assert page.do().startswith("k2026:")
    (world.folder / "key.txt").write_text(f"{CANARY}\n")
    assert page.do() == "Credential 1 was created.\n"
    listed = page.do()
    assert page.take("text").split() == listed.split()
    assert page.do() == "Credential 1 has a new secret.\n"
    assert page.do() == "Credential 1 was deleted.\n"
    page.do()
    assert "5 keep; nothing was changed" in page.do()
    (world.folder / "config.yaml").write_text(blocks(ROOT / "docs" / "move.md", "yaml")[0])
    world.shell.environ |= {"OPENAI_API_KEY": CANARY}
    world.shell.environ["FLASK_MODEL_REGISTRY_ALLOWED_HOSTS"] = "localhost,ollama"
    assert "2 create, 1 update; nothing was changed" in page.do()
    page.do()
    document = json.loads((world.folder / "openapi.json").read_text())
    assert document["servers"] == [{"url": PREFIX}]


@reads("http.md", "Errors")
def errors(page, world):
    problem = page.do()
    answer = world.client().patch(f"{PREFIX}/5", json={"temperature": "0.7"})
    assert answer.json == problem
    app = world.mount()
    page.do()
    app.add_url_rule("/absent", "absent", lambda: world.names["registry"].resolve("absent"))
    answers = [world.client().get(path) for path in ("/absent", "/api/models/by-id/absent")]
    assert answers[0].json == answers[1].json
    choose, registry, db = page.do()["choose"], world.names["registry"], world.names["db"]
    with world.app.app_context():
        alice = world.load(1)
        registry.set_default("general", "local", user=alice)
        registry.update("old", user=alice, is_active=False)
        assert [choose(alice, each).model_id for each in ("gpt-4o", "x")] == ["gpt-4o", "local"]
        with pytest.raises(RuntimeError, match="model-inactive: "):
            choose(alice, "old")
        db.session.commit()
    handles_all(page, world)


def handles_all(page, world):
    """Check that a handler for all exceptions handles the registry's, Werkzeug's and others."""
    app = world.mount(PROPAGATE_EXCEPTIONS=False)
    world.names["HTTPException"] = HTTPException
    page.do()
    registry = world.names["registry"]
    app.add_url_rule("/ours", "ours", lambda: registry.resolve("absent"))
    app.add_url_rule("/other", "other", lambda: [][0])
    answers = [world.client().get(path) for path in ("/ours", "/absent", "/other")]
    assert [answer.status_code for answer in answers] == [404, 404, 500]
    assert answers[0].json["type"].endswith(":not-found")


@reads("http.md", "For OpenAI clients")
def openai_clients(page, world):
    openai = pytest.importorskip("openai", reason="the SDK is not installed")
    world.names["OpenAI"] = openai.OpenAI
    world.serve()
    choices = page.do()["choices"]
    assert {*choices(world.token)} == {"local", "m2", "old", "m4", "gpt-4o"}


@reads("deploy.md", "Logs")
def logs(page, world):
    paged = []
    world.names["page_the_operator"] = lambda kind, endpoint: paged.append((kind, endpoint))
    page.do()
    with world.app.app_context():
        faults = Faults(world.names["db"].engine)
    client = world.client()
    for fault in ("full", "transient: locked"):
        with faults.at(2, fault):
            client.post(f"{PREFIX}/register", json=model(model_id=fault[:4]))
    world.app.logger.removeHandler(world.app.logger.handlers[-1])  # it outlives the app
    assert paged == [("full", "model_registry.register")]


@reads("front-end.md", "Write a client in Python")
def client_in_python(page, world):
    pytest.importorskip("httpx")
    world.serve()
    names, printed = world.names, []
    names["print"] = printed.append
    with mock.patch.dict(os.environ, TOKEN=world.token):
        page.do()
    again = names["api"].post("/register", json=names["new"])
    with pytest.raises(RuntimeError, match="model_id"):
        names["checked"](again)
    wrong = names["api"].patch(f"/{names['mini']['id']}", json={"temperature": 3})
    with pytest.raises(RuntimeError, match="temperature: "):
        names["checked"](wrong)
    another_comes_first(names, world.client())
    assert printed == [["local", "m2", "old", "m4", "gpt-4o", "mini"]]


def another_comes_first(names, client):
    """Change a model between what the client reads and what it sends, once."""
    sent = []

    def before(request):
        if request.method == "PATCH" and "PATCH" not in sent:
            client.patch(f"{PREFIX}/{names['mini']['id']}", json={"description": "Another"})
        sent.append(request.method)

    names["api"].event_hooks = {"request": [before]}
    changed = names["change"](names["mini"], description="Last")
    assert (changed["description"], sent) == ("Last", ["GET", "PATCH", "GET", "PATCH"])


@reads("front-end.md", "Generate a client")
def clients(page, world):
    schemes = page.do()["app"].config["MODEL_REGISTRY_SECURITY_SCHEMES"]
    world.mount(MODEL_REGISTRY_SECURITY_SCHEMES=schemes)
    document = world.client().get(f"{PREFIX}/openapi.json").json
    assert document["components"]["securitySchemes"] == schemes


@reads("python.md", "Calls")
def python(page, world):
    registry, db = world.names["registry"], world.names["db"]
    world.names.update(registry=registry)
    with world.app.app_context():
        registry.delete("gpt-4o", user=world.load(1))
        db.session.commit()
        seed = page.do()["seed"]
        created, resolved = seed(world.load(1))
        assert created[-1]["model_id"] == resolved.model_id == "gpt-4o"
        why_bob = page.do()["tidy"]
        why_bob(world.load(1), world.load(7))
        assert [each["model_id"] for each in registry.list(user=world.load(7))] == ["gpt-4o"]
        models_of = page.do()["models_of"]
        assert models_of(user=world.load(7)) == registry.list(user=world.load(7))
        with pytest.raises(flask_model_registry.MissingUserError):
            models_of(user=None)
        with pytest.raises(flask_model_registry.AuthenticationError, match="no request"):
            models_of()
        label = page.do()["label"]
        assert label(registry.get("gpt-4o", user=world.load(7))) == "gpt-4o (llm)"
        assert registry.default("general", user=world.load(7)).model_id == "gpt-4o"
        in_the_background(page.do()["summarize"], world)
        why = page.do()["why"]
        printed = []
        world.names["print"] = lambda told: printed.append(str(told))
        why(world.load(1))
        shown = page.take("text")
        number = re.search(r"model (\d+);", printed[0])[1]
        assert printed[0].strip() == shown.replace("model 12;", f"model {number};").strip()


def in_the_background(summarize, world):
    """Run a task in a thread, with a user and with a deleted one; neither is put into a queue."""
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(summarize, 7, "gpt-4o").result() == "gpt-4o"
        with pytest.raises(flask_model_registry.MissingUserError):
            threads.submit(summarize, 70, "gpt-4o").result()
        with pytest.raises(flask_model_registry.NotFoundError):
            threads.submit(summarize, 7, "m2").result()
    with pytest.raises(TypeError):
        pickle.dumps(world.names["registry"].resolve("gpt-4o", user=world.load(7)))


@reads("security.md", "API keys")
def secrets(page, world):
    kms = Kms()
    names = page.rest()
    service = names["EnvelopeBox"](kms, "one")
    built_in = names["built_in"](os.environ["FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS"])
    both = names["FirstOf"](built_in, service)
    for box in (service, built_in, both):
        assert both.open(box.seal("sk", "row"), "row") == "sk"
    with pytest.raises(flask_model_registry.CannotOpenError):
        both.open(b"\xff" * 60, "row")


@reads("databases.md", "SQLite")
def sqlite(page, world):
    if shutil.which("sqlite3") is None:
        pytest.skip("the command sqlite3 is not installed")
    world.names["Flask"] = flask.Flask
    page.do()
    assert (world.folder / "instance" / "app.sqlite").exists()
    app = world.take(page.do()["create_app"]())
    with app.app_context():
        assert world.names["db"].session.scalar(sa.text("PRAGMA foreign_keys")) == 1
    assert page.do().split() == ["ok", "5", "seals", repr(world.key_id())]
    assert (world.folder / "backup.sqlite").stat().st_mode & 0o077 == 0
    page.take("text")  # test_host_migrations.py checks that, and the rest with Flask-Migrate
    with app.app_context():
        world.names["connectable"] = world.names["db"].engine
    page.rest()
    assert len(world.client().get(f"{PREFIX}/").json) == 5


@reads("databases.md", "Transactions")
def transactions(page, world):
    registry, User = world.names["registry"], world.names["User"]
    starter = world.names["STARTER_MODEL"] = model(model_id="starter", share_with_users=True)
    sign_up = page.do()["sign_up"]
    with world.app.app_context():
        first, second = [sign_up(User(id=key, is_admin=True)) for key in (8, 9)]
        owned = [registry.list(user=each, owned=True) for each in (first, second)]
        assert [[each["model_id"] for each in models] for models in owned] == [["starter"], []]
        assert starter["api_key"] == CANARY
    hooks_leave(world)


def hooks_leave(world):
    """Check that a user whom a hook leaves in the session is committed by a write only."""
    db, User = world.names["db"], world.names["User"]
    app = world.mount()
    app.before_request(lambda: db.session.add(User()))
    client, kept = world.client(), []
    for method, fields in (("GET", None), ("POST", {}), ("POST", model(model_id="new"))):
        client.open(f"{PREFIX}/", method=method, json=fields)
        with app.app_context():
            users = db.session.scalar(sa.select(sa.func.count()).select_from(User))
            kept.append(users)
    assert kept == [4, 4, 5]


@reads("upgrading.md", "Versions and support", models=("m1", "m2", "m3", "m4", "m5"))
def versions(page, world):
    """Check each fact on the page against setup.cfg, noxfile.py and others."""
    text = text_of(ROOT / "docs" / page.name, "Versions and support")
    sent, shown = page.do(), page.do()
    answer = world.client().post(f"{PREFIX}/register", json=sent)
    assert (answer.status_code, len(sent), len(shown)) == (201, 11, 17)
    times = {name: shown[name] for name in ("created_at", "updated_at")}
    assert answer.json | times == shown

    box = AesGcmBox([EncryptionKey.parse(new_key("one"))])
    sealed = box.seal("sk", "row")
    assert sealed[:2] == bytes([1, len(name := b"one")])
    assert sealed[2:].startswith(name)
    assert len(sealed) == 2 + len(name) + 12 + len("sk") + 16
    with pytest.raises(flask_model_registry.CannotOpenError):
        box.open(b"\2" + sealed[1:], "row")

    package = (ROOT / "flask_model_registry").rglob("*.py")
    assert [each for each in package if "DeprecationWarning" in each.read_text()] == []
    assert "**Before you upgrade**" in (ROOT / "CHANGES.md").read_text()
    rows = re.findall(r"^\| (\S+) \| (.*) \|$", text, re.MULTILINE)
    assert_as_required({name: told for name, told in rows if name in told_of(text, "library")})
    assert_as_tested(text, told_of(text, "Python"))


def told_of(text, head):
    """Return the first column of the table whose first header this is."""
    (table,) = re.findall(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [row.split("|")[1].strip() for row in table.splitlines()]


def assert_as_required(lowest):
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].split()
    split = [re.fullmatch(r"([\w-]+)(.*)", each).groups() for each in required]
    told, asked = [
        {name: re.findall(r"\d[\d.]*\*?", bounds) for name, bounds in each}
        for each in (lowest.items(), split)
    ]
    assert told == asked
    assert [each for each in required if "<" in each or "==" in each] == []


def assert_as_tested(text, pythons):
    nox, setup = [(ROOT / each).read_text() for each in ("noxfile.py", "setup.cfg")]
    first, *_, last = named = re.findall(r"Python :: (3\.\d+)", setup)
    assert re.findall(r'nox.param\("([\d.]+)"', nox) == pythons
    assert f"Python {first} or newer, and its metadata names {first} to {last} as tested" in text
    assert f"python_requires = >={first}" in setup
    (on_ours,) = re.findall(r"and (MariaDB [\d.]+\d)\. The GitHub workflow", text)
    assert f"The tests run on {on_ours} " in (ROOT / "docs" / "databases.md").read_text()
    if (ROOT / ".github").exists():  # the sdist leaves these out, with SECURITY.md
        workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text()
        assert json.loads(re.search(r"python: (\[.*\])", workflow)[1]) == named
        postgresql, mariadb = re.findall(r"image: \w+:(\d+)", workflow)
        assert f"PostgreSQL {postgresql} and MariaDB {mariadb}." in text
        assert "The latest release gets fixes" in (ROOT / "SECURITY.md").read_text()


@reads("databases.md", "PostgreSQL")
def postgresql(page, world):
    assert "psycopg" in page.do()
    assert world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"].startswith("postgresql+psycopg://")
    connects(page.do()["app"], world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"])
    page.take("sql")  # on the server, in test_pages.py
    page.take("text")  # tests/software/test_pgbouncer.py does this section
    page.do()
    page.take("sql")
    page.do()
    recovers(page, world)


@reads("databases.md", "MySQL and MariaDB")
def mysql(page, world):
    assert "pymysql" in page.do()
    connects(page.do()["app"], world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"])
    recovers(page, world)


def recovers(page, world):
    """Run the page's listener for errors; tests/software/test_failover.py has the servers."""
    page.do()
    with world.app.app_context(), pytest.raises(sa.exc.OperationalError) as caught:
        world.names["db"].session.execute(sa.text("SELECT * FROM absent"))
    assert caught.value.connection_invalidated is False


def connects(app, url, *statements):
    """Make an engine with the options of a page, and execute its statements."""
    engine = sa.create_engine(url, **app.config["SQLALCHEMY_ENGINE_OPTIONS"])
    for statement in statements:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()
