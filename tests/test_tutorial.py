"""Follow README, quickstart and tutorial like a reader: write the files, run the commands."""

import json
import re
from importlib.util import find_spec

import pytest

from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks, blocks_of, serves
from tests.ports import free_port
from tests.shell import Shell, Terminal
from tests.upstream import Upstream

pytestmark = pytest.mark.slow

QUESTION = '[{"role": "user", "content": "How are you?"}]'
# Around code for a view: a request of the token's user, whose model is at the provider of the test.
VIEW = """
import os

import openai
from app import create_app, db, registry
from openai import OpenAI

app = create_app()
with app.test_request_context(headers={{"Authorization": "Bearer " + os.environ["TOKEN"]}}):
    registry.update("gpt-4o", base_url="{address}", api_key="sk-test", temperature=0.2)
    db.session.commit()
{code}
"""
needs_openai = pytest.mark.skipif(find_spec("openai") is None, reason="the SDK is not installed")


@pytest.fixture
def upstream():
    upstream = Upstream(serves)
    yield upstream
    upstream.close()


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.delenv("FLASK_APP", raising=False)
    shell = Shell(tmp_path)
    yield shell
    shell.stop()


def in_a_view(shell, upstream, code):
    """Run code of a view, and return what it printed."""
    code = "".join(f"    {line}\n" for line in code.splitlines())
    address = f"http://localhost:{upstream.port}/v1"
    (shell.folder / "view.py").write_text(VIEW.format(address=address, code=code))
    return shell.run("FLASK_MODEL_REGISTRY_ALLOWED_HOSTS=localhost python -W error view.py")


def answers_in(text):
    """Return the JSON that a block of curl commands has printed."""
    return [json.loads(line) for line in text.splitlines() if line.startswith(("{", "["))]


def sent_to(upstream):
    """Return the last call's arguments beside its messages."""
    body = json.loads(upstream.requests[-1].partition("\r\n\r\n")[2])
    del body["messages"]
    return body


@needs_openai
def test_the_readme_does_the_main_job_when_pasted(shell, upstream):
    app, install, token, register, view = blocks_of(ROOT / "README.md")
    (shell.folder / "app.py").write_text(app.text)
    anew = {**shell.environ}

    for block in (install, token):
        shell.run(block.text)
    created, listed = answers_in(shell.run(register.text))
    first, shell.environ = shell.environ, anew  # a second terminal
    only_flask = shell.run("flask model-registry verify-keys")
    shell.run(install.text)
    shell.environ["TOKEN"] = first["TOKEN"]
    answer = in_a_view(shell, upstream, view.text.replace("[...]", QUESTION))

    assert listed == [created]
    assert len(created) == 17
    assert only_flask == "1 of 1 API keys can be decrypted.\n"
    assert (shell.folder / ".env").stat().st_mode & 0o077 == 0
    assert answer == ""
    assert sent_to(upstream) == {"model": "gpt-4o", "temperature": 0.2}
    assert "authorization: bearer sk-test" in upstream.requests[-1].lower()
    targets = re.findall(r"`make (\w+)`", (ROOT / "README.md").read_text())
    assert targets[:2] == ["demo", "test"]  # the one runs in test_examples.py, the other runs this
    if (ROOT / "Makefile").exists():  # not beside the built wheel
        assert all(f"\n{each}: " in (ROOT / "Makefile").read_text() for each in targets)


@pytest.fixture
def open_terminal(tmp_path):
    opened = []

    def open_terminal(name):
        opened.append(Terminal(tmp_path, name))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@needs_openai
