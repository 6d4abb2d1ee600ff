"""Tokens in headers, integer keys, administrators, pages of its own, models from before."""

from base64 import b64encode
from pathlib import Path

from flask import Flask, jsonify
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry

db, jwt = SQLAlchemy(), JWTManager()
KEYS = "before:" + b64encode(bytes(range(32))).decode()
OLD = "gpt-4o"


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    is_admin = db.Column(db.Boolean, default=True)


registry = ModelRegistry(db, User)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


class LoggedIn(FlaskClient):
    """Logs in by itself, unless told otherwise."""

    def open(self, *args, headers=None, **options):
        headers = headers or {"Authorization": f"Bearer {token_of(1)}"}
        return super().open(*args, headers=headers, **options)


def create_app():
    app = Flask("tokens")
    app.test_client_class = LoggedIn
    app.config.update(
        TESTING=True,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{Path.cwd() / 'host.sqlite'}",
        JWT_SECRET_KEY="k" * 48,
        MODEL_REGISTRY_ENCRYPTION_KEYS=KEYS,
    )
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    app.register_error_handler(404, lambda error: ("a page of the host", 404))
    app.register_error_handler(Exception, lambda error: (jsonify(told=str(error)), 500))
    return app


def create_tables():
    db.create_all()


def fill():
    """Have two users, of whom one has models, which are defaults."""
    if db.session.get(User, 1):
        return
    db.session.add_all([User(id=1), User(id=2)])
    db.session.flush()
    first, second = (db.session.get(User, key) for key in (1, 2))
    fields = {"model_provider": "openai", "model_name": OLD, "api_key": "sk-of-before"}
    registry.create(user=first, model_id=OLD, share_with_users=True, abilities=["chat"], **fields)
    for user in (first, second):
        registry.set_default("general", OLD, user=user)
    registry.create(user=second, model_id="e5", category="embedding", **fields)
    registry.set_default("embedding", "e5", user=second)
    db.session.commit()


def token_of(key):
    return create_access_token(str(key))


def users(app):
    with app.app_context():
        yield [{"Authorization": f"Bearer {token_of(key)}"} for key in (1, 2)]
