"""Readers of the pages that fit the registry to an app: to its login, users, groups and tenants."""

import json
import re
import sqlite3
import uuid
from datetime import datetime, timezone
from types import SimpleNamespace

import flask
import flask_login
import flask_wtf
import sqlalchemy as sa
from flask import request
from flask_jwt_extended import JWTManager, create_access_token, set_access_cookies
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, reads
from tests.hosts import PREFIX, model


@reads("share.md", "Groups")
def groups(page, world):
    teams = {1: ["staff"], 7: ["research"]}
    User, registry = world.names["User"], world.names["registry"]
    User.teams = property(lambda user: [SimpleNamespace(slug=slug) for slug in teams[user.id]])
    page.do()
    world.mount()
    assert json.loads(page.do()) == {"group": "research", "can_edit": True, "can_delete": False}
    world.client().put(f"{PREFIX}/defaults/general", json={"id": 5})
    assert world.client(world.bobs).get(f"{PREFIX}/defaults/general").status_code == 404
    assert world.client().delete(f"{PREFIX}/5/grants/groups/research").status_code == 204
    with world.app.app_context():
        world.names["alice"] = world.load(1)
    page.do()
    seen = world.client(world.bobs).get(f"{PREFIX}/by-id/gpt-4o").json["can_edit"]
    page.do()
    world.mount()
    put = [
        world.client().put(f"{PREFIX}/5/grants/{whom}", json={}).status_code
        for whom in ("groups/research", "groups/staff", "users/7")
    ]
    page.do()

    assert (seen, put) == (True, [404, 201, 201])
    left = world.client().get(f"{PREFIX}/5/grants").json["groups"]
    assert [each["group"] for each in left] == ["staff"]
    assert registry.tables is world.names["registry"].tables


@reads("hosts.md", "Another login than JWT")
def another_login(page, world):
    world.names["User"].is_authenticated = True
    world.names["current_user"] = flask_login.current_user
    page.do()
    app = world.mount()
    flask_login.LoginManager(app).request_loader(lambda request: world.load(7))
    assert app.test_client().get(f"{PREFIX}/").json == []


@reads("hosts.md", "Who may share with everyone")
def who_may_share(page, world):
    world.names["User"].role = "operator"
    page.do()
    world.mount()
    shared = world.client(world.bobs).post(f"{PREFIX}/", json=model(share_with_users=True))
    assert shared.status_code == 201


@reads("hosts.md", "Several apps, factories, blueprints")
def several_apps(page, world):
    world.names.update(Flask=flask.Flask, Blueprint=flask.Blueprint)
    notes = world.names["notes"] = flask.Blueprint("notes", __name__)
    notes.add_url_rule("/notes", "all", lambda: "noted")
    create_app = page.do()["create_app"]
    for app in (create_app(), create_app()):  # like tests and commands
        world.take(app)
        assert len(world.client().get(f"/v2{PREFIX}/").json) == 5
        assert app.test_client().get("/v2/notes").text == "noted"
    with app.test_request_context():
        assert flask.url_for("api.model_registry.models") == f"/v2{PREFIX}/"
    text = (ROOT / "docs" / page.name).read_text()
    told = re.search(r"that the registry's own routes use: (.*?)\.\n", text, re.DOTALL)[1]
    rules = [rule for rule in app.url_map.iter_rules() if ".model_registry." in rule.endpoint]
    assert {*re.findall(r"`(\w+)`", told)} == set().union(*(rule.arguments for rule in rules))


@reads("hosts.md", "Users with any type of primary key")
def users_have_uuids(page, _world):
    """Make an app whose users are declared as on the page."""
    text = page.take("python")
    db, jwt = SQLAlchemy(), JWTManager()
    names = {"db": db, "jwt": jwt, "ModelRegistry": ModelRegistry}
    names["create_access_token"] = create_access_token
    exec(text, names)
    app = flask.Flask("uuids")
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite://",
        JWT_SECRET_KEY="k" * 48,
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key(),
    )
    for each in (db, jwt, names["registry"]):
        each.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add(person := names["Person"]())
        db.session.commit()
        tokens = [names["token_of"](person), create_access_token("not-a-uuid")]
        assert isinstance(person.uid, uuid.UUID)
        assert person.uid != str(person.uid)
        headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    answers = [app.test_client().get(f"{PREFIX}/", headers=each) for each in headers]
    assert [each.status_code for each in answers] == [200, 401]