def test_the_quickstart_can_be_typed_where_nothing_is_set(open_terminal, upstream, tmp_path):
    port, calls = free_port(), "curl -sS --fail-with-body"
    install, app, configure, run, register, ask = (
        block.text.replace("127.0.0.1:5000", f"127.0.0.1:{port}").replace("curl", calls)
        for block in blocks_of(ROOT / "docs" / "quickstart.md")
    )
    first, second = open_terminal("first"), open_terminal("second")

    first.type(install)
    (tmp_path / "app.py").write_text(app)
    first.type(configure)
    settings = tmp_path / ".env"
    # Nothing calls the world, and tests run side by side.
    more = f"FLASK_MODEL_REGISTRY_ALLOWED_HOSTS=localhost\nFLASK_RUN_PORT={port}\n"
    settings.write_text(settings.read_text() + more)
    first.type(run, until="Press CTRL+C")
    (created,) = answers_in(second.type(register))
    at_upstream = {"base_url": f"http://localhost:{upstream.port}/v1", "api_key": "sk-test"}
    at_upstream["temperature"] = 0.2
    address = f"http://127.0.0.1:{port}/api/models/{created['id']}"
    header = "-H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\""
    second.type(f"{calls} -X PATCH {address} {header} -d '{json.dumps(at_upstream)}'")
    answered = second.type(ask)
    refused = second.type(ask.replace("$TOKEN", "x").replace(" --fail-with-body", " -i"))
    hidden = second.type(ask.replace("gpt-4o", "gpt-5").replace(" --fail-with-body", " -i"))
    made = settings.read_text()
    second.type(configure)

    assert answers_in(answered) == [{"answer": "You said: How are you?"}]
    assert sent_to(upstream) == {"model": "gpt-4o", "temperature": 0.2}
    assert "authorization: bearer sk-test" in upstream.requests[-1].lower()
    for shown, status in ((refused, 401), (hidden, 404)):
        assert f"HTTP/1.1 {status} " in shown
        assert "application/problem+json" in shown
    assert settings.read_text() == made


@needs_openai
def test_the_tutorial_runs_from_its_first_line_to_its_last(shell, upstream):
    said = {}
    for block in blocks_of(ROOT / "docs" / "tutorial.md"):
        text = block.text.replace("localhost:11434", f"localhost:{upstream.port}")
        if block.language == "python":
            name = re.match(r"# (\S+\.py)\n", text)[1]
            (shell.folder / name).write_text(text)
        else:
            assert block.language == "sh"
            said[block.number] = shell.run(text)

    texts = "\n".join(said.values())
    models = [each for each in answers_in(texts) if isinstance(each, dict)]
    summary = "You said: Summarize in one sentence:\nCall the printer, they are late again."
    assert "foreign keys are enforced" in texts
    assert [each["result"] for each in models if "result" in each] == ["ok"]
    assert [each["summary"].strip() for each in models if "summary" in each] == [
        summary,
        "You said: Summarize in one sentence:",  # of no notes
        "You said: Summarize in one sentence:",
    ]
    assert [each["source"] for each in models if "source" in each] == ["app"]
    assert "2 passed" in texts
    assert sent_to(upstream) == {"model": "llama3.2", "temperature": 0.2}


LARGE = """
from desk import create_app
client = create_app().test_client()
for size in (1_000, 5_000_000):
    body = "x" * size
    print(client.post("/login", data=body, content_type="application/json").status_code)
"""


@pytest.mark.parametrize("number", [0, 1])
def test_the_tutorials_app_reads_no_large_body_without_a_login(shell, number):
    """Neither the first app, nor the one with the registry."""
    for section in ("The app", "Add the registry"):
        for text in blocks(ROOT / "docs" / "tutorial.md", section=section):
            path = shell.folder / re.match(r"# (\S+\.py)\n", text)[1]
            path.parent.mkdir(exist_ok=True)
            if number == 1 or not path.exists():
                path.write_text(text)
    (shell.folder / "large.py").write_text(LARGE)
    shell.environ |= {
        "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///x.sqlite",
        "FLASK_JWT_SECRET_KEY": "k" * 48,
        "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key(),
    }

    assert shell.run("python large.py").split() == ["400", "413"]
