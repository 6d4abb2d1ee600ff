"""Readers of the pages that say how to do something."""

import json
import logging
import os
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from importlib.util import find_spec
from unittest import mock

import pytest
import sqlalchemy as sa
from marshmallow import fields
from werkzeug.datastructures import ImmutableMultiDict

from flask_model_registry import (
    ConfigError,
    ListApi,
    UnavailableError,
    UnsupportedClientError,
    ValidationError,
    signals,
)
from flask_model_registry.cli import model_registry
from flask_model_registry.litellm_config import PROVIDERS
from flask_model_registry.schemas import ModelRepresentation
from flask_model_registry.schemas.parameters import (
    CALLER_PARAMETERS,
    CLIENT_PARAMETERS,
    MAX_BYTES,
    MAX_LEVELS,
    SECRETS,
)
from tests.doc_runner import ROOT, reads
from tests.hosts import CANARY, PREFIX, model, services_of
from tests.vault import TOKEN, vault


@reads("python.md", "Signals")
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


@reads("share.md", "Defaults")
def defaults(page, world):
    pytest.importorskip("httpx2", reason="the SDK is not installed, which brings httpx2")
    clients = []
    world.names["OpenAI"] = lambda **options: clients.append(options)
    world.client().put(f"{PREFIX}/defaults/general", json={"id": 1})

    page.do()
    bob = world.client(world.bobs)
    assert world.client().put(f"{PREFIX}/1/grants/users/7", json={}).status_code == 201
    assert bob.get(f"{PREFIX}/defaults/general").status_code == 404
    assert world.client().patch(f"{PREFIX}/5", json={"share_with_users": True}).status_code == 200
    page.rest()

    (options,) = clients
    with options.pop("http_client") as client:
        assert type(client).__mro__[1].__module__ == "flask_model_registry.providers.http_client"
    assert options == {"api_key": CANARY, "base_url": world.at_upstream}
    assert world.client(world.bobs).get(f"{PREFIX}/defaults/general").json["source"] == "app"


@reads("move.md", "Move models between apps, or seed a new one")
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
    path = world.folder / "team.jsonl"
    path.write_text("\n".join(json.dumps(page.do()) for _ in range(2)))
    output = world.app.test_cli_runner().invoke(model_registry, ["import", str(path)]).output
    assert output.endswith("2 create\n"), output
    page.take("text")  # compared with the command in test_exchange.py
    assert world.client().patch(f"{PREFIX}/{row_id}", json={"share_with_users": False}).json
    assert " create  gpt-4o\n" in page.do()
    assert world.client(world.bobs).get(f"{PREFIX}/by-id/gpt-4o").json["is_owner"] is True
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


@reads("move.md", "Coming from a table of API keys")
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
    assert "6 of 6 API keys can be decrypted." in again
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


@reads("move.md", "Coming from a LiteLLM proxy", models=())
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
    """Compare the page's table with the command's output."""
    table = text.partition("## LiteLLM's providers")[2].partition("## What a proxy")[0]
    told = {}
    for cells in re.findall(r"^\| (`.*) \| (.*) \|$", table, re.MULTILINE):
        theirs, ours = (each.split(" · ") for each in cells)
        for left, right in zip(theirs, ours, strict=True):
            for name in re.findall(r"`(\w+)`(?! with)", left.replace("with an `api_base`", "")):
                told.setdefault(
                    name, name if right == "the same" else re.findall("`(.*?)`", right)[0]
                )
    assert told == PROVIDERS


@reads("move.md", "Coming from xagent", models=())
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


@reads("providers.md")
def providers(page, world):
    page.do()
    world.mount()
    created = world.client().post(
        f"{PREFIX}/register", json=model(model_id="a", model_provider="acme-ai")
    )
    assert created.json["model_provider"] == "acme"
    world.names["ListApi"] = ListApi
    listing = page.do()["acme"].listing
    assert listing.headers(CANARY)["X-Acme-Key"] == CANARY
    assert listing.lists("acme-large", ["acme-large"])
    world.mount()
    assert '"result":"ok"' in page.do()
    called = page.do()
    assert '"result":"ok"' in called
    assert '"billed":true' in called
    assert '"max_tokens": 16' in world.upstream.requests[-1]
    hosts = page.do()["app"].config["MODEL_REGISTRY_ALLOWED_HOSTS"]
    world.mount(MODEL_REGISTRY_ALLOWED_HOSTS=hosts)
    text = (ROOT / "docs" / page.name).read_text()
    addresses = re.findall(r"^\| (?:Ollama|vLLM) .*`(http[^`]*)` \|$", text, re.MULTILINE)
    for number, address in enumerate(addresses):
        body = model(model_id=f"at-{number}", base_url=address)
        assert world.client().post(f"{PREFIX}/register", json=body).status_code == 201
    assert len(addresses) == 4


@reads("share.md", "Share a model")
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


@reads("credentials.md")
def credentials(page, world):
    pytest.importorskip("hvac")
    registry = world.names["registry"]
    page.do(2)
    assert len(world.client().get(f"{PREFIX}/?limit=100").json) == 10
    functions = page.do()
    page.do()
    with world.request():
        for name in ("large", "small", "o3", "o4-mini", "vectors"):
            called = registry.resolve(name)
            assert called.api_key.reveal() == "sk-your-new-key"
            assert called.headers["X-Team"].reveal() == "research"
    with world.request():
        alice = world.load(1)
        made = functions["register"](alice, CANARY, ["gpt-4o"])
        registry.create(user=alice, **model(model_id="own", model_provider="openai"))
        registry.create(user=alice, **model(model_id="other", model_provider="openai"))
        functions |= page.do()
        functions["use"](alice, "own", 1)
        assert registry.resolve("own").headers["X-Team"].reveal() == "research"
        functions["detach"](alice, "own", "sk-other")
        assert registry.resolve("own").headers == {}
        own_url = model(model_id="url", model_provider="openai")
        registry.create(user=alice, **own_url, base_url="https://api.openai.com/v1")
        with pytest.raises(ValidationError, match="another provider or origin"):
            functions["use"](alice, "url", 1)
        functions["make_one_of"](alice, "other")
        assert len(registry.credentials()) == 3
        arguments = page.do()["arguments"]
        assert arguments(alice, "large")["organization"] == "org-1"
        assert arguments(alice, made[0]["model_id"])["api_key"] == CANARY
    page.do()
    with world.request():
        clouds(page, world)
    with world.request():
        secrets_kept_elsewhere(page, world)


