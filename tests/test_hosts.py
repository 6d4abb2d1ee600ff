"""The registry works alike in different kinds of hosts."""

import gc
import weakref

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, current_app
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ConfigError, ModelRegistry
from flask_model_registry.cli import new_key
from tests.hosts import (
    CANARY,
    KINDS,
    PREFIX,
    Host,
    Recorder,
    create_app,
    declare,
    grant,
    model,
    register,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_host_has_the_main_job_done(hosts, kind):
    host = hosts(kind, groups=lambda user: ["everyone"])
    alice, bob = host.client("alice", is_admin=True), host.client("bob")

    created = alice.post(
        f"{PREFIX}/register", json=model(share_with_users=True, abilities=["chat"])
    )
    conflict = alice.post(f"{PREFIX}/register", json=model())
    row_id = created.json["id"]

    assert (created.status_code, conflict.status_code) == (201, 409)
    assert [each["id"] for each in bob.get(f"{PREFIX}/?ability=chat&q=gpt").json] == [row_id]
    assert bob.get(f"{PREFIX}/by-id/gpt-4o").json["is_owner"] is False
    with host.app.app_context():
        assert host.registry.resolve(row_id, user=host.load("bob")).api_key.reveal() == CANARY
    (row,) = host.rows("models")
    assert row.owner_id == host.user("alice")


def test_a_factory_may_run_twice(hosts):
    first = hosts()
    app = Flask("again")
    app.config.update(first.app.config)
    first.db.init_app(app)
    first.app.extensions["flask-jwt-extended"].init_app(app)
    first.registry.init_app(app)

    response = app.test_client().get(
        f"{PREFIX}/", headers={"Authorization": f"Bearer {first.token('alice')}"}
    )

    assert response.status_code == 200
    with app.app_context():
        first.db.engine.dispose()


def test_the_app_has_the_registry_that_its_host_made(hosts):
    host = hosts()

    assert host.app.extensions["model_registry"] is host.registry


def test_an_app_is_not_kept_for_as_long_as_its_registry():
    db, jwt, _, registry, _ = declare()

    def factory():
        app = Flask("short-lived")
        app.config.update(
            SQLALCHEMY_DATABASE_URI="sqlite://", MODEL_REGISTRY_ENCRYPTION_KEYS=new_key()
        )
        db.init_app(app)
        registry.init_app(app)
        with app.app_context():
            db.create_all()
            registry.check_keys()
            db.session.remove()
            db.engine.dispose()
        return weakref.ref(app)

    apps = [factory() for _ in range(2)]
    gc.collect()

    assert [app() for app in apps] == [None, None]


def test_a_registry_made_in_the_factory_declares_the_tables_once(hosts):
    host = hosts()

    again = ModelRegistry(host.db, host.User)

    assert again.tables is host.registry.tables


def test_two_apps_with_two_databases_keep_apart(empty_databases, canary):
    declared = declare()
    clients = []
    for number in range(2):
        host = create_app(declared, empty_databases().url)
        with host.app.app_context():
            host.db.create_all()
        client = host.client("alice")
        client.post(f"{PREFIX}/register", json=model(model_id=f"of-app-{number}"))
        clients.append((host, client))

    for number, (host, client) in enumerate(clients):
        assert [each["model_id"] for each in client.get(f"{PREFIX}/").json] == [f"of-app-{number}"]
        canary(host.app)
        host.close()


@pytest.mark.databases("sqlite")
def test_the_prefix_is_a_setting(hosts):
    host = hosts(config={"MODEL_REGISTRY_URL_PREFIX": "/v3/ai-models"})
    alice = host.client("alice")

    created = alice.post("/v3/ai-models/register", json=model())

    assert created.headers["Location"] == f"/v3/ai-models/{created.json['id']}"
    assert alice.get(f"{PREFIX}/").mimetype == "text/html"


@pytest.mark.databases("sqlite")
def test_one_app_has_one_registry(hosts):
    host = hosts()

    with pytest.raises(ConfigError, match="already"):
        host.registry.init_app(host.app)


@pytest.mark.databases("sqlite")
def test_one_metadata_has_one_class_of_users(hosts):
    host = hosts()

    class Robot(host.db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    with pytest.raises(ConfigError, match="already belong to the users of 'user'"):
        ModelRegistry(host.db, Robot)


@pytest.mark.databases("sqlite")
def test_a_key_of_two_columns_is_refused(hosts):
    host = hosts()

    class Pair(host.db.Model):
        a = sa.Column(sa.Integer, primary_key=True)
        b = sa.Column(sa.Integer, primary_key=True)

    with pytest.raises(ConfigError, match="Pair needs a primary key of one column"):
        ModelRegistry(host.db, Pair)


@pytest.mark.databases("sqlite")
def test_a_class_that_is_not_mapped_is_refused(hosts):
    with pytest.raises(ConfigError, match="is not a mapped class"):
        ModelRegistry(hosts().db, object)


@pytest.mark.databases("sqlite")
def test_the_host_decides_who_may_share(hosts):
    host = hosts(can_share=lambda user: user.name == "carol")

    statuses = [
        host.client(name, is_admin=True)
        .post(f"{PREFIX}/register", json=model(share_with_users=True, model_id=name))
        .status_code
        for name in ("alice", "carol")
    ]

    assert statuses == [403, 201]


def test_the_app_is_left_as_it_was(database):
    db, jwt, _, registry, _ = declare()
    with_registry, without = Flask("host"), Flask("host")
    for app in (with_registry, without):
        app.config.update(SQLALCHEMY_DATABASE_URI=database.url, JWT_SECRET_KEY="k" * 32)
        db.init_app(app)
        jwt.init_app(app)
    config = dict(without.config)
    with_registry.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = new_key()

    registry.init_app(with_registry)

    for name in ("before_request_funcs", "after_request_funcs", "teardown_request_funcs",
                 "template_context_processors", "url_value_preprocessors", "url_default_functions"):  # fmt: skip
        ours, theirs = getattr(with_registry, name), getattr(without, name)
        assert ours.get(None, []) == theirs.get(None, []), name
    specs = [app.error_handler_spec[None] for app in (with_registry, without)]
    handled = [{code: set(kinds) for code, kinds in spec.items() if kinds} for spec in specs]
    assert handled[0] == handled[1]
    assert with_registry.teardown_appcontext_funcs == without.teardown_appcontext_funcs
    assert with_registry.url_map.converters == without.url_map.converters
    assert {k: v for k, v in with_registry.config.items() if "REGISTRY" not in k} == config


@pytest.mark.databases("sqlite")
def test_a_parent_blueprint_may_have_variables(empty_databases, canary):
    db, jwt, User, registry, _ = declare()
    app = Flask("tenants")
    host = create_app(declare(), empty_databases().url)
    app.config.update(host.app.config)
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    parent = Blueprint("tenant", __name__, url_prefix="/<tenant>")
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app, parent=parent)
    app.register_blueprint(parent)
    jwt.user_lookup_loader(lambda header, claims: db.session.get(User, int(claims["sub"])))
    host = Host(app, db, User, registry)
    with app.app_context():
        db.create_all()
    alice = host.client("alice")

    for name in "ab":
        created = alice.post(f"/acme{PREFIX}/register", json=model(model_id=name))
    page = alice.get(f"/acme{PREFIX}/?limit=1")

    assert created.headers["Location"] == f"/acme{PREFIX}/{created.json['id']}"
    assert alice.get(created.headers["Location"]).json == created.json
    assert page.headers["Link"].startswith(f"</acme{PREFIX}/?limit=1&after=")
    with alice.get(f"/acme{PREFIX}/static/model-registry.js") as file:
        assert file.status_code == 200
    canary(app)
    host.close()


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"url_prefix": f"/orgs/{each}"}
            for each in ("<id>", "<int:id>", "<string(length=2):user>")
        ),
        {"url_prefix": "/<filename>"},
        {"subdomain": "<group>"},
    ],
    ids=str,
)
def test_a_variable_of_a_parent_with_the_name_of_ours_is_reported(options):
    parent = Blueprint("org", __name__, **options)
    declared = declare()

    def mount(app):
        declared[3].init_app(app, parent=parent)
        app.register_blueprint(parent)

    with pytest.raises(ConfigError, match=r"has the variable <(\w+)>, .* such as <parent_\1>"):
        create_app(declared, "sqlite://", mount=mount)


