"""Readers of the pages for operators: cause each problem, and fix it as the page says."""

import contextlib
import json
import logging
import os
import re
import runpy
import shutil
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import datetime
from unittest import mock

import pytest
import sqlalchemy as sa

from flask_model_registry import configure_sqlite
from flask_model_registry.cli import new_key
from tests.databases import SERVERS, make_database
from tests.doc_runner import reads
from tests.hosts import CANARY, PREFIX, model
from tests.upstream import Upstream, is_silent, wait_until

KEY = re.compile(r"k[\w-]*#[0-9a-f]{8}")
CLOSED = "postgresql+psycopg://app@127.0.0.1:1/app"


def plain(text):
    """Return the lines of an output, without the parts that differ between runs."""
    text = text.replace("10.20.0.7", "127.0.0.1").replace("port 5432", "port 1")
    return [" ".join(line.split()) for line in KEY.sub("k", text).splitlines()]


def shown(page, output):
    """Check that the page shows this output: each of its lines, in order."""
    lines, told = iter(plain(output)), plain(page.take("text"))
    assert [each for each in told if each not in lines] == [], output


def fails(page, world):
    """Run the next command, which ends with exit status 1, and return what it prints."""
    return world.shell.run(f"({page.take('sh')}) 2>&1 && exit 9 || [ $? = 1 ]")


@contextlib.contextmanager
def log_of(app):
    """Collect the lines that an app logs."""
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    app.logger.addHandler(handler)
    try:
        yield lines
    finally:
        app.logger.removeHandler(handler)


def keys_in_a_file(world):
    """Keep the encryption keys in a file, as on the page of deployment; return it."""
    path = world.folder / "encryption-keys"
    path.write_text(world.shell.environ.pop("FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS") + "\n")
    del os.environ["FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS"]
    world.shell.environ["FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS_FILE"] = str(path)
    return path


def mounted(world, **config):
    """Serve a new app from now on, like restarted workers."""
    return world.mount(
        MODEL_REGISTRY_ENCRYPTION_KEYS_FILE=str(world.folder / "encryption-keys"), **config
    )


@reads("deploy.md", "Encryption keys")
def encryption_keys_are_rotated(page, world):
    path = keys_in_a_file(world)
    path.write_text(f"{new_key('k2027')}\n{path.read_text()}")
    shown(page, page.do())
    page.do()["check"](mounted(world))


@reads("troubleshooting.md", "Requests return 503")
def the_database_is_away(page, world):
    app = world.mount(SQLALCHEMY_DATABASE_URI=CLOSED)
    with log_of(app) as lines:
        answer = world.client().get(f"{PREFIX}/")
    assert (answer.status_code, answer.json["type"][-12:]) == (503, ":unavailable")
    shown(page, lines[0])
    here = world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"]
    world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = CLOSED
    shown(page, fails(page, world))
    world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = here
    world.mount()
    assert page.do() == "200\n"


@reads("troubleshooting.md", "Requests return 507")
def the_disk_is_full(page, world):

    def has_no_room(raw, _record):
        raw.execute("PRAGMA max_page_count = 1")  # SQLite has no limit

    with world.app.app_context():
        engine = world.names["db"].engine
        engine.dispose()
        sa.event.listen(engine, "connect", has_no_room)
    client, statuses = world.client(), [201]
    with log_of(world.app) as lines:
        while statuses[-1] == 201:
            added = model(model_id=f"added-{len(statuses)}", description="x" * 2000)
            answer = client.post(f"{PREFIX}/register", json=added)
            statuses.append(answer.status_code)
    assert answer.json["type"].endswith(":storage-full")
    shown(page, lines[0])
    assert client.get(f"{PREFIX}/").status_code == 200
    with world.request():
        assert world.names["registry"].resolve("gpt-4o").api_key.reveal() == CANARY
        registered = world.names["registry"].list()
    assert len(registered) == 5 + len(statuses) - 2  # the failed one left nothing
    assert page.do().split()[:6] == page.take("text").split()[:6]
    with world.app.app_context():
        sa.event.remove(engine, "connect", has_no_room)
        engine.dispose()
    assert json.loads(page.do())["description"] == "Changed after the disk was full"


