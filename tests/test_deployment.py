"""Follows the page on deployment: Gunicorn, PostgreSQL, a backup, and the restored database."""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
import sqlalchemy as sa

from tests.databases import SERVERS
from tests.doc_runner import ROOT, blocks, blocks_of
from tests.hosts import CANARY, model
from tests.shell import Shell

pytestmark = pytest.mark.slow

PLACE = "postgresql+psycopg://app:password@db.example.com/app"
TOKEN = """
from desk import create_app
from flask_jwt_extended import create_access_token
with create_app().app_context():
    print(create_access_token("1"))
"""
SEAL = """
from desk import create_app
from desk.ai import registry
from desk.models import User, db
with create_app().app_context():
    db.create_all()
    db.session.add(user := User(name="alice", password_hash=""))
    registry.create(user=user, **{model!r})
    db.session.commit()
"""
TYPED = """
from flask import Flask

def create_app() -> Flask: ...
"""
TYPED_REGISTRY = """
from flask_sqlalchemy import SQLAlchemy

class Registry:  # an editable install is not found by mypy
    def check_keys(self) -> None: ...

db: SQLAlchemy
registry: Registry
"""


@pytest.fixture(params=["postgresql"])
def make_database(request):
    """Make empty databases, to be dumped and restored."""
    made, server = [], sa.create_engine(SERVERS[request.param], isolation_level="AUTOCOMMIT")

    def make():
        name = f"model_registry_test_{secrets.token_hex(4)}"
        try:
            with server.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        except sa.exc.OperationalError:
            if os.environ.get("TEST_ALL_DATABASES"):
                raise
            pytest.skip("PostgreSQL does not answer")
        made.append(name)
        return server.url.set(database=name).render_as_string(hide_password=False)

    yield make
    with server.connect() as connection:
        for name in made:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path, FLASK_APP="desk", PYTHONPATH=str(tmp_path))
    yield shell
    shell.stop()


def make_desk(folder):
    """Write the tutorial's app with the registry, without the route that calls a model."""
    (folder / "desk").mkdir()
    for section in ("The app", "Add the registry"):
        for text in blocks(ROOT / "docs" / "tutorial.md", section=section):
            (folder / re.match(r"# (\S+\.py)\n", text)[1]).write_text(text)


def texts():
    """Return the blocks of the page, up to those for nginx and Apache."""
    sections = ("Secrets", "Serve", "Each release", "Watch", "Back up")
    page = ROOT / "docs" / "deploy.md"
    return [block.text for section in sections for block in blocks_of(page, section)]


def in_sh(text):
    """Return a command that runs a block with nothing but POSIX, where dash is installed."""
    name = "dash" if shutil.which("dash") else "sh"
    return f"{name} -euc {shlex.quote(text)}"


