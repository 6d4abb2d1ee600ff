"""The registry within Apache, by mod_wsgi, as its page sets it up."""

import os
import pwd
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks
from tests.hosts import make_host
from tests.software.conftest import MODULES, RAN, missing
from tests.software.names import NAMES, Client, finds, outcomes, token

PAGE, SECTION = ROOT / "docs" / "deploy.md", "Use Apache's mod_wsgi in place of Gunicorn"


def account():
    """Return who Apache serves as."""
    names = {each.pw_name: each for each in pwd.getpwall()}
    return next(names[each] for each in ("www-data", "apache", "nobody") if each in names)


@pytest.fixture(scope="module")
def folder():
    """A folder that Apache's user may write to, unlike those of pytest."""
    needs_mod_wsgi()
    path = Path(tempfile.mkdtemp(prefix="model-registry-test-"))
    if os.geteuid() == 0:
        os.chown(path, account().pw_uid, account().pw_gid)
    yield path
    shutil.rmtree(path)


def needs_mod_wsgi():
    """Skip where mod_wsgi has another Python, or Apache's user cannot read the code."""
    found = [path for each in MODULES if (path := Path(each) / "mod_wsgi.so").exists()]
    if not found:
        missing("Apache's mod_wsgi")
    its = re.search(r"\d\.\d+$", found[0].resolve().name)
    ours = "{}.{}".format(*sys.version_info)
    if its and its[0] != ours:
        pytest.skip(f"mod_wsgi is for Python {its[0]}, and this is {ours}")
    if os.geteuid() == 0:
        for place in (ROOT, Path(sysconfig.get_path("purelib"))):
            if not all(each.stat().st_mode & 0o001 for each in (place, *place.parents)):
                pytest.skip(f"Apache's user cannot read {place}")


@pytest.fixture
def host(folder, canary):
    """A host whose database Apache's user may write to."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "app.sqlite"
    host = make_host(f"sqlite:///{path}", config={"MODEL_REGISTRY_ENCRYPTION_KEYS": new_key("k")})
    host.user("alice")
    if os.geteuid() == 0:
        for each in (path, path.parent):
            os.chown(each, account().pw_uid, account().pw_gid)
    yield host
    canary(host.app)
    host.close()


@pytest.fixture
def mod_wsgi(apache, host, folder):
    """Serve the host by the lines of the page, less those that hold one of these texts."""

    def serve(*left_out):
        environ = {
            "TEST_URL": host.app.config["SQLALCHEMY_DATABASE_URI"],
            "TEST_KEYS": host.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"],
        }
        (script,) = blocks(PAGE, section=SECTION)
        script = script.replace("desk", "tests.software.named_app")
        (folder / "wsgi.py").write_text(f"import os\nos.environ |= {environ}\n{script}")
        (lines,) = blocks(PAGE, "text", SECTION)
        # Not the home of this Python, which Apache's user may be unable to read.
        modules = f"{ROOT}:{sysconfig.get_path('purelib')}"
        lines = lines.replace(
            "python-home=/srv/app/.venv python-path=/srv/app", f"python-path={modules}"
        )
        for each in left_out:
            assert each in lines
            lines = lines.replace(each, "")
        lines = f"WSGISocketPrefix {folder}/socket\n{lines.replace('/srv/app', str(folder))}"
        url = apache(lines, "wsgi")
        RAN.add(f"mod_wsgi for Python {sys.version_info[0]}.{sys.version_info[1]}")
        return url

    return serve


def test_the_page_serves_and_changes_no_name(host, mod_wsgi):
    url = mod_wsgi()

    assert outcomes(host, url) == (NAMES, [])
    assert finds(host, url, "/v1/models/meta%2Fllama:3") == ["meta/llama:3"]


def test_without_pass_authorization_no_token_arrives(host, mod_wsgi):
    told = Client(mod_wsgi("WSGIPassAuthorization On"), token(host))

    status, problem = told("GET", "/")

    assert (status, problem["detail"]) == (401, "Send an access token.")