@reads("hosts.md", "When a user leaves")
def leaving(page, world):
    db, registry, User = [world.names[name] for name in ("db", "registry", "User")]
    world.names.update(event=sa.event, Engine=sa.Engine, sqlite3=sqlite3)
    world.names.update(datetime=datetime, timezone=timezone)
    names = page.rest()
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()
    sa.event.remove(sa.Engine, "connect", names["enforce_foreign_keys"])
    User.deleted_at, User.is_active = None, names["SoftDeleted"].is_active
    with world.app.app_context():
        names["offboard"](world.load(1), world.load(7))
        assert registry.list(user=world.load(7)) == []
        assert len(registry.list(user=world.load(7), is_active=False)) == 5
        before = world.client(world.bobs).get(f"{PREFIX}/").status_code
        bob = world.load(7)
        names["close"](bob)
        assert (world.load(1), bob.is_active) == (None, False)
        assert (
            db.session.scalar(sa.select(sa.func.count()).select_from(registry.tables.models)) == 0
        )
    User.deleted_at = datetime.now(timezone.utc)
    assert (before, world.client(world.bobs).get(f"{PREFIX}/").status_code) == (200, 401)


@reads("hosts.md", "Log in with sessions or cookies", models=())
def sessions(page, world):
    shell = world.shell
    page.write("app.py")
    shell.environ |= {
        "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///sessions.sqlite",
        "FLASK_SECRET_KEY": "s" * 48,
    }
    shell.run("flask setup")
    shell.run("flask run &")
    registered, listed = shell.run(page.take("sh")).strip().splitlines()
    shell.stop()
    del shell.environ["FLASK_SECRET_KEY"]
    page.write("test_models.py")
    assert "1 passed" in shell.run("python -m pytest -q -p no:cacheprovider test_models.py")
    assert listed == f"[{registered}]"
    exempts(page, world)
    has_jwt_cookies(page, world)


def exempts(page, world):
    """Check that forms need CSRF tokens, and the registry doesn't."""
    app = world.mount()
    world.names["csrf"] = flask_wtf.CSRFProtect(app)
    app.add_url_rule("/csrf-token", view_func=flask_wtf.csrf.generate_csrf)
    refused = world.client().post(f"{PREFIX}/register", json=model())
    wants_a_referer(world.client())
    page.do()
    taken = world.client().post(f"{PREFIX}/register", json=model())
    assert (refused.status_code, refused.json["type"]) == (400, "about:blank")
    assert refused.json["detail"] == "The CSRF token is missing."
    assert taken.status_code == 201


def wants_a_referer(client):
    headers = {"X-CSRFToken": client.get("/csrf-token", base_url="https://localhost").text}
    answers = []
    for more in ({}, {"Referer": "https://localhost/page"}):
        options = {"json": model(model_id="m"), "base_url": "https://localhost"}
        answers.append(client.post(f"{PREFIX}/register", headers={**headers, **more}, **options))
    assert answers[0].json["detail"] == "The referrer header is missing."
    assert answers[1].status_code == 201


def has_jwt_cookies(page, world):
    app = world.mount(JWT_TOKEN_LOCATION=["cookies"])

    @app.post("/login")
    def login():
        response = flask.jsonify(name=request.form["name"])
        set_access_cookies(response, create_access_token("1"))
        return response

    assert '"model_id":"gpt-4"' in page.do()
    client = app.test_client()
    client.post("/login", data={"name": "alice"})
    refused = client.post(f"{PREFIX}/register", json=model())
    assert (refused.status_code, refused.json["detail"]) == (
        401,
        "The access token is not valid, or has expired.",
    )
