"""The list of models in OpenAI's format, next to that of LiteLLM's proxy.

Both have 100 models and one process. The proxy reads its models and its API key from a file and keeps them in memory,
because Prisma, which it needs for a database, downloads its engine from a server of its own.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.ports import free_port

from .host import User, body, create_app, db, registry, tokens
from .served import CONNECTIONS, IS_CONFIGURED, ROUNDS, URL, p99

ROOT = Path(__file__).parent.parent
LITELLM = ROOT / ".venv-servers" / "bin" / "litellm"
KEY = "sk-benchmark"
# The proxy would fetch a list of prices and check the licence.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
COUNT = 100
PATHS = {"list-100": "/v1/models", "get-one": "/v1/models/model-50"}


def run(name, url, seconds, folder):
    """Return requests a second, the 99th percentile in milliseconds and the memory of both."""
    os.environ |= {URL: url, IS_CONFIGURED: ""}
    app = create_app(url)
    with app.app_context():
        db.create_all()
        user = User(id=1)
        db.session.add(user)
        for number in range(COUNT):
            registry.create(**body(number), user=user)
        db.session.commit()
        db.engine.dispose()
    sides = {
        "library": Served(_gunicorn, "/api/models", tokens(app, (1,))[1]),
        "LiteLLM's proxy": Served(lambda port: _litellm(port, folder), "", KEY),
    }
    found = {}
    try:
        for side in sides.values():
            side.wait()
        for kind, path in PATHS.items():
            taken = [
                {side: each.load(path, seconds / ROUNDS) for side, each in sides.items()}
                for _ in range(ROUNDS)
            ]
            for side in sides:
                rounds = [each[side] for each in taken]
                found[f"{kind}, {side}"] = {
                    "a second": round(statistics.median(len(r) / seconds * ROUNDS for r in rounds)),
                    "p99 ms": round(statistics.median(map(p99, rounds)) * 1000, 1),
                }
        for side, each in sides.items():
            found[f"memory, {side}"] = {"MiB": round(each.memory())}
    finally:
        for each in sides.values():
            each.stop()
    print(name, found, flush=True)
    return found


def _gunicorn(port):
    options = (
        f"--workers 1 --worker-class gthread --threads 4 --keep-alive 60 --bind 127.0.0.1:{port}"
    )
    return [
        sys.executable, "-m", "gunicorn", *options.split(), "--log-level", "warning",
        "benchmarks.served:served_app()",
    ]  # fmt: skip


def _litellm(port, folder):
    models = [
        {
            "model_name": f"model-{number}",
            "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-benchmark-0123456789"},
        }
        for number in range(COUNT)
    ]
    config = folder / "litellm.json"
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
    return [LITELLM, "--config", config, "--host", "127.0.0.1", "--port", port]


class Served:
    """A server, and how much it serves to some connections."""

    def __init__(self, command, prefix, key):
        self.port, self.prefix = free_port(), prefix
        self.headers = {"Authorization": f"Bearer {key}"}
        arguments = [str(each) for each in command(self.port)]
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ, **QUIET}, stdout=subprocess.DEVNULL
        )

    def wait(self):
        while self.process.poll() is None:
            try:
                return self.load(PATHS["get-one"], 0.5)
            except ConnectionRefusedError:
                time.sleep(0.5)
        raise RuntimeError(f"the server ended with {self.process.returncode}")

    def load(self, path, seconds):
        """Return how long each request took."""
        end, taken = time.monotonic() + seconds, []
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            clients = [
                pool.submit(self._client, self.prefix + path, end, taken)
                for _ in range(CONNECTIONS)
            ]
        for each in clients:
            each.result()
        return taken

    def _client(self, path, end, taken):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while (start := time.monotonic()) < end:
            connection.request("GET", path, headers=self.headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{path} returned {response.status}")
            taken.append(time.monotonic() - start)
        connection.close()

    def memory(self):
        """Return the mebibytes of the server's processes."""
        process = psutil.Process(self.process.pid)
        processes = [process, *process.children(recursive=True)]
        return sum(each.memory_info().rss for each in processes) / 2**20

    def stop(self):
        self.process.terminate()
        self.process.wait()
