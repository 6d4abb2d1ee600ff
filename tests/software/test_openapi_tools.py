"""Tools that people run over the OpenAPI document: linters, JavaScript, and generators of clients."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from flask_model_registry.web.login_schemes import jwt_login
from flask_model_registry.web.openapi import openapi_document
from flask_model_registry.web.views import ROUTES
from tests.doc_runner import ROOT
from tests.hosts import CANARY, PREFIX
from tests.software.conftest import RAN, missing, package, printed, program

CLIENTS = Path(__file__).parent / "clients"
PACKAGES = CLIENTS / "node_modules"
# The commands of the documentation, by the program that each runs.
COMMANDS = {
    command.removeprefix("npx ").split()[0]: command
    for command in re.findall(
        r"^\| .* \| `(.* openapi\.json.*)` \|$",
        (ROOT / "docs/front-end.md").read_text(),
        re.MULTILINE,
    )
}
MODELS = 120
EVERY_LOCATION = {"JWT_TOKEN_LOCATION": ["headers", "cookies", "query_string"]}
COMPILES = """
const places = (value) => Object(value) !== value ? [] :
  [...(typeof value.pattern === "string" ? [value.pattern] : []), ...Object.values(value).flatMap(places)];
const patterns = [...new Set(places(JSON.parse(require("fs").readFileSync(0))))];
const texts = ["a b", "\\u{1f47f}", "\\u{dffff}", "\\u{e0041}", "\\u{e0080}", "\\u202e", "a\\nb", " a"];
const matched = patterns.map((each) => ["", "u"].map((flag) => texts.map((text) => new RegExp(each, flag).test(text))));
console.log(JSON.stringify(Object.fromEntries(patterns.map((each, place) => [each, matched[place]]))));
"""


def from_npm(name):
    """Return the path of a program that npm installed."""
    node = program("Node.js", "node", "nodejs")
    RAN.add(f"Node.js {printed(node, '--version').strip().removeprefix('v')}")
    path = PACKAGES / ".bin" / name
    if not path.exists():
        missing(f"{name} (make tests/software/clients/node_modules)")
    for each in json.loads((CLIENTS / "package.json").read_text())["devDependencies"]:
        RAN.add(f"{each} {json.loads((PACKAGES / each / 'package.json').read_text())['version']}")
    return path


def run(command, folder, **environ):
    """Run a program, which must succeed; return what it printed."""
    paths = [str(PACKAGES / ".bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    process = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(paths), **environ},
        capture_output=True,
        text=True,
        timeout=6000,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def server(gunicorn):
    """The URL of the registry, of an app that is served."""
    return gunicorn() + PREFIX


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory):
    """A folder with the document of that app."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "openapi.json").write_bytes(fetched(f"{server}/openapi.json"))
    return folder


def fetched(url):
    with urllib.request.urlopen(url) as response:
        return response.read()


def token(server, name):
    return fetched(f"{server.removesuffix(PREFIX)}/as/{name}/token").decode()


@pytest.mark.parametrize(
    "command",
    [
        "spectral lint -r {}/spectral.yaml openapi.json every.json",
        "redocly lint openapi.json every.json",
    ],
    ids=lambda each: each.partition(" ")[0],
)
def test_a_linter_finds_no_error(folder, command):
    name, *arguments = command.format(CLIENTS).split()
    login = jwt_login(EVERY_LOCATION)
    every = openapi_document(ROUTES, "/models", login, largest_page=20)
    (folder / "every.json").write_text(json.dumps(every))

    run(
        [from_npm(name), *arguments],
        folder,
        REDOCLY_TELEMETRY="off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE="1",
    )


def test_javascript_compiles_each_pattern_and_knows_the_same_text(folder):
    node = program("Node.js", "node", "nodejs")
    process = subprocess.run(
        [node, "-e", COMPILES],
        input=(folder / "openapi.json").read_bytes(),
        capture_output=True,
        check=True,
        timeout=600,
    )

    matched = json.loads(process.stdout)
    texts = [each for pattern, each in matched.items() if "\U000dffff" in pattern]
    one_line = [True, True, True, False, True, False, False, False]
    lines = [*one_line[:6], True, True]
    name = [False, *one_line[1:]]  # a model_id
    # Without the flag, tags are not seen: the registry itself refuses them.
    without_flag = [[*each[:3], True, *each[4:]] for each in (name, one_line, lines)]
    assert len(matched) == 12
    assert sorted(texts) == sorted(
        map(list, zip(without_flag, [name, one_line, lines], strict=True))
    )


def test_a_generated_client_for_python_works(folder, server, monkeypatch):
    package("openapi-python-client")
    run(shlex.split(COMMANDS["openapi-python-client"]), folder)
    monkeypatch.syspath_prepend(folder / "model-registry-client")

    def module(name):
        return importlib.import_module(f"model_registry_client.{name}")

    models, client = (
        module("models"),
        module("client").AuthenticatedClient(server, token(server, "p")),
    )
    register, listing, get, update = (
        module(f"api.models.{name}").sync_detailed
        for name in ("register_model", "list_models", "get_model", "update_model")
    )
    with client:
        for number in range(MODELS):
            body = models.NewModel(f"m-{number}", "openai", "gpt-4o", CANARY)
            assert register(client=client, body=body).parsed.model_id == f"m-{number}"
        listed, options = [], {}
        while options is not None:
            page = listing(client=client, limit=50, **options)
            listed += [each.model_id for each in page.parsed]
            after = re.search(r"after=([^&>]+)", page.headers.get("Link", ""))
            options = {"after": urllib.parse.unquote(after[1])} if after else None
        read = get(page.parsed[0].id, client=client)
        answers = [
            update(
                read.parsed.id,
                client=client,
                body=models.ModelUpdateChanges(temperature=temperature),
                if_match=read.headers["ETag"],
            )
            for temperature in (0.5, 1.0)
        ]

    assert listed == [f"m-{number}" for number in range(MODELS)]
    assert [each.status_code for each in answers] == [200, 412]
    assert answers[0].parsed.temperature == 0.5
    assert answers[1].parsed.type_.endswith(":precondition-failed")


def test_generated_clients_for_typescript_fit_their_types_and_work(folder, server):
    from_npm("tsc")
    for name in ("main.ts", "tsconfig.json", "orval.config.mjs"):
        shutil.copy(CLIENTS / name, folder)
    (folder / "node_modules").symlink_to(PACKAGES)
    for command in (COMMANDS["openapi-typescript"], COMMANDS["openapi-ts"], "npx orval"):
        run(shlex.split(command), folder, REGISTRY_URL=server)
    run(["tsc"], folder)

    names = ["openapi-fetch", "@hey-api/openapi-ts", "orval"]
    tokens = json.dumps({name: token(server, name[1:3]) for name in names})
    environ = {"REGISTRY_URL": server, "TOKENS": tokens, "API_KEY": CANARY}
    results = json.loads(run(["node", "built/main.js"], folder, **environ))

    assert [*results] == names
    for each in results.values():
        assert each == {
            "registered": MODELS,
            "pages": [50, 50, 20],
            "isAll": True,
            "changed": {"status": 200, "temperature": 0.5},
            "refused": 412,
        }