@reads("troubleshooting.md", "API keys are unreadable")
def a_wrong_encryption_key(page, world):
    path = keys_in_a_file(world)
    missing = path.read_text()
    path.write_text(wrong := f"{new_key('k2027')}\n")
    app = mounted(world)
    with log_of(app) as lines:
        assert [world.client().get(f"{PREFIX}/").status_code for _ in "12"] == [503, 503]
    assert len(lines) == 2
    shown(page, lines[0])
    shown(page, fails(page, world))
    (world.folder / "missing-key").write_text(missing)
    shown(page, page.do())
    mounted(world)
    assert world.client().get(f"{PREFIX}/1/credential").json["status"] == "readable"

    path.write_text(wrong)  # and now the key is lost
    shown(page, fails(page, world))
    world.shell.environ["FLASK_MODEL_REGISTRY_KEY_CHECK"] = "warning"
    mounted(world, MODEL_REGISTRY_KEY_CHECK="warning")
    assert world.client().get(f"{PREFIX}/1/credential").json["status"] == "unreadable"
    page.do()
    assert world.client().get(f"{PREFIX}/1/credential").json["status"] == "readable"
    for each in range(2, 6):
        world.client().put(f"{PREFIX}/{each}/credential", json={"api_key": CANARY})
    assert "missing" not in page.do()


def of_mariadb(command):
    """Have a command of the page ask the suite's server."""
    url = sa.make_url(SERVERS["mariadb"])
    there = f"--host={url.host} --port={url.port} --user={url.username}"
    command = command.replace("--host=db.example.com --port=3306 --user=app", there)
    return command.replace("--password", f"--password={url.password or ''}")


@reads("troubleshooting.md", "The database failed over")
def the_primary_only_reads(page, world):
    if None in map(shutil.which, ("psql", "mariadb")):
        pytest.skip("psql or mariadb is not installed")
    database = make_database("postgresql", world.folder)
    db = world.names["db"]
    old = database.url + "%20-cdefault_transaction_read_only%3Don"
    try:
        with world.mount(SQLALCHEMY_DATABASE_URI=database.url).app_context():
            db.create_all()
            db.session.add(world.names["User"](id=1))
            db.session.commit()
        app = world.mount(SQLALCHEMY_DATABASE_URI=old)
        with log_of(app) as lines:
            registered = world.client().post(f"{PREFIX}/register", json=model())
        assert (registered.status_code, world.client().get(f"{PREFIX}/").status_code) == (503, 200)
        shown(page, lines[0])
        check = page.take("sh")
        for url, told in ((old, "on"), (database.url, "off")):
            world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = url
            assert world.shell.run(check).strip() == told
        assert world.shell.run(of_mariadb(page.take("sh"))).strip() == "0"
        for each in world._apps[1:]:
            with each.app_context():
                db.session.remove()
                db.engine.dispose()
    finally:
        database.drop()


@reads("troubleshooting.md", "An API key has leaked")
def an_api_key_has_leaked(page, world):
    registry = world.names["registry"]
    with world.request():
        at = {"model_provider": "openai", "base_url": world.at_upstream}
        made = registry.create_credential(name="team", **at, secret={"api_key": "leaked"})
        registry.create_models(made["id"], [{"model_id": "team", "model_name": "gpt-4o"}])
        world.names["db"].session.commit()
    found = page.do()
    assert "leaked" not in found
    assert '"model_id": "team"' in found
    assert "'team'  openai" in found
    (world.folder / "new-key.txt").write_text(f"{CANARY}\n")
    assert page.do() == "Credential 1 has a new secret.\n"
    with world.request():
        assert registry.resolve("team").api_key.reveal() == CANARY
    answers = page.do()
    assert '"status":"readable"' in answers.replace(" ", "")
    assert '"result":"ok"' in answers.replace(" ", "")


