"""Hosts that are served by several processes."""

import os

import pytest

from flask_model_registry.cli import new_key
from tests.reliability.served_app import make
from tests.reliability.servers import Gunicorn

KEYS = f"{new_key('test')},{new_key('other')}"

# These take the machine for minutes: `.ci/run` and `make soak` ask for them.
collect_ignore = [] if "TEST_RELIABILITY" in os.environ else ["test_generated.py", "test_served.py"]


@pytest.fixture
def serve(tmp_path):
    """Serve a host on a database; return it as this process has it, and its server."""
    served = []

    def serve(url, *, workers, **environ):
        host = make(url, KEYS, is_configured="TEST_CONFIGURED" in environ)
        with host.app.app_context():
            host.db.create_all()
        environ = {"TEST_URL": url, "TEST_KEYS": KEYS, **environ}
        served.append((host, Gunicorn(environ, tmp_path / "gunicorn.log", workers=workers)))
        return served[-1]

    yield serve
    for host, server in served:
        server.kill()
        host.close()
