"""A test that calls a model once: the request to each API, the meaning of its response, and who may."""

import json
import re
import threading

import pytest

from flask_model_registry.providers.calls import CALLABLE_CATEGORIES
from flask_model_registry.providers.catalogue import PROVIDERS
from tests.accounts import ACCOUNTS, add, create
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, granted, register
from tests.provider_stub import Stub
from tests.upstream import answers, received_whole, wait_until

pytestmark = pytest.mark.databases("sqlite")

BILLED = {"billed_call": True}
MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def stub():
    stub = Stub()
    yield stub
    stub.shutdown()
    stub.server_close()


def says(*both):
    """Return a handler that answers with these pairs of a status and a body, one after another."""
    waiting = [*both]

    def handle(upstream, connection):
        received_whole(upstream, connection)
        status, body = waiting.pop(0)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return handle


def at(upstream, path="/v1"):
    return f"http://localhost:{upstream.port}{path}"


def call(client, row_id, **more):
    return client.post(f"{PREFIX}/{row_id}/test", json={**BILLED, **more})


def sent(upstream):
    """Return the bodies of the requests."""
    return [json.loads(each.partition("\r\n\r\n")[2]) for each in upstream.requests]


CHAT = {"model": "m/1", "messages": MESSAGES, "max_tokens": 16, "temperature": 0.5}
RANK = {"model": "m/1", "query": "Hi", "documents": ["Hi"]}
SHAPES = [
    ("vllm", "/v1", "llm", "/v1/chat/completions", CHAT),
    ("acme", "/v1/", "llm", "/v1/chat/completions", CHAT),
    ("vllm", "/v1", "embedding", "/v1/embeddings", {"model": "m/1", "input": "Hi", "dimensions": 8}),
    ("together", "/v1", "rerank", "/v1/rerank", RANK),
    ("azure", "/openai/v1", "llm", "/openai/v1/chat/completions", CHAT),
    ("azure", "", "embedding", "/openai/v1/embeddings",
     {"model": "m/1", "input": "Hi", "dimensions": 8}),
    ("claude", "/v1", "llm", "/v1/messages", CHAT),
    ("gemini", "/v1beta/openai", "llm", "/v1beta/models/m%2F1:generateContent",
     {"contents": [{"parts": [{"text": "Hi"}]}],
      "generationConfig": {"maxOutputTokens": 16, "temperature": 0.5}}),
    ("gemini", "", "embedding", "/v1beta/models/m%2F1:embedContent",
     {"content": {"parts": [{"text": "Hi"}]}, "outputDimensionality": 8}),
    ("gemini", "/at/a/gateway", "llm", "/at/a/gateway/chat/completions", CHAT),
    ("cohere", "/compatibility/v1", "llm", "/v2/chat", CHAT),
    ("cohere", "/v2", "embedding", "/v2/embed",
     {"model": "m/1", "texts": ["Hi"], "input_type": "search_query",
      "embedding_types": ["float"], "output_dimension": 8}),
    ("cohere", "", "rerank", "/v2/rerank", RANK),
    ("ollama", "/v1", "llm", "/api/chat",
     {"model": "m/1", "messages": MESSAGES, "stream": False,
      "options": {"num_predict": 16, "temperature": 0.5}}),
    ("ollama", "", "embedding", "/api/embed", {"model": "m/1", "input": "Hi", "dimensions": 8}),
]  # fmt: skip
KEYS = {"azure": "api-key", "claude": "x-api-key", "gemini": "x-goog-api-key"}


@pytest.mark.parametrize(
    ("provider", "path", "category", "called", "body"), SHAPES, ids=lambda each: str(each)[:30]
)
def test_each_api_is_called_once_in_its_own_way(
    alice, stub, provider, path, category, called, body
):
    registered = {"llm": {"temperature": 0.5}, "embedding": {"dimension": 8}}.get(category, {})
    (row_id,) = register(
        alice, "m", model_provider=provider, base_url=stub.url + path, model_name="m/1",
        category=category, **registered,
    )  # fmt: skip

    answer = call(alice, row_id)

    (request,) = stub.received
    assert answer.json["result"] == "ok", request.path
    assert answer.json["billed"] is True
    assert answer.json["latency_ms"] % 10 == 0
    assert (request.path, request.json()) == (called, body)
    assert request.headers["content-type"] == "application/json"
    header = "authorization" if "gateway" in path else KEYS.get(provider, "authorization")
    assert request.headers[header].removeprefix("Bearer ") == CANARY
    assert [name for name, value in request.headers.items() if CANARY in value] == [header]


