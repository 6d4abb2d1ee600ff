"""SQLite, Flask-Migrate's own env.py, and users who change, leave and come: no model is lost or inherited.

The commands of ``flask db`` are really run, in a folder with an app as a developer would write it.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa

from flask_model_registry import configure_sqlite
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, text_of
from tests.hosts import CANARY, PREFIX, create_app, declare, granted, register

pytestmark = pytest.mark.slow

APP = """
import os
import sqlalchemy as sa
from flask import Flask
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_model_registry import ModelRegistry, configure_sqlite

db, jwt, migrate = SQLAlchemy(), JWTManager(), Migrate()


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80))
    is_admin = db.Column(db.Boolean, default=False)


registry = ModelRegistry(db, User)


def pragma(connection, _record):
    connection.execute("PRAGMA foreign_keys=ON")


def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
    for extension in (jwt, registry):
        extension.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        if os.environ["KEYS"] == "configured":
            configure_sqlite(db.engine)
        if os.environ["KEYS"] == "on":
            sa.event.listen(db.engine, "connect", pragma)
    return app
"""
SET_UP = {
    "on": lambda engine: sa.event.listen(
        engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON").close()
    ),
    "configured": configure_sqlite,
    "off": lambda engine: None,
}
FOREIGN_KEYS = list(SET_UP)
PAGE = text_of(ROOT / "docs" / "databases.md", "SQLite")
SAFE = re.search(r"with connectable\.connect\(\) as connection:\n( .*\n)+", PAGE)[0]
CLEAN = re.search(r"gone = (.*\n)+?db\.session\.commit\(\)\n", PAGE)[0]
BEFORE = ROOT / "tests" / "upgrade" / "0.1.0.dev0-2026-11.sqlite"
NAMES = ("models", "abilities", "grants", "defaults", "app_defaults")


class Project:
    """A folder with an app, its migrations and its database."""

    def __init__(self, folder, keys="off"):
        self.folder = folder
        self.file = folder / "app.sqlite"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{self.file}",
            "FLASK_JWT_SECRET_KEY": "x" * 48,
            "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key("test"),
            "KEYS": keys,
        }

    def copy(self, folder, keys):
        shutil.copytree(self.folder, folder)
        copy = Project(folder, keys)
        key = "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS"
        copy.environment[key] = self.environment[key]
        return copy

    def run(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def flask(self, *arguments):
        code, output = self.run("flask", *arguments)
        assert code == 0, output
        return output

    def edit(self, name, old, new):
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def host(self, keys):
        """Return the app as the suite has it, on this database."""
        encryption_keys = self.environment["FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS"]
        host = create_app(
            declare(groups=lambda user: []),
            f"sqlite:///{self.file}",
            MODEL_REGISTRY_ENCRYPTION_KEYS=encryption_keys,
        )
        with host.app.app_context():
            SET_UP[keys](host.db.engine)
        return host

    def count(self):
        connection = sqlite3.connect(self.file)
        counts = [
            connection.execute(f"SELECT count(*) FROM model_registry_{name}").fetchone()[0]
            for name in NAMES
        ]
        connection.close()
        return counts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose tables came from ``flask db init``, ``migrate`` and ``upgrade``."""
    project = Project(tmp_path_factory.mktemp("project"))
    (project.folder / "app.py").write_text(APP)
    project.flask("db", "init")
    project.flask("db", "migrate", "-m", "all tables")
    project.flask("db", "upgrade")
    project.flask("db", "check")
    return project


@pytest.fixture
def opened(made, tmp_path, canary):
    """Return a project and a host on its database, where alice has something of everything."""
    hosts = []

    def make(keys):
        project = made.copy(tmp_path / f"copy {len(hosts)}", keys)
        hosts.append(project.host(keys))
        return project, hosts[-1]

    yield make
    for host in hosts:
        canary(host.app)
        host.close()


def fill(host):
    alice = host.client("alice", is_admin=True)
    (row_id,) = register(alice, "m", abilities=["chat"], share_with_users=True)
    granted(alice, row_id, user=host.user("bob"))
    for name in ("general", "general?scope=app"):
        assert alice.put(f"{PREFIX}/defaults/{name}", json={"id": row_id}).status_code == 200


