"""Set-ups that broke other Flask extensions, by their public bug reports."""

import dataclasses
import json
import re
from importlib.metadata import version

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.json.provider import JSONProvider
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
from tests.hosts import CANARY, PREFIX, Host, Recorder, model, register


class User:
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(80))


def make_app(url, app=None, db=None, users=None, parent=None):
    db = SQLAlchemy() if db is None else db
    users = type("Users", (User, db.Model), {}) if users is None else users
    registry = ModelRegistry(db, users, user_loader=lambda: db.session.get(users, 1))
    app = Flask("host") if app is None else app
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINES={"default": url},
        SECRET_KEY="a secret of the host",
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
    )
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    db.init_app(app)
    registry.init_app(app, parent=parent)
    with app.app_context():
        users.metadata.create_all(db.engine)
        db.session.add(users(name="alice"))
        db.session.commit()
    return Host(app, db, users, registry)


@pytest.fixture
def make(empty_databases, canary):
    made = []

    def make(*args, **options):
        made.append(make_app(empty_databases().url, *args, **options))
        return made[-1]

    yield make
    for host in made:
        canary(host.app)
        with host.app.app_context():
            host.db.session.close()
            host.db.engine.dispose()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("mount", ["DispatcherMiddleware", "ProxyFix"])
def test_mounted_below_another_path(make, mount):
    """Parallels/rq-dashboard#68: addresses without the mount's prefix."""
    host = make()
    headers = {}
    if mount == "ProxyFix":
        host.app.wsgi_app = ProxyFix(host.app.wsgi_app, x_prefix=1)
        wsgi, below, headers = host.app, "", {"X-Forwarded-Prefix": "/bar"}
    else:
        wsgi, below = DispatcherMiddleware(Flask("other"), {"/bar": host.app}), "/bar"
    client = Client(wsgi)

    for name in "ab":
        body = model(model_id=name)
        created = client.post(f"{below}{PREFIX}/register", json=body, headers=headers)
    page = client.get(f"{below}{PREFIX}/?limit=1", headers=headers)
    document = client.get(f"{below}{PREFIX}/openapi.json", headers=headers)

    assert created.headers["Location"] == f"/bar{PREFIX}/2"
    assert page.headers["Link"].startswith(f"</bar{PREFIX}/?limit=1&after=")
    assert document.json["servers"] == [{"url": f"/bar{PREFIX}"}]


class Unusual(JSONProvider):
    """Returns bytes, as orjson does, and loads nothing."""

    def dumps(self, obj, **kwargs):
        return json.dumps({"wrapped": obj}).encode()

    def loads(self, s, **kwargs):
        raise NotImplementedError


@pytest.mark.databases("sqlite")
def test_a_json_provider_of_the_hosts_own(make):
    """mongodb-labs/flask-pymongo#188, apiflask#342: one provider overrides the other."""
    host = make()
    host.app.json = provider = Unusual(host.app)

    created = host.app.test_client().post(
        f"{PREFIX}/register", data=json.dumps(model()), content_type="application/json"
    )

    assert json.loads(created.data)["model_id"] == "gpt-4o"
    assert host.app.json is provider


def test_a_task_that_runs_eagerly_in_an_app_context_of_its_own(make):
    """inveniosoftware/flask-celeryext#35: its teardown detaches the objects of the view."""
    host = make()
    register(host.app.test_client(), "m")

    with host.app.test_request_context():
        user = host.db.session.get(host.User, 1)
        with host.app.app_context():  # the task's
            task = host.registry.resolve("m", user=user).api_key.reveal()
            host.registry.create(user=user, **model(model_id="of the task".replace(" ", "-")))
            host.db.session.commit()
        host.db.session.rollback()  # on MariaDB, its snapshot is from before the task
        after = host.registry.resolve("of-the-task", user=user).api_key.reveal()
        host.db.session.expunge(user)
        detached = host.registry.resolve("m", user=user).api_key.reveal()

    assert (task, after, detached) == (CANARY,) * 3


