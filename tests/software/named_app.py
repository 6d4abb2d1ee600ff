"""The app that servers run to be asked for names: a host that has groups."""

import os

from tests.hosts import create_app as create_host
from tests.hosts import declare
from tests.reliability.served_app import JWT_SECRET_KEY


def create_app():
    """Return the app, with the database and the encryption keys of its environment."""
    return create_host(
        declare(groups=lambda user: ()),
        os.environ["TEST_URL"],
        JWT_SECRET_KEY=JWT_SECRET_KEY,
        JWT_ACCESS_TOKEN_EXPIRES=False,
        MODEL_REGISTRY_ENCRYPTION_KEYS=os.environ["TEST_KEYS"],
    ).app