def test_a_model_of_a_credential_is_called_with_its_headers(alice, stub):
    account = create(alice, model_provider="vllm", base_url=f"{stub.url}/v1")
    (row_id,) = add(alice, account["id"], "m")

    of_model = call(alice, row_id).json
    of_account = alice.post(
        f"{ACCOUNTS}/{account['id']}/test",
        json={"model_name": "e", "category": "embedding", **BILLED},
    ).json

    assert (of_model["result"], of_account["result"], of_account["billed"]) == ("ok", "ok", True)
    assert [each.path for each in stub.received] == ["/v1/chat/completions", "/v1/embeddings"]
    for request in stub.received:
        assert request.headers["x-team"] == f"{CANARY}-header"
        assert request.headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    ("provider", "secret", "sent"),
    [
        ("vllm", {}, {"openai-organization: org-1", "openai-project: proj_1"}),
        ("vllm", {"openai-organization": "org-2"},
         {"openai-organization: org-2", "openai-project: proj_1"}),
        ("azure", {}, set()),
    ],
)  # fmt: skip
def test_every_test_sends_the_organization_that_calls_send(alice, serve, provider, secret, sent):
    served = {"data": [{"id": "m"}], "choices": [{"message": {"content": "Hi"}}]}
    upstream = serve(answers(json.dumps(served).encode()))
    account = create(
        alice,
        model_provider=provider,
        base_url=at(upstream),
        settings={"organization": "org-1", "project": "proj_1"},
        secret={"api_key": CANARY, "headers": secret},
    )
    (row_id,) = add(alice, account["id"], "m")

    call(alice, row_id)
    alice.post(f"{PREFIX}/{row_id}/test")
    alice.post(f"{PREFIX}/{row_id}/served-models")
    alice.post(f"{ACCOUNTS}/{account['id']}/test", json={"model_name": "m"})
    alice.post(f"{ACCOUNTS}/{account['id']}/served-models")

    assert len(upstream.requests) >= 5
    for request in upstream.requests:
        lines = request.partition("\r\n\r\n")[0].lower().splitlines()
        assert {line for line in lines if line.startswith("openai-")} == sent


GOOD = json.dumps({"choices": [{"message": {"content": "Hi"}}]}).encode()


def error(message, **more):
    return json.dumps({"error": {"message": message, **more}}).encode()


