"""Pins of what must not change while the code moves: tables, API, names and cost.

The pins are files in ``tests/pins``. After an intended change, rewrite them and read the diff:
``TEST_PINS=write .venv/bin/python -m pytest tests/test_pins.py``. The ceilings of ``journeys.json`` are
lowered by hand, and raised with a reason in the commit.
"""

import difflib
import importlib
import inspect
import json
import os
import re
import sys
from pathlib import Path

import marshmallow
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

import flask_model_registry
from flask_model_registry import signals
from flask_model_registry.version import __version__
from tests.hosts import KINDS, PREFIX, RARE_KINDS, declare, make_host, model, register

PINS = Path(__file__).parent / "pins"
PACKAGE_NAME = "flask_model_registry"
PACKAGE = str(Path(flask_model_registry.__file__).parent)
DIALECTS = {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}
HOSTS = {**KINDS, **RARE_KINDS}
USUAL = "legacy base, int key"
# What hosts import of each module; `None` stands for all that it declares as public.
PUBLIC = {
    "flask_model_registry": None,
    "flask_model_registry.cli": ["new_key"],
    "flask_model_registry.db.models": [
        *("Ability", "AppDefault", "Credential", "Default", "Grant", "Model")
    ],
    "flask_model_registry.schemas": None,
    "flask_model_registry.signals": ["namespace", *signals.namespace],
    "flask_model_registry.testing": None,
    "flask_model_registry.types": [
        *("Category", "ConfigType", "CountFilters", "Grants", "GroupGrant", "ListFilters"),
        *("ModelChanges", "ModelRepresentation", "NewModel", "Scope", "Summary", "UserGrant"),
        *("AccountSecret", "AccountSecretChange", "AccountSettings", "Credential"),
        *("CredentialChanges", "NewCredential", "NewModelOfAccount", "SecretState"),
        *("CredentialKind", "GrantCounts", "KeyDetails", "LastTest", "ModelDetails", "NewSecret"),
        *("Parameters", "Relation", "SecretSource", "Sort", "UsedCredential"),
    ],
}


def pin(name, text):
    """Compare a text with its file, or write that."""
    if os.environ.get("TEST_PINS") == "write":
        (PINS / name).write_text(text)
    assert text == (PINS / name).read_text()


def ddl_of(kind, dialect):
    """Return all statements that make the registry's tables beside such users."""
    tables = vars(declare(kind)[3].tables).values()
    items = [
        item
        for table in tables
        if isinstance(table, sa.Table)
        for item in (CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=str_name)))
    ]
    statements = [str(item.compile(dialect=DIALECTS[dialect].dialect())).strip() for item in items]
    return "".join(f"{each};\n\n" for each in statements)


def str_name(index):
    return str(index.name)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_tables_are_declared_as_before(dialect):
    pin(f"{dialect}.sql", ddl_of(USUAL, dialect))


def test_the_tables_of_each_kind_of_host_are_declared_as_before():
    """The file holds the differences from the usual host."""
    usual = {dialect: ddl_of(USUAL, dialect).splitlines() for dialect in DIALECTS}
    differences = [
        f"{line.rstrip()}\n"
        for kind in HOSTS
        for dialect in DIALECTS
        for line in difflib.unified_diff(
            usual[dialect],
            ddl_of(kind, dialect).splitlines(),
            USUAL,
            f"{kind}, {dialect}",
            lineterm="",
            n=0,
        )
    ]

    assert len(HOSTS) == 15
    pin("hosts.diff", "".join(differences))


@pytest.fixture(scope="module")
def journeys():
    """The journeys of a host, each a function of a number."""
    host = make_host("sqlite://", groups=lambda user: ["group"])
    alice, bob = host.client("alice"), host.user("bob")
    register(alice, "m")

    def http(method, path, **options):
        response = getattr(alice, method)(f"{PREFIX}{path}", **options)
        assert response.status_code < 300, response.text

    def resolve(number):
        with host.app.app_context():
            host.registry.resolve("m", user=host.load("alice"))

    yield {
        "POST /register": lambda number: http(
            "post", "/register", json=model(model_id=f"m{number}", abilities=["chat"])
        ),
        "PATCH /{id}": lambda number: http(
            "patch", "/1", json={"temperature": number / 10, "description": "x"}
        ),
        "PUT /{id}/grants/users/{user}": lambda number: http(
            "put", f"/1/grants/users/{bob}", json={"can_edit": True}
        ),
        "GET /": lambda number: http("get", "/?limit=5"),
        "GET /{id}": lambda number: http("get", "/1"),
        "resolve()": resolve,
    }
    host.close()