def clouds(page, world):
    registry, alice = world.names["registry"], world.load(1)
    world.names.update(boto3=mock.Mock(), genai=mock.Mock())
    (aws,) = (each for each in registry.credentials() if each["kind"] == "aws")
    registry.create_models(aws["id"], [{"model_id": "claude", "model_name": "c"}], user=alice)
    functions = page.do()
    with pytest.raises(UnsupportedClientError, match="has no google_kwargs"):
        functions["ask_vertex"](alice, "claude", "How are you?")
    if find_spec("boto3"):
        client = world.names["boto3"].client.return_value
        client.converse.return_value = {"output": {"message": {"content": [{"text": "Fine."}]}}}
        assert functions["ask_bedrock"](alice, "claude", "How are you?") == "Fine."
        kwargs = world.names["boto3"].client.call_args.kwargs
        assert kwargs["region_name"] == "eu-central-1"
        assert kwargs["service_name"] == "bedrock-runtime"
        named = {"service_name", "region_name", "endpoint_url", "config"}
        access_key = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}
        assert {*kwargs} == named | access_key


def secrets_kept_elsewhere(page, world):
    registry, alice, bob = world.names["registry"], world.load(1), world.load(7)
    kept = services_of(world.app).keys.credentials.secret_source
    openai = {"provider": "openai", "origin": "https://api.openai.com"}
    elsewhere = {**openai, "origin": "https://evil.example.com"}
    kept._source = from_environment = page.do()["from_environment"]
    refer = page.do()["refer"]
    with pytest.raises(ValidationError, match="Must name a secret that you may use"):
        refer(alice)  # the variable isn't set yet
    with mock.patch.dict(os.environ, TEAM_OPENAI_KEY=CANARY):
        made = refer(alice)
        models = [{"model_id": "kept", "model_name": "gpt-4o"}]
        registry.create_models(made["id"], models, user=alice)
        assert registry.resolve("kept").api_key.reveal() == CANARY
        with pytest.raises(ValidationError, match="Must name a secret that you may use"):
            refer(bob)
        assert from_environment("team-openai", owner=alice, **elsewhere) is None
        assert from_environment("SECRET_KEY", owner=alice, **openai) is None

    names = page.do()
    secrets = {
        f"models/1/{each}/main": {"api_key": f"{CANARY}-{each}"} for each in names["ORIGINS"]
    }
    now = 1.0
    clock = mock.patch.dict(names, monotonic=lambda: now)
    with vault(**secrets) as server, clock:
        source = names["VaultSource"](names["hvac"].Client(server.url, TOKEN, timeout=60))
        kept._source = source
        for provider in names["ORIGINS"]:
            account = {"name": f"vault-{provider}", "model_provider": provider}
            registry.create_credential(**account, reference="main", user=alice)
            with pytest.raises(ValidationError, match="Must name a secret that you may use"):
                registry.create_credential(**account, reference="main", user=bob)
        registry.update_credential(made["id"], reference="main", user=alice)
        server.asked.clear()
        assert registry.resolve("kept").api_key.reveal() == f"{CANARY}-openai"
        assert server.asked == []
        assert source("main", owner=alice, **elsewhere) is None
        assert source("../../sys/seal-status", owner=alice, **openai) is None
        assert server.asked == []
        now += 61
        secrets["models/1/openai/main"]["headers"] = {"X-Team": "research"}
        assert registry.resolve("kept").headers["X-Team"].reveal() == "research"
        now += 61
        server.is_sealed = True
        with pytest.raises(UnavailableError, match="Vault doesn't respond"):
            registry.resolve("kept")
    source.kept.clear()
    with pytest.raises(UnavailableError):
        registry.resolve("kept")


@reads("models.md", "Parameters and details")
def parameters(page, world):
    text = (ROOT / "docs" / page.name).read_text()
    page.do()
    client = world.client()
    stored = client.get(f"{PREFIX}/5/parameters").json
    assert stored["info"]["context_window"] == 128_000
    with world.request():
        alice = world.load(1)
        limited = page.do()["limit"](alice, "gpt-4o")
        assert limited == {"parameters": {"max_tokens": 256}, "info": stored["info"]}
        arguments = page.do()["arguments"](alice, "gpt-4o")
        assert arguments["extra_body"] == {"max_tokens": 256}
        world.names["db"].session.commit()
    shown = json.loads(page.do())
    with world.request():
        assert page.do()["where"](alice, "gpt-4o") == shown["address"]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    named = [{*re.findall(r"`(\w+)`", row)} for row in rows]
    assert {name for row in named for name in row} >= {*shown}
    assert CALLER_PARAMETERS in named
    assert CLIENT_PARAMETERS in named
    assert {"api_key", "authorization", "password", "access_token"} <= SECRETS
    assert (f"| {MAX_BYTES} bytes" in text, f"| {MAX_LEVELS} levels" in text) == (True, True)


@reads("models.md", "Query your users' models")
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


@reads("models.md", "Use the schemas in your app")
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