# Responses that real servers sent, and the result.
ANSWERS = {
    "a good one": (200, GOOD, "ok"),
    "nothing chosen": (200, b'{"choices": []}', "bad_response"),
    "an error with 200": (200, error("no"), "bad_response"),
    "a list": (200, b"[]", "bad_response"),
    "no JSON": (200, b"<html>", "bad_response"),
    "deep JSON": (200, b"[" * 200_000, "bad_response"),
    "too much JSON": (200, b'{"choices": [' + b"1," * 300_000 + b"1]}", "bad_response"),
    "201": (201, GOOD, "bad_response"),
    "302": (302, b"", "bad_response"),
    "400": (400, error("temperature must be 1"), "bad_response"),
    "400 of Gemini for a key": (400, error("API key not valid."), "auth_failed"),
    "400 of Anthropic for credit": (
        400, error("Your credit balance is too low to access the Anthropic API."), "rate_limited"),
    "400 of OpenRouter": (400, error("m is not a valid model ID"), "model_not_found"),
    "400 of DeepSeek": (400, error("Model Not Exist"), "model_not_found"),
    "400 of a LiteLLM proxy": (
        400, error("/chat/completions: Invalid model name passed in model=m"), "model_not_found"),
    "400 of OpenAI for thinking": (
        400, error("Could not finish the message because max_tokens or model output limit was "
                   "reached. Please try again with higher max_tokens."), "ok"),
    "401": (401, error("no"), "auth_failed"),
    "402": (402, error("no"), "rate_limited"),
    "403": (403, error("no"), "auth_failed"),
    "403 of OpenAI for a model": (
        403, error("Project `p` does not have access to model `m`", code="model_not_found"),
        "model_not_found"),
    "404 of OpenAI": (404, error("The model `m` does not exist"), "model_not_found"),
    "404 of Azure": (404, error("...", code="DeploymentNotFound"), "model_not_found"),
    "404 of Anthropic": (404, error("model: the-model"), "model_not_found"),
    "404 of a path": (404, b'{"detail": "Not Found"}', "bad_response"),
    "404 of a path in HTML": (404, b"<pre>Cannot POST /the-model", "bad_response"),
    "405": (405, b"", "bad_response"),
    "422": (422, error("no"), "bad_response"),
    "429": (429, error("slow down"), "rate_limited"),
    "500": (500, error("no"), "unavailable"),
    "501": (501, error("no"), "bad_response"),
    "503": (503, error("no"), "unavailable"),
    "529": (529, error("overloaded"), "unavailable"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_result_is_one_of_the_words_and_never_the_providers_text(alice, serve, caplog, name):
    status, body, result = ANSWERS[name]
    upstream = serve(says((status, body)))
    (row_id,) = register(
        alice, "m", model_provider="vllm", base_url=at(upstream), model_name="the-model"
    )

    answer = call(alice, row_id)

    assert (answer.status_code, answer.json["result"]) == (200, result)
    assert answer.json.keys() == {"result", "latency_ms", "key_checked", "billed"}
    assert answer.json["key_checked"] is (True if result == "auth_failed" else None)
    assert len(upstream.requests) == 1
    assert "the-model" not in answer.text
    assert traces([answer.text, caplog.text]) == []


UNSUPPORTED = error(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead.",
    param="max_tokens",
)


@pytest.mark.parametrize(
    ("second", "result"),
    [((200, GOOD), "ok"), ((400, UNSUPPORTED), "bad_response"), ((401, b""), "auth_failed")],
    ids=str,
)
def test_a_refused_limit_of_tokens_is_sent_by_its_other_name_once(alice, serve, second, result):
    upstream = serve(says((400, UNSUPPORTED), second))
    (row_id,) = register(alice, "m", base_url=at(upstream))

    assert call(alice, row_id).json["result"] == result
    limits = [{name for name in body if name.startswith("max_")} for body in sent(upstream)]
    assert limits == [{"max_tokens"}, {"max_completion_tokens"}]


@pytest.mark.parametrize("end", [b"invalid_api_key", b"max_tokens", b"model not found"])
def test_only_the_beginning_of_an_error_is_read(alice, serve, end):
    long = b"api_key " * 1000 + end
    called, listed = serve(says((400, long))), serve(answers(long, "400 Bad Request"))
    (of_call,) = register(alice, "a", base_url=at(called))
    (of_list,) = register(alice, "b", base_url=at(listed))

    assert call(alice, of_call).json["result"] == "bad_response"
    assert alice.post(f"{PREFIX}/{of_list}/test").json["result"] == "bad_response"
    assert (len(called.requests), len(listed.requests)) == (1, 1)


def test_two_requests_have_one_timeout_together(hosts, serve):
    config = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"], "MODEL_REGISTRY_PROBE_TIMEOUT": 1}
    alice = hosts(config=config).client("alice")
    release = threading.Event()

    def slow(upstream, connection):
        if upstream.requests:
            release.wait(120)
        else:
            says((400, UNSUPPORTED))(upstream, connection)

    upstream = serve(slow)
    (row_id,) = register(alice, "m", base_url=at(upstream))

    answer = call(alice, row_id).json
    release.set()

    assert answer == {"result": "timeout", "latency_ms": None, "key_checked": None, "billed": True}


def test_a_redirect_is_not_followed(alice, serve):
    elsewhere = serve(says((200, GOOD)))
    location = [f"Location: {at(elsewhere)}/chat/completions"]

    def redirects(upstream, connection):
        received_whole(upstream, connection)
        answers(status="307 Temporary Redirect", headers=location)(upstream, Silent(connection))

    class Silent:
        """A connection whose request was read."""

        def __init__(self, connection):
            self.sendall = connection.sendall

        def recv(self, size):
            return b""

    (row_id,) = register(alice, "m", base_url=at(serve(redirects)))

    assert call(alice, row_id).json["result"] == "bad_response"
    assert elsewhere.connections == 0


def test_a_stored_key_is_not_sent_to_an_address_edited_in_sql(host, alice, serve):
    evil = serve(says((200, GOOD)))
    (row_id,) = register(alice, "m", base_url="https://a.example.com/v1")
    host.execute(host.registry.tables.models.update().values(base_url=at(evil)))

    assert call(alice, row_id).status_code == 409
    assert evil.connections == 0


ROLES = {
    "owner": (200, 200),
    "reader": (200, 403),
    "deleter": (200, 403),
    "editor": (200, 200),
    "everyone": (200, 403),
    "stranger": (404, 404),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("asked", [BILLED, {"model_name": "other"}, {**BILLED, "model_name": "o"}])
def test_billed_calls_and_tests_of_other_models_need_the_right_to_edit(
    host, admin, stub, role, asked
):
    shared = role == "everyone"
    (row_id,) = register(admin, "m", base_url=f"{stub.url}/v1", share_with_users=shared)
    rights = {"editor": {"can_edit": True}, "deleter": {"can_delete": True}, "reader": {}}
    if role in rights:
        granted(admin, row_id, user=host.user(role), **rights[role])
    client = admin if role == "owner" else host.client(role)
    plain, more = ROLES[role]

    answer = client.post(f"{PREFIX}/{row_id}/test", json=asked)

    assert answer.status_code == more
    assert bool(stub.received) is (more == 200)
    stub.received.clear()
    assert client.post(f"{PREFIX}/{row_id}/test").status_code == plain
    assert {each.path for each in stub.received} <= {"/v1/models"}


def test_a_credential_is_tested_with_a_call_by_its_owner_alone(host, alice, bob, stub):
    account = create(alice, model_provider="vllm", base_url=f"{stub.url}/v1")
    (row_id,) = add(alice, account["id"], "m")
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    body = {"model_name": "m", **BILLED}

    answer = bob.post(f"{ACCOUNTS}/{account['id']}/test", json=body)

    assert answer.status_code == 404
    assert stub.received == []


def test_another_name_is_tested_with_the_stored_key_and_not_kept(host, alice, serve):
    listing = b'{"data": [{"id": "other"}]}'
    upstream = serve(answers(listing))
    (row_id,) = register(alice, "m", model_provider="vllm", base_url=at(upstream))
    path = f"{PREFIX}/{row_id}/test"

    assert alice.post(path).json["result"] == "model_not_found"
    before = host.rows("models")
    assert alice.post(path, json={"model_name": "other"}).json["result"] == "ok"
    assert host.rows("models") == before
    assert f"Authorization: Bearer {CANARY}\r\n" in upstream.requests[2]


def test_a_call_of_the_model_is_kept_and_one_of_another_name_is_not(host, alice, stub):
    (row_id,) = register(
        alice, "m", model_provider="vllm", base_url=f"{stub.url}/v1", temperature=0.5
    )
    before = host.rows("models")

    assert call(alice, row_id, model_name="other").json["result"] == "ok"
    assert host.rows("models") == before
    assert call(alice, row_id).json["result"] == "ok"
    assert host.rows("models") != before

    of_other, own = (each.json() for each in stub.received)
    assert (of_other["model"], "temperature" in of_other) == ("other", False)
    assert own["temperature"] == 0.5


PARAMETERS = {
    "top_p": 0.5,
    "temperature": 1,
    "n": 100,
    "max_completion_tokens": 9000,
    "thinking": {"budget_tokens": 9000},
    "stream_options": {"include_usage": True},
}


@pytest.mark.parametrize(
    ("provider", "path", "limit", "has_parameters"),
    [
        ("vllm", "/v1", "max_completion_tokens", True),
        ("azure", "/openai/v1", "max_completion_tokens", True),
        ("claude", "/v1", "max_tokens", True),
        ("cohere", "/v2", "max_tokens", False),
    ],
)
def test_a_call_has_the_models_parameters_but_none_that_makes_it_longer(
    alice, stub, provider, path, limit, has_parameters
):
    (row_id,) = register(
        alice, "m", model_provider=provider, base_url=stub.url + path, temperature=0.5
    )
    parameters = {"parameters": PARAMETERS, "info": {"price": 1}}
    assert alice.put(f"{PREFIX}/{row_id}/parameters", json=parameters).status_code == 200

    assert call(alice, row_id).json["result"] == "ok"
    (request,) = stub.received
    own = {"model": "gpt-4o-2024-11-20", "messages": MESSAGES, limit: 16, "temperature": 0.5}
    assert request.json() == {**own, **({"top_p": 0.5} if has_parameters else {})}


def test_parameters_are_left_out_in_any_case(alice, stub):
    (row_id,) = register(alice, "m", model_provider="vllm", base_url=f"{stub.url}/v1")
    spelled = {"N": 100, "Max_Completion_Tokens": 9000, "Thinking": {"budget_tokens": 9000}}
    alice.put(f"{PREFIX}/{row_id}/parameters", json={"parameters": spelled, "info": {}})

    assert call(alice, row_id).json["result"] == "ok"
    (request,) = stub.received
    assert {*request.json()} == {"model", "messages", "max_completion_tokens"}
    assert request.json()["max_completion_tokens"] == 16


@pytest.mark.parametrize("category", ["embedding", "rerank"])
def test_a_call_without_a_limit_of_tokens_has_none_to_send_by_another_name(alice, serve, category):
    upstream = serve(says((400, UNSUPPORTED)))
    (row_id,) = register(
        alice, "m", model_provider="together", base_url=at(upstream), category=category
    )
    limits = {"max_tokens": 1, "max_completion_tokens": 1, "truncate": True}
    alice.put(f"{PREFIX}/{row_id}/parameters", json={"parameters": limits, "info": {}})

    answer = call(alice, row_id)

    assert (answer.status_code, answer.json["result"]) == (200, "bad_response")
    (body,) = sent(upstream)
    assert body["truncate"] is True
    assert body.keys().isdisjoint({"max_tokens", "max_completion_tokens"})


def test_a_refused_limit_is_sent_by_the_older_name_too(alice, serve):
    upstream = serve(says((422, error("max_completion_tokens: extra fields")), (200, GOOD)))
    (row_id,) = register(alice, "m", base_url=at(upstream))
    parameters = {"parameters": {"max_completion_tokens": 9}, "info": {}}
    alice.put(f"{PREFIX}/{row_id}/parameters", json=parameters)

    assert call(alice, row_id).json["result"] == "ok"
    first, second = sent(upstream)
    assert ("max_completion_tokens" in first, "max_tokens" in second) == (True, True)
    assert second["max_tokens"] == first["max_completion_tokens"] == 16
    assert "max_completion_tokens" not in second


@pytest.mark.parametrize(
    ("provider", "category", "detail"),
    [
        ("openai", "image", "Calls to image models cost too much and take too long for a test."),
        ("openai", "speech", "Calls to speech models cost too much and take too long for a test."),
        ("claude", "embedding", "This provider has no API to call embedding models."),
        ("gemini", "rerank", "This provider has no API to call rerank models."),
        ("vertex", "llm", "This provider cannot be tested."),
    ],
)
def test_a_call_that_is_not_made_says_why(alice, stub, provider, category, detail):
    (row_id,) = register(alice, "m", model_provider=provider, base_url=stub.url, category=category)

    answer = call(alice, row_id)

    assert answer.status_code == 409
    assert answer.json["detail"].startswith(detail)
    assert stub.received == []


def test_a_credential_is_called_for_three_categories(alice, stub):
    account = create(alice, model_provider="vllm", base_url=f"{stub.url}/v1")
    path = f"{ACCOUNTS}/{account['id']}/test"

    def ask(category):
        return alice.post(path, json={"model_name": "m", "category": category, **BILLED})

    assert [ask(each).json["result"] for each in CALLABLE_CATEGORIES] == ["ok"] * 3
    for category in ("image", "speech", "x", None, 1):
        refused = ask(category)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "category")
    claude = create(alice, name="c", model_provider="claude", base_url=stub.url)
    answer = alice.post(
        f"{ACCOUNTS}/{claude['id']}/test",
        json={"model_name": "m", "category": "rerank", **BILLED},
    )
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"", None, 200),
        (b"", "application/x-www-form-urlencoded", 200),
        (b"{}", "application/json", 200),
        (b'{"billed_call": false}', "application/json", 200),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"billed_call": 1}', "application/json", 422),
        (b'{"billed_call": null}', "application/json", 422),
        (b'{"model_name": ""}', "application/json", 422),
        (b'{"model_name": null}', "application/json", 422),
        (b'{"api_key": "k-123456789"}', "application/json", 422),
        (b'{"base_url": "https://evil.example.com"}', "application/json", 422),
    ],
    ids=range(13),
)
def test_a_body_may_be_left_out_and_is_read_strictly(alice, serve, data, kind, status):
    (row_id,) = register(alice, "m", base_url=at(serve(answers(b'{"data": []}'))))

    answer = alice.post(f"{PREFIX}/{row_id}/test", data=data, content_type=kind)

    assert answer.status_code == status, answer.text
    assert status != 200 or answer.json["billed"] is False


