"""Flask-Session, which keeps sessions by ``db.session`` and commits it after each request."""

import contextlib
import secrets

import pytest
import sqlalchemy as sa
from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
from tests.hosts import CANARY, PREFIX, Host, Recorder, model
from tests.reliability.faults import ERRORS

flask_session = pytest.importorskip("flask_session")
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")


def make_host(url, *, ends_transaction=False, **config):
    db = SQLAlchemy()

    class User(db.Model):
        __tablename__ = "users"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(80))

    registry = ModelRegistry(
        db, User, user_loader=lambda: db.session.get(User, session.get("user", 0))
    )
    app = Flask("host")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SECRET_KEY=secrets.token_hex(16),
        SESSION_TYPE="sqlalchemy",
        SESSION_SQLALCHEMY=db,
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
        PROPAGATE_EXCEPTIONS=False,
    )
    app.config.update(config)
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    db.init_app(app)
    flask_session.Session(app)
    if ends_transaction:

        @app.before_request
        def end_transaction():
            db.session.rollback()

    registry.init_app(app)

    @app.post("/login/<int:user>")
    def login(user):
        session["user"] = user
        return ""

    @app.post("/leaves/<model_id>/<ending>")
    def leave(model_id, ending):
        session["last"] = model_id
        registry.create(**model(model_id=model_id))
        if ending == "rolls-back":
            db.session.rollback()
        if ending == "raises":
            raise RuntimeError
        return ""

    with app.app_context():
        db.create_all()
        if db.session.get(User, 1) is None:
            db.session.add_all([User(name="alice"), User(name="bob")])
            db.session.commit()
    return Host(app, db, User, registry)


@pytest.fixture
def make(empty_databases, canary):
    url, made = empty_databases().url, []

    def make(**options):
        made.append(make_host(url, **options))
        return made[-1]

    yield make
    for host in made:
        canary(host.app)
        host.close()


def log_in(host, user=1):
    client = host.app.test_client()
    assert client.post(f"/login/{user}").status_code == 200
    return client


def names(client):
    return [each["model_id"] for each in client.get(f"{PREFIX}/").json]


@contextlib.contextmanager
def failing_once(host, database):
    """Have the first INSERT of a model fail, as after a deadlock."""
    kind = next(name for name in ERRORS[database.name] if name.startswith("transient"))
    failed = []

    def fail(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO model_registry_models") and not failed:
            failed.append(statement)
            raise sa.exc.OperationalError(statement, {}, ERRORS[database.name][kind]())

    with host.app.app_context():
        engine = host.db.engine
    sa.event.listen(engine, "before_cursor_execute", fail)
    yield failed
    sa.event.remove(engine, "before_cursor_execute", fail)


def test_requests_commit_and_roll_back_as_ever(make):
    host = make()
    alice, bob = log_in(host), log_in(host, 2)

    statuses = [
        alice.post(f"{PREFIX}/register", json=model(model_id=name)).status_code
        for name in ("a", "a", "b")
    ]

    assert statuses == [201, 409, 201]
    assert (names(alice), names(bob)) == (["a", "b"], [])
    with host.app.app_context():
        user = host.db.session.get(host.User, 1)
        assert host.registry.resolve("b", user=user).api_key.reveal() == CANARY


@pytest.mark.forces_errors
def test_the_session_that_was_read_costs_the_retries(make, database):
    """It is a transaction of the host's, which may have written."""
    host = make()
    client = log_in(host)

    with failing_once(host, database) as failed:
        response = client.post(f"{PREFIX}/register", json=model())

    assert (response.status_code, len(failed)) == (503, 1)
    assert "Retry-After" in response.headers
    assert client.post(f"{PREFIX}/register", json=model()).status_code == 201


def test_a_hook_that_ends_the_transaction_gives_the_retries_back(make, database):
    host = make(ends_transaction=True)
    client = log_in(host)

    with failing_once(host, database) as failed:
        response = client.post(f"{PREFIX}/register", json=model())

    assert (response.status_code, len(failed)) == (201, 1)
    assert names(client) == ["gpt-4o"]


@pytest.mark.forces_errors
def test_the_key_check_refuses_each_request_and_logs_no_user_out(make):
    client = log_in(make())
    client.post(f"{PREFIX}/register", json=model())
    wrong = make()
    stranger = log_in(wrong)

    statuses = [stranger.get(f"{PREFIX}/").status_code for _ in range(2)]

    assert statuses == [503, 503]
    assert names(client) == ["gpt-4o"]
    wrong.services.keys.is_strict = False
    assert names(stranger) == ["gpt-4o"]  # the session was kept meanwhile


@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("ending", "is_kept"), [("ends", True), ("rolls-back", False), ("raises", True)]
)
def test_what_a_view_leaves_in_the_transaction_flask_session_commits(make, ending, is_kept):
    client = log_in(make())

    response = client.post(f"/leaves/m/{ending}")

    assert response.status_code == (500 if ending == "raises" else 200)
    assert names(client) == (["m"] if is_kept else [])
