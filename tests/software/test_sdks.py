"""Models called with the packages that people have: each row of the page's tables, done.

The packages have an environment of their own, because they ask for versions that exclude each other's.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.accounts import AWS, add, create, resolved
from tests.conftest import traces
from tests.doc_runner import ROOT, blocks, text_of
from tests.hosts import CANARY
from tests.provider_stub import TEXT, VECTOR, Stub
from tests.software.conftest import RAN, missing

PYTHON = Path(os.environ.get("TEST_SDKS_PYTHON", ROOT / ".venv-sdks" / "bin" / "python"))
PAGE, SECTION = ROOT / "docs" / "call.md", "Find the arguments of your SDK"
COLUMNS = ("package", "provider", "client", "call", "path", "guard")
# Where the tests run, these are newer: LlamaIndex holds openai back.
NEWEST = ("openai", "anthropic", "litellm")
VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
CLOUDS = ("bedrock", "vertex")
# Those of clouds that have another form; for addresses, the last ones.
OF_CLOUDS = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_BEARER_TOKEN_BEDROCK AWS_REGION "
    "AWS_DEFAULT_REGION AWS_REGION_NAME GOOGLE_API_KEY GOOGLE_CLOUD_PROJECT GOOGLE_CLOUD_LOCATION "
    "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_GENAI_API_VERSION VERTEXAI_PROJECT VERTEXAI_LOCATION "
    "VERTEXAI_CREDENTIALS VERTEX_PROJECT VERTEX_LOCATION VERTEX_CREDENTIALS "
    "AWS_ENDPOINT_URL AWS_ENDPOINT_URL_BEDROCK_RUNTIME AWS_BEDROCK_RUNTIME_ENDPOINT "
    "GOOGLE_VERTEX_BASE_URL GOOGLE_GEMINI_BASE_URL VERTEXAI_API_BASE VERTEX_API_BASE"
).split()
# With the first of these, botocore does nothing at all; with the others, litellm_kwargs() raises.
REFUSED = (
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT AWS_PROFILE_NAME AWS_ROLE_NAME AWS_WEB_IDENTITY_TOKEN"
).split()
# Otherwise these packages report to their makers that they are used.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def rows():
    """Return the rows of the page's tables."""
    text = text_of(PAGE, SECTION)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    cleaned = [[cell.strip().strip("`").replace("\\|", "|") for cell in each] for each in cells]
    (names,) = blocks(PAGE, section=SECTION)
    return [
        {**dict(zip(COLUMNS, each, strict=True)), "names": names}
        for each in cleaned
        if each != [*COLUMNS]
    ]


ROWS = rows()
PACKAGES = sorted({row["package"] for row in ROWS})


def sent(row, body):
    """Return the registered fields of the model that are in the body."""
    if "embed" in row["path"].lower():
        return re.search(r'"(?:dimensions|output_?[dD]imension(?:ality)?)": ?2\b', body)
    if row["path"].endswith(("rerank", "speech", "transcriptions", "generations")):
        return "NAME" in body
    return re.search(r'"temperature": ?0.25\b', body)


def sends_parameters(row):
    """Return whether a row of the tables passes the user's parameters on."""
    methods = ("call_kwargs()", "llamaindex_kwargs()", "model.parameters")
    is_passed = any(each in row["client"] + row["call"] for each in methods)
    return is_passed and "litellm.speech(" not in row["call"]  # which drops extra_body


def expected(row):
    """Return what the result holds."""
    path = row["path"]
    if "embed" in path.lower():
        return str(VECTOR[0])
    ends = {"rerank": "0.5", "speech": "mp3", "generations": "QUJD"}
    if "stream=True" in row["call"]:
        return "thanks."
    return next((ends[end] for end in ends if path.endswith(end)), TEXT)


