"""``import-litellm`` sends keys where LiteLLM itself would, or nowhere."""

import math
import os
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from urllib.parse import urlsplit

import pytest
import yaml

from flask_model_registry import Provider
from flask_model_registry.litellm_config import (
    OPENAI_MODELS,
    PROVIDERS,
    LiteLLMError,
    entries,
    lines,
)
from flask_model_registry.providers.app_providers import Catalogue
from tests.hosts import CANARY

pytestmark = pytest.mark.databases("sqlite")

GATEWAY = "https://gateway.example.com/v1"
AT = "https://vllm.example.com/v1"


def line(environ=None, *, info=None, name="m", **params):
    """Return the line for one entry, or raise its error."""
    entry = {"model_name": name, "litellm_params": {"model": "openai/gpt-4o", **params}}
    if info is not None:
        entry["model_info"] = info
    ((_, result),) = lines([entry], environ or {})
    if isinstance(result, LiteLLMError):
        raise result
    return result


@pytest.mark.parametrize("field", ["api_base", "base_url"])
def test_both_names_of_a_base_url_are_read(field):
    made = line(**{field: GATEWAY}, api_key=CANARY)

    assert (made["base_url"], made["model_provider"]) == (GATEWAY, "openai-compatible")
    assert made["api_key"] == CANARY


def test_two_base_urls_are_refused():
    assert line(api_base=GATEWAY, base_url=GATEWAY)["base_url"] == GATEWAY
    with pytest.raises(LiteLLMError, match="another base_url"):
        line(api_base=GATEWAY, base_url="https://other.example.com/v1")


@pytest.mark.parametrize(
    "field",
    (
        "api_version organization custom_llm_provider extra_headers headers extra_body "
        "litellm_credential_name aws_region_name aws_access_key_id aws_bedrock_runtime_endpoint "
        "vertex_project vertex_location vertex_credentials azure_ad_token region_name tenant_id "
        "client_id client_secret default_headers project use_litellm_proxy ssl_verify api_type "
        "mock_response max_tokens top_p Api_Base azure_endpoint endpoint url proxy http_client "
        "model_info configurable_clientside_auth_params"
    ).split(),
)
@pytest.mark.parametrize("value", ["x", None])
def test_other_parameters_are_refused_by_name(field, value):
    with pytest.raises(LiteLLMError, match=rf"litellm_params\.{field} is not imported"):
        line(**{field: value})


def test_parameters_of_the_proxy_itself_are_left_out():
    made = line(rpm=5, tpm=1000, timeout=30, weight=2, max_retries=1, input_cost_per_token=1e-6)

    assert {*made} == {"model_id", "model_provider", "model_name", "category", "share_with_users"}


@pytest.mark.parametrize(
    "model",
    "claude-sonnet-4-5 claude-3-5-sonnet-20241022 gemini-2.5-pro llama3 command-r deepseek-chat "
    "mistral-large-latest my-model gpt-neo gpt-oss-120b GPT-4o".split(),
)
def test_a_model_without_a_provider_is_refused_unless_it_is_openais(model):
    with pytest.raises(LiteLLMError, match="has no provider"):
        line(model=model, api_key=CANARY)


@pytest.mark.parametrize(
    "model",
    "vertex_ai/gemini-2.5-pro bedrock/claude sagemaker/x huggingface/together/x openai/ /gpt-4o "
    "azure_ai/x github/gpt-4o replicate/x".split(),
)
def test_other_providers_are_refused_by_name(model):
    with pytest.raises(LiteLLMError, match="is not imported"):
        line(model=model, api_key=CANARY, api_base=GATEWAY)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_BASE"),
        ("openai/gpt-4o", "OPENAI_BASE_URL"),
        ("gpt-4o", "OPENAI_BASE_URL"),
        ("anthropic/claude", "ANTHROPIC_BASE_URL"),
        ("anthropic/claude", "ANTHROPIC_API_BASE"),
        ("mistral/x", "MISTRAL_AZURE_API_BASE"),
        ("fireworks_ai/x", "FIREWORKS_API_BASE"),
        ("together_ai/x", "TOGETHER_AI_API_BASE"),
        ("cohere_chat/x", "COHERE_API_BASE"),
        ("cohere/x", "CO_API_URL"),
        ("groq/x", "USE_LITELLM_PROXY"),
        ("jina_ai/x", "JINA_AI_API_BASE"),
        ("vercel_ai_gateway/x", "VERCEL_AI_GATEWAY_API_BASE"),
        ("volcengine/x", "ARK_API_BASE"),
        ("volcengine/x", "VOLCENGINE_API_BASE"),
    ],
)
def test_a_base_url_of_the_environment_is_refused(model, variable):
    with pytest.raises(LiteLLMError, match=f"{variable} is set"):
        line({variable: GATEWAY}, model=model, api_key=CANARY)

    assert line({variable: GATEWAY}, model=model, api_base=GATEWAY)["base_url"] == GATEWAY
    assert "base_url" not in line({variable: "", "X_API_BASE": GATEWAY}, model=model)


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_a_variable_that_is_not_set_is_refused(environ):
    for field in ("api_key", "api_base", "model", "temperature"):
        with pytest.raises(LiteLLMError, match=rf"litellm_params\.{field}: KEY is not set"):
            line(environ, **{field: "os.environ/KEY"})