@pytest.mark.parametrize("keys", ["on", "configured"])
def test_a_migration_that_would_lose_models_is_refused(opened, keys):
    project, host = opened(keys)
    fill(host)
    host.close()
    before = project.count()
    project.edit("app.py", "String(80)", "String(200)")
    project.flask("db", "migrate", "-m", "longer names")

    code, output = project.run("flask", "db", "upgrade")

    assert (code, project.count()) == (1, before)
    assert "FOREIGN KEY constraint failed" in output
    with host.app.app_context():
        assert host.registry.resolve("m", user=host.load("alice")).api_key.reveal() == CANARY


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_the_recipe_of_the_documentation_migrates_it(opened, keys):
    project, host = opened(keys)
    fill(host)
    host.close()
    before = project.count()
    project.edit("app.py", "String(80)", "String(200)")
    project.flask("db", "migrate", "-m", "longer names")
    refused, _ = project.run("flask", "db", "upgrade")
    project.edit("migrations/env.py", "with connectable.connect() as connection:\n", SAFE)
    with sqlite3.connect(project.file) as connection:
        connection.execute("DROP TABLE IF EXISTS _alembic_tmp_user")
    connection.close()

    project.flask("db", "upgrade")

    assert (refused, project.count()) == (keys != "off", before)
    assert "VARCHAR(200)" in table(project, "user")
    project.flask("db", "check")
    with host.app.app_context():
        assert host.registry.resolve("m", user=host.load("alice")).api_key.reveal() == CANARY


def table(project, name):
    connection = sqlite3.connect(project.file)
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name]).fetchone()
    connection.close()
    return sql


def test_a_script_suits_each_database(made):
    (script,) = (made.folder / "migrations" / "versions").glob("*.py")
    text = script.read_text()

    assert text.count("ondelete='NO ACTION' if op.get_context().dialect.name == 'sqlite' else") == 9
    assert "ON DELETE CASCADE" not in table(made, "model_registry_models")


def delete_by_orm(host):
    host.db.session.delete(host.db.session.get(host.User, 1))


def delete_by_legacy_query(host):
    host.User.query.filter_by(id=1).delete()


def delete_by_query(host):
    host.db.session.execute(sa.delete(host.User).where(host.User.id == 1))


def delete_by_core(host):
    host.db.session.execute(host.User.__table__.delete().where(host.User.__table__.c.id == 1))


def delete_by_text(host):
    host.db.session.execute(sa.text("DELETE FROM user WHERE id = 1"))


def delete_elsewhere(host):
    """Delete like a script, or an administrator in SQLite's shell."""
    with sqlite3.connect(host.app.config["SQLALCHEMY_DATABASE_URI"][10:]) as connection:
        connection.execute("DELETE FROM user WHERE id = 1")
    connection.close()


def insert_by_orm(host):
    host.db.session.add(host.User(name="mallory"))


def insert_by_query(host):
    host.db.session.execute(sa.insert(host.User), [{"name": "mallory"}])


def insert_by_text(host):
    host.db.session.execute(sa.text("INSERT INTO user (name) VALUES ('mallory')"))


def insert_with_the_key(host):
    host.db.session.execute(sa.insert(host.User), [{"id": 1, "name": "mallory"}])


def replace_by_text(host):
    host.db.session.execute(sa.text("INSERT OR REPLACE INTO user (id, name) VALUES (1, 'mallory')"))


DELETIONS = [delete_by_orm, delete_by_legacy_query, delete_by_query, delete_by_core, delete_by_text,
             delete_elsewhere]  # fmt: skip
INSERTIONS = [insert_by_orm, insert_by_query, insert_by_text, insert_with_the_key, replace_by_text]


def is_refused(host, delete):
    """Delete the user. Return whether SQLite refused it, as it may where foreign keys are on."""
    try:
        delete(host)
        host.db.session.commit()
    except sa.exc.IntegrityError as error:
        host.db.session.rollback()
        return str(error.orig) == "FOREIGN KEY constraint failed"
    return False


