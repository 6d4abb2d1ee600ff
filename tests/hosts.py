"""Host apps of different kinds, as a developer would write them."""

from __future__ import annotations

import contextlib
import secrets
import ssl
import threading
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.ext.declarative import ConcreteBase

from flask_model_registry import EncryptionKey, ModelRegistry
from flask_model_registry.cli import model_registry, new_key
from flask_model_registry.providers.transport import Network

PREFIX = "/api/models"
# The commands that read what is stored.
COMMANDS = ["list-keys"], ["verify-keys"], ["rotate-keys"], ["rotate-keys", "--dry-run"], ["doctor"]
# Every API key that the suite sends holds this; it must never come out again.
CANARY = "sk-canary-" + secrets.token_hex(20)


def key_id(entry):
    """Return an encryption key's name in the database."""
    return EncryptionKey.parse(entry).key_id


OLD, NEW = new_key("old"), new_key("new")


def keys(*entries, **config):
    return {"MODEL_REGISTRY_ENCRYPTION_KEYS": list(entries), **config}


def model(**fields):
    """Return a valid request body."""
    return {
        "model_id": "gpt-4o",
        "model_provider": "openai",
        "model_name": "gpt-4o-2024-11-20",
        "api_key": CANARY,
        **fields,
    }


def connection(**fields):
    """Return a valid body of a connection test."""
    body = model(**fields)
    return {name: body[name] for name in ("model_provider", "model_name", "api_key", "base_url")}


def register(client, *model_ids, **fields):
    """Register models and return their integer ids."""
    responses = [
        client.post(f"{PREFIX}/register", json=model(model_id=each, **fields)) for each in model_ids
    ]
    assert [response.status_code for response in responses] == [201] * len(model_ids)
    return [response.json["id"] for response in responses]


def granted(client, row_id, **grantee):
    """Grant a model to a user (by key) or a group, over HTTP."""
    rights = {name: grantee.pop(name) for name in ("can_edit", "can_delete") if name in grantee}
    ((kind, name),) = grantee.items()
    response = client.put(
        f"{PREFIX}/{row_id}/grants/{kind}s/{quote(str(name), safe='')}", json=rights
    )
    assert response.status_code in {200, 201}, response.text
    return response.json


def grant(host, row_id, **columns):
    models, grants = host.registry.tables.models.c, host.registry.tables.grants
    handle = sa.select(models.model_id).where(models.id == row_id).scalar_subquery()
    rights = {"can_edit": False, "can_delete": False}
    values = {"model_row_id": row_id, "model_id": handle, **rights, **columns}
    host.execute(sa.insert(grants).values(values))


class Recorder(FlaskClient):
    """A client that keeps the app's responses."""

    def open(self, *args, **kwargs):
        response = super().open(*args, **kwargs)
        self.application.extensions["seen"].append(f"{response.headers}\n{response.text}")
        self.application.extensions["statuses"].append(response.status_code)
        return response


def services_of(app):
    """Return the registry's services for an app."""
    return app.extensions["model_registry"]._app_services[app]