def test_a_billed_call_counts_as_a_test(hosts, serve):
    config = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"], "MODEL_REGISTRY_PROBE_CONCURRENCY": 1}
    host = hosts(config={**config, "MODEL_REGISTRY_PROBE_TIMEOUT": 120})
    alice, go_on = host.client("alice"), threading.Event()

    def wait(upstream, connection):
        go_on.wait(120)
        says((200, GOOD))(upstream, connection)

    upstream = serve(wait)
    (row_id,) = register(alice, "m", base_url=at(upstream))
    results = []
    thread = threading.Thread(target=lambda: results.append(call(host.client("alice"), row_id)))
    thread.start()
    wait_until(lambda: upstream.connections)
    more = call(alice, row_id)
    go_on.set()
    thread.join()

    assert (more.status_code, results[0].json["result"]) == (429, "ok")
    assert upstream.connections == 1


def test_the_key_is_checked_if_a_provider_needs_one_for_calls(host, alice, serve):
    client = host.services.providers.client
    assert client.can_call("openai", "llm")
    catalogue = client._catalogue
    upstream = serve(says((200, GOOD)))
    own = {name: getattr(catalogue["groq"], name) for name in ("name", "dialect", "categories")}
    catalogue["groq"], before = (
        type(catalogue["groq"])("groq", base_url=at(upstream), **own),
        (catalogue["groq"]),
    )
    try:
        (row_id,) = register(alice, "m", model_provider="groq")
        assert call(alice, row_id).json["key_checked"] is True
    finally:
        catalogue["groq"] = before


def test_every_provider_that_can_be_tested_can_be_called_for_what_it_serves(host):
    client = host.services.providers.client

    left = {
        (provider.id, category)
        for provider in PROVIDERS
        for category in {*provider.categories} & {*CALLABLE_CATEGORIES}
        if provider.dialect is not None and not client.can_call(provider.id, category)
    }

    assert left == set()


def test_no_frame_of_a_call_that_breaks_holds_the_key(host, monkeypatch):
    client = host.services.providers.client

    def fails(*args, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(client._transport, "_exchange", fails)
    from flask_model_registry.providers.calls import CalledModel

    with pytest.raises(RuntimeError) as caught:
        client.call(
            "openai", None, CalledModel("m"), CANARY, headers={"X-Team": f"{CANARY}-header"}
        )

    tb, found = caught.tb, []
    while tb is not None:
        if re.search("flask_model_registry", tb.tb_frame.f_code.co_filename):
            found += [repr(value) for value in tb.tb_frame.f_locals.values()]
        tb = tb.tb_next
    assert traces(found) == []