@pytest.mark.databases("sqlite")
def test_a_parent_that_takes_no_more_blueprints_is_reported(hosts):
    parent = Blueprint("v1", __name__)
    for declared, is_first in ((declare(), True), (declare(), False)):
        app, registry = Flask("app"), declared[3]
        app.config.update(
            SQLALCHEMY_DATABASE_URI="sqlite://",
            JWT_SECRET_KEY="k" * 32,
            MODEL_REGISTRY_ENCRYPTION_KEYS=new_key(),
        )
        declared[0].init_app(app)
        if is_first:
            registry.init_app(app, parent=parent)
            app.register_blueprint(parent)
            continue
        with pytest.raises(ConfigError, match=r"'v1' takes no more blueprints; .* in each call"):
            registry.init_app(app, parent=parent)
        assert "model_registry" not in app.extensions


def enforce_foreign_keys(host):
    with host.app.app_context():
        engine = host.db.engine
    if engine.dialect.name == "sqlite":
        engine.dispose()
        sa.event.listen(
            engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON").close()
        )


def test_a_deleted_users_models_are_deleted(hosts):
    host = hosts()
    enforce_foreign_keys(host)
    alice, tables = host.user("alice"), host.registry.tables
    (of_alice,) = register(host.client("alice"), "m", abilities=["chat"])
    (of_bob,) = register(host.client("bob"), "n")
    grant(host, of_bob, user_id=alice)
    grant(host, of_alice, user_id=host.user("bob"))
    for row_id, user in ((of_bob, alice), (of_alice, host.user("bob"))):
        values = {"user_id": user, "config_type": "general", "model_row_id": row_id}
        host.execute(sa.insert(tables.defaults), values)
    host.execute(sa.insert(tables.app_defaults), {"config_type": "x", "model_row_id": of_alice})

    host.execute(sa.delete(host.User).where(host.User.id == alice))

    assert [row.id for row in host.rows("models")] == [of_bob]
    for name in ("abilities", "grants", "defaults", "app_defaults"):
        assert host.rows(name) == [], name


