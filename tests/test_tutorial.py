"""README, quickstart and tutorial, done as a reader does: files written, commands run, in order."""

import json
import re
from importlib.util import find_spec

import pytest

from tests.reading import ROOT, blocks_of, serves
from tests.shell import Shell
from tests.upstream import Upstream

QUESTION = '[{"role": "user", "content": "How are you?"}]'
# Around code for a view: a request of the token's user, whose model is at the provider of the test.
VIEW = """
import os

import openai
from app import create_app, db, registry
from openai import OpenAI

app = create_app()
with app.test_request_context(headers={{"Authorization": "Bearer " + os.environ["TOKEN"]}}):
    registry.update("gpt-4o", base_url="{address}", api_key="sk-test")
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


@needs_openai
def test_the_readme_does_the_main_job_when_pasted(shell, upstream):
    app, install, token, register, view, make = blocks_of(ROOT / "README.md")
    (shell.folder / "app.py").write_text(app.text)

    for block in (install, token):
        shell.run(block.text)
    created, listed = answers_in(shell.run(register.text))
    answer = in_a_view(shell, upstream, view.text.replace("[...]", QUESTION))

    assert listed == [created]
    assert len(created) == 17
    assert answer == ""
    assert json.loads(upstream.requests[-1].partition("\r\n\r\n")[2])["model"] == "gpt-4o"
    assert "authorization: bearer sk-test" in upstream.requests[-1].lower()
    targets = re.findall(r"^make (\w+)", make.text, re.MULTILINE)
    assert targets == ["demo", "test"]  # the one runs in test_examples.py, the other runs this
    if (ROOT / "Makefile").exists():  # not beside the built wheel
        assert all(f"\n{each}: " in (ROOT / "Makefile").read_text() for each in targets)


@needs_openai
def test_the_quickstart_does_the_main_job(shell, upstream):
    install, app, setup, register, call, handler = blocks_of(ROOT / "docs" / "quickstart.md")
    (shell.folder / "app.py").write_text(app.text)
    (shell.folder / "setup.py").write_text(setup.text)
    shell.environ |= {
        "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///app.sqlite",
        "FLASK_JWT_SECRET_KEY": "k" * 48,
    }

    key = shell.run(install.text).splitlines()[-1]
    shell.environ["FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS"] = key
    token = re.search(r"ey[\w-]+\.[\w-]+\.[\w-]+", shell.run("flask shell < setup.py"))[0]
    shell.environ["TOKEN"] = token
    shell.run("flask run &")
    (created,) = answers_in(shell.run(register.text))
    code = f"{call.text}\nprint(call('How are you?').choices[0].message.content)\n{handler.text}\n"
    code += 'app.add_url_rule("/x", "x", lambda: registry.resolve("x"))\nadd_handler(app)\n'
    code += 'answer = app.test_client().get("/x")\nprint(answer.status_code, answer.mimetype)\n'
    printed = in_a_view(shell, upstream, code)

    assert "api_key" not in created
    assert printed.splitlines() == ["You said: How are you?", "401 application/problem+json"]


@needs_openai
def test_the_tutorial_runs_from_its_first_line_to_its_last(shell, upstream):
    said = {}
    for page in ("tutorial.md", "tutorial-call.md"):
        for block in blocks_of(ROOT / "docs" / page):
            text = block.text.replace("localhost:11434", f"localhost:{upstream.port}")
            if block.language == "python":
                name = re.match(r"# (\S+\.py)\n", text)[1]
                (shell.folder / name).write_text(text)
            else:
                assert block.language == "sh"
                said[page, block.number] = shell.run(text)

    texts = "\n".join(said.values())
    models = [each for each in answers_in(texts) if isinstance(each, dict)]
    summary = "You said: Summarize in one sentence:\nCall the printer, they are late again."
    assert "foreign keys are off" in texts
    assert [each["result"] for each in models if "result" in each] == ["ok"]
    assert [each["summary"].strip() for each in models if "summary" in each] == [
        summary,
        "You said: Summarize in one sentence:",  # of no notes
        "You said: Summarize in one sentence:",
    ]
    assert [each["source"] for each in models if "source" in each] == ["app"]
    assert "2 passed" in texts
