"""A session login that is remembered in `g`, UUIDs as keys, another prefix, clients in a `with`."""

import uuid

import sqlalchemy as sa
from flask import Flask, g, request, session
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Person(db.Model):
    person_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(80))


def current_user():
    if "user" not in g:
        name = session.get("name")
        g.user = name and db.session.scalar(sa.select(Person).filter_by(name=name))
    return g.user


registry = ModelRegistry(db, Person, user_loader=current_user, groups=lambda user: ["staff"])


def create_app():
    app = Flask("sessions")
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SECRET_KEY="s" * 48,
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key(),
        MODEL_REGISTRY_URL_PREFIX="/v3/ai-models",
    )
    db.init_app(app)
    registry.init_app(app)

    @app.post("/login")
    def login():
        session["name"] = request.form["name"]
        return "", 204

    return app


def create_tables():
    db.create_all()


def fill():
    db.session.add_all([Person(name="alice"), Person(name="bob")])
    db.session.commit()


def users(app):
    with app.test_client() as alice, app.test_client() as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            client.post("/login", data={"name": name})
        yield alice, bob
