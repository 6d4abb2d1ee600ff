"""Real SDKs call models with the stored key, at the stored address, whatever the environment."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flask_model_registry.cli import new_key
from tests.conftest import traces
from tests.doc_runner import blocks
from tests.hosts import CANARY, model
from tests.upstream import Upstream, answers, received_whole, speaks

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parent.parent / "examples" / "chat" / "app.py"
CALL = EXAMPLE.parent.parent.parent / "docs" / "call.md"
SDKS = ("openai", "anthropic", "litellm")


@pytest.fixture
def upstream():
    upstream = Upstream(speaks)
    yield upstream
    upstream.close()


@pytest.fixture
def evil():
    evil = Upstream(answers())
    yield evil
    evil.close()


@pytest.fixture
def ask(tmp_path, evil):
    """Ask models in a process of its own, because SDKs change their surroundings."""
    at_evil = f"http://127.0.0.1:{evil.port}/v1"
    environ = {
        **os.environ,
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'x.sqlite'}",
        "FLASK_JWT_SECRET_KEY": "k" * 48,
        "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key(),
        "FLASK_MODEL_REGISTRY_ALLOWED_HOSTS": "localhost",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise LiteLLM fetches it
        # SDKs use these unless the app passes its own.
        **{f"{sdk.upper()}_API_KEY": "sk-of-the-environment" for sdk in SDKS},
        **{f"{sdk.upper()}_BASE_URL": at_evil for sdk in SDKS},
        **{f"{sdk.upper()}_API_BASE": at_evil for sdk in SDKS},
        "ANTHROPIC_AUTH_TOKEN": "sk-of-the-environment",
    }

    def ask(models, *addresses):
        result = subprocess.run(
            [sys.executable, "-m", "tests.asking"],
            input=json.dumps([str(EXAMPLE), models, addresses]),
            capture_output=True,
            text=True,
            env=environ,
            cwd=Path(__file__).parent.parent,
        )
        assert result.returncode == 0, result.stderr[-2000:]
        assert traces([result.stdout, result.stderr]) == []
        *told, last = filter(None, map(parsed, result.stdout.splitlines()))
        assert {*last["looked_up"]} <= {"localhost", "127.0.0.1"}
        return told

    return ask


def parsed(line):
    """Return our own output, because SDKs print too."""
    return json.loads(line) if line.startswith('{"') else None


needs_sdks = pytest.mark.skipif(not all(map(find_spec, SDKS)), reason="an SDK is not installed")


def anthropics(**fields):
    """Return a model that all of the SDKs can call."""
    return model(model_provider="anthropic", **fields)


@needs_sdks
def test_each_sdk_calls_a_model_with_its_stored_key(upstream, evil, ask):
    warm = {"base_url": f"http://localhost:{upstream.port}/v1", "temperature": 0.25}
    models = [
        # A name like OpenRouter's; LiteLLM must not take it apart.
        model(**warm, model_provider="vllm", model_name="openai/gpt-4o"),
        model(**warm, model_id="claude", model_provider="claude", model_name="claude-5"),
        model(model_id="own", model_provider="openai"),  # which has no API of Anthropic's
    ]

    asked = ask(
        models,
        "/ask/openai/gpt-4o",
        "/ask/litellm/gpt-4o",
        "/ask/anthropic/claude",
        "/ask/litellm/claude",
        "/ask/openai/claude",
        "/ask/openai/nothing",
        "/ask/anthropic/own",
    )

    assert asked[:-2] == [{"status": 200, "answer": "You said: How are you?"}] * 5
    assert [each["status"] for each in asked[-2:]] == [404, 409]
    heads = [request.partition("\r\n\r\n")[0] for request in upstream.requests]
    bodies = [json.loads(request.partition("\r\n\r\n")[2]) for request in upstream.requests]
    paths = [head.split()[1] for head in heads]
    assert paths == [
        "/v1/chat/completions",
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/chat/completions",
        "/v1/chat/completions",
    ]
    assert [body["model"] for body in bodies] == ["openai/gpt-4o"] * 2 + ["claude-5"] * 3
    assert [body["temperature"] for body in bodies] == [0.25] * 5
    for head in heads:
        assert head.partition("\r\n")[2].count(CANARY) == head.count(CANARY) == 1
        assert "sk-of-the-environment" not in head
    assert evil.connections == 0


@needs_sdks
def test_the_example_answers_when_a_provider_fails(ask):
    refusing = Upstream(answers(b'{"error": {"message": "no"}}', status="401 Unauthorized"))
    address = f"http://localhost:{refusing.port}/v1"

    asked = ask([anthropics(model_id="m", base_url=address)], *(f"/ask/{sdk}/m" for sdk in SDKS))
    refusing.close()

    assert asked == [{"status": 502, "title": "The provider failed"}] * len(SDKS)
    assert refusing.connections == len(SDKS)


# LiteLLM picks a provider and a URL from these names unless the app passes its own.
NAMES = [
    "acme/replicate", "replicate/x", "github_copilot/x", "chatgpt/x", "huggingface/o/x", "clarifai/x",
    "ft:gpt-3.5-turbo:x", "azure/x", "bedrock/x", "vertex_ai/x", "ollama/x", "anthropic/claude-2", "claude-2",
    "litellm_proxy/x", "custom/x", "mistral/x", "perplexity/x", "http://127.0.0.1:1/x", "../x", "?x", "x#y",
]  # fmt: skip


@needs_sdks
@pytest.mark.parametrize("provider", ["vllm", "claude"])
def test_the_name_of_a_model_does_not_decide_where_its_key_goes(upstream, evil, ask, provider):
    address = f"http://localhost:{upstream.port}/v1"
    models = [
        model(
            base_url=address, model_id=f"m{number}", model_provider=provider, model_name=model_name
        )
        for number, model_name in enumerate(NAMES)
    ]

    asked = ask(models, *(f"/ask/litellm/m{number}" for number in range(len(NAMES))))

    assert [each["status"] for each in asked] == [200] * len(NAMES)
    bodies = [json.loads(request.partition("\r\n\r\n")[2]) for request in upstream.requests]
    assert [body["model"] for body in bodies] == NAMES
    for request in upstream.requests:
        assert request.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
        assert request.lower().count(f"authorization: bearer {CANARY}") == 1
    assert evil.connections == 0


@needs_sdks
def test_the_example_follows_no_redirect(evil, ask):
    def redirects(upstream, connection):
        received_whole(upstream, connection)
        status = re.search(r"/(30\d)/", upstream.requests[-1])[1]
        lines = [f"HTTP/1.1 {status} Go", f"Location: http://127.0.0.1:{evil.port}/v1/models"]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())

    upstream = Upstream(redirects)
    statuses = ("301", "302", "303", "307", "308")
    models = [
        anthropics(base_url=f"http://localhost:{upstream.port}/{each}/v1", model_id=each)
        for each in statuses
    ]

    asked = ask(models, *(f"/ask/{sdk}/{each}" for sdk in SDKS for each in statuses))
    upstream.close()

    assert asked == [{"status": 502, "title": "The provider failed"}] * len(SDKS) * len(statuses)
    assert len(upstream.requests) >= len(asked)
    assert evil.connections == 0


@needs_sdks
def test_the_example_lets_no_message_name_a_file_to_fetch(upstream, evil, ask):
    """LiteLLM would fetch it, with an HTTP client of its own."""
    url = f"http://files.example:{evil.port}/x.pdf"
    parts = [
        {"type": "file", "file": {"file_id": url}},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "How are you?"},
    ]
    address = f"http://localhost:{upstream.port}/v1"

    asked = ask(
        [model(model_id="m", base_url=address)],
        *([f"/ask/{sdk}/m", question] for sdk in SDKS for question in (parts, parts[0], None)),
    )

    assert {each["status"] for each in asked} == {400}
    assert (upstream.connections, evil.connections) == (0, 0)


def test_the_documentation_shows_what_the_example_does():
    """Without the imports, which the example has once."""
    source = EXAMPLE.read_text()
    shown = [f"def ask{block.partition('def ask')[2]}" for block in blocks(CALL)[:3]]

    assert [block for block in shown if block not in source] == []
    assert [block.partition("(")[0] for block in shown] == [f"def ask_with_{sdk}" for sdk in SDKS]
