"""The URLs below /v1, as clients of OpenAI's API read them."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import sqlalchemy as sa
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from tests.hosts import PREFIX, register
from tests.upstream import served

pytestmark = pytest.mark.databases("sqlite")

V1 = f"{PREFIX}/v1"
CALLS = [
    "chat/completions", "completions", "responses", "embeddings", "rerank", "moderations", "audio/speech",
    "audio/transcriptions", "images/generations", "images/edits", "batches", "files", "messages",
    "responses/resp_1/cancel", "engines/gpt-4o/completions", "chat/completions/", "",
]  # fmt: skip


def error_of(response):
    """Return OpenAI's error of a problem, which must say the same."""
    problem = response.json
    error = problem["error"]
    assert response.mimetype == "application/problem+json"
    assert problem["status"] == response.status_code
    assert {*problem} >= {"type", "title", "status", "detail", "error"}
    assert {*error} == {"message", "type", "param", "code"}
    assert error["message"] == problem["detail"]
    return error


@pytest.mark.parametrize("path", ["/models", "/models/m"])
@pytest.mark.parametrize(
    "query", ["client_version=1.2", "limit=5&limit=6", "api_key=x", "%FF=%00", "q=" + "x" * 5000]
)
def test_query_parameters_are_ignored(alice, path, query):
    register(alice, "m")

    answers = [alice.get(V1 + path), alice.get(f"{V1}{path}?{query}")]

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].data == answers[1].data


@pytest.mark.parametrize("category", ["llm", "embedding", "image", "speech", "rerank"])
def test_each_model_says_its_category(alice, category):
    register(alice, "m", category=category)

    (listed,) = alice.get(f"{V1}/models").json["data"]

    assert listed["category"] == category
    assert alice.get(f"{V1}/models/m").json == listed


def test_a_model_is_found_by_an_id_with_slashes(alice):
    register(alice, "meta/llama:3", "plain")

    for path in ("meta/llama:3", "meta%2Fllama%3A3", "meta/llama:3/"):
        assert alice.get(f"{V1}/models/{path}").json["id"] == "meta/llama:3"
    assert alice.head(f"{V1}/models/meta/llama:3").status_code == 200
    for path in ("meta%2F%2Fllama:3", "meta", "%FF", "META/llama:3", "meta/llama:3%2F", "x" * 300):
        error = error_of(alice.get(f"{V1}/models/{path}"))
        assert (error["code"], error["param"]) == ("model_not_found", "model")


@pytest.mark.sampled(20)
@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "PUT", "PATCH"])
def test_calls_get_a_404_that_says_what_to_do(alice, path, method):
    answer = alice.open(f"{V1}/{path}", method=method, data=b"{broken")

    error = error_of(answer)
    assert (answer.status_code, error["type"]) == (404, "invalid_request_error")
    assert "registry" in error["message"]
    assert "registry.resolve(" in error["message"]
    assert error["message"].count(". ") == 0


