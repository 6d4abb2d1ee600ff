"""The page in Firefox."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.browser.conftest import ARTEFACTS, missing

SCRIPT = Path(__file__).parent / "firefox.mjs"


def test_it_is_the_same_in_firefox(demo):
    firefox = shutil.which("firefox-esr") or shutil.which("firefox") or missing("Firefox")
    node = shutil.which("node") or missing("Node.js")
    if not (SCRIPT.parent / "node_modules" / "puppeteer-core").exists():
        missing("puppeteer-core (make tests/browser/node_modules)")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    command = [node, SCRIPT, demo.address, firefox, ARTEFACTS]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "menu": True,
        "menuCloses": True,
        "missing": "Fill this in.",
        "cut": "https://a.example.com/v1",
        "filled": "demo-small",
        "covered": False,
        "saving": True,
        "closed": True,
        "registered": True,
        "german": True,
        "faults": [],
    }
    assert "demo-small-from-firefox" in demo.names("bob")
