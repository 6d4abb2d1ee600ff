"""One host with all the extensions that hosts of this kind have; run twice, with and without us.

It prints, as JSON, what the host answers, what the registry answers, what Sentry was sent and which
spans OpenTelemetry recorded.
"""

import gzip
import json
import os
import re
import sys
from importlib.metadata import version

import flask_admin
import flask_restx
import flask_smorest
import marshmallow
import sentry_sdk
import sqlalchemy as sa
from apiflask import APIFlask
from apiflask.fields import Nested, String
from flask import request
from flask_admin.contrib.sqla import ModelView
from flask_caching import Cache
from flask_compress import Compress
from flask_cors import CORS
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import current_user
from flask_migrate import Migrate
from flask_security import (
    RoleMixin,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    auth_required,
    login_user,
    logout_user,
)
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from openai import OpenAI
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.transport import Transport

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key

EXTENSIONS = (
    "apiflask flask flask-admin flask-caching flask-compress flask-cors flask-limiter flask-login "
    "flask-migrate flask-restx flask-security-too flask-session flask-smorest flask-sqlalchemy "
    "flask-talisman marshmallow opentelemetry-instrumentation-flask "
    "opentelemetry-instrumentation-sqlalchemy sentry-sdk sqlalchemy"
).split()
PREFIX = "/api/models"
db = SQLAlchemy()
sent = []
_OF_TIME = "Date", "Retry-After", "X-RateLimit-Reset"
_CSRF_TOKEN = re.compile(r'(?<=value=")[\w.-]{40,}(?=")')


class Caught(Transport):
    """Keep what Sentry would send."""

    def capture_envelope(self, envelope):
        for item in envelope.items:
            payload = item.payload.json
            sent.append(json.dumps(payload, default=repr) if payload else repr(item.payload.bytes))


class User(db.Model, UserMixin):
    id = sa.Column(sa.Integer, primary_key=True)
    email = sa.Column(sa.String(80))
    password = sa.Column(sa.String(80))
    active = sa.Column(sa.Boolean, default=True)
    is_admin = sa.Column(sa.Boolean, default=False)
    fs_uniquifier = sa.Column(sa.String(64), unique=True)
    roles = db.relationship("Role", secondary="users_roles")


class Role(db.Model, RoleMixin):
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(80))
    permissions = sa.Column(sa.String(80))


class UsersRoles(db.Model):
    __tablename__ = "users_roles"
    user_id = sa.Column(sa.ForeignKey("user.id"), primary_key=True)
    role_id = sa.Column(sa.ForeignKey("role.id"), primary_key=True)


class Address(marshmallow.Schema):
    street = marshmallow.fields.String(required=True)


class Summary(marshmallow.Schema):
    name = String(required=True)
    address = Nested("Address")


def can_share(user):
    if request.args or request.headers.get("X-Fail"):
        raise RuntimeError("the host's callback fails")
    return user.is_admin


def make_app(url):
    app = APIFlask("host", title="Host", version="1")
    app.config.update(
        SECRET_KEY="a secret of the host, which is long enough",
        SECURITY_PASSWORD_SALT="salt",
        SECURITY_PASSWORD_HASH="plaintext",
        SECURITY_PASSWORD_SCHEMES=["plaintext"],
        SQLALCHEMY_DATABASE_URI=url,
        SESSION_TYPE="sqlalchemy",
        SESSION_SQLALCHEMY=db,
        CACHE_TYPE="SimpleCache",
        API_TITLE="Host",
        API_VERSION="1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/smorest",
        OPENAPI_JSON_PATH="openapi.json",
        RATELIMIT_HEADERS_ENABLED=True,
        COMPRESS_MIN_SIZE=100,
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
    )
    db.init_app(app)
    Session(app)
    Migrate(app, db)
    Security(app, SQLAlchemyUserDatastore(db, User, Role), register_blueprint=True)
    Talisman(app, force_https=False)
    CORS(app)
    Compress(app)
    Limiter(get_remote_address, app=app, default_limits=["10000 per hour"], storage_uri="memory://")
    cache = Cache(app)
    _routes(app, cache)
    _apis(app)
    admin = flask_admin.Admin(app, name="host")
    admin.add_view(ModelView(User, db, endpoint="users"))
    return app


def _routes(app, cache):
    limiter = next(iter(app.extensions["limiter"]))

    @app.get("/sign-in/<int:user_id>")
    @app.doc(hide=True)
    def sign_in(user_id):
        login_user(db.session.get(User, user_id))
        return {"signed": "in"}

    @app.get("/sign-out")
    def sign_out():
        logout_user()
        return {"signed": "out"}

    @app.get("/who")
    @auth_required("session")
    def who():
        return {"email": current_user.email}

    @app.get("/cached")
    @cache.cached(60)
    def cached():
        cached.calls += 1
        return {"calls": cached.calls}

    cached.calls = 0

    @app.get("/limited")
    @limiter.limit("1 per hour")
    def limited():
        return {"limited": True}

    @app.get("/large")
    def large():
        return "large " * 1000

    @app.post("/summaries")
    @app.input(Summary)
    @app.output(Summary, status_code=201)
    def add_summary(json_data):
        return json_data


def _apis(app):
    api = flask_smorest.Api(app)
    pets = flask_smorest.Blueprint("pets", "pets", url_prefix="/smorest/pets")

    @pets.route("/", methods=["POST"])
    @pets.arguments(Summary)
    @pets.response(201, Summary)
    def add_pet(pet):
        return pet

    api.register_blueprint(pets)
    restx = flask_restx.Api(app, prefix="/restx", doc="/restx/doc", default="things")

    @restx.route("/things")
    class Things(flask_restx.Resource):
        def get(self):
            return ["thing"]

        def post(self):
            restx.abort(409, "taken")


