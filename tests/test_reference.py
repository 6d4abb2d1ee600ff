"""The reference pages belong to this version, and their examples run."""

import doctest
import importlib
import json
import re
import secrets
import sys

import flask_sqlalchemy
import pytest
from flask import Flask, current_app

import flask_model_registry
from flask_model_registry import schemas
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY, model
from tests.texts import DOCS

PYTHON, HTTP = (DOCS / name for name in ("reference.md", "operations.md"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUBLIC = {name: getattr(flask_model_registry, name) for name in flask_model_registry.__all__}


@pytest.fixture
def scripts(monkeypatch):
    """Import a script of the repository by its name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    return importlib.import_module


@pytest.fixture
def names(hosts):
    """Return the names in the examples: a registry with some models and a credential of alice's."""
    host = hosts(groups=lambda user: ["research"])
    registry = host.registry
    host.user("alice", is_admin=True)
    host.user("bob")
    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        for model_id, provider in {
            "gpt-4o": "openai",
            "draft": "openai",
            "claude": "anthropic",
        }.items():
            fields = model(model_id=model_id, model_provider=provider, temperature=0.2)
            name = f"{model_id}-2024-11-20"
            registry.create(user=alice, **{**fields, "model_name": name})
        account = {"name": "team", "model_provider": "openai", "secret": {"api_key": CANARY}}
        registry.create_credential(user=alice, **account)
        host.db.session.commit()
        known = {"registry": registry, "db": host.db, "alice": alice, "bob": bob}
        yield {**PUBLIC, **known, "secrets": secrets, "SQLAlchemy": flask_sqlalchemy.SQLAlchemy}


@pytest.mark.databases("sqlite")
def test_the_examples_in_python_have_the_output_that_is_shown(names, subtests):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=OPTIONS)
    examples = re.findall(
        r"^#+ ([^\n]*)\n(?:(?!^#).)*?^```pycon\n(.*?)^```", _text(PYTHON), re.M | re.S
    )

    assert len(examples) == len(blocks(PYTHON, "pycon")) > 40
    for heading, text in examples:
        with subtests.test(heading):
            app = Flask("another")
            app.config.update(current_app.config)
            known = {**vars(schemas), **names, "app": app}
            failed = runner.run(parser.get_doctest(text, known, heading, None, None)).failed
            names["db"].session.rollback()
            assert not failed, heading


def test_every_call_has_an_example():
    calls = re.findall(r"^### (registry\.\w+)\n(.*?)(?=^##)", _text(PYTHON), re.M | re.S)

    assert len(calls) > 25
    assert [name for name, text in calls if "```pycon" not in text] == []


def test_the_page_of_python_is_that_of_these_docstrings(scripts):
    """After a change, run `python scripts/reference.py`."""
    pytest.importorskip("griffe")

    assert _text(PYTHON) == scripts("reference").python_page()


def test_the_page_of_http_is_that_of_this_openapi_document(scripts):
    assert _text(HTTP) == scripts("operations").written()


def test_every_request_and_response_with_a_body_has_an_example():
    operations = re.split(r"^## ", _text(HTTP).partition("\n## Shapes")[0], flags=re.M)[1:]
    lacking = [
        title
        for title, _, text in (each.partition("\n") for each in operations)
        if text.count("```json")
        != text.count("| body | type |") + ("with [" in text or "with an array" in text)
    ]

    assert lacking == ["`GET /openapi.json`"]
    assert all(json.loads(each) for each in blocks(HTTP, "json"))


def _text(page):
    return page.read_text("utf-8")
