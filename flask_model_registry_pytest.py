"""The fixtures that a host writes for the conformance tests, until it has written them.

pytest imports this wherever the library is installed, so it imports nothing of the library.
"""

from __future__ import annotations

from typing import NoReturn

import pytest

_APP = """\
ModelRegistryConformance needs your app, with its tables. Write in conftest.py:

    @pytest.fixture
    def model_registry_app():
        app = create_app(...)
        with app.app_context():
            db.create_all()  # or your migrations, to have them tested
        return app
"""
_USERS = """\
ModelRegistryConformance needs two of your users. Write in conftest.py:

    @pytest.fixture
    def model_registry_users(model_registry_app):
        with model_registry_app.app_context():
            ...  # add two users, commit, and make a token for each
        return [{"Authorization": f"Bearer {token}"} for token in tokens]

A user is a mapping of request headers or, where people log in, an app.test_client() that did.
"""


@pytest.fixture
def model_registry_app() -> NoReturn:
    """Tell the host to write this fixture: its app."""
    pytest.fail(_APP, pytrace=False)


@pytest.fixture
def model_registry_users() -> NoReturn:
    """Tell the host to write this fixture: two of its users."""
    pytest.fail(_USERS, pytrace=False)
