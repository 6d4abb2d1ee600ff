"""Each page of the documentation is followed from top to bottom: see ``doc_runner``."""

import builtins
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import flask
import flask_jwt_extended
import jwt as pyjwt
import pytest

import flask_model_registry
from tests import (  # noqa: F401  # they say what they read
    doc_checks_hosts,
    doc_checks_operations,
    doc_checks_tasks,
)
from tests.databases import make_database
from tests.doc_checks_reference import connects
from tests.doc_runner import PAGES, READERS, ROOT, World, blocks, blocks_of
from tests.hosts import CANARY, PREFIX, model
from tests.shell import Shell

pytestmark = pytest.mark.slow


@pytest.fixture
def make_world(tmp_path):
    made = []

    def make(**options):
        made.append(World(tmp_path, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def other_tests():
    """Return the text of the tests that may follow a page themselves, such as the tutorial's."""
    paths = [
        *Path(__file__).parent.rglob("test_*.py"),
        Path(__file__).parent / "doc_runner_calls.py",
        Path(__file__).parent / "browser" / "vite.py",
    ]
    skipped = {"test_pages.py", "test_documentation.py"}
    return "\n".join(each.read_text() for each in paths if each.name not in skipped)


def test_every_page_with_blocks_is_read_by_a_test():
    """Here, or by a test that names it."""
    named, read = other_tests(), {page for page, _ in READERS}
    pages = {page.name for page in PAGES if blocks_of(page)}

    assert [page for page in pages - read if f'"{page}"' not in named] == []
    assert read <= pages


def test_every_section_with_blocks_is_read_by_a_test():
    """Where a page has readers for its sections."""
    named = other_tests()
    for page in {page for page, section in READERS if section}:
        path = ROOT / "docs" / page
        sections = re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE)
        with_blocks = [each for each in sections if blocks_of(path, each)]

        assert len(blocks_of(path)) == sum(len(blocks_of(path, each)) for each in with_blocks)
        for section in with_blocks:
            assert (page, section) in READERS or f'"{section}"' in named, section


@pytest.mark.parametrize(("page", "section"), sorted(READERS, key=str))
def test_the_page_does_what_it_says(page, section, make_world):
    reader, options = READERS[page, section]
    world = make_world(**options)
    public = flask_model_registry.__all__
    world.names.update({name: getattr(flask_model_registry, name) for name in public})
    with world.open(page, section) as opened:
        reader(opened, world)


@pytest.mark.parametrize(
    ("name", "section"), [("postgresql", "PostgreSQL"), ("mariadb", "MySQL and MariaDB")]
)
def test_the_settings_of_the_page_are_the_servers(name, section, tmp_path):
    app = flask.Flask("settings")
    # The first of each language; further sections have tests of their own.
    found = reversed(blocks_of(ROOT / "docs" / "databases.md", section))
    texts = {block.language: block.text for block in found}
    exec(texts["python"], {"app": app})
    database = make_database(name, tmp_path)
    options = app.config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]
    if name == "postgresql":  # the schema of the test is set by options too
        options["options"] += f" -csearch_path={database.schema}"
    create = "CREATE TABLE model_registry_models (id INTEGER)"

    try:
        connects(app, database.url, create, texts.get("sql", "SELECT 1"))
    finally:
        database.drop()


# As in the shell of a developer whose server reads its keys from a file.
WITH_A_FILE = "FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS_FILE=/keys python -m pytest -q"


def test_the_tests_of_the_page_of_tests_take_a_key_and_a_database_of_their_own(make_world):
    conftest, tests, *_ = blocks(ROOT / "docs" / "testing.md")
    world = make_world(models=())  # or the keys would not fit, and nothing would run
    database = world.folder / "instance" / "app.sqlite"
    before = database.read_bytes()
    for name, text in zip(("conftest.py", "test_ours.py"), (conftest, tests), strict=True):
        (world.folder / name).write_text(text)

    assert "1 passed" in world.shell.run(f"{WITH_A_FILE} -k the_two_users_are_two test_ours.py")
    assert database.read_bytes() == before


