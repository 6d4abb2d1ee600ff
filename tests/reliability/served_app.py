"""A host app as servers run it, in processes of their own, set up by environment variables."""

import os

from flask_model_registry import configure_sqlite
from tests.hosts import create_app as create_host
from tests.hosts import declare

JWT_SECRET_KEY = "the same in every process, of thirty-two bytes"


def make(url, keys, *, is_configured=False, **config):
    """Return the host as each of its processes has it."""
    host = create_host(
        declare(),
        url,
        JWT_SECRET_KEY=JWT_SECRET_KEY,
        JWT_ACCESS_TOKEN_EXPIRES=False,  # the load goes on for longer than a token usually lasts
        MODEL_REGISTRY_ENCRYPTION_KEYS=keys,
        MODEL_REGISTRY_ALLOWED_HOSTS=["localhost"],
        **config,
    )
    if is_configured:
        with host.app.app_context():
            configure_sqlite(host.db.engine)
    return host


def create_app(**config):
    """Be found by Gunicorn."""
    environ = os.environ
    is_configured = "TEST_CONFIGURED" in environ
    return make(
        environ["TEST_URL"], environ["TEST_KEYS"], is_configured=is_configured, **config
    ).app
