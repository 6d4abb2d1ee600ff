"""A demo server: two users, a SQLite file, and commands to paste. Not for production."""

import json
import os
import secrets
import shlex
from datetime import timedelta
from pathlib import Path

import waitress
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key

db = SQLAlchemy()
jwt = JWTManager()


class User(db.Model):
    """A user of the demo."""

    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), unique=True)
    is_admin = db.Column(db.Boolean, default=False)


registry = ModelRegistry(db, User)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def create_app(instance):
    app = Flask("demo", instance_path=str(instance))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{instance / 'demo.sqlite'}",
        JWT_SECRET_KEY=kept(instance / "jwt-secret", lambda: secrets.token_urlsafe(48)),
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(days=1),
        MODEL_REGISTRY_ENCRYPTION_KEYS=kept(instance / "encryption-keys", new_key),
    )
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    return app


def kept(path, make):
    """Return the secret in a file that only its owner may read, made at the first start."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text()


def tokens():
    """Begin with empty tables and two users, and return a token for each."""
    db.drop_all()
    db.create_all()
    db.session.add_all([User(name="alice", is_admin=True), User(name="bob")])
    db.session.commit()
    return {user.name: create_access_token(str(user.id)) for user in db.session.query(User)}


def curl(method, url, token, body=None):
    """Return a command on lines that can be pasted into a shell."""
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
    port = int(os.environ.get("PORT", "5000"))
    default = Path(__file__).parent / "instance"
    instance = Path(os.environ.get("DEMO_INSTANCE", default)).absolute()
    instance.mkdir(parents=True, exist_ok=True)
    app = create_app(instance)
    with app.app_context():
        token_of = tokens()
    server = waitress.create_server(app, host="127.0.0.1", port=port)
    models = f"http://127.0.0.1:{port}/api/models"
    print("This is a DEMO: its users, tokens and keys are made up, and each start begins afresh.")
    print("Do not put real API keys in.\n")
    print(f"Token of alice, who may share with everybody:\n{token_of['alice']}\n")
    print(f"Token of bob:\n{token_of['bob']}\n")
    print("Register a model as alice:\n")
    print(curl("POST", f"{models}/register", token_of["alice"], MODEL))
    print("\nList what bob can see:\n")
    print(curl("GET", f"{models}/", token_of["bob"]))
    print(f"\nServing {models}/ until Ctrl-C.", flush=True)
    server.run()


if __name__ == "__main__":
    main()