def run(asked, environ, python=PYTHON):
    """Run rows where the packages are; return the report of each, and what was printed."""
    result = subprocess.run(
        [python, "-W", "ignore", "-m", "tests.software.call_sdks"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=900,
        env=environ,
        cwd=ROOT,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith('{"told": ')]
    return [json.loads(line)["told"] for line in lines], result.stdout + result.stderr


@pytest.fixture(scope="module")
def environ():
    """Other keys and another server, in each variable that a package may read."""
    if not PYTHON.exists():
        missing("the environment of the SDKs (make .venv-sdks/done)")
    ((names,), _) = run([], None)
    assert {"OPENAI_API_KEY", "OLLAMA_HOST", "CO_API_URL", "GROQ_API_BASE"} <= {*names}
    evil = Stub()
    yield {
        **os.environ,
        **{
            name: evil.url if re.search("BASE|URL|ENDPOINT|HOST", name) else "sk-of-the-environment"
            for name in {*names, *OF_CLOUDS} - {*REFUSED}
        },
        **QUIET,
    }
    assert evil.received == []
    evil.shutdown()
    evil.server_close()


def test_the_packages_are_as_many_as_other_pages_say():
    changes, call = (" ".join(page.read_text().split()) for page in (ROOT / "CHANGES.md", PAGE))

    assert f"lists them for {len(PACKAGES)} packages" in changes
    assert f"and {len(PACKAGES) - 3} other packages" in call


@pytest.mark.parametrize(
    ("package", "is_cloud"),
    sorted({(row["package"], row["provider"] in CLOUDS) for row in ROWS}),
)
def test_the_stored_key_goes_to_the_stored_address_and_no_other_key_goes_anywhere(
    package, is_cloud, environ
):
    asked = [
        row for row in ROWS if row["package"] == package and is_cloud == (row["provider"] in CLOUDS)
    ]
    python = PYTHON
    if package in NEWEST and not is_cloud:
        python = sys.executable if find_spec(package) else missing(package)

    told, printed = run(asked, environ, python)
    command = [python, "-c", VERSION, package]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    RAN.add(f"{package} {version.strip()}")

    assert len(told) == len(asked) + 1, printed[-3000:]
    assert traces([printed]) == []
    *outcomes, elsewhere = told
    for row, outcome in zip(asked, outcomes, strict=True):
        assert "error" not in outcome, (row, outcome)
        assert expected(row) in outcome["result"]
        ((path, key_headers, has_other_key, body),) = outcome["received"]
        assert path == row["path"]
        assert len(key_headers) == 1, key_headers
        assert not has_other_key
        assert outcome["foreign"] == 0
        assert CANARY not in body
        assert sent(row, body), (row, body)
        arrived = re.search(r'\ba_parameter"(?:: ?|\s+)7\b', body) is not None
        assert arrived is sends_parameters(row), (row, body)
        assert outcome["guarded"] == (row["guard"] == "yes"), row
    assert elsewhere == []


# Some begin with a route of LiteLLM's own.
NAMES = (
    "m mantle/m agent/a/b claude_platform/m x@evil.example/m https://evil.example/m ../../m ?m#m"
)
LOOKED_UP = """
import json, os, socket, sys
import litellm
kwargs, names = json.load(sys.stdin)
kwargs["messages"] = [{"role": "user", "content": "Hi"}]
def getaddrinfo(name, *args, **options):
    looked_up.add(name)
    raise socket.gaierror
socket.getaddrinfo, looked_up = getaddrinfo, set()
for name in names:
    try:
        litellm.completion(**{**kwargs, "model": kwargs["model"] + name}, num_retries=0)
    except Exception:
        pass
print(json.dumps(sorted(looked_up)))
"""


def test_no_name_of_a_model_makes_litellm_call_another_host_than_that_of_the_region(
    host, alice, environ
):
    add(alice, create(alice, **AWS)["id"], "m")
    kwargs = resolved(host, "m").litellm_kwargs()
    kwargs["model"] = kwargs["model"].removesuffix("m")

    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", LOOKED_UP],
        input=json.dumps([kwargs, NAMES.split()]),
        capture_output=True,
        text=True,
        timeout=900,
        env={**environ, "BEDROCK_MANTLE_API_BASE": "https://evil.example"},
    )

    assert json.loads(done.stdout.splitlines()[-1]) == [
        "bedrock-runtime.eu-central-1.amazonaws.com"
    ], done.stderr[-2000:]
