"""The app that is measured: a host with users in groups, on a database of the benchmark's own."""

import io
import os
import sys

import sqlalchemy as sa
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key

DATABASES = {
    "sqlite": None,
    "postgresql": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}

# One secret and one key for all the processes of a run.
os.environ.setdefault("BENCH_JWT_SECRET_KEY", os.urandom(32).hex())
os.environ.setdefault("BENCH_ENCRYPTION_KEYS", new_key())

db, jwt = SQLAlchemy(), JWTManager()


class User(db.Model):
    __tablename__ = "bench_users"
    id = db.Column(db.Integer, primary_key=True)


groups_of = {}  # by the users' keys
registry = ModelRegistry(
    db, User, groups=lambda user: groups_of.get(user.id, ()), can_share=lambda _user: True
)
tables = registry.tables


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def create_app(url, **options):
    app = Flask("benchmark")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=options,
        JWT_SECRET_KEY=os.environ["BENCH_JWT_SECRET_KEY"],
        JWT_ACCESS_TOKEN_EXPIRES=False,
        MODEL_REGISTRY_ENCRYPTION_KEYS=os.environ["BENCH_ENCRYPTION_KEYS"],
    )
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    return app


def answers(name):
    """Return whether a database server is running."""
    if name == "sqlite":
        return True
    engine = sa.create_engine(DATABASES[name])
    try:
        engine.connect().close()
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()
    return True


def empty_database(name, word, folder):
    """Make an empty database of the benchmark's own, and return its URL."""
    if name == "sqlite":
        file = folder / f"{word}.sqlite"
        file.unlink(missing_ok=True)
        return f"sqlite:///{file}"
    drop_database(name, word)
    _administer(name, f"CREATE DATABASE model_registry_bench_{word}")
    url = sa.make_url(DATABASES[name]).set(database=f"model_registry_bench_{word}")
    return url.render_as_string(hide_password=False)


def drop_database(name, word):
    if name != "sqlite":
        _administer(name, f"DROP DATABASE IF EXISTS model_registry_bench_{word}")


def _administer(name, statement):
    engine = sa.create_engine(DATABASES[name], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def tokens(app, users):
    with app.app_context():
        return {user: create_access_token(str(user)) for user in users}


def call(app, token, method, path, *, query="", content=b""):
    """Call the app as a server does; a test client would cost more than the app."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(content)),
        "CONTENT_TYPE": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": sys.stderr,
    }
    statuses = []
    answer = app.wsgi_app(environ, lambda status, _headers: statuses.append(status))
    content = b"".join(answer)
    answer.close()
    return int(statuses[0][:3]), content


def body(number):
    return {
        "model_id": f"model-{number}",
        "model_provider": "openai",
        "model_name": "gpt-4o",
        "api_key": "sk-benchmark-0123456789",
        "temperature": 0.7,
        "abilities": ["chat", "vision"],
        "description": "A model to measure with.",
    }
