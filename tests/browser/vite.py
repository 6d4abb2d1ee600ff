"""Apps of the documentation, as Vite builds them for a host."""

import re
import shutil
import subprocess
from pathlib import Path

from flask import send_from_directory

from tests.browser.conftest import ROOT, missing
from tests.browser.page import add_people
from tests.doc_runner import text_of

NPM = Path(__file__).parent / "node_modules"
TYPES = ROOT / "flask_model_registry" / "web" / "static" / "model-registry.d.ts"
SECTION = text_of(ROOT / "docs" / "front-end.md", "In React, Vue and htmx")
INDEX = """<!doctype html>
<html lang="en">
  <head><title>Host</title>{}</head>
  <body><main></main><script type="module" src="/src/{}"></script></body>
</html>
"""


def block(language, number=0):
    """Return a block of the section."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    return found[number]


def node(folder, program, *arguments):
    """Run a program of npm's in a folder; fail with what it prints."""
    path = NPM / program
    if not path.exists():
        missing(f"{program} (make tests/browser/node_modules)")
    command = [shutil.which("node") or missing("Node.js"), path, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder, main, **files):
    """Build an app of these files, which starts with `main`."""
    (folder / "src").mkdir()
    (folder / "node_modules").symlink_to(NPM)
    (folder / "src" / TYPES.name).write_text(TYPES.read_text())
    (folder / "index.html").write_text(INDEX.format(block("html"), main))
    for name, text in files.items():
        (folder / name).write_text(text)
    node(folder, "vite/bin/vite.js", "build", "--logLevel", "warn")
    return folder / "dist"


def add_app(dist, policy):
    """Return what adds a built app to a host app, with a policy for all that it loads."""

    def add(host):
        @host.app.get("/")
        @host.app.get("/assets/<name>")
        def built(name=None):
            path = f"assets/{name}" if name else "index.html"
            return send_from_directory(dist, path)

        add_people(host)

        @host.app.after_request
        def with_policy(response):
            response.headers["Content-Security-Policy"] = policy
            return response

    return add