def test_users_who_are_dataclasses(make):
    """pallets-eco/flask-sqlalchemy#1420: no base of dataclasses with SQLAlchemy 2.1."""
    lite = pytest.importorskip("flask_sqlalchemy_lite")

    class Base(orm.MappedAsDataclass, orm.DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "people"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True, init=False)
        name: orm.Mapped[str] = orm.mapped_column(sa.String(80))

    host = make(db=lite.SQLAlchemy(), users=Person)

    assert register(host.app.test_client(), "m") == [1]
    with host.app.app_context():
        user = host.db.session.get(Person, 1)
        assert dataclasses.asdict(user) == {"id": 1, "name": "alice"}
        assert host.registry.resolve("m", user=user).api_key.reveal() == CANARY


@pytest.mark.databases("sqlite")
def test_flask_openapi3_and_the_debug_toolbar(make, record_property):
    """noirbizarre/flask-restplus#171: the other blueprints break the description."""
    openapi3 = pytest.importorskip("flask_openapi3")
    toolbar = pytest.importorskip("flask_debugtoolbar")
    for name in ("flask-openapi3", "flask-debugtoolbar"):
        record_property("software", f"{name} {version(name)}")
    app = openapi3.OpenAPI("host", doc_ui=True)

    @app.get("/hosts-own", summary="The host's")
    def own():
        return {"own": True}

    host = make(app)
    app.debug = True
    toolbar.DebugToolbarExtension(app)
    client = app.test_client()

    assert register(client, "m") == [1]
    assert [each["model_id"] for each in client.get(f"{PREFIX}/").json] == ["m"]
    assert client.get(f"{PREFIX}/none/none").json["status"] == 404
    assert client.get("/hosts-own").json == {"own": True}
    assert [*client.get("/openapi/openapi.json").json["paths"]] == ["/hosts-own"]
    assert client.get(f"{PREFIX}/openapi.json").json["openapi"].startswith("3.1")
    assert host.app is app


@pytest.mark.databases("sqlite")
def test_below_a_blueprint_of_flask_smorest(make, record_property):
    """Flask-smorest reads the documentation of the blueprints that its own take."""
    smorest = pytest.importorskip("flask_smorest")
    record_property("software", f"flask-smorest {version('flask-smorest')}")
    app, parent = Flask("host"), smorest.Blueprint("pets", "pets", url_prefix="/pets")
    app.config.update(
        API_TITLE="host", API_VERSION="1", OPENAPI_VERSION="3.1.0", OPENAPI_URL_PREFIX="/"
    )

    @parent.route("/")
    @parent.response(200)
    def own():
        return {"own": True}

    make(app, parent=parent)
    smorest.Api(app).register_blueprint(parent)
    client, prefix = app.test_client(), f"/pets{PREFIX}"

    created = client.post(f"{prefix}/register", json=model())
    assert (created.status_code, created.headers["Location"]) == (201, f"{prefix}/1")
    assert client.get("/pets/").json == {"own": True}
    assert [*client.get("/openapi.json").json["paths"]] == ["/pets/"]


@pytest.mark.databases("sqlite")
def test_a_language_that_the_host_adds_to_each_url(make):
    """What url_defaults adds and no rule takes becomes a query parameter."""
    app = Flask("host")

    @app.url_defaults
    def add_language(_endpoint, values):
        values.setdefault("lang", "en")

    client = make(app).app.test_client()
    for name in ("m", "n"):
        created = client.post(f"{PREFIX}/register", json=model(model_id=name))
    page = client.get(f"{PREFIX}/?limit=1&q=m")
    first = client.get(f"{PREFIX}/?limit=1")
    second = client.get(re.search("<(.*)>", first.headers["Link"])[1])

    assert client.get(created.headers["Location"]).json["model_id"] == "n"
    assert [each["model_id"] for each in [*first.json, *second.json]] == ["m", "n"]
    assert "Link" not in page.headers
