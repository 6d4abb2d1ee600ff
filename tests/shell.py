"""A shell in which blocks of the documentation run, as in that of a reader."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ADDRESS = "127.0.0.1:5000"  # where the pages have their server

# Commands that stand in for those of the same name, before the others in PATH.
SHIMS = {
    # What is to be installed must be there already: no test downloads anything.
    "pip": f"""#!{sys.executable}
import re, sys
from importlib.metadata import version
assert sys.argv[1] == "install"
for each in sys.argv[2:]:
    print(each, version(re.match("[A-Za-z0-9._-]+", each)[0]))
""",
    # The same, but for the port; waits for the server, and fails on errors.
    "curl": f"""#!/bin/bash
exec /usr/bin/env PATH="$OLD_PATH" curl -sS --fail-with-body --retry 60 --retry-connrefused \\
    --retry-delay 1 "${{@//{ADDRESS}/127.0.0.1:$FLASK_RUN_PORT}}"
""",
    # Not installed everywhere; that it encrypts is not ours to test.
    "age": "#!/bin/sh\nexec cat\n",
}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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
            "PYTHONDONTWRITEBYTECODE": "1",  # files change faster than their times tell
            **environ,
        }
        self._servers, self._count = [], itertools.count()

    def run(self, text):
        """Run a block, to its end, and return what it printed; a server goes on."""
        if "flask run &" in text:
            self.stop()
        # Files of each block's own: a server goes on writing into its.
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
                status = process.wait(180)
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


def is_running(group):
    """Tell whether there are processes left in a group of ours; as long, nobody gets its number."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
