"""The encryption keys in use: which there are, and whether they are configured."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tables import Tables
    from .vault import Vault

_log = logging.getLogger("flask_model_registry")
_CURE = (
    "put it back, or set MODEL_REGISTRY_KEY_CHECK to 'warning' "
    "and have those API keys entered again"
)


@dataclass(frozen=True)
class KeyInUse:
    """An encryption key that is configured, or that API keys are sealed with, or both.

    Attributes:
        name: Its id and fingerprint, or what the backend calls it, if it does.
        count: How many API keys are sealed with it.
        state: ``newest``, ``old`` or ``missing``: not configured.
    """

    name: str | None
    count: int
    state: str


class Keys:
    """The encryption keys of one registry in one app."""

    def __init__(self, tables: Tables, vault: Vault, *, is_strict: bool) -> None:
        self.tables = tables
        self.vault = vault
        self._is_strict = is_strict
        name = tables.models.c.key_id
        self._next = sa.select(sa.func.min(name)).where(name > sa.bindparam("last"))

    def check(self, connection: sa.Connection) -> None:
        """Tell early if API keys are sealed with keys that are not configured.

        Raises:
            ConfigError: Some are, unless ``MODEL_REGISTRY_KEY_CHECK`` makes that a warning.
        """
        if self.vault.key_ids is None:
            return
        faults = [fault for name in self.names(connection) if (fault := self.fault(name))]
        if faults and self._is_strict:
            raise ConfigError("; ".join(faults))
        for fault in faults:
            _log.warning("model registry: %s", fault)

    def names(self, connection: sa.Connection) -> Iterator[str]:
        """Yield what API keys are sealed with, by one look into the index for each name."""
        name: str | None = ""
        while (name := connection.scalar(self._next, {"last": name})) is not None:
            yield name

    def fault(self, name: str | None) -> str | None:
        """Say what is wrong with an encryption key that API keys are sealed with, if anything."""
        configured = self.vault.key_ids
        if configured is None or name in configured:
            return None
        what = f"API keys are sealed with the encryption key {name or '(no name)'}"
        bare = str(name).partition("#")[0]
        for other in configured:
            if other.partition("#")[0] == bare:
                return f"{what}, but {bare} has other bytes now: {other}; {_CURE}"
        return f"{what}, which is not configured; {_CURE}"

    def in_use(self, connection: sa.Connection) -> list[KeyInUse]:
        """Return all encryption keys, the configured ones first; counts all models."""
        counts = self._counts(connection)
        names = dict.fromkeys([*(self.vault.key_ids or ()), *sorted(counts, key=str)])
        return [KeyInUse(name, counts.get(name, 0), self._state(name)) for name in names]

    def _counts(self, connection: sa.Connection) -> dict[str | None, int]:
        models = self.tables.models.c
        named = sa.select(models.key_id, sa.func.count()).where(models.key_id.is_not(None))
        nameless = sa.select(sa.func.count()).where(
            models.key_id.is_(None), models.ciphertext.is_not(None)
        )
        counts = dict(map(tuple, connection.execute(named.group_by(models.key_id))))
        count = connection.scalar(nameless)
        return {**counts, None: count} if count else counts

    def _state(self, name: str | None) -> str:
        if name == self.vault.key_id:
            return "newest"
        return "missing" if self.fault(name) else "old"
