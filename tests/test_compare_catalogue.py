"""The script that compares the catalogue with the tables of other libraries."""

import importlib.util
import json
import sqlite3

import pytest

from flask_model_registry import Provider
from flask_model_registry.providers.catalogue import PROVIDERS
from tests.doc_runner import ROOT

SCRIPT = ROOT / "scripts" / "compare_catalogue.py"
ACME = Provider("acme", "Acme", "https://api.acme.example/v1", ("acme-ai",))
OTHER = Provider("other", "Other", categories=("embedding",))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_catalogue", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def known(script, monkeypatch):
    """The script with a catalogue of two."""
    monkeypatch.setattr(script, "PROVIDERS", (ACME, OTHER))
    monkeypatch.setattr(script.canonical, "__defaults__", ((ACME, OTHER),))
    return script


@pytest.mark.parametrize(
    ("theirs", "is_same"),
    [
        ("https://api.acme.example/v1", True),
        ("https://API.acme.example/v1/", True),
        ("https://api.acme.example", True),
        ("https://api.acme.example/v1/chat", True),
        ("https://api.acme.example/v2", False),
        ("https://api.acme.example/v11", False),
        ("https://acme.example/v1", False),
        ("https://api.acme.example.evil.example/v1", False),
    ],
)
def test_a_base_url_is_the_same_or_differs(known, theirs, is_same):
    found = list(known.differences((ACME,), "them 1.0", {"acme_ai": {theirs}}))

    assert found == ([] if is_same else [("acme", "them 1.0", ACME.base_url, theirs)])


def test_one_of_several_base_urls_is_enough_and_none_is_no_difference(known):
    several = {"acme": {"https://old.example"}, "acme-ai": {ACME.base_url}}

    for urls in (several, {"acme": set()}, {}, {"other": {"https://other.example"}}):
        assert list(known.differences((ACME, OTHER), "them", urls)) == []


def test_categories_that_only_the_others_have_differ(known):
    modes = {"acme_ai": {"llm", "image"}, "acme": {"speech"}, "other": {"embedding"}}

    (found,) = known.categories((ACME, OTHER), modes)

    assert found == ("acme", "litellm-categories", "categories llm", "image, speech")


def test_a_provider_that_many_know_is_missing(known):
    sources = {f"source-{n} 1.0": {"acme": set(), "famous_co": set()} for n in range(known.MANY)}
    sources["source-0 1.0"]["obscure"] = set()

    (found,) = known.missing((ACME, OTHER), sources)

    assert (found.provider, found.theirs) == (
        "famous-co",
        ", ".join(f"source-{n}" for n in range(known.MANY)),
    )


def test_urls_are_read_from_code_and_not_from_its_documentation(script, tmp_path):
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "acme.py").write_text(
        '''"""See https://docs.acme.example for more."""
URL: str = "https://api.acme.example/v1/"
PROVIDER_DOCUMENTATION_URL = "https://docs.acme.example"
def called(region):
    return f"https://{region}.acme.example" or "http://localhost" or "https://eu.acme.example"
'''
    )
    urls = {"https://api.acme.example/v1", "https://eu.acme.example"}

    assert script.of_modules(tmp_path.glob("*/*.py"), by_folder=True) == {"acme": urls}
    assert script.of_modules(folder.glob("*.py")) == {"acme": urls}


def test_other_libraries_tables_are_read_from_their_packages(script, tmp_path):
    prices = {
        "sample_spec": {"mode": "one of chat, embedding"},
        "a": {"litellm_provider": "acme", "mode": "chat"},
        "b": {"litellm_provider": "acme", "mode": "audio_speech"},
        "c": {"litellm_provider": "acme", "mode": "search"},
    }
    name = "model_prices_and_context_window_backup.json"
    (tmp_path / name).write_text(json.dumps(prices))
    with sqlite3.connect(tmp_path / "_db.sqlite") as connection:
        connection.execute("CREATE TABLE providers (id, api)")
        rows = [("acme", ACME.base_url), ("mine", "https://${HOST}/v1"), ("sdk", None)]
        connection.executemany("INSERT INTO providers VALUES (?, ?)", rows)

    assert script.litellm_modes(tmp_path) == {"acme": {"llm", "speech"}}
    assert script.models_dev(tmp_path) == {"acme": {ACME.base_url}, "mine": set(), "sdk": set()}


def test_it_says_what_differs_and_which_explanation_is_out_of_date(known, monkeypatch, capsys):
    monkeypatch.setattr(known, "version", lambda name: "1.0")
    monkeypatch.setattr(known, "_package", lambda name: ROOT / "no" / "such")
    for name in ("of_modules", "of_langchain", "litellm_modes", "models_dev"):
        monkeypatch.setattr(known, name, lambda *_, **__: {})
    monkeypatch.setattr(known, "litellm", lambda: {"acme": {"https://new.example/v1"}})
    said = []
    for explained in ({}, {("acme", "litellm"): "moved"}, {("other", "litellm"): "moved"}):
        monkeypatch.setattr(known, "EXPLAINED", explained)
        said.append((known.main(), capsys.readouterr().out))

    differs = f"acme: {ACME.base_url}; litellm 1.0: https://new.example/v1\n"
    stale = "other: no longer differs from litellm, so take it out of EXPLAINED\n"
    assert said == [(1, differs), (0, ""), (1, differs + stale)]


def test_it_explains_and_renames_only_what_is_in_the_catalogue(script):
    ids = {each.id for each in PROVIDERS}

    assert {provider for provider, _ in script.EXPLAINED} <= ids
    assert {*script.NAMES.values()} <= ids
    assert {name for name in script.NAMES if script.canonical(name) != script.NAMES[name]} == set()
