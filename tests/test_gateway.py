"""The example of a gateway, served and called with OpenAI's SDK."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from flask_model_registry.cli import new_key
from tests.conftest import traces
from tests.doc_runner import ROOT
from tests.hosts import CANARY, PREFIX, model
from tests.ports import free_port
from tests.provider_stub import TEXT, VECTOR, Stub
from tests.upstream import wait_until

NEEDS = ("openai", "httpx2", "gunicorn", "gevent")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, NEEDS)), reason="the SDK or a server is missing"),
]

FOLDER = ROOT / "examples" / "gateway"
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def provider():
    stub = Stub()
    yield stub
    stub.shutdown()
    stub.server_close()


class Gateway:
    """The example, served in a process of its own."""

    def __init__(self, folder, *options):
        port = free_port()
        self.log = (folder / "log").open("w+")
        self.url = f"http://127.0.0.1:{port}"
        environ = {
            **os.environ,
            "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'x.sqlite'}",
            "FLASK_JWT_SECRET_KEY": "k" * 48,
            "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS": new_key(),
            "FLASK_MODEL_REGISTRY_ALLOWED_HOSTS": "localhost",
            "PYTHONPATH": str(ROOT),
        }
        setup = [sys.executable, "-m", "flask", "--app", "app", "setup"]
        self.token = subprocess.run(
            setup, capture_output=True, text=True, check=True, env=environ, cwd=FOLDER
        ).stdout.strip()
        command = [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(
            [*command, "app:create_app()"],
            env=environ,
            cwd=FOLDER,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.wait()

    def wait(self):
        for _ in range(3000):
            try:
                self.get("/v1/models")
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(self.printed())

    def request(self, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.Request(self.url + path, data, headers)

    def get(self, path, body=None):
        with urllib.request.urlopen(self.request(path, body), timeout=300) as answer:
            return answer.headers, answer.read().decode()

    def register(self, provider, **fields):
        self.get(f"{PREFIX}/register", model(base_url=f"{provider.url}/v1", **fields))

    def printed(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        self.process.terminate()
        self.process.wait(300)
        printed = self.printed()
        self.log.close()
        assert traces([printed]) == []
        assert "Traceback" not in printed


@pytest.fixture
def serve(tmp_path):
    served = []

    def serve(*options):
        served.append(Gateway(tmp_path, *options))
        return served[-1]

    yield serve
    for each in served:
        each.close()


@pytest.fixture
def gateway(serve, provider):
    gateway = serve("--threads", "4")
    gateway.register(provider, temperature=0.25)
    return gateway


@pytest.fixture
def client(gateway):
    import openai

    options = {"api_key": gateway.token, "base_url": f"{gateway.url}/v1", "max_retries": 0}
    with openai.OpenAI(**options) as client:
        yield client


def test_an_openai_client_calls_the_users_models(gateway, client, provider):
    gateway.register(provider, model_id="vectors", category="embedding", dimension=2)
    chat, responses = client.chat.completions, client.responses
    named = {"model": "gpt-4o", "messages": MESSAGES}

    answers = [
        chat.create(**named).choices[0].message.content,
        chat.create(**named, temperature=1).choices[0].message.content,
        "".join(each.choices[0].delta.content or "" for each in chat.create(**named, stream=True)),
        responses.create(model="gpt-4o", input="Hi").output_text,
        [*responses.create(model="gpt-4o", input="Hi", stream=True)][-1].response.output_text,
    ]
    vectors = client.embeddings.create(model="vectors", input="Hi", encoding_format="float")

    assert answers == [TEXT] * 5
    assert vectors.data[0].embedding == VECTOR
    assert [each.id for each in client.models.list()] == ["gpt-4o", "vectors"]
    assert [each.path for each in provider.received] == [
        *["/v1/chat/completions"] * 3, *["/v1/responses"] * 2, "/v1/embeddings"
    ]  # fmt: skip
    bodies = [each.json() for each in provider.received]
    assert {each["model"] for each in bodies} == {"gpt-4o-2024-11-20"}
    assert [each.get("temperature") for each in bodies] == [0.25, 1, 0.25, 0.25, 0.25, None]
    assert bodies[-1]["dimensions"] == 2
    for each in provider.received:
        assert each.headers["authorization"] == f"Bearer {CANARY}"
        assert gateway.token not in str(each)


def test_a_refusal_is_an_error_of_the_sdk(gateway, client, provider):
    import openai

    def failure(client=client, name="gpt-4o"):
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model=name, messages=MESSAGES)
        return caught.value.status_code, caught.value.body and caught.value.body.get("code")

    assert failure(name="nothing") == (404, "not-found")
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(api_key="x").models.list()
    assert caught.value.status_code == 422
    assert provider.received == []
    for status, headers in ((401, {}), (403, {}), (307, {"Location": f"{provider.url}/x"})):
        provider.fails_with = status, headers
        assert failure() == (502, "upstream")
    provider.fails_with = 429, {}
    assert failure() == (429, None)
    headers, _ = _fails(gateway)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    provider.shutdown()
    provider.server_close()
    assert failure() == (502, "upstream")


def _fails(gateway):
    """Return the headers and the text of an error."""
    body = {"model": "gpt-4o", "messages": MESSAGES}
    with pytest.raises(urllib.error.HTTPError) as caught:
        gateway.get("/v1/chat/completions", body)
    with caught.value as answer:
        return answer.headers, answer.read().decode()


def test_a_body_without_the_name_of_a_model_is_refused(gateway, provider):
    for body in ([], {}, {"model": 1}, {"model": None}, "gpt-4o"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            gateway.get("/v1/chat/completions", body)

        with caught.value as answer:
            assert answer.code == 400, body
            assert json.loads(answer.read())["error"]["code"] == "bad-request"
    assert provider.received == []


(COMMAND,) = re.findall(r"^gunicorn (.*) \"app:", (FOLDER / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "waits"),
    [(("--threads", "4"), True), (COMMAND.split(), False)],
    ids=["threads", "gevent"],
)
def test_a_stream_takes_a_thread_and_with_gevent_none(serve, provider, options, waits):
    gateway = serve(*options)
    gateway.register(provider)
    provider.go_on.clear()
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}

    with ThreadPoolExecutor(5) as pool:
        streams = [pool.submit(gateway.get, "/v1/chat/completions", body) for _ in range(4)]
        wait_until(lambda: len(provider.received) == 4 or any(each.done() for each in streams))
        listed = pool.submit(gateway.get, "/v1/models")
        futures.wait([listed], 1 if waits else 120)
        is_held = not listed.done()
        provider.go_on.set()
        texts = [each.result()[1] for each in streams]

    assert is_held is waits
    assert [text.count("data: ") for text in texts] == [4] * 4
