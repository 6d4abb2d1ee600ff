"""Readers of the pages that say how to do something."""

import json
import logging
import re
import sqlite3
from contextlib import closing
from datetime import datetime

import pytest
import sqlalchemy as sa
from marshmallow import fields
from werkzeug.datastructures import ImmutableMultiDict

from flask_model_registry import ConfigError, ValidationError, signals
from flask_model_registry.litellm_config import PROVIDERS
from flask_model_registry.schemas import ModelRepresentation
from tests.doc_runner import ROOT, reads
from tests.hosts import CANARY, PREFIX, model


@reads("audit.md")
def audit(page, world):
    db, told = world.names["db"], logging.getLogger("audit")
    lines = logging.Handler()
    lines.emit = lambda record: seen.append(record.getMessage())
    seen = []
    told.addHandler(lines)
    world.names["Use"] = type(
        "Use",
        (db.Model,),
        {
            "id": sa.Column(sa.Integer, primary_key=True),
            "user_id": sa.Column(sa.Integer),
            "model": sa.Column(sa.Integer),
        },
    )
    with world.app.app_context():
        db.create_all()

    page.rest()
    with world.request():
        world.names["registry"].resolve("gpt-4o")
        db.session.commit()
        used = db.session.scalars(sa.select(world.names["Use"].model)).all()
    world.client().delete(f"{PREFIX}/5")

    told.removeHandler(lines)
    for signal in signals.namespace.values():
        signal.disconnect(world.names["write"])
    signals.resolved.disconnect(world.names["count"])
    assert used == [5]
    assert ["'event': 'resolved'" in seen[0], "'event': 'deleted'" in seen[1]] == [True, True]


@reads("defaults.md")
def defaults(page, world):
    clients = []
    world.names["OpenAI"] = lambda **options: clients.append(options)
    world.client().put(f"{PREFIX}/defaults/general", json={"id": 1})

    page.do()
    assert world.client().patch(f"{PREFIX}/5", json={"share_with_users": True}).status_code == 200
    page.rest()

    (options,) = clients
    with options.pop("http_client") as client:
        assert type(client).__mro__[1].__module__ == "flask_model_registry.providers.http_client"
    assert options == {"api_key": CANARY, "base_url": world.at_upstream}
    assert world.client(world.bobs).get(f"{PREFIX}/defaults/general").json["source"] == "app"


@reads("exchange.md")
def exchange(page, world):
    page.do()
    for row_id in range(1, 6):
        world.client().delete(f"{PREFIX}/{row_id}")
    assert page.do().endswith("5 create\n")
    row_id = world.client().get(f"{PREFIX}/by-id/gpt-4o").json["id"]
    given = {"api_key": CANARY, "share_with_users": True}
    assert world.client().patch(f"{PREFIX}/{row_id}", json=given).status_code == 200
    assert page.do()["model_id"] == "gpt-4o"
    page.do()
    with world.app.app_context():
        world.names["seed_defaults"](world.load(1))
    page.take("text")  # held against the command in test_exchange.py
    page.do()
    for name in ("with-keys.jsonl", "with-keys.jsonl.age"):
        assert (world.folder / name).read_text().count(CANARY) == 1


FACTORY = """
{}
create = create_app


def create_app():
    app = create()
    app.cli.add_command(move_keys)
    return app
"""


