"""The page of deployment, done: Gunicorn, PostgreSQL, a backup, and what came of it."""

import json
import os
import secrets
import shutil

import pytest
import sqlalchemy as sa

from tests.databases import SERVERS
from tests.hosts import CANARY, model
from tests.reading import PAGES, ROOT, blocks, blocks_of
from tests.shell import Shell

MIGRATING = """
from flask_migrate import Migrate

migrate = Migrate(db=db)
create = create_app


def create_app():
    app = create()
    migrate.init_app(app)
    return app
"""
PLACE = "postgresql+psycopg://app:password@db.example.com/app"
USER = """
from flask_jwt_extended import create_access_token
from app import User, create_app, db
with create_app().app_context():
    db.session.add(User(id=1))
    db.session.commit()
    print(create_access_token("1"))
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
    shell = Shell(tmp_path, FLASK_APP="app.py")
    yield shell
    shell.stop()


def test_the_page_deploys_backs_up_and_restores(make_database, shell):
    if None in map(shutil.which, ("pg_dump", "pg_restore")):
        pytest.skip("PostgreSQL's programs are not installed")
    keys, wsgi, gunicorn, serve, release, health, backup, restore = [
        block.text for block in blocks_of(ROOT / "docs" / "deploy.md")
    ]
    (shell.folder / "app.py").write_text(blocks(PAGES[0])[0] + MIGRATING)
    (shell.folder / "wsgi.py").write_text(f"from app import db\n{wsgi}\n{health}")
    port = shell.environ["FLASK_RUN_PORT"]
    (shell.folder / "gunicorn.conf.py").write_text(gunicorn.replace(":8000", f":{port}"))
    (shell.folder / "model.json").write_text(json.dumps(model()))
    (shell.folder / "user.py").write_text(USER)
    assert PLACE in keys

    shell.run(keys.replace(PLACE, make_database()))
    shell.run("flask db init && flask db migrate")
    said = shell.run(release)
    shell.run("export TOKEN=$(python user.py)")
    shell.run(serve.replace("gunicorn wsgi:app", "gunicorn wsgi:app &"))
    address = '-H "Authorization: Bearer $TOKEN" http://127.0.0.1:5000'
    healthy = shell.run("curl http://127.0.0.1:5000/healthz")
    answer = shell.run(
        f"curl -i {address}/api/models/register -H 'X-Forwarded-Prefix: /app' "
        "-H 'Content-Type: application/json' -d @model.json"
    )
    shell.run(backup)
    shell.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = make_database()
    restored = shell.run(restore)

    assert "the database is postgresql" in said
    assert "\nerror " not in said
    assert json.loads(healthy) == {"status": "ok"}
    assert "\nLocation: /app/api/models/1\n" in answer
    assert "1 of 1 API keys open." in restored
    dump = (shell.folder / "app.dump").read_bytes()
    assert CANARY.encode() not in dump
    assert (shell.folder / "app.dump.keys").read_text().split()[:2] == ["1", "seals"]
    assert (shell.folder / "encryption-keys").stat().st_mode & 0o077 == 0


def test_a_worker_without_the_key_in_use_does_not_start(make_database, shell):
    keys, _, gunicorn, *_ = [block.text for block in blocks_of(ROOT / "docs" / "deploy.md")]
    (shell.folder / "app.py").write_text(blocks(PAGES[0])[0])
    (shell.folder / "gunicorn.conf.py").write_text(gunicorn.replace(":8000", ":0"))
    (shell.folder / "seal.py").write_text(
        "from app import User, create_app, db, registry\n"
        "with create_app().app_context():\n"
        "    db.create_all()\n"
        "    db.session.add(user := User(id=1))\n"
        f"    registry.create(user=user, **{model()!r})\n"
        "    db.session.commit()\n"
    )
    shell.run(keys.replace(PLACE, make_database()))
    shell.run("python seal.py")

    shell.run("flask model-registry generate-key > encryption-keys")
    said = shell.run("gunicorn 'app:create_app()' 2>&1 || echo it does not start")

    assert "is not configured" in said or "missing" in said
    assert said.endswith("it does not start\n")
