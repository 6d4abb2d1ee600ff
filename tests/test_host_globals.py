"""Importing and mounting leave a process's shared state alone, because it is the host's."""

import os
import subprocess
import sys

import marshmallow
import pytest

from tests.doc_runner import ROOT

SNAPSHOTS = """
import copyreg, decimal, json, locale, logging, mimetypes, os, random, signal, socket
import sqlite3, ssl, sys, threading, warnings
import blinker, click, flask, flask_jwt_extended, flask_sqlalchemy, marshmallow
import sqlalchemy as sa
from apispec.ext.marshmallow import OpenAPIConverter
from marshmallow import class_registry
from sqlalchemy import orm

warnings.simplefilter("default")
mimetypes.init()


def loggers():
    every = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    ours = "flask_model_registry", "httpcore2"  # whose log would hold API keys
    return {
        each.name: (each.level, each.filters[:], each.handlers[:], each.disabled)
        for each in every
        if isinstance(each, logging.Logger) and not each.name.startswith(ours)
        if each.filters or each.handlers or each.disabled or each is logging.getLogger()
    }


def listeners(target):
    names = target.dispatch._event_names
    return {name: len(getattr(target.dispatch, name)._clslevel.get(target, ())) for name in names}


def snapshot():
    return {
        "Marshmallow's classes": {n: len(c) for n, c in class_registry._registry.items()},
        "Marshmallow's fields": dict(marshmallow.Schema.TYPE_MAPPING),
        "apispec's fields": dict(OpenAPIConverter.field_mapping),
        "blinker's names": sorted(blinker.signal.__self__),
        "log": loggers(),
        "log classes": (logging.getLoggerClass(), logging.getLogRecordFactory()),
        "warnings": warnings.filters[:],
        "media types": dict(mimetypes.types_map),
        "JSON": (json._default_encoder, json._default_decoder, json.JSONEncoder.default),
        "pickle": set(copyreg.dispatch_table),
        "hooks": (sys.excepthook, threading.excepthook, sys.meta_path[:], sys.path[:]),
        "signals": [signal.getsignal(each) for each in signal.valid_signals()],
        "sockets": (socket.getdefaulttimeout(), socket.getaddrinfo, socket.socket,
                    ssl.SSLContext, ssl._create_default_https_context),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": str(decimal.getcontext()),
        "random": hash(random.getstate()),
        "sqlite3": {str(each) for each in sqlite3.adapters},
        "SQLAlchemy's events": [
            listeners(each) for each in (sa.Engine, sa.pool.Pool, sa.Table, sa.MetaData,
                                         orm.Mapper, orm.Session)
        ],
        "SQLAlchemy's compilers": [
            "_compiler_dispatcher" in vars(each)
            for each in (sa.ForeignKeyConstraint, sa.LargeBinary, sa.types.TypeDecorator)
        ],
        "click": (click.Group.get_command, click.echo, flask.cli.FlaskGroup.get_command),
        "Flask": (flask.Flask.json_provider_class, flask.Flask.response_class,
                  flask.Flask.request_class, dict(flask.Flask.jinja_options)),
    }


before = snapshot()
"""
IMPORT = """
import flask_model_registry, flask_model_registry.cli, flask_model_registry.web.openapi
from flask_model_registry import signals
"""
MOUNT = """
db, jwt = flask_sqlalchemy.SQLAlchemy(), flask_jwt_extended.JWTManager()


class User(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)


classes = set(db.Model.registry._class_registry)
from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
registry = ModelRegistry(db, User)
app = flask.Flask("host")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", JWT_SECRET_KEY="k" * 32,
                  MODEL_REGISTRY_ENCRYPTION_KEYS=new_key())
db.init_app(app)
jwt.init_app(app)
jinja = dict(app.jinja_env.globals), dict(app.jinja_env.filters)
commands = dict(app.cli.commands)
app.logger
before["log"] = loggers()
registry.init_app(app)
assert classes == set(db.Model.registry._class_registry)
assert jinja == (dict(app.jinja_env.globals), dict(app.jinja_env.filters))
assert commands == dict(app.cli.commands)
with app.app_context():
    db.create_all()
client = app.test_client()
assert client.get("/api/models/openapi.json").status_code == 200
assert client.get("/api/models/").status_code == 401
"""
COMPARE = """
after = snapshot()
changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
assert changed == {}, changed
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("step", [IMPORT, IMPORT + MOUNT], ids=["importing", "mounting"])
def test_state_shared_by_all_libraries_is_left_alone(step):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    script = SNAPSHOTS + step + COMPARE

    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr[-3000:]


class Unnamed:
    register = False


@pytest.mark.parametrize("name", ["Address", "Summary", "Problem", "Grants", "NewModel"])
def test_a_hosts_schema_is_found_by_its_name(monkeypatch, name):
    known = marshmallow.class_registry._registry
    monkeypatch.setattr(marshmallow.class_registry, "_registry", {**known})
    host = type(name, (marshmallow.Schema,), {"street": marshmallow.fields.String()})
    fields = {"inner": marshmallow.fields.Nested(name), "Meta": Unnamed}
    outer = type("Outer", (marshmallow.Schema,), fields)

    loaded = outer().load({"inner": {"street": "Main Street"}})

    assert loaded == {"inner": {"street": "Main Street"}}
    assert marshmallow.class_registry.get_class(name) is host
