"""All the extensions that hosts of this kind have, in one app, with the registry and without."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import traces
from tests.doc_runner import ROOT
from tests.hosts import CANARY

MODULES = (
    "apiflask flask_admin flask_caching flask_compress flask_cors flask_limiter flask_login "
    "flask_migrate flask_restx flask_security flask_session flask_smorest flask_talisman "
    "opentelemetry.instrumentation.flask opentelemetry.instrumentation.sqlalchemy "
    "opentelemetry.sdk sentry_sdk"
).split()


def is_missing(module):
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:  # of the package that it is in
        return True


def run(folder, what):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "CANARY": CANARY}
    command = [sys.executable, "-m", "tests.software.extended_app"]
    done = subprocess.run(
        [*command, f"sqlite:///{folder / what}.sqlite", what],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # What the app logs, as all of its hosts' tracebacks are.
    return {**json.loads(done.stdout), "log": done.stderr}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the app with the registry answers, and the app without."""
    if missing := [each for each in MODULES if is_missing(each)]:
        if os.environ.get("TEST_ALL_SOFTWARE"):
            pytest.fail(f"not installed: {', '.join(missing)}")
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("extensions")
    return run(folder, "with"), run(folder, "without")


@pytest.fixture(autouse=True)
def _names_what_ran(found, record_property):
    for name, version in found[0]["versions"].items():
        record_property("software", f"{name} {version}")


def test_the_hosts_answers_are_the_same_with_and_without_the_registry(found):
    with_registry, without = (each["host"] for each in found)

    assert len(with_registry) == len(without) > 20
    for ours, usual in zip(with_registry, without, strict=True):
        assert ours == usual


def test_each_extension_did_its_part(found):
    answers = {(method, path): rest for method, path, *rest in found[1]["host"][:-12]}
    headers = {name for name, _value in answers["GET", "/cached"][1]}

    assert {
        "Content-Security-Policy",
        "Access-Control-Allow-Origin",
        "X-RateLimit-Limit",
    } <= headers
    assert answers["GET", "/limited"][0] == 429
    assert json.loads(answers["GET", "/cached"][2]) == {"calls": 1}
    for path in ("/admin/users/", "/openapi.json", "/smorest/openapi.json", "/restx/things"):
        assert answers["GET", path][0] == 200, path


def test_the_registrys_answers_are_right(found):
    answers = found[0]["answers"]

    statuses = [status for _method, _path, status, *_ in answers]

    assert statuses == [200, 200, 401, 200, 404, 409, 422, 415, 200, 412, 200, 404, 405, 204, 200, 200]  # fmt: skip
    for _method, path, status, headers, body in answers[:-1]:
        headers = dict(headers)
        if status >= 400:
            assert headers["Content-Type"] == "application/problem+json", path
            assert json.loads(body)["status"] == status
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff"
    mine, anothers = (json.loads(answers[number][4]) for number in (0, 1))
    assert ([each["model_id"] for each in mine], anothers) == (["m"], [])
    assert json.loads(answers[8][4])["description"] == "d"
    assert json.loads(answers[14][4])["openapi"].startswith("3.1")


def test_no_api_key_is_in_what_sentry_or_a_span_captured(found):
    ours = found[0]

    errors = [each for each in ours["sentry"] if '"exception"' in each]
    names = {json.loads(span)["name"] for span in ours["spans"]}

    # Of a callback of the host's, called by the registry, and of a view that had the key in hand.
    assert (ours["failed"], ours["of_view"]) == (500, 500)
    assert any("callback fails" in each for each in errors)
    assert any("view fails" in each for each in errors)
    assert {"POST /api/models/register", "GET /uses-a-model"} <= names
    assert any("model_registry_models" in span for span in ours["spans"])
    for name in ("sentry", "spans"):
        assert [each[:200] for each in ours[name] if traces([each])] == [], name
    assert traces([ours["log"], json.dumps(ours["answers"])]) == []