@pytest.mark.skipif(find_spec("openai") is None, reason="the SDK is not installed")
def test_the_tests_of_the_tutorial_take_a_key_of_their_own(tmp_path):
    for text in blocks(ROOT / "docs" / "tutorial.md"):
        path = tmp_path / re.match(r"# (\S+\.py)\n", text)[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    shell = Shell(tmp_path, FLASK_JWT_SECRET_KEY="k" * 48)

    assert "2 passed" in shell.run(f"{WITH_A_FILE} tests")


@pytest.mark.skipif(
    not all(map(find_spec, ("openai", "anthropic", "litellm"))), reason="an SDK is not installed"
)
def test_the_page_of_calls_does_what_it_says(tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.doc_runner_calls", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        cwd=ROOT,
    )

    assert result.returncode == 0, result.stderr[-3000:]
    assert CANARY not in result.stdout + result.stderr


REASONS = {
    "ExpiredSignatureError": {"exp": 1},
    "InvalidSubjectError": {"sub": 1},
    "UserLookupError": {"sub": "99"},
    "ValueError": {"sub": "not-a-number"},
    "WrongTokenError": {"type": "refresh"},
}
OTHERS = {"RevokedTokenError", "CSRFError"}  # of facts that are not in the token


def test_the_guards_page_distinguishes_the_kinds_of_401(make_world, monkeypatch):
    world = make_world()
    page = (ROOT / "docs" / "security.md").read_text()

    visitor = world.app.test_client().get(f"{PREFIX}/")
    monkeypatch.setattr(world.names["User"], "is_active", False, raising=False)
    switched_off = world.client().get(f"{PREFIX}/")

    for answer in (visitor, switched_off):
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert f"| `Bearer` | {answer.json['detail']} |" in page
    assert visitor.json["detail"] != switched_off.json["detail"]


def test_the_guards_page_names_errors_that_exist():
    page = (ROOT / "docs" / "security.md").read_text()
    rows = page.partition("### Why 401?")[2].partition("\n\nWithout such a line")[0]
    modules = (pyjwt.exceptions, flask_jwt_extended.exceptions, builtins)

    names = re.findall(r"`(\w+Error)`", rows)

    assert {*REASONS, *OTHERS} <= {*names}
    assert [name for name in names if not any(hasattr(each, name) for each in modules)] == []


def test_the_guards_page_says_why_a_cookie_is_refused(make_world, caplog):
    world = make_world()
    client = world.mount(JWT_TOKEN_LOCATION=["cookies"]).test_client()
    client.set_cookie("access_token_cookie", world.token)

    read = client.get(f"{PREFIX}/")
    written = client.post(f"{PREFIX}/", json={})

    assert read.status_code == 200
    assert (written.status_code, written.json["detail"]) == (
        401,
        "The access token is not valid, or has expired.",
    )
    assert "model registry: token refused: CSRFError" in caplog.messages


@pytest.mark.parametrize(
    ("handled", "mimetype"),
    [
        (None, "application/problem+json"),
        (500, "application/problem+json"),
        (Exception, "text/html"),
    ],
)
def test_the_page_of_errors_says_whose_500_it_is(handled, mimetype, make_world):
    world = make_world()
    User, app = world.names["User"], world.mount()
    User.is_admin = property(lambda user: "no boolean")  # to have ConfigError raised
    if handled:
        app.register_error_handler(handled, lambda error: ("ours", 500))

    answer = world.client().post(f"{PREFIX}/", json=model(model_id="new", share_with_users=True))

    assert (answer.status_code, answer.mimetype) == (500, mimetype)
    assert handled is Exception or answer.json["type"] == "about:blank"


def test_the_guards_page_says_why_a_token_is_refused(make_world, caplog):
    world = make_world()
    claims = pyjwt.decode(world.token, options={"verify_signature": False})
    sent = {
        reason: pyjwt.encode({**claims, **changes}, "k" * 48, "HS256")
        for reason, changes in REASONS.items()
    }
    sent["InvalidSignatureError"] = pyjwt.encode(claims, "x" * 48, "HS256")
    sent["DecodeError"] = "no-token"
    sent["InvalidAlgorithmError"] = pyjwt.encode(claims, "k" * 64, "HS512")
    page = (ROOT / "docs" / "security.md").read_text()

    for reason, token in sent.items():
        caplog.clear()
        answer = world.client(token).get(f"{PREFIX}/")

        assert (answer.status_code, answer.json["detail"]) == (
            401,
            "The access token is not valid, or has expired.",
        )
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert f"model registry: token refused: {reason}" in caplog.messages
        assert f"`{reason}`" in page
