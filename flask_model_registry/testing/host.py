"""The app under test: its registry, the registry's URLs, and its database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import sqlalchemy as sa
from flask import Flask

from ..config import EXTENSION
from ..web.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from werkzeug.routing import MapAdapter, Rule

    from ..db.declare import Tables
    from ..services.app_services import Services

_BLUEPRINT = "model_registry"


def fail(message: str) -> NoReturn:
    """Fail with a message that needs no traceback."""
    pytest.fail(message, pytrace=False)


@dataclass(frozen=True)
class Host:
    """An app with a registry.

    Attributes:
        mounts: The names of the registry's blueprint, one for each place where it is mounted.
        url_values: The values of the variables in the URLs of parent blueprints.
    """

    app: Flask
    services: Services
    mounts: tuple[str, ...]
    url_values: Mapping[str, Any]

    @classmethod
    def of(cls, app: Any, url_values: Mapping[str, Any]) -> Host:
        """Return the host for an app, or fail and say what is missing."""
        if not isinstance(app, Flask):
            fail(f"model_registry_app must return your Flask app, not {app!r}")
        registry = app.extensions.get(EXTENSION)
        if registry is None:
            fail("the app of model_registry_app has no model registry; call registry.init_app(app)")
        mounts = tuple(name for name in app.blueprints if name.split(".")[-1] == _BLUEPRINT)
        if not mounts:
            fail("the registry is mounted nowhere; call app.register_blueprint with its parent")
        host = cls(app, registry._app_services[app], mounts, url_values)
        host._check_url_values()
        return host

    @property
    def tables(self) -> Tables:
        """The tables of the registry."""
        return self.services.keys.tables

    def rules(self) -> Iterator[Rule]:
        """Yield every rule of the registry, wherever it is mounted."""
        for rule in self.app.url_map.iter_rules():
            if rule.endpoint.rpartition(".")[0] in self.mounts:
                yield rule

    def path(self, endpoint: str, **values: Any) -> str:
        """Return the URL of an endpoint, with the values that it needs."""
        full_name = endpoint if "." in endpoint else f"{self.mounts[0]}.{endpoint}"
        rule = next(self.app.url_map.iter_rules(full_name))
        given = {**self.url_values, **values}
        return self._urls.build(full_name, {name: given[name] for name in rule.arguments})

    @contextmanager
    def connected(self, *, commit: bool = False) -> Iterator[sa.Connection]:
        """Connect as the registry does, through the host's session, in a separate app context."""
        session = self.services.rows.session
        with self.app.app_context(), transaction(session, commit=commit):
            # Not with `rows.connect()`, which checks the encryption keys.
            yield session.connection(bind_arguments={"clause": sa.update(self.tables.models)})

    @property
    def _urls(self) -> MapAdapter:
        return self.app.url_map.bind("localhost")

    def _check_url_values(self) -> None:
        for rule in self.rules():
            if rule.endpoint.endswith(f"{_BLUEPRINT}.models"):
                for name in sorted(rule.arguments - {*self.url_values}):
                    fail(
                        f"the registry is at {rule.rule}; write in the class "
                        f"url_values = {{{name!r}: ...}} with a value that your app knows"
                    )
