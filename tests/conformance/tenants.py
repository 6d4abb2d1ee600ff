"""Tokens in cookies, text as keys, a parent blueprint for each tenant, a secret box of its own."""

import base64
import itertools

from flask import Blueprint, Flask, abort, jsonify
from flask_jwt_extended import JWTManager, create_access_token, set_access_cookies
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import AesGcmBox, EncryptionKey, ModelRegistry

db, jwt = SQLAlchemy(), JWTManager()
URL_VALUES = {"tenant": "acme"}


class Account(db.Model):
    login = db.Column(db.String(64), primary_key=True)


class Box:
    """Keeps what is sealed as text."""

    def __init__(self):
        self._box = AesGcmBox([EncryptionKey("only", bytes(range(32)))])

    def seal(self, plaintext, context):
        return base64.b64encode(self._box.seal(plaintext, context))

    def open(self, blob, context):
        return self._box.open(base64.b64decode(blob), context)


registry = ModelRegistry(db, Account, secret_box=Box())


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(Account, claims["sub"])


def create_app():
    app = Flask("tenants")
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite://",
        JWT_SECRET_KEY="k" * 48,
        JWT_TOKEN_LOCATION=["cookies"],
    )
    db.init_app(app)
    jwt.init_app(app)
    parent = Blueprint("tenant", __name__, url_prefix="/<tenant>")

    @parent.url_value_preprocessor
    def check_tenant(_endpoint, values):
        if values["tenant"] != "acme":
            abort(404)

    registry.init_app(app, parent=parent)
    app.register_blueprint(parent)

    numbers = itertools.count()

    @app.after_request
    def number(response):
        response.headers["X-Request-Number"] = next(numbers)
        return response

    @app.post("/login/<path:login>")
    def log_in(login):
        response = jsonify()
        set_access_cookies(response, create_access_token(login))
        return response

    return app


def create_tables():
    db.create_all()


def fill():
    db.session.add_all([Account(login="alice"), Account(login="bob/of/acme")])
    db.session.commit()


def users(app):
    clients = [app.test_client(), app.test_client()]
    for client, login in zip(clients, ("alice", "bob/of/acme"), strict=True):
        client.post(f"/login/{login}")
    yield clients
