"""A demo server: three people, a page for each, a stand-in provider. Not for production."""

import json
import os
import secrets
import shlex
from datetime import timedelta
from pathlib import Path

import waitress
from flask import Blueprint, Flask, abort, redirect, render_template, request, url_for
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry, Provider, configure_sqlite
from flask_model_registry.cli import new_key

PORT = int(os.environ.get("PORT", "5000"))
HOME = f"http://127.0.0.1:{PORT}"
# Browsers leave out the port of the scheme.
HOSTS = {f"{name}:{PORT}".removesuffix(":80") for name in ("127.0.0.1", "localhost")}
STAND_IN_KEY = "demo-key"
STAND_IN_MODELS = ["demo-large", "demo-small", "demo-embedding"]

db = SQLAlchemy()
jwt = JWTManager()
pages = Blueprint("pages", __name__)


class User(db.Model):
    """A user of the demo."""

    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), unique=True)
    team = db.Column(db.String(80))
    is_admin = db.Column(db.Boolean, default=False)


registry = ModelRegistry(
    db,
    User,
    groups=lambda user: [user.team],
    providers=[
        Provider(
            "stand-in",
            "Stand-in (this server)",
            f"{HOME}/stand-in/v1",
            categories=("llm", "embedding", "image", "speech", "rerank"),
        )
    ],
)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def create_app(instance):
    app = Flask(__name__, instance_path=str(instance))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{instance / 'demo.sqlite'}",
        JWT_SECRET_KEY=kept(instance / "jwt-secret", lambda: secrets.token_urlsafe(48)),
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(days=1),
        MODEL_REGISTRY_ENCRYPTION_KEYS=kept(instance / "encryption-keys", new_key),
        MODEL_REGISTRY_ALLOWED_HOSTS=["127.0.0.1"],  # the stand-in is here, without TLS
    )
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    with app.app_context():
        configure_sqlite(db.engine)
    app.register_blueprint(pages)
    return app


@pages.before_app_request
def refuse_other_sites():
    """Serve this site's own pages, because the demo asks for no password."""
    # Another site may make its own host name resolve to this server, but not fake the header.
    if request.headers.get("Host") not in HOSTS:
        abort(403)
    if request.method not in {"GET", "HEAD", "OPTIONS"} and not is_from_own_page():
        abort(403)


def is_from_own_page():
    """Return whether a page of this server sent the request, or a program such as curl."""
    home, site = f"http://{request.headers['Host']}", request.headers.get("Sec-Fetch-Site", "none")
    origin = request.headers.get("Origin", home)
    page = request.headers.get("Referer", f"{home}/")
    return origin == home and page.startswith(f"{home}/") and site in {"same-origin", "none"}


@pages.get("/")
def index():
    return render_template("index.html", users=users())


@pages.get("/as/<name>")
def page(name):
    user = db.first_or_404(db.select(User).filter_by(name=name))
    others = [each for each in users() if each is not user]
    return render_template("page.html", user=user, others=others, key=STAND_IN_KEY)


@pages.post("/as/<name>/token")
def token(name):  # a real app asks for a password here
    user = db.first_or_404(db.select(User).filter_by(name=name))
    return {"token": create_access_token(str(user.id))}


@pages.get("/people")
def people():
    return [{"key": str(user.id), "name": user.name} for user in users()]


@pages.get("/teams")
def teams():
    return sorted({user.team for user in users()})


@pages.post("/reset")
def reset():
    begin()
    return redirect(url_for("pages.index"))


@pages.get("/stand-in/v1/models")
def stand_in():
    """Act as a provider, so that connection tests need no internet."""
    if request.headers.get("Authorization") != f"Bearer {STAND_IN_KEY}":
        return {"error": {"message": "wrong key"}}, 401
    return {"object": "list", "data": [{"id": name} for name in STAND_IN_MODELS]}


@pages.after_app_request
def with_policy(response):
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return response


def users():
    return db.session.scalars(db.select(User).order_by(User.id)).all()


def kept(path, make):
    """Return the secret in a file that only its owner may read. The first start creates it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text()


def begin():
    """Replace the database's contents with three users and a few models."""
    db.session.remove()
    db.drop_all()
    db.create_all()
    alice = User(name="alice", team="research", is_admin=True)
    bob = User(name="bob", team="research")
    carol = User(name="carol", team="sales")
    db.session.add_all([alice, bob, carol])
    db.session.flush()
    stand_in = {"model_provider": "stand-in", "api_key": STAND_IN_KEY}
    registry.create(
        user=alice,
        model_id="house-model",
        model_name="demo-large",
        abilities=["chat", "tool_calling"],
        description="For everyone who works here.",
        share_with_users=True,
        **stand_in,
    )
    registry.create(
        user=alice,
        model_id="team-search",
        model_name="demo-embedding",
        category="embedding",
        dimension=1024,
        **stand_in,
    )
    registry.grant("team-search", group="research", can_edit=True, user=alice)
    registry.set_default("general", "house-model", scope="app", user=alice)
    registry.create(user=bob, model_id="bobs-own", model_name="demo-small", **stand_in)
    db.session.commit()


def curl(method, url, token, body=None):
    """Return a command of several lines to paste into a shell."""
    lines = [f"curl -sS -i -X {method} {url}", f"-H 'Authorization: Bearer {token}'"]
    if body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
    return " \\\n  ".join(lines)


MODEL = {
    "model_id": "gpt-4o",
    "model_provider": "openai",
    "model_name": "gpt-4o",
    "api_key": "sk-this-is-not-a-real-key",
    "abilities": ["chat", "vision"],
    "share_with_users": True,
}


def main():
    default = Path(__file__).parent / "instance"
    instance = Path(os.environ.get("DEMO_INSTANCE", default)).absolute()
    instance.mkdir(parents=True, exist_ok=True)
    app = create_app(instance)
    with app.app_context():
        begin()
        token_of = {user.name: create_access_token(str(user.id)) for user in users()}
    # A test of a connection to the stand-in is a request within a request.
    server = waitress.create_server(app, host="127.0.0.1", port=PORT, threads=8)
    models = f"{HOME}/api/models"
    print("This is a DEMO: its users, tokens and keys are made up, and each start begins afresh.")
    print("Do not put real API keys in.\n")
    print(f"Token of alice, who may share with everyone:\n{token_of['alice']}\n")
    print(f"Token of bob:\n{token_of['bob']}\n")
    print("Register a model as alice:\n")
    print(curl("POST", f"{models}/register", token_of["alice"], MODEL))
    print("\nList what bob can see:\n")
    print(curl("GET", f"{models}/", token_of["bob"]))
    print(f"\nOr in a browser: {HOME}/\n")
    print(f"Serving {models}/ until Ctrl-C.", flush=True)
    server.run()


if __name__ == "__main__":
    main()