@pytest.mark.parametrize("insert", INSERTIONS)
@pytest.mark.parametrize("delete", DELETIONS)
@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_a_new_user_inherits_nothing(opened, keys, delete, insert):
    project, host = opened(keys)
    (row_id,) = register(host.client("alice"), "m", abilities=["chat"])
    granted(host.client("alice"), row_id, group="g")
    with host.app.app_context():
        if is_refused(host, delete):
            assert keys != "off"
            assert project.count()[0] == 1
            assert host.registry.resolve("m", user=host.load("alice")).api_key.reveal() == CANARY
            host.registry.user_deleted(host.load("alice"))
            delete(host)
            host.db.session.commit()
        insert(host)
        host.db.session.commit()
        host.db.session.remove()
        mallory = host.db.session.scalar(sa.select(host.User).filter_by(name="mallory"))
        host.users["mallory"] = mallory.id
        assert mallory.id == 1

    assert host.client("mallory").get(f"{PREFIX}/?is_active=all").json == []
    assert project.count() == [0] * 5


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_an_upgrade_from_the_release_before_loses_nothing(tmp_path, keys):
    """With Alembic's own script, in Flask-Migrate's own env.py."""
    project = Project(tmp_path / "project", keys)
    project.folder.mkdir()
    (project.folder / "app.py").write_text(APP)
    shutil.copy(BEFORE, project.file)
    before = project.count()
    project.flask("db", "init")
    project.flask("db", "migrate")
    with sqlite3.connect(project.file) as connection:  # as docs/hosts.md says
        connection.execute("DROP TRIGGER IF EXISTS model_registry_user_deleted")
    connection.close()

    code, output = project.run("flask", "db", "upgrade")

    assert project.count() == before
    assert min(before) > 0
    if keys == "off":
        assert (code, "ON DELETE CASCADE" in table(project, "model_registry_models")) == (0, False)
        project.flask("db", "check")
    else:
        assert (code, "FOREIGN KEY constraint failed" in output) == (1, True)


def test_a_rebuilt_table_under_the_trigger_is_refused(tmp_path):
    project = Project(tmp_path / "project", "off")
    project.folder.mkdir()
    (project.folder / "app.py").write_text(APP)
    shutil.copy(BEFORE, project.file)
    before = project.count()
    project.flask("db", "init")
    project.flask("db", "migrate")

    code, output = project.run("flask", "db", "upgrade")

    assert (code, project.count()) == (1, before)
    assert "error in trigger model_registry_user_deleted" in output


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_models_of_users_who_are_gone_are_counted_and_deleted(opened, keys):
    project, host = opened(keys)
    fill(host)
    (row_id,) = register(host.client("bob"), "n")
    granted(host.client("bob"), row_id, user=host.user("alice"))
    granted(host.client("bob"), row_id, group="team")
    default = host.client("alice").put(f"{PREFIX}/defaults/compact", json={"id": row_id})
    delete_elsewhere(host)
    output, status = host.run("doctor")

    with host.app.app_context():
        exec(CLEAN, {"db": host.db})

    assert (default.status_code, status) == (200, 1)
    for what in ("1 models", "1 grants", "2 defaults"):
        assert f"error    {what} are of users who are gone" in output
    assert project.count() == [1, 0, 1, 0, 0]  # the grant to the group
    assert "who are gone" not in host.run("doctor")[0]


def test_a_user_with_models_keeps_the_primary_key(opened):
    _, host = opened("off")
    register(host.client("alice"), "m")

    for new in (2, 1):
        change = sa.text(f"UPDATE user SET id = {new} WHERE id = 1")
        if new == 1:
            host.execute(change)
            continue
        with pytest.raises(sa.exc.IntegrityError, match="the primary key of a user who has"):
            host.execute(change)
        with host.app.app_context():
            host.db.session.rollback()


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_a_user_who_is_replaced_keeps_all(opened, keys):
    project, host = opened(keys)
    fill(host)
    before = project.count()

    host.execute(sa.text("INSERT OR REPLACE INTO user (id, name) VALUES (1, 'alice')"))
    host.execute(
        sa.text("INSERT INTO user (id, name) VALUES (1, 'x') ON CONFLICT DO UPDATE SET name = 'x'")
    )

    assert project.count() == before


def test_the_first_use_without_foreign_keys_warns_once(opened, caplog):
    _, host = opened("off")
    for _ in range(2):
        assert host.client("alice").get(f"{PREFIX}/").status_code == 200
        with host.app.app_context():
            host.db.engine.dispose()

    warnings = [each for each in caplog.messages if "foreign keys are off" in each]
    assert len(warnings) == 1
    assert "configure_sqlite" in warnings[0]


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_a_new_user_of_another_session_inherits_nothing(opened, keys, caplog):
    project, host = opened(keys)
    register(host.client("alice"), "m")
    delete_elsewhere(host)
    other = project.host(keys)

    with other.app.app_context(), sa.orm.Session(other.db.engine) as session:
        session.add(other.User(name="mallory"))
        session.commit()
        assert session.get(other.User, 1).name == "mallory"
    other.close()

    assert project.count() == [0] * 5
    (warning,) = [each for each in caplog.messages if "an earlier user" in each]
    assert "foreign keys" in warning


