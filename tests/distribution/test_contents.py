"""What is released holds what it must, and says of itself what is true."""

import re
import shutil
import tarfile
import zipfile
from email import message_from_bytes

import pytest

import flask_model_registry
from tests.distribution.conftest import ROOT, run

MADE = re.compile(r"PKG-INFO|flask_model_registry\.egg-info/.*")
# What is for a checkout alone, and what the benchmarks found.
NOT_RELEASED = re.compile(
    r"\.|CODE_OF_CONDUCT\.md|CONTRIBUTING\.md|SECURITY\.md|benchmarks/results/"
)


@pytest.fixture
def metadata(built):
    """What the wheel says of itself."""
    with zipfile.ZipFile(built.wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(wheel.read(name))


def test_the_build_warns_of_nothing(built):
    # Whether modules are compiled as well is for who builds to say.
    warnings = [
        line for line in built.printed.splitlines() if re.search("warn|deprecat", line, re.I)
    ]

    assert [line for line in warnings if "byte-compiling is disabled" not in line] == []


def test_twine_has_nothing_against_it(built):
    ran = run("twine", "check", "--strict", built.sdist, built.wheel)

    assert ran.code == 0, ran.printed


def test_the_wheel_holds_the_package_and_nothing_else(built, files):
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert names == {name for name in files if name.startswith("flask_model_registry/")}
    assert "flask_model_registry/py.typed" in names


def test_the_sdist_holds_what_the_checkout_does(built, files):
    with tarfile.open(built.sdist) as sdist:
        paths = [each.name.partition("/")[2] for each in sdist if each.isfile()]

    released = {each for each in files if not NOT_RELEASED.match(each)}
    assert {path for path in paths if not MADE.fullmatch(path)} == released


def test_the_suite_runs_in_the_sdist(built, tmp_path):
    shutil.unpack_archive(built.sdist, tmp_path)
    (folder,) = tmp_path.iterdir()

    ran = run("pytest", "-q", "-k", "test_register and sqlite", "tests", cwd=folder)

    assert ran.code == 0, ran.printed


def test_the_metadata_tells_license_version_and_types(metadata):
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Version"] == flask_model_registry.__version__
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_changes_begin_with_this_version(files):
    latest = re.search(r"^## (\S+) \(", (ROOT / "CHANGES.md").read_text(), re.MULTILINE)[1]

    assert flask_model_registry.__version__.partition(".dev")[0] == latest


def test_nothing_required_has_an_upper_bound(metadata):
    required = [each.partition(";")[0] for each in metadata.get_all("Requires-Dist")]

    assert [each for each in required if re.search(r"<|==|~=", each)] == []


def test_the_description_has_no_link_that_leads_nowhere(metadata):
    targets = re.findall(r"]\(([^)]+)\)", metadata.get_payload())

    assert [target for target in targets if not target.startswith(("https:", "#"))] == []
    assert "(`docs/tutorial.md`)" in metadata.get_payload()
