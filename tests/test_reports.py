"""Real tools that report local variables show no API key in our failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import traces
from tests.hosts import CANARY
from tests.reporting_app import MARK

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FAILURES = {
    "a field": "ValidationError",
    "a name": "ValidationError",
    "a callback": "LookupError",
    "a box": "LookupError",
    "a database": "OperationalError",
    "a transport": "StopIteration",
    "a configuration": "ConfigError",
    "a request": "LookupError",
    "a test": "LookupError",
}


TOOLS = "sentry sentry_without_bodies loguru structlog structlog_dicts rich".split()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_report_with_local_variables_holds_no_api_key(tool, tmp_path):
    """With each tool's defaults, and local variables switched on if they are off."""
    environ = {**os.environ, "TEST_API_KEY": CANARY, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.reporting_app", tool, str(tmp_path)],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    reports = json.loads(ran.stdout)

    assert reports.keys() == FAILURES.keys()
    for name, report in reports.items():
        assert FAILURES[name] in report, name  # the failure was reported
        assert traces([report]) == [], name
    assert MARK in reports["a box"]  # local variables are shown
    if tool == "sentry":
        assert "gpt-4o-2024-11-20" in reports["a request"]
        assert "[Filtered]" in reports["a request"]
    if tool == "sentry_without_bodies":
        assert (
            '"data":{"":{"rem":[["!config","x"]]}}' in reports["a request"]
        )  # the body was left out