def test_variables_are_looked_up():
    environ = {"KEY": CANARY, "BASE": GATEWAY, "NAME": "openai/gpt-5", "T": "0.5"}

    made = line(
        environ,
        model="os.environ/NAME",
        api_key="os.environ/KEY",
        api_base="os.environ/BASE",
        temperature="os.environ/T",
    )

    assert made["model_name"] == "gpt-5"
    assert (made["api_key"], made["base_url"], made["temperature"]) == (CANARY, GATEWAY, 0.5)


def test_a_temperature_that_is_not_a_number_is_refused():
    with pytest.raises(LiteLLMError, match="must be a number"):
        line({"T": "warm"}, temperature="os.environ/T")


@pytest.mark.parametrize(
    "value", [date(2026, 1, 1), b"warm", True, [1], {}, "", "warm", math.nan, math.inf, 10**400]
)
def test_a_temperature_that_json_has_no_number_for_is_refused(value):
    with pytest.raises(LiteLLMError, match=r"litellm_params\.temperature must be a number"):
        line(temperature=value)


@pytest.mark.parametrize(
    "base_url", ["https://[x", f"https://u:{CANARY}@ho\u2100st/v1"], ids=["bracket", "password"]
)
def test_an_invalid_base_url_is_refused_and_not_quoted(base_url):
    with pytest.raises(LiteLLMError, match="invalid base URL") as caught:
        line(api_base=base_url)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("value", [5, True, [], {}, "", " "])
@pytest.mark.parametrize("field", ["api_key", "api_base", "model"])
def test_values_that_are_not_text_are_refused(field, value):
    with pytest.raises(LiteLLMError, match=f"{field} must be text"):
        line(**{field: value})


def test_keys_in_files_and_azures_old_api_are_refused():
    with pytest.raises(LiteLLMError, match="token file"):
        line(api_key="oidc/file//etc/token")
    with pytest.raises(LiteLLMError, match="v1 API"):
        line(model="azure/gpt-4o", api_base="https://x.openai.azure.com", api_key=CANARY)

    made = line(model="azure/d", api_base="https://x.openai.azure.com/openai/v1/", api_key=CANARY)
    assert made["model_provider"] == "azure-openai"


def test_ollama_is_called_where_it_speaks_openais_api():
    made = line(model="ollama_chat/llama3.2", api_base="http://ollama:11434/")

    assert (made["base_url"], made["api_key"]) == ("http://ollama:11434/v1", "none")


def test_a_key_of_voyage_that_mongodb_has_given_needs_an_api_base():
    """LiteLLM sends it to MongoDB's server."""
    with pytest.raises(LiteLLMError, match="to MongoDB; write an api_base"):
        line(model="voyage/x", info={"mode": "embedding"}, api_key=f"al-{CANARY}")

    base_url = "https://ai.mongodb.com/v1"
    made = line(
        model="voyage/x", info={"mode": "embedding"}, api_key=f"al-{CANARY}", api_base=base_url
    )
    assert made["base_url"] == base_url
    assert "base_url" not in line(model="voyage/x", info={"mode": "embedding"}, api_key=CANARY)


@pytest.mark.parametrize("provider", ["openai", "groq", "openai_like"])
def test_a_key_is_never_made_up_for_a_provider_that_needs_one(provider):
    assert "api_key" not in line(model=f"{provider}/x", api_base=GATEWAY)