@reads("troubleshooting.md", "An encryption key has leaked")
def an_encryption_key_has_leaked(page, world):
    path = keys_in_a_file(world)
    shown(page, page.do())
    page.replace("k2026#5d41402a", world.key_id())
    assert [row.model_id for row in page.do()][-1] == "gpt-4o"
    leaked, new = path.read_text(), f"{new_key('k2027')}\n"
    path.write_text(new + leaked)
    world.shell.run("flask model-registry rotate-keys")
    path.write_text(new)
    shown(page, page.do())
    mounted(world)
    assert world.client().get(f"{PREFIX}/1/credential").json["status"] == "readable"


@reads("troubleshooting.md", "Restore a backup")
def a_backup_is_restored(page, world):
    live = file_of(world)
    with closing(sqlite3.connect(live)) as connection:
        connection.execute(f"VACUUM INTO '{world.folder / 'backup.sqlite'}'")
    with world.request():
        world.names["registry"].delete("gpt-4o")
        world.names["db"].session.commit()
        world.names["db"].engine.dispose()
    shown(page, page.do())
    shutil.copy(world.folder / "backup.sqlite", live)
    assert "5 of 5 API keys can be decrypted." in page.do()
    with world.app.app_context():
        configure_sqlite(world.names["db"].engine)
    assert world.client().get(f"{PREFIX}/5").status_code == 200


@reads("troubleshooting.md", "A worker hangs in connection tests")
def a_provider_hangs(page, world):
    shown(page, page.do())
    upstream = Upstream(is_silent)
    world.mount(MODEL_REGISTRY_PROBE_TIMEOUT=5, MODEL_REGISTRY_PROBE_CONCURRENCY=1)
    hangs = model(base_url=f"http://localhost:{upstream.port}/v1")
    del hangs["model_id"]
    answers = []

    def test():
        answers.append(world.client().post(f"{PREFIX}/test-connection", json=hangs).json)

    thread = threading.Thread(target=test)
    thread.start()
    wait_until(lambda: upstream.connections)
    test()
    thread.join()
    codes = [each.get("result") or each["type"].rpartition(":")[2] for each in answers]
    assert codes == ["too-many-probes", "timeout"]
    upstream.close()
    assert json.loads(page.do())["result"] == "ok"


# A table of the host's own, with values that SQLite accepts and the others don't.
NOTES = """

class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(5))
    parent_id = db.Column(db.ForeignKey("note.id"))
    written_at = db.Column(db.DateTime)
    data = db.Column(db.JSON)
"""
# The values written to it in SQL, and whether each server accepts them.
REFUSED = {
    "'long text', NULL": {"postgresql", "mariadb"},
    "'a', 99": {"postgresql", "mariadb"},
    "'a' || char(0), NULL": {"postgresql"},
}


@reads(
    "move.md",
    "Move from SQLite to PostgreSQL or MariaDB",
    models=("local", "shared", "grouped", "off", "last"),
)
def to_a_server(page, world):
    db = world.names["db"]
    (world.folder / "app.py").write_text((world.folder / "app.py").read_text() + NOTES)
    exec(NOTES, world.names)
    with world.app.app_context():
        db.create_all()
        fill(world)
    page.do()
    prepare = page.take("sh")
    page.write("copy_database.py")
    run, printed, check = page.take("sh"), page.take("text"), page.take("sh")
    for name in ("postgresql", "mariadb"):
        database = make_database(name, world.folder)
        try:
            assert {*plain(printed)} < {*plain(moves(world, database, prepare, run, check))}
        finally:
            database.drop()


