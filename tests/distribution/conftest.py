"""The sdist and the wheel, built from a copy of what the checkout holds."""

import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("build", "mypy", "pyright", "twine")


def run(*command, cwd=None):
    """Run a command of this environment; return its code and all that it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return SimpleNamespace(code=ran.returncode, printed=ran.stdout)


@pytest.fixture(scope="session")
def files():
    """The names of the files that are in version control, or that could be."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing or not (ROOT / ".git").exists():
        pytest.skip("this needs a checkout and its `dev` extra")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="session")
def built(files, tmp_path_factory):
    """What was built, and what the build said; the wheel is made from the sdist."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    ran = run("build", "--outdir", dist, source)
    assert ran.code == 0, ran.printed
    return SimpleNamespace(
        sdist=next(dist.glob("*.tar.gz")), wheel=next(dist.glob("*.whl")), printed=ran.printed
    )


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """A Python with the wheel, and what it requires from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    run("venv", "--without-pip", folder)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    shutil.unpack_archive(built.wheel, site, "zip")
    (site / "required.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"