@pytest.mark.parametrize(
    ("mode", "category"),
    [("chat", "llm"), ("embedding", "embedding"), ("audio_speech", "speech"), (None, "llm")],
)
def test_the_mode_is_the_category(mode, category):
    assert line(info={"mode": mode, "id": "x", "max_tokens": 5})["category"] == category


@pytest.mark.parametrize("mode", ["video_generation", "moderation", "realtime", 5, []])
def test_other_modes_are_refused(mode):
    with pytest.raises(LiteLLMError, match=r"model_info\.mode"):
        line(info={"mode": mode})


def test_a_mode_that_is_not_a_string_is_never_written_out():
    class Bomb(list):  # as YAML's aliases make them: a few hundred bytes are gigabytes of text
        def __repr__(self):
            raise MemoryError

    with pytest.raises(LiteLLMError, match=r"model_info\.mode must be text"):
        line(info={"mode": Bomb()})


def test_a_model_that_needs_a_mode_says_so():
    for model in ("openai/text-embedding-3-small", "whisper-1", "cohere/rerank-v3.5"):
        with pytest.raises(LiteLLMError, match=r"model_info\.mode"):
            line(model=model)


def test_two_entries_of_one_name_are_refused():
    entry = {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o"}}

    (_, first), (name, second) = lines([entry, entry], {})

    assert (first["model_id"], name) == ("m", "m")
    assert "entry 1" in str(second)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "model_name"),
        ({}, "model_name"),
        ({"model_name": 5, "litellm_params": {"model": "gpt-4o"}}, "model_name"),
        ({"model_name": "m"}, "litellm_params"),
        ({"model_name": "m", "litellm_params": None}, "litellm_params"),
        ({"model_name": "m", "litellm_params": {}}, "model is missing"),
        ({"model_name": "m", "litellm_params": {"model": "gpt-4o"}, "api_base": "x"}, "api_base"),
        ({"model_name": "*", "litellm_params": {"model": "openai/*"}}, "wildcard"),
        ({"model_name": "m", "litellm_params": {"model": "openai/*"}}, "wildcard"),
    ],
)
def test_invalid_entries_are_refused(entry, message):
    ((_, error),) = lines([entry], {})

    assert message in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model_list"),
        ("model_list: []", "model_list"),
        ("- a", "model_list"),
        ("model_list: [1]\ninclude: [b.yaml]", "include"),
        ("model_list: [1]\ncredential_list: [{credential_name: x}]", "credential_list"),
        ("model_list: [1]\nenvironment_variables: {OPENAI_API_BASE: x}", "OPENAI_API_BASE"),
        ("model_list: [1]\nlitellm_settings: {api_base: x}", r"litellm_settings\.api_base"),
        ("model_list: [1]\nlitellm_settings: {drop_params: true, headers: {}}", "headers"),
        ("model_list: [1]\nrouter_settings: {default_litellm_params: {}}", "default_litellm"),
        ("model_list: [1]\ngeneral_settings: {key_management_system: x}", "key_management"),
    ],
)
def test_sections_that_may_change_calls_are_refused(text, message):
    with pytest.raises(LiteLLMError, match=message):
        entries(yaml.safe_load(text))


def test_sections_of_the_proxy_itself_are_left_out():
    text = (
        "model_list: [1]\ngeneral_settings: {master_key: sk-x}\n"
        "litellm_settings: {num_retries: 3, drop_params: true}\nrouter_settings:\n"
    )

    assert entries(yaml.safe_load(text)) == [1]


# -- the command ------------------------------------------------------------------------------