def ask(client, method, path, **options):
    response = client.open(path, method=method, **options)
    headers = [(name, _steady(value)) for name, value in response.headers if name not in _OF_TIME]
    body = response.data
    if response.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return [method, path, response.status_code, sorted(headers), _CSRF_TOKEN.sub("", body.decode())]


def _steady(header):
    """Leave out what each response has of its own."""
    return re.sub(r"session=[^;]*|Expires=[^;]*|nonce-[^']*|\d{10}\.\d+", "…", header)


def ask_host(app):
    client = app.test_client()
    elsewhere = {"Origin": "https://elsewhere.example"}
    anonymous = [
        ask(client, "GET", path, headers=elsewhere)
        for path in (
            "/who /cached /cached /limited /limited /nowhere /api/nowhere /admin/ /admin/users/ "
            "/openapi.json /docs /restx/things /restx/nowhere /smorest/nowhere /smorest/openapi.json /swagger.json "
            "/login /static/none"
        ).split()
    ]
    options = {"headers": {"Accept-Encoding": "gzip"}}
    compressed = client.get("/large", **options)
    assert compressed.headers["Content-Encoding"] == "gzip"
    good = {"name": "n", "address": {"street": "s"}}
    return [
        *anonymous,
        ["compressed", compressed.status_code, len(compressed.data)],
        ask(client, "OPTIONS", "/who", headers=elsewhere),
        ask(client, "DELETE", "/who"),
        *[ask(client, "POST", path, json=body) for path in ("/summaries", "/smorest/pets/")
          for body in (good, {"name": 1})],
        ask(client, "POST", "/summaries", data="{", content_type="application/json"),
        ask(client, "POST", "/restx/things"),
        ask(client, "GET", "/sign-in/1"),
        ask(client, "GET", "/who"),
        ask(client, "GET", "/sign-out"),
        ask(client, "GET", "/who"),
    ]  # fmt: skip


def ask_registry(app, canary):
    model = {
        "model_id": "m", "model_provider": "openai", "model_name": "n", "api_key": canary,
    }  # fmt: skip
    client, other, visitor = (app.test_client() for _ in range(3))
    client.get("/sign-in/1")
    other.get("/sign-in/2")
    created = client.post(f"{PREFIX}/register", json=model)
    tag, path = created.headers["ETag"], created.headers["Location"]
    failed = client.post(
        f"{PREFIX}/register",
        json={**model, "model_id": "x", "share_with_users": True},
        headers={"X-Fail": "1"},
    )
    return {
        "failed": failed.status_code,
        "answers": [
            ask(client, "GET", f"{PREFIX}/"),
            ask(other, "GET", f"{PREFIX}/"),
            ask(visitor, "GET", f"{PREFIX}/"),
            ask(client, "GET", path, headers={"Accept-Encoding": "gzip"}),
            ask(other, "GET", path),
            ask(client, "POST", f"{PREFIX}/register", json=model),
            ask(client, "POST", f"{PREFIX}/register", json={**model, "api_key": canary + "\n"}),
            ask(client, "POST", f"{PREFIX}/register", data="{" + canary),
            ask(client, "PATCH", path, json={"description": "d"}, headers={"If-Match": tag}),
            ask(client, "PATCH", path, json={"description": "e"}, headers={"If-Match": tag}),
            ask(client, "PUT", f"{PREFIX}/defaults/general", json={"id": created.json["id"]}),
            ask(client, "GET", f"{PREFIX}/elsewhere/none"),
            ask(client, "TRACE", f"{PREFIX}/summary"),
            ask(visitor, "OPTIONS", f"{PREFIX}/", headers={"Origin": "https://elsewhere.example"}),
            ask(visitor, "GET", f"{PREFIX}/openapi.json"),
            ask(client, "GET", f"{PREFIX}/static/model-registry.js"),
        ],
    }


def main(url, with_registry, canary):
    sentry_sdk.init(
        dsn="https://key@sentry.example/1",
        transport=Caught,
        traces_sample_rate=1.0,
        send_default_pii=True,
        max_request_body_size="always",
    )
    registry = ModelRegistry(db, User, user_loader=lambda: current_user, can_share=can_share)
    app = make_app(url)
    if with_registry:
        registry.init_app(app)
        _host_view_that_fails(app, registry)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    with app.app_context():
        SQLAlchemyInstrumentor().instrument(
            engine=db.engine, tracer_provider=provider, skip_dep_check=True
        )
        db.drop_all()
        db.create_all()
        for name in ("alice", "bob"):
            user = User(email=name, password="p", active=True, fs_uniquifier=name)
            db.session.add(user)
        db.session.commit()
    found = {"host": ask_host(app), "versions": {name: version(name) for name in EXTENSIONS}}
    if with_registry:
        found |= ask_registry(app, canary)
        client = app.test_client()
        client.get("/sign-in/1")
        found["of_view"] = client.get("/uses-a-model").status_code
    sentry_sdk.flush()
    found["sentry"] = sent
    found["spans"] = [span.to_json() for span in exporter.get_finished_spans()]
    sys.stdout.write(json.dumps(found))


def _host_view_that_fails(app, registry):
    @app.get("/uses-a-model")
    @app.doc(hide=True)
    def use_a_model():
        model = registry.resolve("m")
        client = OpenAI(**model.openai_kwargs(), http_client=model.http_client())
        raise RuntimeError(f"the host's view fails with {model} and {client}")


if __name__ == "__main__":
    # Sentry sends the arguments of the process too.
    main(sys.argv[1], sys.argv[2] == "with", os.environ["CANARY"])
