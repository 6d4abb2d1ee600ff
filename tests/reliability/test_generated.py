"""Requests generated from the description, right and wrong ones, get the answers it promises."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict

from tests.hosts import PREFIX, register
from tests.reliability.servers import ROOT
from tests.reliability.sizes import SEEDS, SIZE

SETTINGS = ROOT / "tests" / "reliability" / "schemathesis.toml"
# What must have been done to models that were registered meanwhile, or the rest would mean little.
JOURNEY = {("GET", "", 200), ("PATCH", "", 200), ("POST", "/test", 200), ("DELETE", "", 204)}
FROM_UPSTREAM, TOLD = {502, 504}, {503, 507}


def test_every_answer_is_as_described(serve, empty_databases, tmp_path, tally, database):
    # As a host with several workers on SQLite has it.
    host, server = serve(empty_databases().url, workers=2, TEST_CONFIGURED="1")
    token = host.token("alice", is_admin=True)
    host.user("bob")
    register(host.client("alice"), *[f"seed-{number}" for number in range(SEEDS)])

    printed, report = generate(server, token, tmp_path)

    statuses = [int(status) for status, *_ in server.answered()]
    others = [each for each in statuses if each >= 500 and each not in FROM_UPSTREAM | TOLD]
    tally(
        "generated",
        database.name,
        cases=report["test_cases"]["generated"],
        **{"other 5xx": len(others)},
    )
    assert others == []
    assert report["failures"] == [], printed
    assert report["errors"] == [], printed
    assert report["complete"], printed
    assert report["test_cases"]["generated"] >= SIZE.cases
    assert {each["status"] for each in report["phases"].values()} == {"success"}
    assert set().union(*journeys(server).values()) == JOURNEY
    assert "sk-canary-" not in printed


def journeys(server):
    """Return what of the journey was done to each of the models that were registered meanwhile."""
    done = defaultdict(set)
    for status, method, path in server.answered():
        match = re.fullmatch(rf"{PREFIX}/([0-9]+)(/test)?", path)
        if match and int(match[1]) > SEEDS:
            done[match[1]] |= {(method, match[2] or "", int(status))} & JOURNEY
    return done


def generate(server, token, folder):
    """Run Schemathesis against a server; return what it printed, and its report."""
    host, port = server.address
    command = f"-m schemathesis.cli --config-file {SETTINGS} run"
    # How long a response takes, which is limited to 10 seconds otherwise, depends on the machine.
    options = "--request-timeout 300 --max-response-time 300 --checks all --workers 2 --report json"
    options += f" --max-examples {SIZE.examples}"
    ran = subprocess.run(
        [sys.executable, *command.split(), f"http://{host}:{port}/api/models/openapi.json",
         *options.split(), "--report-json-path", "report.json",
         "--header", f"Authorization: Bearer {token}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=3_600,
    )  # fmt: skip
    printed = ran.stdout + ran.stderr
    return printed, json.loads((folder / "report.json").read_text())
