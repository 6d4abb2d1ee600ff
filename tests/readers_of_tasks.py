"""Readers of the pages that say how to do something."""

import json
import logging
import re
import sqlite3
from contextlib import closing

import sqlalchemy as sa

from flask_model_registry import signals
from tests.hosts import CANARY, PREFIX, model
from tests.reading import ROOT, reads


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

    assert clients == [{"api_key": CANARY, "base_url": world.at_upstream}]
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
        connection.execute("INSERT INTO api_key VALUES (5, 99, 'openai', 'm', 'sk')")
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
        assert world.names["has_key"](bob, "gpt-5", CANARY) is False


@reads("from-litellm.md", models=())
def from_litellm(page, world):
    page.write("config.yaml", "yaml")
    config = world.folder / "config.yaml"
    config.write_text(
        config.read_text() + "  - {model_name: gpt-4o, litellm_params: {model: gpt-4o}}\n"
    )
    page.write("lines.py")
    unset = world.shell.run("python lines.py < config.yaml 2>&1 || echo $?")
    commands = page.blocks[2].text
    without = commands.replace("export OPENAI_API_KEY=sk-your-key", "unset OPENAI_API_KEY")
    nothing = world.shell.run(without)
    page.do()

    assert unset == "gpt-4o: OPENAI_API_KEY is not set\n1\n"
    assert (without == commands, nothing) == (False, "")  # no command has run on an empty file
    assert not (world.folder / "models.jsonl").exists()
    models = world.client(world.bobs).get(f"{PREFIX}/").json

    facts = [(each["model_id"], each["model_provider"], each["category"]) for each in models]
    assert facts == [
        ("gpt-4o", "openai", "llm"),
        ("llama", "ollama", "llm"),
        ("embedder", "openai", "embedding"),
        ("gpt-4o-2", "openai", "llm"),
    ]
    told = [
        world.client().get(f"{PREFIX}/{each['id']}/credential").json["is_set"] for each in models
    ]
    assert told == [True, True, True, False]
    refuses(page, world)


REFUSED = """
model_list:
  - {model_name: "*", litellm_params: {model: "openai/*"}}
  - {model_name: a, litellm_params: {model: vertex_ai/gemini-2.5-pro}}
  - {model_name: b, litellm_params: {model: bedrock/claude}}
  - {model_name: c, litellm_params: {model: azure/gpt-4o}}
  - {model_name: d, litellm_params: {model: openai/x, api_base: "http://elsewhere.example/v1"}}
"""


def refuses(page, world):
    """Have each of the page's table refused, on a line of its own."""
    (world.folder / "refused.yaml").write_text(REFUSED)
    world.shell.run("python lines.py < refused.yaml > refused.jsonl")
    said = world.shell.run("flask model-registry import --owner 1 refused.jsonl 2>&1 || true")
    assert said.count(" fail ") == 5
    assert "nothing was changed" in said


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
    assert world.client(world.bobs).get(f"{PREFIX}/5").json["is_owner"] is True
    assert registry.tables.models.name == "model_registry_models"