@dataclass
class Host:
    """A host app with its users and a registry."""

    app: Flask
    db: SQLAlchemy
    User: type
    registry: ModelRegistry
    new_key: object = None
    users: dict = field(default_factory=dict)
    making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def services(self):
        return services_of(self.app)

    def user(self, name, **attributes):
        """Return the key of the user with this name, who is created on the first call."""
        if name in self.users:
            return self.users[name]
        with self.making:  # a served host gets requests at once
            if name not in self.users:
                with self.app.app_context():
                    user = self.User(name=name, **attributes)
                    if self.new_key:
                        setattr(user, sa.inspect(self.User).primary_key[0].key, self.new_key())
                    self.db.session.add(user)
                    self.db.session.commit()
                    self.users[name] = sa.inspect(user).identity[0]
        return self.users[name]

    def token(self, name, **options):
        with self.app.app_context():
            return create_access_token(str(self.user(name, **options)))

    def client(self, name=None, **attributes):
        """Return a client that sends the token of the user with this name."""
        client = self.app.test_client()
        if name is not None:
            token = self.token(name, **attributes)
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def again(self, **config):
        """Return the same host, as in another process with another configuration."""
        declared = (self.db, JWTManager(), self.User, self.registry, self.new_key)
        loader = self.app.extensions["flask-jwt-extended"]._user_lookup_callback
        declared[1].user_lookup_loader(loader)
        host = create_app(declared, None, **{**self.app.config, **config})
        host.users = self.users
        return host

    def run(self, *args):
        """Run a command of ``flask model-registry``; return what it printed, and its exit status."""
        result = self.app.test_cli_runner().invoke(model_registry, args)
        self.app.extensions["seen"].append(result.output)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output, result.exit_code

    def load(self, name):
        return self.db.session.get(self.User, self.user(name))

    def rows(self, table):
        """Return the rows of a table of the registry, without the library's code."""
        table = getattr(self.registry.tables, table)
        with self.app.app_context():
            bind = {"mapper": sa.inspect(self.User)}
            rows = sa.select(table).order_by(*table.primary_key)
            return self.db.session.execute(rows, bind_arguments=bind).all()

    def execute(self, statement, parameters=None):
        """Change the database without the library's code."""
        with self.app.app_context():
            bind = {"mapper": sa.inspect(self.User)}
            self.db.session.execute(statement, parameters, bind_arguments=bind)
            self.db.session.commit()

    def snapshot(self, tables):
        """Return the rows of tables of the registry, for ``restore``."""
        return {each: [dict(row._mapping) for row in self.rows(each)] for each in tables}

    def restore(self, snapshot):
        """Put back what tables held; those that refer to others come after them."""
        bind = {"mapper": sa.inspect(self.User)}
        tables = {getattr(self.registry.tables, each): rows for each, rows in snapshot.items()}
        with self.app.app_context():
            for table in reversed(tables):
                self.db.session.execute(sa.delete(table), bind_arguments=bind)
            for table, rows in tables.items():
                if rows:
                    self.db.session.execute(sa.insert(table), rows, bind_arguments=bind)
            self.db.session.commit()

    def empty(self):
        with self.app.app_context():
            for metadata in self.db.metadatas.values():
                for table in reversed(metadata.sorted_tables):
                    bind = {"mapper": sa.inspect(self.User)}
                    self.db.session.execute(table.delete(), bind_arguments=bind)
            self.db.session.commit()
        self.users.clear()
        self.app.extensions["seen"].clear()
        self.app.extensions["statuses"].clear()

    def close(self):
        with self.app.app_context():
            self.db.session.remove()
            for engine in self.db.engines.values():
                engine.dispose()


class Columns:
    """The columns that every users' table here has beside its key."""

    name = sa.Column(sa.String(80))
    is_admin = sa.Column(sa.Boolean, default=False)


def legacy_int(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    return User, int, None


def legacy_string_not_called_id(db):
    class Account(Columns, db.Model):
        login = sa.Column(sa.String(64), primary_key=True)
        # Declared later in the file: the registry must not make SQLAlchemy look for it yet.
        notes = db.relationship("Note")

    return Account, str, lambda: f"login-{secrets.token_hex(4)}"


def modern_uuid(db):
    class Person(db.Model):
        __tablename__ = "people"
        person_id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid.uuid4)
        name: orm.Mapped[str] = orm.mapped_column(sa.String(80))
        is_admin: orm.Mapped[bool] = orm.mapped_column(default=False)

    return Person, uuid.UUID, None


def bound_elsewhere(db):
    class User(Columns, db.Model):
        __bind_key__ = "users"
        id = sa.Column(sa.Integer, primary_key=True)

    return User, int, None


def inherited(db):
    class Party(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(8))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "party"}

    class Member(Columns, Party):
        id = sa.Column(sa.ForeignKey(Party.id), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "member"}

    return Member, int, None


CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def _modern(**attributes):
    return type("Base", (orm.DeclarativeBase,), attributes)


# For each kind of host: how it declares its users, and the options of its SQLAlchemy object.
KINDS = {
    "legacy base, int key": (legacy_int, dict),
    "legacy base, string key": (legacy_string_not_called_id, dict),
    "2.0 base, UUID key": (modern_uuid, lambda: {"model_class": _modern()}),
    "naming convention": (
        legacy_int,
        lambda: {"metadata": sa.MetaData(naming_convention=CONVENTION)},
    ),
    "users in another bind": (bound_elsewhere, dict),
    "joined inheritance": (inherited, dict),
}


def big_integer(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)

    return User, int, None


def named_otherwise(db):
    class User(db.Model):
        __tablename__ = "app users"
        key = sa.Column("User ID", sa.Integer, primary_key=True)
        name = sa.Column("full name", sa.String(80))
        is_admin = sa.Column(sa.Boolean, default=False)

    return User, int, None


def with_mysql_options(db):
    class User(Columns, db.Model):
        __table_args__ = {"mysql_charset": "latin1", "mysql_comment": "not taken over"}
        id = sa.Column(sa.String(36), primary_key=True)

    return User, str, lambda: str(uuid.uuid4())