def fill(world):
    """Fill a registry with everything it can have, and delete the model with the largest id."""
    db, registry = world.names["db"], world.names["registry"]
    alice, bob = world.load(1), world.load(7)
    account = {"model_provider": "openai", "base_url": world.at_upstream}
    for name in ("one", "two"):
        registry.create_credential(name=name, **account, secret={"api_key": name}, user=alice)
    registry.create_models(1, [{"model_id": "团队", "model_name": "gpt-4o"}], user=alice)
    registry.update("shared", share_with_users=True, description="Für alle 🚀", user=alice)
    registry.update("off", is_active=False, user=alice)
    registry.grant("local", to=bob, can_edit=True, user=alice)
    to_team = {"model_row_id": 3, "model_id": "grouped", "group_name": "team"}
    to_team |= {"can_edit": True, "can_delete": False}
    db.session.execute(sa.insert(registry.tables.grants).values(to_team))
    registry.set_default("general", "local", user=bob)
    registry.set_default("general", "shared", user=alice, scope="app")
    written_at = datetime.fromisoformat("2026-01-02T03:04:05.600000")
    db.session.add(world.names["Note"](id=3, text="short", written_at=written_at))
    registry.delete(registry.create(**model(model_id="gone"), user=alice)["id"], user=alice)
    db.session.commit()


def moves(world, database, prepare, run, check):
    """Move to a server, and check that everything is there; return the script's output."""
    db, registry = world.names["db"], world.names["registry"]
    old, before = world.app, tag(world)
    shell, here = world.shell, world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"]
    path = next(each for each in re.findall(r"postgresql\+\S+", prepare))
    create = "from app import *; create_app().app_context().push(); db.create_all()"
    shell.run(
        prepare.replace(path, f"'{database.url}'").replace(
            "flask db upgrade", f"python -c '{create}'"
        )
    )
    for row, refusing in REFUSED.items():
        with sqlite3.connect(file_of(world)) as raw:
            raw.execute(f"INSERT INTO note (id, text, parent_id) VALUES (5, {row})")
        if database.name in refusing:
            with pytest.raises((sa.exc.DataError, sa.exc.IntegrityError)):
                copies(world)
            raw.execute("DELETE FROM note WHERE id = 5")
            raw.commit()
        raw.close()
    printed = shell.run(run)
    with pytest.raises(SystemExit, match="isn't empty"):
        copies(world)
    assert "7 of 7 API keys can be decrypted." in shell.run(check)

    with old.app_context(), db.engine.connect() as connection:
        rows = {
            each: connection.execute(sa.select(each)).all() for each in db.metadata.tables.values()
        }
    new = world.mount(SQLALCHEMY_DATABASE_URI=database.url)
    with new.app_context(), db.engine.connect() as connection:
        for table, those in rows.items():
            if (table.name, database.name) == ("note", "mariadb"):
                kept = connection.execute(sa.select(table)).all()
                assert (
                    {each.text for each in kept}
                    == {each.text for each in those}
                    == {"short", "a\0"}
                )
                assert {each.written_at.microsecond for each in kept if each.written_at} == {0}
                continue
            assert sorted(connection.execute(sa.select(table)).all(), key=str) == sorted(
                those, key=str
            )
        is_null = connection.scalar(sa.text("SELECT data IS NULL FROM note"))
        assert (rows[db.metadata.tables["note"]][0].data, bool(is_null)) == (None, False)
    assert tag(world) == before
    with world.request(world.bobs):
        assert registry.resolve("local").api_key.reveal() == CANARY
        assert registry.default("general").model_id == "local"
        assert registry.get("shared")["description"] == "Für alle 🚀"
    with world.request():
        assert registry.resolve("团队").api_key.reveal() == "one"
        assert registry.create(**model(model_id="new"))["id"] == 8
        db.session.rollback()
    with new.app_context():
        db.session.remove()
        db.engine.dispose()
    shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = here
    world.app = old
    return printed


def copies(world):
    """Run the script of the page in this process, which is faster than another one."""
    new = world.shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"]
    places = {"FLASK_SQLALCHEMY_DATABASE_URI": new, "OLD_URI": f"sqlite:///{file_of(world)}"}
    make, apps = sys.modules["app"].create_app, []

    def create_app():
        apps.append(make())
        return apps[-1]

    try:
        with mock.patch.dict(os.environ, places), mock.patch("app.create_app", create_app):
            runpy.run_path(world.folder / "copy_database.py")
    finally:
        with apps[0].app_context():
            world.names["db"].engine.dispose()


def file_of(world):
    return world.folder / "instance" / "app.sqlite"


def tag(world):
    return world.client().get(f"{PREFIX}/1").headers["ETag"]
