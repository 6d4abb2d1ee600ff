"""The suite on SQLite, with the oldest and the newest of what is supported: ``make matrix``."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.error_on_missing_interpreters = False

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
VERSIONS = """
import platform
from importlib.metadata import version
names = "SQLAlchemy", "marshmallow", "Flask"
print("Python", platform.python_version(), *(f"{name} {version(name)}" for name in names))
"""


def lowest() -> list[str]:
    """Return what setup.cfg requires, each at its lower bound."""
    setup = ConfigParser()
    setup.read(Path(__file__).with_name("setup.cfg"))
    return setup["options"]["install_requires"].replace(">=", "==").split()


# SQLAlchemy and marshmallow meet in old and new versions.
COMBINATIONS = [
    nox.param("3.10", lowest(), id="lowest"),
    nox.param("3.11", ["marshmallow<4"], id="marshmallow-3"),
    nox.param("3.12", ["sqlalchemy<2.1"], id="sqlalchemy-2.0"),
    nox.param("3.13", [], id="newest-3.13"),
    nox.param("3.14", [], id="newest-3.14"),
]

# Before pyenv's own commands, which know no version that is not chosen.
os.environ["PATH"] = os.pathsep.join([*map(str, PYENV.glob("3.*/bin")), os.environ["PATH"]])


@nox.session
@nox.parametrize("python, bounds", COMBINATIONS)
def matrix(session: nox.Session, bounds: list[str]) -> None:
    """Run the tests that need neither a database server, a browser nor the SDKs of providers."""
    session.install(*bounds, "-e", ".")
    session.install("-e", ".[test]")  # keeps what is already installed
    session.run("python", "-c", VERSIONS)
    options = ["-p", "no:cacheprovider", "-k", "not postgresql and not mariadb"]
    # They need a browser and servers, whatever the libraries.
    options += ["--ignore=tests/browser", "--ignore=tests/software"]
    arguments = session.posargs or ["-n", "auto", "--dist", "loadgroup", "tests"]
    session.run("python", "-m", "pytest", "-q", *options, *arguments)