CEILINGS = json.loads((PINS / "journeys.json").read_text())


@pytest.mark.parametrize("name", CEILINGS)
def test_a_journey_takes_no_more_calls_and_files_than_before(journeys, name):
    files = []

    def profile(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            files.append(frame.f_code.co_filename)

    for number in range(2):  # the first ones build what is kept
        journeys[name](number)
    sys.setprofile(profile)
    try:
        journeys[name](2)
    finally:
        sys.setprofile(None)

    counted = {"calls": len(files), "files": len({*files})}
    assert {each: counted[each] for each in counted if counted[each] > CEILINGS[name][each]} == {}


def test_the_description_of_the_api_is_what_it_was():
    """The file holds it line by line; the response has the same names in the same order."""
    host = make_host("sqlite://", groups=lambda user: ["group"])
    text = host.client().get(f"{PREFIX}/openapi.json").text
    host.close()
    description = json.loads(text)

    assert text == json.dumps(description, ensure_ascii=False, separators=(",", ":")) + "\n"
    assert description["info"].pop("version") == __version__
    pin("openapi.json", json.dumps(description, indent=1) + "\n")


def test_no_file_is_too_long():
    files = [each for each in Path(PACKAGE).rglob("*.py") if "testing" not in each.parts]

    assert len(files) > 40
    assert [each.name for each in files if len(each.read_text().splitlines()) > 330] == []


def test_the_tower_is_drawn_as_the_contract_has_it():
    root = Path(__file__).parent.parent
    contract = re.search(r"layers = \[(.*?)\n\]", (root / "pyproject.toml").read_text(), re.DOTALL)[
        1
    ]
    layers = [{*re.findall(r"\w+", line)} for line in contract.splitlines()]
    page = (root / "docs" / "contributing.md").read_text().partition("\n## Architecture\n")[2]
    drawing = page.split("```text")[1].split("```")[0]
    drawn = re.findall(r"(\w+)(?:\.py|/)(?=\s)", drawing)
    floors = [[name in layer for layer in layers].index(True) for name in drawn]

    assert len(drawn) > 12
    assert floors == sorted(floors)


def test_the_public_names_are_what_they_were():
    lines = []
    for module_name, names in PUBLIC.items():
        is_signals = module_name.endswith(
            ".signals"
        )  # an attribute of the package, lives elsewhere
        module = signals if is_signals else importlib.import_module(module_name)
        names = module.__all__ if names is None else names
        for name in sorted(names):
            lines += described(f"{module_name}.{name}", getattr(module, name))

    pin("names.txt", "".join(f"{line}\n" for line in lines))


def described(name, value):
    """Return a line for a name, and for each of its public members."""
    if inspect.ismodule(value):
        return [f"{name}: a module"]
    if not inspect.isclass(value):
        return [name + (str(inspect.signature(value)) if inspect.isfunction(value) else "")]
    if issubclass(value, marshmallow.Schema):
        return [f"{name}: {', '.join(value().fields)}"]
    lines = [f"{name}({', '.join(base.__name__ for base in value.__bases__)})"]
    members = {
        each: member
        for base in reversed(value.__mro__)
        if base.__module__.startswith(PACKAGE_NAME)
        for each, member in {**inspect.get_annotations(base), **vars(base)}.items()
    }
    for each, member in sorted(members.items()):
        if each.startswith("_") and each != "__init__":
            continue
        member = getattr(member, "__func__", member)  # of a class method
        # Not those that Python makes, such as a protocol's.
        is_ours = inspect.isfunction(member) and member.__module__.startswith(PACKAGE_NAME)
        signature = str(inspect.signature(member)) if is_ours else ""
        lines.append(f"{name}.{each}{signature}")
    return lines