@pytest.fixture
def run(hosts, tmp_path, monkeypatch):
    """Run the command for alice, who may share, on some text."""
    for name in list(os.environ):
        if name.endswith(("_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)
    host = hosts()
    owner = str(host.user("alice", is_admin=True))

    def run(text, *options, owner=owner):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return host.run("import-litellm", "--owner", owner, *options, str(path))

    run.host = host
    return run


CONFIG = f"""
model_list:
  - {{model_name: a, litellm_params: {{model: openai/gpt-4o, api_key: {CANARY}}}}}
  - {{model_name: b, litellm_params: {{model: openai/x, base_url: "{GATEWAY}", api_key: {CANARY}}}}}
"""


def test_the_models_are_registered_and_open_for_their_own_base_url_only(run):
    output, status = run(CONFIG)

    assert (output.splitlines()[-1], status) == ("2 create", 0)
    with run.host.app.app_context():
        alice = run.host.load("alice")
        found = [run.host.registry.resolve(each, user=alice) for each in ("a", "b")]
        assert [each.api_key.reveal() for each in found] == [CANARY, CANARY]
    assert [each.base_url for each in found] == ["https://api.openai.com/v1", GATEWAY]
    assert [row.is_shared for row in run.host.rows("models")] == [False, False]


def test_share_shares_the_models(run):
    assert run(CONFIG, "--share")[1] == 0
    assert [row.is_shared for row in run.host.rows("models")] == [True, True]

    bob = str(run.host.user("bob"))
    output, status = run(CONFIG, "--share", owner=bob)
    assert status == 1
    assert output.count(" fail ") == 2


def test_credentials_makes_models_of_one_key_share_a_credential(run):
    entries = [
        ("a", "openai/gpt-4o", CANARY),
        ("b", "openai/gpt-5", CANARY),
        ("alone", "openai/o3", f"{CANARY}-other"),
        ("c", "groq/x", CANARY),
        ("d", "openai/o1", f"{CANARY}-2"),
        ("e", "gpt-4", f"{CANARY}-2"),
        ("waits", "openai/x", None),
        ("waits-too", "openai/y", None),
    ]
    text = yaml.safe_dump(
        {
            "model_list": [
                {"model_name": name, "litellm_params": {"model": model, "api_key": api_key}}
                for name, model, api_key in entries
            ]
            + [
                {"model_name": name, "litellm_params": {"model": "hosted_vllm/x", "api_base": AT}}
                for name in ("keyless", "keyless-too")
            ]
        }
    )

    output, status = run(text, "--credentials")

    assert (output.splitlines()[-1], status) == ("12 create", 0), output
    names = {row.id: row.name for row in run.host.rows("credentials")}
    used = {row.model_id: names.get(row.credential_id) for row in run.host.rows("models")}
    assert {name: each for name, each in used.items() if each} == {
        "a": "litellm-openai",
        "b": "litellm-openai",
        "d": "litellm-openai-2",
        "e": "litellm-openai-2",
    }
    with run.host.app.app_context():
        alice = run.host.load("alice")
        found = {
            each: run.host.registry.resolve(each, user=alice).api_key.reveal() for each in "abcde"
        }
    assert found == {name: api_key for name, _, api_key in entries if name in found}
    again, status = run(text, "--credentials", "--on-conflict", "update")
    assert (again.splitlines()[-1], status) == ("12 keep", 0)


def test_one_refused_entry_stops_the_whole_import(run):
    output, status = run(
        CONFIG + "  - {model_name: c, litellm_params: {model: claude-x, api_key: k}}\n"
    )

    assert status == 1
    assert "     3  fail    'c': litellm_params.model has no provider" in output
    assert "1 fail; nothing was changed" in output
    assert run.host.rows("models") == []


def test_one_line_that_the_registry_refuses_stops_the_whole_import(run):
    entry = "  - {model_name: c, litellm_params: {model: hosted_vllm/x, api_key: k}}\n"

    output, status = run(CONFIG + entry)

    assert (status, "base_url" in output) == (1, True)
    assert "nothing was changed" in output
    assert run.host.rows("models") == []


def test_a_provider_that_the_app_has_moved_needs_an_api_base(hosts, tmp_path):
    """LiteLLM would send the key to Groq, and the app to its gateway."""
    host = hosts(providers=[Provider("groq", "Our gateway", GATEWAY)])
    path, owner = tmp_path / "config.yaml", str(host.user("alice"))
    params = f"model: groq/x, api_key: {CANARY}"
    path.write_text(f"model_list: [{{model_name: g, litellm_params: {{{params}}}}}]")

    refused, status = host.run("import-litellm", "--owner", owner, str(path))
    path.write_text(path.read_text().replace("api_key", f'api_base: "{GATEWAY}", api_key'))
    taken = host.run("import-litellm", "--owner", owner, str(path))

    assert (status, "write an api_base" in refused) == (1, True)
    assert taken[1] == 0


def test_a_dry_run_changes_nothing_and_a_second_run_can_skip(run):
    assert run(CONFIG, "--dry-run")[0].splitlines()[-1] == "2 create; nothing was changed"
    assert run.host.rows("models") == []
    run(CONFIG)
    assert run(CONFIG)[1] == 1
    assert run(CONFIG, "--on-conflict", "skip") == (run(CONFIG, "--on-conflict", "skip")[0], 0)


def test_text_that_is_not_yaml_is_not_quoted(run):
    for text in (f"model_list: [\n  api_key: '{CANARY}\n", "\t- x", "a: b: c", f"@{CANARY}"):
        output, status = run(text)

        assert status == 1
        assert CANARY not in output
        assert "not valid YAML, line " in output


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "value",
    [
        f"!!int {CANARY}",
        f"!!float {CANARY}",
        f"!!bool {CANARY}",
        "!!timestamp x",
        "2026-13-45",
        "1" * 5000,
    ],
    ids=lambda text: text.replace(CANARY, "KEY"),
)
def test_yaml_with_invalid_values_is_not_quoted(run, value):
    output, status = run(f"{CONFIG}x: {value}\n")

    assert status == 1
    assert CANARY.lower() not in output.lower()
    assert "this is not valid YAML" in output


def test_without_pyyaml_the_command_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)

    output, status = run(CONFIG)

    assert (status, "pip install pyyaml" in output) == (1, True)


