"""A registry in one app: its parts, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .defaults import Defaults
from .explanation import Explainer
from .grants import Grants
from .keys import Keys
from .ownership import Ownership
from .probes import Probes
from .rows import Rows
from .store import Store
from .vault import Vault

if TYPE_CHECKING:
    from ..config import Settings
    from .ports import Actors, Endpoints
    from .queries import Queries
    from .secretbox import SecretBox


@dataclass(frozen=True)
class Registry:
    """The parts of a registry, by what they look after, and who acts on them."""

    actors: Actors
    rows: Rows
    models: Store
    grants: Grants
    ownership: Ownership
    defaults: Defaults
    explainer: Explainer
    endpoints: Endpoints
    probes: Probes
    keys: Keys
    settings: Settings


def assemble(
    queries: Queries,
    session: Any,
    *,
    actors: Actors,
    sender: Any,
    secret_box: SecretBox,
    endpoints: Endpoints,
    settings: Settings,
) -> Registry:
    """Return the registry of an app.

    Args:
        sender: The sender of signals.
    """
    vault = Vault(secret_box, endpoints)
    keys = Keys(queries.access.tables, vault, is_strict=settings.key_check == "error")
    rows = Rows(queries, session, sender, keys)
    defaults = Defaults(rows, vault)
    store = Store(rows, vault, defaults, endpoints=endpoints, clock=_now, new_uuid=uuid4)
    return Registry(
        actors=actors,
        rows=rows,
        models=store,
        grants=Grants(rows, defaults, actors),
        ownership=Ownership(rows, defaults, actors, _now),
        defaults=defaults,
        explainer=Explainer(rows, vault),
        endpoints=endpoints,
        probes=Probes(rows, vault, endpoints, concurrency=settings.probe_concurrency),
        keys=keys,
        settings=settings,
    )


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
