"""The page docs/security.md names a test that proves each of its promises."""

import ast
import re

import pytest

from tests.accounts import add
from tests.doc_runner import ROOT
from tests.hosts import CANARY, PREFIX, register

PAGE = (ROOT / "docs" / "security.md").read_text()
LINES = PAGE[: PAGE.index("## Report a vulnerability")].splitlines()
ROWS = [line for line in LINES if line.startswith("|") and not set(line) <= set("|- ")]
HEADERS = [row for row in ROWS if row.endswith("| held by |")]
PROMISES = [row for row in ROWS if row not in HEADERS]


def functions(path):
    return {node.name: node for node in ast.parse(path.read_text()).body if hasattr(node, "name")}


def test_promises_are_in_tables():
    others = [line for line in LINES if line and not line.startswith(("|", "#"))]

    assert len(PROMISES) > 40
    assert len(others) == 1  # the introduction


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[2:60])
def test_each_promise_names_tests_that_run(row):
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.rpartition(". |")[2])

    assert named
    for file, name in named:
        test = functions(ROOT / "tests" / file)[name]
        assert not any("skip" in ast.unparse(each) for each in test.decorator_list)


def test_code_of_the_app_can_resolve_any_model(host, alice):
    register(alice, "m")

    with host.app.app_context():
        model = host.registry.resolve("m", user=host.load("alice"))

    assert model.api_key.reveal() == CANARY


def test_names_and_descriptions_are_stored_in_the_clear(host, alice):
    texts = {"model_name": "a-name", "base_url": "https://a.example.com/v1", "description": "Hm."}
    register(alice, "m", **texts)

    (row,) = host.rows("models")

    assert {name: getattr(row, name) for name in texts} == texts


def test_settings_references_and_parameters_are_stored_in_the_clear(hosts):
    host = hosts(secret_source=lambda *_, **__: CANARY)
    alice = host.client("alice")
    fields = {"reference": "vault/team", "settings": {"organization": "org-1"}}
    account = {"name": "team", "model_provider": "openai", **fields}
    made = alice.post(f"{PREFIX}/credentials", json=account).json
    add(alice, made["id"], "m")
    both = {"parameters": {"seed": 1}, "info": {"tags": ["eu"]}}
    assert alice.put(f"{PREFIX}/1/parameters", json=both).status_code == 200

    (credential,), (row,) = host.rows("credentials"), host.rows("models")

    assert (credential.reference, credential.settings) == ("vault/team", fields["settings"])
    assert {"parameters": row.parameters, "info": row.info} == both