@reads("from-a-table.md")
def from_a_table(page, world):
    db, texts = world.names["db"], [block.text for block in page.blocks[:2]]
    page.do()
    rows = [("gpt-5", "sk-older"), ("gpt-5", CANARY), ("gpt-5", CANARY), ("bad", "sk-***")]
    with world.app.app_context():
        db.create_all()
        for name, secret in rows:
            row = world.names["ApiKey"](user_id=7, provider="openai", model=name, secret=secret)
            db.session.add(row)
        db.session.commit()
        database = db.engine.url.database
    with closing(sqlite3.connect(database)) as connection, connection:  # without foreign keys
        connection.execute("INSERT INTO api_key VALUES (5, 99, 'openai', 'm', NULL, 'sk')")
    world.app.cli.add_command(page.do()["move_keys"])
    printed = world.app.test_cli_runner().invoke(args=["move-keys"]).output
    app = world.folder / "app.py"
    app.write_text(app.read_text() + FACTORY.format("\n".join(texts)))

    again = page.do()

    assert printed.splitlines() == [
        "row 5: user 99 is gone",
        "row 4: api_key: This is a mask, not a key.",
        "row 1: user 7 has another gpt-5",
    ]
    assert again.startswith(printed)
    assert "6 of 6 API keys open." in again
    registry = world.names["registry"]
    with world.app.app_context():
        bob = world.load(7)
        assert registry.resolve("gpt-5", user=bob).api_key.reveal() == CANARY
        registry.update("gpt-5", user=bob, is_active=False)
        row = world.names["db"].session.get(world.names["ApiKey"], 3)
        assert world.names["is_moved"](bob, row, CANARY) is False
        registry.update("gpt-5", user=bob, is_active=True)
        assert world.names["is_moved"](bob, row, CANARY) is True
        row.base_url = "https://gateway.example.com/v1"
        assert world.names["is_moved"](bob, row, CANARY) is False


@reads("from-litellm.md", models=())
def from_litellm(page, world):
    page.write("config.yaml", "yaml")
    commands = page.take("sh").replace("pip install pyyaml\n", "")
    unset = world.shell.run(f"printf '\\n' > key; {{\n{commands}}} < key 2>&1 || echo $?")
    printed = world.shell.run(f"echo {CANARY} > key; {{\n{commands}}} < key")
    models = world.client(world.bobs).get(f"{PREFIX}/").json

    assert unset.count("'gpt-4o': litellm_params.api_key: OPENAI_API_KEY is not set") == 2
    assert "2 fail; nothing was changed" in unset
    assert "3 create; nothing was changed" in printed
    assert printed.endswith("3 create\n")
    facts = [(each["model_id"], each["model_provider"], each["category"]) for each in models]
    assert facts == [
        ("gpt-4o", "openai", "llm"),
        ("llama", "ollama", "llm"),
        ("embedder", "openai", "embedding"),
    ]
    assert models[1]["base_url"] == "http://ollama:11434/v1"
    with world.app.app_context():
        resolved = world.names["registry"].resolve("gpt-4o", user=world.load(7))
        assert resolved.api_key.reveal() == CANARY
    lists_providers((ROOT / "docs" / page.name).read_text())


def lists_providers(text):
    """Have the table of the page say what the command does."""
    table = text.partition("## Providers")[2].partition("## What a proxy")[0]
    told = {}
    for cells in re.findall(r"^\| (`.*) \| (.*) \|$", table, re.MULTILINE):
        theirs, ours = (each.split(" · ") for each in cells)
        for left, right in zip(theirs, ours, strict=True):
            for name in re.findall(r"`(\w+)`(?! with)", left.replace("with an `api_base`", "")):
                told.setdefault(
                    name, name if right == "the same" else re.findall("`(.*?)`", right)[0]
                )
    assert told == PROVIDERS


@reads("from-xagent.md", models=())
def from_xagent(page, world):
    page.do()
    (before,) = page.do()
    (world.folder / "models.json").write_text(json.dumps([before]))
    page.write("lines.py")
    page.do()

    (after,) = world.client(world.bobs).get(f"{PREFIX}/").json

    assert {*before} == {*after}
    facts = "model_id category model_provider model_name temperature abilities is_shared".split()
    assert [before[each] for each in facts] == [after[each] for each in facts]


@reads("keys.md")
def keys(page, world):
    page.do()["check"](world.app)
    page.replace("k2026#5d41402a", world.key_id())
    assert [row.model_id for row in page.do()][-1] == "gpt-4o"


@reads("providers.md")
def providers(page, world):
    page.do()
    world.mount()
    created = world.client().post(
        f"{PREFIX}/register", json=model(model_id="a", model_provider="acme-ai")
    )
    assert created.json["model_provider"] == "acme"
    assert '"result":"ok"' in page.do()
    hosts = page.do()["app"].config["MODEL_REGISTRY_ALLOWED_HOSTS"]
    world.mount(MODEL_REGISTRY_ALLOWED_HOSTS=hosts)
    text = (ROOT / "docs" / page.name).read_text()
    addresses = re.findall(r"^\| (?:Ollama|vLLM) .*`(http[^`]*)` \|$", text, re.MULTILINE)
    for number, address in enumerate(addresses):
        body = model(model_id=f"at-{number}", base_url=address)
        assert world.client().post(f"{PREFIX}/register", json=body).status_code == 201
    assert len(addresses) == 4