def test_the_page_deploys_backs_up_and_restores(make_database, shell):
    if None in map(shutil.which, ("pg_dump", "pg_restore")):
        pytest.skip("PostgreSQL's programs are not installed")
    make, keys, wsgi, gunicorn, serve, release, health, backup, restore = texts()
    make_desk(shell.folder)
    (shell.folder / "wsgi.py").write_text(f"from desk.models import db\n{wsgi}\n{health}")
    port = shell.environ["FLASK_RUN_PORT"]
    (shell.folder / "gunicorn.conf.py").write_text(gunicorn.replace(":8000", f":{port}"))
    (shell.folder / "model.json").write_text(json.dumps(model()))
    (shell.folder / "make_token.py").write_text(TOKEN)
    assert PLACE in keys

    shell.run(make)
    first = (shell.folder / "encryption-keys").read_bytes()
    shell.run(make)
    shell.run(keys.replace(PLACE, make_database()))
    shell.run("flask db init && flask db migrate")
    said = shell.run(release)
    shell.run("flask add-user alice correct-horse && export TOKEN=$(python make_token.py)")
    shell.run(serve.replace("gunicorn wsgi:app", "gunicorn wsgi:app &"))
    address = '-H "Authorization: Bearer $TOKEN" http://127.0.0.1:5000'
    healthy = shell.run("curl http://127.0.0.1:5000/healthz")
    answer = shell.run(
        f"curl -i {address}/api/models/register -H 'X-Forwarded-Prefix: /app' "
        "-H 'Content-Type: application/json' -d @model.json"
    )
    shell.run(in_sh(backup))  # cron's shell is often not Bash
    shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = make_database()
    restored = shell.run(in_sh(restore))

    assert "the database is postgresql" in said
    assert "\nerror " not in said
    assert json.loads(healthy) == {"status": "ok"}
    assert "\nLocation: /app/api/models/1\n" in answer
    assert "1 of 1 API keys can be decrypted." in restored
    dump = (shell.folder / "app.dump").read_bytes()
    assert CANARY.encode() not in dump
    assert (shell.folder / "app.dump.keys").read_text().split()[:2] == ["1", "seals"]
    assert (shell.folder / "encryption-keys").stat().st_mode & 0o077 == 0
    assert (shell.folder / "encryption-keys").read_bytes() == first


@pytest.fixture
def served(shell):
    """Serve the app on SQLite, with a key in a file and an API key under it."""
    shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = "sqlite:///desk.sqlite"
    make_desk(shell.folder)
    make, keys, _, gunicorn, *_ = texts()
    port = shell.environ["FLASK_RUN_PORT"]
    (shell.folder / "gunicorn.conf.py").write_text(gunicorn.replace(":8000", f":{port}"))
    (shell.folder / "seal.py").write_text(SEAL.format(model=model()))
    shell.run(make)
    shell.run("\n".join(line for line in keys.splitlines() if "SQLALCHEMY" not in line))
    shell.run("python seal.py")
    return shell


NOT_STARTED = "gunicorn 'desk:create_app()' 2>&1 || echo it does not start"


def test_a_worker_without_the_key_in_use_does_not_start(served):
    served.run("flask model-registry generate-key > encryption-keys")

    said = served.run(NOT_STARTED)

    assert "is not configured" in said or "missing" in said
    assert "Worker failed to boot." in said
    assert said.endswith("it does not start\n")


def test_a_worker_does_not_start_while_the_database_is_away(served):
    served.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = "sqlite:////nowhere/desk.sqlite"

    said = served.run(NOT_STARTED)

    assert "Worker failed to boot." in said
    assert said.endswith("it does not start\n")


def test_a_reload_takes_keys_from_their_file(served):
    first = served.run("cat encryption-keys").strip()
    (served.folder / "ask.py").write_text(TOKEN)
    served.run("export TOKEN=$(python ask.py)")
    ask = 'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:5000/api/models/1/credential'
    served.run("gunicorn --pid master.pid --workers 1 'desk:create_app()' &")
    before = served.run(ask)
    served.run(
        f"flask model-registry generate-key > new && (cat new; echo {first}) > encryption-keys"
    )
    served.run("flask model-registry rotate-keys && cp new encryption-keys")

    served.run("kill -HUP $(cat master.pid)")
    for _ in range(600):
        after = served.run(f"{ask} || true")
        if '"readable"' in after:
            break
        time.sleep(0.1)

    assert '"readable"' in before
    assert '"readable"' in after


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_what_the_page_shows_is_typed(tmp_path):
    _, _, wsgi, gunicorn, _, _, health, *_ = texts()
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "__init__.pyi").write_text(TYPED)
    (tmp_path / "desk" / "ai.pyi").write_text(TYPED_REGISTRY)
    (tmp_path / "wsgi.py").write_text(f"from desk.ai import db\n{wsgi}\n{health}")
    (tmp_path / "gunicorn_conf.py").write_text(gunicorn)

    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "wsgi.py", "gunicorn_conf.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert result.returncode == 0, result.stdout