def test_no_output_holds_a_key(run):
    texts = [
        CONFIG,
        CONFIG.replace("openai/x", "bedrock/x"),
        CONFIG + "  - {api_key: " + CANARY + "}",
    ]

    for text in texts:
        assert CANARY not in run(text)[0]


# -- LiteLLM itself -----------------------------------------------------------------------------

# Providers that have more than one host of their own.
SAME = {
    "api.cohere.com": "api.cohere.ai",
    "api.studio.nebius.ai": "api.tokenfactory.nebius.com",
    "api.together.xyz": "api.together.ai",
}
ASK = """
import json, os, sys
for name in list(os.environ):
    if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")):
        del os.environ[name]
import litellm
litellm.suppress_debug_info = True
answers = []
for model, api_base in json.load(sys.stdin):
    try:
        answers.append(litellm.get_llm_provider(model, api_base=api_base))
    except Exception:
        answers.append(None)
print(json.dumps(answers))
"""


def ask_litellm(cases):
    import json

    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        input=json.dumps(cases),
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


needs_litellm = pytest.mark.skipif(find_spec("litellm") is None, reason="litellm is not installed")


@needs_litellm
@pytest.mark.slow
def test_litellm_takes_models_without_a_prefix_for_openais_too():
    models = sorted(OPENAI_MODELS)

    answers = ask_litellm([(model, None) for model in models])

    assert {
        model: answer
        for model, answer in zip(models, answers, strict=True)
        if answer is None or answer[1] != "openai"
    } == {}


@needs_litellm
@pytest.mark.slow
def test_litellm_reads_prefixes_and_addresses_alike():
    cases = [
        (f"{prefix}/x/y", base)
        for prefix in PROVIDERS
        for base in (None, GATEWAY.replace("/v1", "/openai/v1"))
    ]

    answers = ask_litellm(cases)

    for (model, base), (name, prefix, _, address) in zip(cases, answers, strict=True):
        made = line(model=model, **({"api_base": base} if base else {}))
        assert (prefix, name) == (model.partition("/")[0], "x/y")
        assert made["model_name"] == name
        if base:
            assert (made["base_url"], address) == (base, base)
        elif address and PROVIDERS[prefix] != "ollama":
            own = Catalogue()[made["model_provider"]].base_url
            host = urlsplit(address).hostname
            assert urlsplit(own).hostname == SAME.get(host, host)


@needs_litellm
@pytest.mark.slow
def test_litellm_sends_a_base_url_to_the_gateway_too():
    """So a key for a gateway that is given as base_url is the gateway's."""
    source = """
import http.server, json, os, threading
seen = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        seen.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}/v1"
import litellm
from litellm import Router
litellm.suppress_debug_info = True
for field in ("api_base", "base_url"):
    params = {"model": "openai/x", "api_key": "sk-gateway", field: base, "max_retries": 0}
    router = Router(model_list=[{"model_name": "m", "litellm_params": params}], num_retries=0)
    try:
        router.completion(model="m", messages=[{"role": "user", "content": "hi"}])
    except Exception:
        pass
print(json.dumps(seen))
"""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source],
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    assert answer.stdout.splitlines()[-1] == '["Bearer sk-gateway", "Bearer sk-gateway"]'
