"""Type checkers take the installed wheel for typed, and find the mistakes of who uses it."""

import json
import re
import shutil
from pathlib import Path

import pytest

import flask_model_registry
from tests.distribution.conftest import run

CONSUMER = Path(__file__).with_name("consumer.py")
PYRIGHT = {
    "typeCheckingMode": "strict",
    "enableTypeIgnoreComments": False,  # those are mypy's
    "reportUnnecessaryTypeIgnoreComment": "error",
}


@pytest.fixture
def consumer(tmp_path):
    """The consumer, where no checker sees the package's source."""
    return Path(shutil.copy(CONSUMER, tmp_path))


@pytest.fixture(scope="session")
def pyright(installed):
    """Run Pyright, which brings itself from the npm registry when it is first run."""
    ran = run("pyright", "--version")
    if ran.code:
        pytest.skip("pyright cannot run; it needs Node.js and the npm registry")
    return lambda folder: run("pyright", "--pythonpath", installed, cwd=folder)


def test_mypy_agrees(installed, consumer):
    ran = run(
        "mypy", "--strict", "--config-file=", "--python-executable", installed, consumer,
        cwd=consumer.parent,
    )  # fmt: skip

    assert ran.code == 0, ran.printed


def test_pyright_agrees(pyright, consumer):
    (consumer.parent / "pyrightconfig.json").write_text(json.dumps(PYRIGHT))

    ran = pyright(consumer.parent)

    assert ran.code == 0, ran.printed


def test_each_public_name_is_used():
    imported, used = CONSUMER.read_text().split(")\n", 1)

    assert set(flask_model_registry.__all__) <= set(re.findall(r"\w+", used))
    assert set(flask_model_registry.__all__) <= set(re.findall(r"\w+", imported))
