"""A host app for separate processes, set up by environment variables."""

import os

from tests.hosts import create_app as create_host
from tests.hosts import declare

JWT_SECRET_KEY = "the same in every process, of thirty-two bytes"


def make(url, keys, **config):
    """Return the host, as one of many processes."""
    connect_args = {"timeout": 120} if url.startswith("sqlite") else {}
    return create_host(
        declare(),
        url,
        JWT_SECRET_KEY=JWT_SECRET_KEY,
        MODEL_REGISTRY_ENCRYPTION_KEYS=keys,
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 1, "connect_args": connect_args},
        **config,
    )


def create_app():
    """Return the app, for ``flask --app``."""
    echo = bool(os.environ.get("TEST_ECHO"))
    return make(os.environ["TEST_URL"], os.environ["TEST_KEYS"], SQLALCHEMY_ECHO=echo).app