@reads("share.md")
def share(page, world):
    registry = world.names["registry"]
    page.do(2)
    assert world.client(world.bobs).get(f"{PREFIX}/5").json["can_edit"] is True
    with world.request():
        world.names.update(alice=world.load(1), bob=world.load(7))
    page.do()
    assert world.client().get(f"{PREFIX}/5/grants").json["users"] == []
    page.do()
    given = world.client(world.bobs).get(f"{PREFIX}/5").json
    assert (given["is_owner"], given["is_active"]) == (True, False)
    page.do()
    assert world.client(world.bobs).get(f"{PREFIX}/5").json["is_active"] is True
    assert registry.tables.models.name == "model_registry_models"


@reads("models.md")
def models(page, world):
    pytest.importorskip("flask_admin")
    pytest.importorskip("factory")
    registry, db = world.names["registry"], world.names["db"]
    names = page.do()["names"]
    with world.app.app_context():
        alice, bob = world.load(1), world.load(7)
        assert (names(alice), names(bob)) == (["gpt-4o", "local", "m2", "m4", "old"], [])

        page.do()
        assert world.names["old_keys"]() == []
        long_ago = datetime.fromisoformat("2020-01-01")
        models = registry.tables.models
        changed = sa.update(models).where(models.c.id == 3)
        db.session.execute(changed.values(credential_updated_at=long_ago))
        assert world.names["old_keys"]() == [(1, "old", long_ago)]

        registry.grant(1, to=bob, user=alice)
        page.do()
        assert world.names["usage"]() == [(1, 5, 1), (7, 0, 0)]
        db.session.commit()

    world.app.secret_key = "s" * 48
    world.names["is_operator"] = lambda: operator
    operator = False
    page.do()
    client = world.client()
    assert client.get("/admin/ai-models/").status_code == 403
    operator = True
    shown = client.get("/admin/ai-models/?search=gpt").text
    details = client.get("/admin/ai-models/details/?id=5").text
    assert "gpt-4o" in shown
    assert "Ciphertext" not in details
    assert "Base Url" in details
    assert client.get("/admin/ai-models/new/").status_code in {302, 404}

    page.do()
    with world.request():
        bob = world.load(7)
        first, second = world.names["two_models"](bob)
        assert (first.owner, first.temperature, second.temperature) == (bob, None, 0.2)
        assert registry.resolve(first.id, user=bob).api_key.reveal() == "sk-only-for-tests"
        first.description = "x"
        with pytest.raises(ConfigError) as refused:
            db.session.flush()
        assert str(refused.value) == page.take("text").removeprefix("ConfigError: ").strip()
        db.session.rollback()
    page.do()
    with world.request():
        alice = world.load(1)
        assert world.names["rename"](alice, alice.models[0], "renamed") == "renamed"
    assert page.do()["label"](registry.Model(model_id="m", category="llm")) == "m (llm)"


@reads("schemas.md")
def schemas(page, world):
    page.do(2)
    form = {**model(model_id="mine", temperature=0.5), "title": "Helper"}
    with world.request():
        alice = world.load(1)
        added = world.names["add_assistant"](given := {**form}, alice)
        assert given == {}
        assert added["title"] == "Helper"
        assert added["model"].keys() == {"id", "model_id", "category"}
        assert added["model"]["model_id"] == "mine"
        for name, value in {"title": 1, "temperature": "0.5", "api_key": None}.items():
            with pytest.raises(ValidationError) as refused:
                world.names["add_assistant"]({**form, "model_id": "n", name: value}, alice)
            assert [field for field, _ in refused.value.errors] == [name]
        posted = ImmutableMultiDict({**form, "model_id": "posted", "temperature": None})
        assert world.names["add_assistant"](posted, alice)["model"]["model_id"] == "posted"
        nested = world.names["AssistantSchema"]
        dates = type("Dates", (nested,), {"model": fields.Nested(ModelRepresentation)})
        shown = world.names["registry"].get("mine", user=alice)
        assert dates().dump({"model": shown}) == {"model": shown}