def test_models_of_an_owner_who_is_gone_break_no_list(hosts):
    host = hosts()
    register(host.client("admin", is_admin=True), "m", share_with_users=True)
    register(host.client("bob"), "n")
    host.execute(sa.delete(host.User).where(host.User.name == "admin"))

    assert host.client("bob").get(f"{PREFIX}/").status_code == 200


@pytest.mark.databases("sqlite")
def test_the_app_may_be_current_app(empty_databases):
    def mount(app):
        with app.app_context():
            declared[3].init_app(current_app)

    declared = declare()
    host = create_app(declared, empty_databases().url, mount=mount)

    with host.app.app_context():
        host.db.create_all()
        assert host.registry.list(user=host.load("alice")) == []


def test_an_app_that_is_not_flasks_is_refused_with_the_remedy():
    class Quart:  # whose views are coroutines
        extensions = {}

    db = SQLAlchemy()
    User = type("User", (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)})

    with pytest.raises(ConfigError, match=r"needs a Flask app, not a .*Quart. Pass"):
        ModelRegistry(db, User).init_app(Quart())


def test_a_blueprint_of_the_same_name_is_refused_with_the_remedy():
    def mount(app):
        app.register_blueprint(Blueprint("model_registry", __name__))
        declared[3].init_app(app)

    declared = declare()
    with pytest.raises(ConfigError, match="has a blueprint 'model_registry'; rename yours"):
        create_app(declared, "sqlite://", mount=mount)