# What ends with another user who has bob's primary key, or with an error; bob is user 2. SQLite
# fires no trigger for a row that is replaced. What begins with "!" is done on a connection of others.
NEW = "INSERT INTO user (name) VALUES ('mallory')"
ELSEWHERE = "!DELETE FROM user WHERE id = 2"
TAKEN_OVER = {
    "deleted": ["DELETE FROM user WHERE id = 2", NEW],
    "replaced": ["INSERT OR REPLACE INTO user (id, name) VALUES (1, 'bob')", NEW],
    "replaced by an update": ["UPDATE OR REPLACE user SET name = 'bob' WHERE id = 1", NEW],
    "moved": ["UPDATE user SET id = 7 WHERE id = 2", "UPDATE user SET id = 2 WHERE id = 1"],
    "moved onto": ["UPDATE OR REPLACE user SET id = 2 WHERE id = 1"],
    "moved to": [ELSEWHERE, "UPDATE user SET id = 2 WHERE id = 1"],
    "upserted": [
        ELSEWHERE,
        "INSERT INTO user (id, name) VALUES (2, 'alice') ON CONFLICT (name) "
        "DO UPDATE SET id = excluded.id",
    ],
}


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
@pytest.mark.parametrize("made_by", ["create_all", "Alembic"])
@pytest.mark.parametrize("way", TAKEN_OVER)
def test_no_way_of_sql_gives_a_user_the_models_of_another(tmp_path, way, made_by, keys):
    """SQL on a connection that the registry has used."""
    project = Project(tmp_path, keys)
    host = project.host(keys)
    host.execute(
        sa.text("CREATE TABLE user (id INTEGER PRIMARY KEY, name VARCHAR UNIQUE, is_admin)")
    )
    with host.app.app_context():
        host.db.create_all()
    if made_by == "Alembic":
        host.execute(sa.text("DROP TRIGGER model_registry_user_deleted"))
    host.user("alice")
    register(host.client("bob"), "bobs")
    with host.app.app_context():
        host.db.session.remove()
        host.db.engine.dispose()
        host.registry.list(user=host.load("alice"))
        host.db.session.commit()
        for statement in TAKEN_OVER[way]:
            if statement.startswith("!"):
                with sqlite3.connect(project.file) as connection:
                    connection.execute(statement[1:])
                connection.close()
                continue
            try:
                host.db.session.execute(sa.text(statement))
                host.db.session.commit()
            except sa.exc.IntegrityError:
                host.db.session.rollback()
        owners = "SELECT name FROM user JOIN model_registry_models ON owner_id = user.id"
        names = host.db.session.scalars(sa.text(owners)).all()
    host.close()

    assert set(names) <= {"bob"}


@pytest.mark.parametrize("keys", FOREIGN_KEYS)
def test_connections_are_followed_again_after_a_rollback(opened, keys):
    """Also where the users' table was rebuilt meanwhile, which takes its triggers along."""
    _, host = opened(keys)
    counted = "SELECT count(*) FROM sqlite_temp_master WHERE type = 'trigger'"
    with host.app.app_context():
        session, counts, alice = host.db.session, [], host.load("alice")

        def use():
            host.registry.list(user=alice)
            counts.append(session.scalar(sa.text(counted)))
            session.rollback()

        use()
        use()
        session.execute(sa.text("DROP TRIGGER IF EXISTS model_registry_user_inserted"))
        session.commit()
        use()

    assert counts == [3 if keys == "off" else 2] * 3


@pytest.mark.databases("postgresql", "mariadb")
def test_a_script_of_another_database_suits_sqlite_too(tmp_path, empty_databases):
    project = Project(tmp_path / "project", "configured")
    project.folder.mkdir()
    (project.folder / "app.py").write_text(APP)
    here = project.environment["FLASK_SQLALCHEMY_DATABASE_URI"]
    there = project.environment["FLASK_SQLALCHEMY_DATABASE_URI"] = empty_databases().url
    project.flask("db", "init")
    project.flask("db", "migrate")
    project.flask("db", "upgrade")
    project.flask("db", "check")
    engine = sa.create_engine(there)
    keys = sa.inspect(engine).get_foreign_keys("model_registry_models")
    engine.dispose()
    project.environment["FLASK_SQLALCHEMY_DATABASE_URI"] = here

    project.flask("db", "upgrade")
    project.flask("db", "check")

    actions = {key["referred_table"]: key["options"]["ondelete"] for key in keys}
    assert actions == {"user": "CASCADE", "model_registry_credentials": "SET NULL"}
    made = table(project, "model_registry_models")
    assert not any(action in made for action in actions.values())