@pytest.mark.parametrize("path", ["models", "models/m", "chat/completions", "", "nothing"])
@pytest.mark.parametrize("token", [None, "Bearer x", "Basic eDp5"])
def test_authentication_comes_first(host, path, token):
    headers = {"Authorization": token} if token else {}

    for method in ("GET", "POST", "DELETE"):
        answer = host.client().open(f"{V1}/{path}", method=method, headers=headers)
        assert answer.status_code == 401
        assert "WWW-Authenticate" in answer.headers
        assert error_of(answer)["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["models", "models/m"])
def test_other_methods_are_named(alice, path):
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        answer = alice.open(f"{V1}/{path}", method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert error_of(answer)["code"] == "method_not_allowed"
    assert alice.options(f"{V1}/{path}").status_code == 204


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1", "/nowhere/at/all"])
def test_a_preflight_lets_scripts_read_that_nothing_is_there(host, alice, path):
    """Browsers send the request itself only after a preflight whose status is 200 to 299."""
    preflight = host.client().options(PREFIX + path)

    assert (preflight.status_code, preflight.headers["Allow"]) == (204, "OPTIONS")
    assert alice.post(PREFIX + path).status_code == 404


@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("raised", "status", "code", "kind"),
    [
        (TooManyRequests(), 429, "rate_limit_exceeded", "rate_limit_error"),
        (ServiceUnavailable(), 503, "service_unavailable", "server_error"),
        (RuntimeError("secret"), 500, "internal_server_error", "server_error"),
        (sa.exc.TimeoutError(), 503, "unavailable", "server_error"),
    ],
)
def test_the_hosts_errors_have_that_format_too(host, monkeypatch, raised, status, code, kind):
    client = host.client("alice")
    monkeypatch.setitem(host.app.config, "PROPAGATE_EXCEPTIONS", False)

    def fail():
        raise raised

    host.app.before_request_funcs.setdefault(None, []).append(fail)
    try:
        for path in ("models", "models/m", "chat/completions"):
            answer = client.post(f"{V1}/{path}")
            error = error_of(answer)
            assert (answer.status_code, error["code"], error["type"]) == (status, code, kind)
            assert "secret" not in answer.text
    finally:
        host.app.before_request_funcs[None].remove(fail)


def test_other_problems_are_unchanged(alice):
    for path in ("/", "/999", "/nothing/here", "/by-id/none"):
        answer = alice.open(f"{PREFIX}{path}", method="PATCH", json={})
        assert answer.status_code >= 400
        assert "error" not in answer.json


@pytest.fixture
def base_url(host):
    """The base URL of an OpenAI client, on a real socket."""
    with served(host.app) as port:
        yield f"http://127.0.0.1:{port}{V1}"


def test_the_openai_sdk_lists_retrieves_and_understands(base_url, host, alice):
    openai = pytest.importorskip("openai", reason="the SDK is not installed")
    register(alice, "mine", "meta/llama:3", category="llm")
    options = {"base_url": base_url, "default_query": {"client_version": "1"}, "max_retries": 0}

    with openai.OpenAI(api_key=host.token("alice"), **options) as client:
        listed = [(each.id, each.category) for each in client.models.list()]
        one = client.models.retrieve("meta/llama:3")
        with pytest.raises(openai.NotFoundError) as absent:
            client.models.retrieve("absent")
        with pytest.raises(openai.NotFoundError, match="This registry lists models") as chat:
            client.chat.completions.create(model="mine", messages=[])
        with pytest.raises(openai.NotFoundError, match="This registry lists models"):
            client.embeddings.create(model="mine", input="x")
        with pytest.raises(openai.NotFoundError, match="This registry lists models"):
            client.responses.create(model="mine", input="x")
    visitor = openai.OpenAI(api_key="invalid", **options)
    with visitor, pytest.raises(openai.AuthenticationError) as refused:
        visitor.models.list()

    assert listed == [("mine", "llm"), ("meta/llama:3", "llm")]
    assert (one.id, one.object, one.owned_by) == ("meta/llama:3", "model", "openai")
    assert (absent.value.code, absent.value.param) == ("model_not_found", "model")
    assert (chat.value.code, chat.value.type) == ("not_found", "invalid_request_error")
    assert refused.value.code == "invalid_api_key"


LITELLM = """
import json, litellm, sys
models = litellm.get_valid_models(check_provider_endpoint=True, custom_llm_provider="litellm_proxy",
                                  api_key=sys.argv[1], api_base=sys.argv[2])
print(json.dumps(models))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("litellm") is None, reason="LiteLLM is not installed")
def test_litellm_lists_the_models(base_url, host, alice):
    register(alice, "mine", "meta/llama:3")

    # In a process of its own, as it changes warnings and environment, and fetches prices.
    listed = subprocess.run(
        [sys.executable, "-c", LITELLM, host.token("alice"), base_url],
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert listed.returncode == 0, listed.stderr
    models = json.loads(listed.stdout.splitlines()[-1])
    assert [each.removeprefix("litellm_proxy/") for each in models] == ["mine", "meta/llama:3"]