def dataclass_user(db):
    class User(orm.MappedAsDataclass, db.Model):
        id: orm.Mapped[int] = orm.mapped_column(init=False, primary_key=True)
        name: orm.Mapped[str] = orm.mapped_column(sa.String(80))
        is_admin: orm.Mapped[bool] = orm.mapped_column(default=False)

    return User, int, None


def imperative(db):
    class User:
        def __init__(self, **attributes):
            for name, value in attributes.items():
                setattr(self, name, value)

    columns = sa.Column("name", sa.String(80)), sa.Column("is_admin", sa.Boolean, default=False)
    users = db.Table("users", sa.Column("id", sa.Integer, primary_key=True), *columns)
    db.Model.registry.map_imperatively(User, users)
    return User, int, None


def single_table(db):
    class Party(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(8))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "party"}

    class Member(Party):
        __mapper_args__ = {"polymorphic_identity": "member"}

    return Member, int, None


def concrete(db):
    class User(Columns, ConcreteBase, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "user", "concrete": True}

    class Robot(User):
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(80))
        is_admin = sa.Column(sa.Boolean, default=False)
        __mapper_args__ = {"polymorphic_identity": "robot", "concrete": True}

    db.Robot = Robot
    return User, int, None


def in_a_schema(db):
    class User(Columns, db.Model):
        __table_args__ = {"schema": "accounts"}
        id = sa.Column(sa.Integer, primary_key=True)

    return User, int, None


# Kinds that only the tests of declarations use.
RARE_KINDS = {
    "BigInteger key": (big_integer, dict),
    "names that need quotes": (named_otherwise, dict),
    "MySQL table options": (with_mysql_options, dict),
    "MappedAsDataclass": (dataclass_user, lambda: {"model_class": _modern()}),
    "imperative mapping": (imperative, dict),
    "single-table inheritance": (single_table, dict),
    "concrete inheritance": (concrete, dict),
    "schema of the metadata": (legacy_int, lambda: {"metadata": sa.MetaData(schema="app")}),
    "schema of the users": (in_a_schema, dict),
}


def declare(kind="legacy base, int key", **options):
    """Return the contents of a host's models module: db, jwt, the users' class and the registry."""
    declare_users, options_of = {**KINDS, **RARE_KINDS}[kind]
    db, jwt = SQLAlchemy(**options_of()), JWTManager()
    User, parse, new_user_key = declare_users(db)
    registry = ModelRegistry(db, User, **options)
    if kind == "legacy base, string key":

        class Note(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)
            login = sa.Column(sa.ForeignKey(User.login))

        db.Note = Note  # SQLAlchemy itself holds classes weakly

    @jwt.user_lookup_loader
    def load(_header, claims):
        with contextlib.suppress(ValueError):
            return db.session.get(User, parse(claims["sub"]))

    return db, jwt, User, registry, new_user_key


# One for all tests, because loading the certificate authorities takes a tenth of a second.
default_context = cache(ssl.create_default_context)


def look_up_here(host, port):
    if host != "localhost":
        raise OSError("unknown")
    return ["127.0.0.1"]


def create_app(declared, url, *, mount=None, **config):
    """The host's app factory; ``mount`` may do more with an app than `init_app`."""
    db, jwt, User, registry, new_user_key = declared
    app = Flask("host")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_BINDS={"users": url},
        JWT_SECRET_KEY=secrets.token_hex(32),
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("test"),
    )
    app.config.update(config)
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    db.init_app(app)
    jwt.init_app(app)
    (mount or registry.init_app)(app)
    # No test calls a server outside.
    host = Host(app, db, User, registry, new_user_key)
    transport = host.services.providers.client._transport
    transport._network = Network(default_context, look_up_here, sleep=lambda _: None)
    return host


def make_host(url, kind="legacy base, int key", *, config=None, **options):
    """Return a host with its tables created."""
    host = create_app(declare(kind, **options), url, **(config or {}))
    with host.app.app_context():
        create_tables(host.db, KINDS.get(kind))
    return host


# For each kind of host, its file on SQLite, with tables and no rows.
_FILES = {}


def create_tables(db, kind):
    """Create a host's tables; on SQLite by a copy of the first such file, in a tenth of the time."""
    url = db.engine.url
    file = Path(url.database) if kind and url.drivername == "sqlite" and url.database else None
    if file is None or file.exists():
        db.create_all()
    elif kind in _FILES:
        file.write_bytes(_FILES[kind])
    else:
        db.create_all()
        _FILES[kind] = file.read_bytes()
