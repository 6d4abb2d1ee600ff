"""The registry uses whatever session ``db.session`` is now, even if a test has replaced it."""

import secrets
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.pool import StaticPool

from flask_model_registry import ModelRegistry, configure_sqlite
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY, PREFIX, Host, Recorder, model


@contextmanager
def another_scoped_session(host):
    """Replace the app's session with another, as many test suites do."""
    usual = host.db.session
    with host.db.engine.connect() as connection, connection.begin() as outer:
        factory = orm.sessionmaker(bind=connection, join_transaction_mode="create_savepoint")
        host.db.session = orm.scoped_session(factory)
        try:
            yield
        finally:
            host.db.session.remove()
            host.db.session = usual
            outer.rollback()


@contextmanager
def documented(host):
    """Do what docs/testing.md says."""
    page = blocks(ROOT / "docs" / "testing.md")
    (recipe,) = [block for block in page if "def rolled_back" in block]
    undecorated = SimpleNamespace(fixture=lambda function: function)
    namespace = {"pytest": undecorated, "db": host.db}
    exec(recipe, namespace)
    yield from namespace["rolled_back"](host.app)
    host.db.session.session_factory.kw.pop("join_transaction_mode")


def do_all(host, client):
    """Write, fail, and write again, over HTTP and from Python; return the results."""
    statuses = [
        client.post(f"{PREFIX}/register", json=model(model_id=name)).status_code
        for name in ("a", "a", "b")
    ]
    (a, b) = client.get(f"{PREFIX}/").json
    statuses += [
        client.patch(f"{PREFIX}/{a['id']}", json={"description": "new"}).status_code,
        client.patch(f"{PREFIX}/{a['id']}", json={"model_id": "b"}).status_code,
        client.delete(f"{PREFIX}/{b['id']}").status_code,
        client.put(f"{PREFIX}/defaults/general", json={"id": a["id"]}).status_code,
    ]
    user = host.load("alice")
    resolved = host.registry.resolve("a", user=user)
    host.registry.create(user=user, **model(model_id="c"))
    host.db.session.commit()
    return statuses, resolved.api_key.reveal()


def test_sessions_in_memory_share_one_transaction():
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    configure_sqlite(engine)

    with engine.connect() as first, engine.connect() as second:
        first.execute(sa.text("CREATE TABLE t (n)"))
        second.execute(sa.text("INSERT INTO t VALUES (1)"))
        assert first.scalar(sa.text("SELECT n FROM t")) == 1


@pytest.mark.parametrize("replace", [another_scoped_session, documented])
def test_all_is_rolled_back_with_the_tests_own_transaction(hosts, replace):
    host = hosts()
    with host.app.app_context():
        configure_sqlite(host.db.engine)
        host.db.engine.dispose()
        with replace(host):
            client = host.client("alice")
            done = do_all(host, client)
            seen = len(host.db.session.scalars(sa.select(host.User)).all())

    assert done == ([201, 409, 201, 200, 409, 204, 200], CANARY)
    assert seen == 1
    for table in ("models", "grants", "defaults", "abilities"):
        assert host.rows(table) == [], table


@pytest.fixture
def lite(empty_databases, canary):
    """A host of Flask-SQLAlchemy-Lite, whose users are of a base of its own."""
    flask_sqlalchemy_lite = pytest.importorskip("flask_sqlalchemy_lite")

    class Base(orm.DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str] = orm.mapped_column(sa.String(80))
        is_admin: orm.Mapped[bool] = orm.mapped_column(default=False)

    db, jwt = flask_sqlalchemy_lite.SQLAlchemy(), JWTManager()
    registry = ModelRegistry(db, User)
    app = Flask("lite")
    app.config.update(
        SQLALCHEMY_ENGINES={"default": empty_databases().url},
        JWT_SECRET_KEY=secrets.token_hex(32),
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
    )
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    jwt.user_lookup_loader(lambda _header, claims: db.session.get(User, int(claims["sub"])))
    host = Host(app, db, User, registry)
    with app.app_context():
        configure_sqlite(db.engine)
        Base.metadata.create_all(db.engine)
    yield host
    canary(app)
    with app.app_context():
        db.engine.dispose()


def test_flask_sqlalchemy_lite_works(lite):
    client, bob = lite.client("alice", is_admin=True), lite.client("bob")

    with lite.app.app_context():
        done = do_all(lite, client)
    shared = client.post(f"{PREFIX}/register", json=model(model_id="s", share_with_users=True))

    assert done == ([201, 409, 201, 200, 409, 204, 200], CANARY)
    assert [each["model_id"] for each in bob.get(f"{PREFIX}/").json] == ["s"]
    assert shared.status_code == 201
    output, status = lite.run("doctor")
    assert status == 0, output
    output, status = lite.run("rotate-keys")
    assert status == 0, output


def test_what_flask_sqlalchemy_lites_sessions_wrote_in_a_test_is_rolled_back(lite):
    with lite.app.app_context():
        usual = dict(lite.db.sessionmaker.kw)
        with lite.db.engine.connect() as connection, connection.begin() as outer:
            lite.db.sessionmaker.configure(
                bind=connection, join_transaction_mode="create_savepoint"
            )
            done = do_all(lite, lite.client("alice"))
            outer.rollback()
        lite.db.sessionmaker.kw = usual

    assert done == ([201, 409, 201, 200, 409, 204, 200], CANARY)
    assert lite.rows("models") == []
    with lite.app.app_context():
        assert lite.db.session.scalars(sa.select(lite.User)).all() == []


@pytest.mark.databases("sqlite")
def test_outside_of_an_app_context_the_error_is_flasks(lite):
    with pytest.raises(RuntimeError, match="application context"):
        lite.registry.resolve("a", user=object())


def test_a_session_without_a_scope_is_used_as_it_is():
    db = SQLAlchemy()

    class User(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    registry = ModelRegistry(db, User)

    db.session = orm.Session()
    assert registry._session() is db.session


@pytest.mark.databases("sqlite")
def test_what_a_host_wrote_before_its_user_loader_raised_stays_its_own():
    db = SQLAlchemy()

    class User(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    class Visit(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    def load_user():
        return db.session.scalars(sa.select(User)).one()

    app = Flask("host")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = new_key()
    db.init_app(app)
    ModelRegistry(db, User, user_loader=load_user).init_app(app)
    app.register_error_handler(sa.exc.NoResultFound, lambda _error: ("Who are you?", 401))

    @app.before_request
    def count():
        db.session.add(Visit())
        db.session.flush()

    @app.after_request
    def commit(response):
        db.session.commit()
        return response

    with app.app_context():
        db.create_all()
        assert app.test_client().get(f"{PREFIX}/").status_code == 401
        assert db.session.scalar(sa.select(sa.func.count(Visit.id))) == 1
