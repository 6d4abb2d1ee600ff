"""A registry in one app: its parts, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .defaults import Defaults
from .grants import Grants
from .ownership import Ownership
from .rows import Rows
from .store import Store
from .vault import Vault

if TYPE_CHECKING:
    from .ports import Endpoints
    from .queries import Queries
    from .secretbox import SecretBox


@dataclass(frozen=True)
class Registry:
    """The parts of a registry, by what they look after."""

    session: Any
    models: Store
    grants: Grants
    ownership: Ownership
    defaults: Defaults


def assemble(
    queries: Queries,
    session: Any,
    *,
    sender: Any,
    secret_box: SecretBox,
    endpoints: Endpoints,
) -> Registry:
    """Return the registry of an app.

    Args:
        sender: The sender of signals.
    """
    rows = Rows(queries, session, sender)
    vault = Vault(secret_box, endpoints)
    defaults = Defaults(rows, vault)
    store = Store(rows, vault, defaults, endpoints=endpoints, clock=_now, new_uuid=uuid4)
    return Registry(
        session, store, Grants(rows, defaults), Ownership(rows, defaults, _now), defaults
    )


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
