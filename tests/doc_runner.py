"""Follows the documentation like a reader: writes the files, runs the commands, calls the code."""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import sys
import textwrap
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType

import sqlalchemy as sa
import yaml
from flask import Flask
from flask_jwt_extended import create_access_token
from werkzeug.serving import make_server

from flask_model_registry import configure_sqlite
from flask_model_registry.cli import new_key
from flask_model_registry.providers.transport import Network
from tests.hosts import CANARY, default_context, look_up_here, model, services_of
from tests.shell import ADDRESS, Shell
from tests.upstream import Upstream, answers, speaks

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
READERS = {}


def reads(page, section=None, **options):
    """Make a function the reader of a page or section; it gets that, and a world with options."""

    def decorate(reader):
        READERS[page, section] = (reader, options)
        return reader

    return decorate


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    number: int


def text_of(page, section=None):
    """Return the text of a page, or of one of its sections."""
    if section is None:
        return page.read_text()
    (text,) = re.findall(
        rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return text


def blocks_of(page, section=None):
    """Return all blocks of a page or section that have a language."""
    found = _BLOCK.findall(text_of(page, section))
    return [
        Block(language, textwrap.dedent(text), number)
        for number, (_, language, text) in enumerate(found)
    ]


def blocks(page, language="python", section=None):
    """Return the texts of a page's or section's blocks in this language."""
    return [block.text for block in blocks_of(page, section) if block.language == language]


def serves(upstream, connection):
    """Be a provider: list some models, and answer chats."""
    if connection.recv(4, socket.MSG_PEEK) == b"GET ":
        names = ["gpt-4o", "llama3.2"]
        listed = {
            "data": [{"id": name} for name in names],
            "models": [{"name": f"{name}:latest"} for name in names],
        }
        answers(json.dumps(listed).encode())(upstream, connection)
    else:
        speaks(upstream, connection)


class World:
    """The app of the README with users, models and a provider, and a reader's shell beside it.

    User 1 is alice, who may share; user 7 is bob. Alice has the models 1 to 5; 5 is gpt-4o.
    """

    def __init__(self, folder, *, models=("local", "m2", "old", "m4", "gpt-4o")):
        self.folder, self.upstream = folder, Upstream(serves)
        self.at_upstream = f"http://localhost:{self.upstream.port}/v1"
        self._stack, self._server = ExitStack(), None
        (folder / "app.py").write_text(blocks(PAGES[0])[0])
        settings = {
            "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///app.sqlite",
            "FLASK_JWT_SECRET_KEY": "k" * 48,
            "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key(),
            "FLASK_MODEL_REGISTRY_ALLOWED_HOSTS": "localhost",
        }
        self.shell = Shell(folder, FLASK_APP="app.py", **settings)
        self._stack.callback(self.shell.stop)
        self._stack.callback(self.upstream.close)
        self._old = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        sys.path.insert(0, str(folder))
        sys.modules.pop("app", None)
        module = importlib.import_module("app")
        self.names = dict(vars(module), KEY=CANARY)
        self._apps = []
        self.take(module.create_app())
        self._fill(models)

    def _fill(self, models):
        db, User, registry = self.names["db"], self.names["User"], self.names["registry"]
        with self.app.app_context():
            configure_sqlite(db.engine)  # the reader's commands write at the same time
            db.create_all()
            db.session.add_all([User(id=1, is_admin=True), User(id=7)])
            db.session.commit()
            for each in models:
                fields = model(model_id=each, model_name="gpt-4o", base_url=self.at_upstream)
                registry.create(user=db.session.get(User, 1), **fields)
            db.session.commit()
            self.shell.environ["TOKEN"] = self.token = create_access_token("1")
            self.bobs = create_access_token("7")

    def mount(self, **config):
        """Make the page's registry serve an app."""
        app = Flask("page", root_path=str(self.folder), instance_path=str(self.folder / "instance"))
        app.config.from_prefixed_env()
        app.config.update(config, SECRET_KEY="s" * 48)
        self.names["db"].init_app(app)
        self.names["jwt"].init_app(app)
        self.names["registry"].init_app(app)
        return self.take(app)

    def take(self, app):
        """Continue with an app that calls no server outside."""
        transport = services_of(app).providers.client._transport
        transport._network = Network(default_context, look_up_here, sleep=lambda _: None)
        self._apps.append(app)
        self.app = self.names["app"] = app
        return app

    def serve(self):
        """Serve the app where the reader's curl looks for it."""
        if self._server is None:
            port = int(self.shell.environ["FLASK_RUN_PORT"])
            self._server = make_server("127.0.0.1", port, self.app, threaded=True)
            self._server.daemon_threads = False  # so that closing waits for them
            thread = threading.Thread(target=self._server.serve_forever)
            thread.start()
            self._stack.callback(self._server.server_close)
            self._stack.callback(thread.join)
            self._stack.callback(self._server.shutdown)

    def request(self, token=None):
        """Enter a request by alice, or by the owner of the token."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.app.test_request_context(headers=headers)

    def client(self, token=None):
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token or self.token}"
        return client

    def load(self, key):
        return self.names["db"].session.get(self.names["User"], key)

    def key_id(self):
        """Return the encryption key's name in the database."""
        with self.app.app_context():
            column = self.names["registry"].tables.models.c.key_id
            return self.names["db"].session.scalar(sa.select(column).limit(1))

    def open(self, name, section=None):
        """Open a page, or a section of it."""
        return Page(next(page for page in PAGES if page.name == name), self, section)

    def close(self):
        self._stack.close()
        for app in self._apps:
            with app.app_context():
                self.names["db"].session.remove()
                for engine in self.names["db"].engines.values():
                    engine.dispose()
        sys.path.remove(str(self.folder))
        sys.modules.pop("app", None)
        for name, value in self._old.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class Page:
    """A page or section that is read from its top to its end, and all of its code called."""

    def __init__(self, page, world, section=None):
        self.name, self.world = page.name, world
        self.names, self.blocks = world.names, blocks_of(page, section)
        self._next, self._entered, self._codes = 0, set(), []

    def __enter__(self):
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        return self

    def __exit__(self, kind, *_):
        sys.setprofile(None)
        threading.setprofile(None)
        if kind is None:
            assert self._next == len(self.blocks), "not all of the page was read"
            codes = [each for code in self._codes for each in _within(code)]
            assert [code for code in codes if id(code) not in self._entered] == []

    def _profile(self, frame, event, _arg):
        if event == "call" and frame.f_code.co_filename.startswith(f"{self.name}:"):
            self._entered.add(id(frame.f_code))

    def take(self, language):
        """Return the next block, which is in this language; the test follows it itself."""
        block = self.blocks[self._next]
        assert block.language == language, block
        self._next += 1
        return block.text

    def replace(self, old, new):
        """Replace a value in the next block with this world's."""
        block = self.blocks[self._next]
        assert old in block.text, block
        self.blocks[self._next] = replace(block, text=block.text.replace(old, new))

    def write(self, name, language="python", ending=""):
        """Make a file of the next block."""
        (self.world.folder / name).write_text(self.take(language) + ending)

    def do(self, count=1):
        """Follow the next blocks, and return the output or the content of the last one."""
        for _ in range(count):
            block = self.blocks[self._next]
            self._next += 1
            result = getattr(self, f"_{block.language}")(block)
        return result

    def rest(self):
        return self.do(len(self.blocks) - self._next)

    def _python(self, block):
        text = block.text.replace(
            ADDRESS, f"127.0.0.1:{self.world.shell.environ['FLASK_RUN_PORT']}"
        )
        code = compile(text, f"{self.name}:{block.number}", "exec", dont_inherit=True)
        self._codes.append(code)
        with self.world.request():
            exec(code, self.names)
            self.names["db"].session.commit()
        return self.names

    def _sh(self, block):
        if ADDRESS in block.text and "flask run &" not in block.text:
            self.world.serve()
        return self.world.shell.run(block.text)

    def _json(self, block):
        return json.loads(block.text)

    def _yaml(self, block):
        return yaml.safe_load(block.text)

    def _sql(self, block):
        with self.world.app.app_context():
            return self.names["db"].session.execute(sa.text(block.text)).all()


def _within(code):
    """Yield all functions that are defined within some code, because they must be called too."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _within(each)
