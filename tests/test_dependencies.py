"""No version that setup.cfg allows has a known advisory: ``advisories.json`` says which have.

No package carries an advisory database that is up to date, so the list is ours. ``looked_up`` is
its date, and ``looked_up_in_2024`` names what was looked up in PyPA's database of October 2024 only.
``affected`` is a range; ``released`` names releases within a range that begins above zero, because a
lower bound alone does not exclude these.
"""

import json
import re
import sys
from configparser import ConfigParser
from datetime import date, datetime, timezone
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.doc_runner import ROOT

LIST = json.loads(Path(__file__).with_name("advisories.json").read_text())
ADVISORIES = {canonicalize_name(name): each for name, each in LIST["packages"].items()}
SETUP = ROOT / "setup.cfg"
OURS = "flask-model-registry"


def requirements():
    """Return all requirements: to run, of the extras, and to build."""
    setup = ConfigParser()
    setup.read(SETUP)
    texts = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    build = re.search(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)[1]
    lines += re.findall(r'"([^"]+)"', build)
    found = map(Requirement, lines)
    return [each for each in found if canonicalize_name(each.name) != OURS]


REQUIRED = requirements() if SETUP.exists() else []
pytestmark = pytest.mark.skipif(not REQUIRED, reason="this is not a checkout")


def lower_bound(requirement):
    (bound,) = [each.version for each in requirement.specifier if each.operator == ">="]
    return Version(bound)


def vulnerable(requirement, advisories):
    """Return the advisories that a version allowed by a requirement has."""
    found = []
    for advisory in advisories:
        affected = SpecifierSet(advisory["affected"], prereleases=True)
        versions = {lower_bound(requirement), *map(Version, advisory.get("released", []))}
        if any(each in requirement.specifier and each in affected for each in versions):
            found.append(advisory["id"])
    return found


@pytest.mark.parametrize("requirement", REQUIRED, ids=str)
def test_no_allowed_version_has_a_known_advisory(requirement):
    assert vulnerable(requirement, ADVISORIES[canonicalize_name(requirement.name)]) == []


def test_all_that_is_required_was_looked_up():
    names = {canonicalize_name(each.name) for each in REQUIRED}

    assert names == {*ADVISORIES}
    assert {*LIST["looked_up_in_2024"]} <= names
    assert date.fromisoformat(LIST["looked_up"]) <= datetime.now(timezone.utc).date()


def test_the_documentation_says_what_each_is_for():
    contributing = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    section = contributing.partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, re.M)
    described = {canonicalize_name(name) for cell in cells for name in cell.split(", ")}
    npm = (ROOT / "tests" / each / "package.json" for each in ("browser", "software/clients"))
    names = {each.name for each in REQUIRED}
    names |= {name for file in npm for name in json.loads(file.read_text())["devDependencies"]}
    headings = {"package", "packages", "npm packages"}
    in_prose = {"pytest", "pyyaml", "python-dotenv"}

    assert described - headings == {canonicalize_name(each) for each in names} - in_prose


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("marshmallow>=3.26.2", ["CVE-2025-68480"]),
        ("marshmallow>=3.26.2,!=4.0.*,!=4.1.0", ["CVE-2025-68480"]),
        ("marshmallow>=4.1.2", []),
        ("flask>=3.0", ["CVE-2025-47278", "CVE-2026-27205"]),
        ("cryptography>=49", ["CVE-2026-69247"]),
    ],
)
def test_a_version_within_a_range_is_found(text, ids):
    requirement = Requirement(text)

    assert vulnerable(requirement, ADVISORIES[requirement.name]) == ids


def test_each_range_that_begins_above_zero_names_releases():
    """Otherwise nothing would be tried between it and a lower bound beneath it."""
    for advisories in ADVISORIES.values():
        for advisory in advisories:
            affected = SpecifierSet(advisory["affected"], prereleases=True)
            begins = [each.version for each in affected if each.operator in {">=", "=="}]
            released = [*map(Version, advisory.get("released", []))]

            assert bool(begins) is bool(released), advisory
            assert [each for each in released if each not in affected] == []


def test_what_the_library_imports_is_required():
    source = "\n".join(each.read_text() for each in (ROOT / "flask_model_registry").rglob("*.py"))
    setup = ConfigParser()
    setup.read(SETUP)
    lines = setup["options"]["install_requires"].splitlines()
    required = {canonicalize_name(Requirement(line).name) for line in lines if line.strip()}
    imported = {*re.findall(r"^(?:from|import) (\w+)", source, re.M)} - {*sys.stdlib_module_names}
    called = {"jwt": "pyjwt"}
    # Flask brings click; flask_model_registry.testing runs in a suite, which has pytest.
    brought = {"click", "pytest", "flask_model_registry"}

    names = {canonicalize_name(called.get(each, each)) for each in imported - brought}

    assert names <= required


@pytest.mark.skipif(find_spec("nox") is None, reason="nox is not installed")
def test_the_matrix_installs_each_lower_bound():
    spec = spec_from_file_location("noxfile", ROOT / "noxfile.py")
    noxfile = module_from_spec(spec)
    spec.loader.exec_module(noxfile)
    setup = ConfigParser()
    setup.read(SETUP)
    lines = setup["options"]["install_requires"].split()

    pinned = [*map(Requirement, noxfile.lowest())]

    assert len(pinned) == len(lines)
    for each, required in zip(pinned, map(Requirement, lines), strict=True):
        assert each.specifier.contains(lower_bound(required))
        assert "==" in {one.operator for one in each.specifier}
