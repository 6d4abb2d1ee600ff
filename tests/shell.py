"""Shells that run blocks of the documentation, like a reader's."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import flask_model_registry
from tests.ports import free_port

ADDRESS = "127.0.0.1:5000"  # where the pages' server runs

# Commands that stand in for those of the same name, before the others in PATH.
SHIMS = {
    # Packages must be installed already, because no test downloads anything.
    "pip": f"""#!{sys.executable}
import re, sys
from importlib.metadata import version
assert sys.argv[1] == "install"
for each in sys.argv[2:]:
    print(each, version(re.match("[A-Za-z0-9._-]+", each)[0]))
""",
    # The same, except for the port; waits for the server, and fails on errors.
    "curl": f"""#!/bin/bash
exec /usr/bin/env PATH="$OLD_PATH" curl -sS --fail-with-body --retry 300 --retry-connrefused \\
    --retry-delay 1 "${{@//{ADDRESS}/127.0.0.1:$FLASK_RUN_PORT}}"
""",
    # Not installed everywhere, and its encryption isn't ours to test.
    "age": "#!/bin/sh\nexec cat\n",
}


# Makes a virtual environment like `python3 -m venv`, whose `pip` finds all packages where the tests
# have them.
PYTHON3 = f"""#!{sys.executable}
import sys, sysconfig, venv
from pathlib import Path

assert sys.argv[1:3] == ["-m", "venv"]
folder = Path.cwd() / sys.argv[3]
venv.create(folder, symlinks=True)
python = folder / "bin" / "python"
(packages,) = folder.glob("lib/python*/site-packages")
here = [{str(Path(flask_model_registry.__file__).parents[1])!r}, sysconfig.get_path("purelib")]
(packages / "here.pth").write_text("\\n".join(here) + "\\n")
pip = {SHIMS["pip"].partition(chr(10))[2]!r}
flask = "from flask.cli import main\\nmain()\\n"
for name, text in dict(pip=pip, flask=flask).items():
    command = folder / "bin" / name
    command.write_text(f"#!{{python}}\\n{{text}}")
    command.chmod(0o755)
"""
SHIMS["python3"] = PYTHON3


class Shell:
    """A reader's shell: a folder, and variables that stay from one block to the next."""

    def __init__(self, folder, **environ):
        self.folder = folder
        commands = folder / ".commands"
        commands.mkdir()
        for name, text in SHIMS.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environ = {
            **os.environ,
            "FLASK_RUN_PORT": str(free_port()),
            "OLD_PATH": path,
            "PATH": f"{commands}{os.pathsep}{path}",
            "PYTHONDONTWRITEBYTECODE": "1",  # files change faster than their timestamps
            **environ,
        }
        self._servers, self._count = [], itertools.count()

    def run(self, text):
        """Run a block to its end, and return its output; servers keep running."""
        if "flask run &" in text:
            self.stop()
        # Separate files for each block, because a server keeps writing into its own.
        name = self.folder / f".block-{next(self._count)}"
        variables = Path(f"{name}.environ")
        with Path(f"{name}.out").open("w") as out, Path(f"{name}.err").open("w") as err:
            process = subprocess.Popen(
                ["bash", "-c", f"set -eo pipefail\n{text}\nenv -0 > {variables}"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                status = process.wait(900)
            finally:
                if is_running(process.pid):
                    self._servers.append(process.pid)
        output = Path(f"{name}.out").read_text()
        assert status == 0, f"{text}\n{output}\n{Path(f'{name}.err').read_text()}"
        pairs = variables.read_text().split("\0")[:-1]
        self.environ = dict(pair.split("=", 1) for pair in pairs)
        return output

    def stop(self):
        """End the servers that blocks have left running."""
        while self._servers:
            if is_running(group := self._servers.pop()):
                os.killpg(group, signal.SIGKILL)


class Terminal:
    """A terminal with only PATH and HOME set; typed lines go to Bash one by one."""

    def __init__(self, folder, name):
        commands = folder / ".commands"
        commands.mkdir(exist_ok=True)
        (commands / "python3").write_text(PYTHON3)
        (commands / "python3").chmod(0o755)
        self._shown, self._count = folder / f".{name}", itertools.count()
        with self._shown.open("w") as shown:
            self._process = subprocess.Popen(
                ["bash", "--norc", "--noprofile", "-e"],
                cwd=folder,
                env={"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(folder)},
                stdin=subprocess.PIPE,
                stdout=shown,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                bufsize=1,
            )

    def type(self, text, until=None):
        """Type lines, and return what the terminal shows when they are done.

        Args:
            until: The last text to wait for, if the command goes on.
        """
        before = len(self._shown.read_text())
        mark = until or f"done {next(self._count)}"
        for line in text.splitlines() + ([] if until else [f"echo {mark}"]):
            self._process.stdin.write(f"{line}\n")
        end = time.monotonic() + 600
        while mark not in (shown := self._shown.read_text()[before:]):
            assert self._process.poll() is None, shown
            assert time.monotonic() < end, shown
            time.sleep(0.02)
        return shown.removesuffix(f"{mark}\n")

    def close(self):
        """Close the window, which ends the processes in it."""
        self._process.stdin.close()
        if is_running(self._process.pid):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def is_running(group):
    """Return whether any process of a group still runs. Its id isn't reused before the last has ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
