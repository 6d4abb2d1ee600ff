"""Which encryption keys are in use, and whether they are configured."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import MissingKeysError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..db.declare import Tables
    from .encryption import CredentialService

_log = logging.getLogger("flask_model_registry")
_FIXES = {
    True: "put it back, or set MODEL_REGISTRY_KEY_CHECK to 'warning' to go on without them",
    False: "put it back, or ask the owners to enter these API keys again",
}


@dataclass(frozen=True)
class KeyCount:
    """An encryption key that is configured, in use, or both.

    Attributes:
        key_id: Its id and fingerprint, or the backend's name for it, if it has one.
        count: How many API keys are encrypted with it.
        state: ``seals`` if it encrypts new API keys, ``opens`` if it only decrypts, or ``missing``.
        problem: The problem if it is missing, and the fix.
    """

    key_id: str | None
    count: int
    state: str
    problem: str | None


class EncryptionKeys:
    """The encryption keys of one registry in one app."""

    def __init__(self, tables: Tables, credentials: CredentialService, *, is_strict: bool) -> None:
        self.tables = tables
        self.credentials = credentials
        self.is_strict = is_strict
        self.are_checked = False  # in this process, by the first request that needs them
        # All tables that hold something encrypted.
        self.encrypted_tables = (tables.models, tables.credentials)
        self._first = self._least(lambda _key_id: sa.true())
        self._next = self._least(lambda key_id: key_id > sa.bindparam("last"))
        used = (
            sa.exists().where(each.c.key_id == sa.bindparam("key"), each.c.ciphertext.is_not(None))
            for each in self.encrypted_tables
        )
        self._is_used_by_any = sa.select(sa.or_(*used))

    def _least(
        self, condition: Callable[[sa.Column[str]], sa.ColumnElement[bool]]
    ) -> sa.Select[Any]:
        """Return the least key id that meets a condition, by one look-up in each table's index."""
        least = (
            sa.select(sa.func.min(each.c.key_id).label("key_id")).where(condition(each.c.key_id))
            for each in self.encrypted_tables
        )
        return sa.select(sa.func.min(sa.union_all(*least).subquery().c.key_id))

    def check(self, connection: sa.Connection) -> None:
        """Check that all encryption keys in use are configured.

        Raises:
            MissingKeysError: Some are not, unless ``MODEL_REGISTRY_KEY_CHECK`` makes that a
                warning.
        """
        configured = self.credentials.key_ids
        stored = () if configured is None else self.key_ids_in_use(connection)
        missing = [each for each in stored if each not in (configured or ())]
        problems = [self._problem(each) for each in missing if self._is_used(connection, each)]
        if problems and self.is_strict:
            raise MissingKeysError("; ".join(map(str, problems)))
        for problem in problems:
            _log.warning(
                "model registry: encryption key missing: %s",
                problem,
                extra={"model_registry_kind": "key-missing"},
            )

    def key_ids_in_use(self, connection: sa.Connection) -> Iterator[str]:
        """Yield the key ids in use, by one look-up in the index for each."""
        key_id: str | None = connection.scalar(self._first)
        while key_id is not None:
            yield key_id
            key_id = connection.scalar(self._next, {"last": key_id})

    def counts(self, connection: sa.Connection) -> list[KeyCount]:
        """Count the API keys of each encryption key, configured ones first. Reads all such rows."""
        counts: Counter[str | None] = Counter()
        for table in self.encrypted_tables:
            key_id = table.c.key_id
            encrypted = sa.select(key_id, sa.func.count()).where(table.c.ciphertext.is_not(None))
            counts.update(dict(map(tuple, connection.execute(encrypted.group_by(key_id)))))
        configured = self.credentials.key_ids or filter(None, [self.credentials.key_id])
        return [
            self._counted(key_id, counts[key_id])
            for key_id in dict.fromkeys([*configured, *sorted(counts, key=str)])
        ]

    def _is_used(self, connection: sa.Connection, key_id: str) -> bool:
        return bool(connection.scalar(self._is_used_by_any, {"key": key_id}))

    def _counted(self, key_id: str | None, count: int) -> KeyCount:
        problem = self._problem(key_id)
        state = "seals" if key_id == self.credentials.key_id else "missing" if problem else "opens"
        return KeyCount(key_id, count, state, problem)

    def _problem(self, key_id: str | None) -> str | None:
        configured = self.credentials.key_ids
        if configured is None or key_id in configured:
            return None
        if key_id is None:
            return (
                "API keys have no key id, so they can't be decrypted; ask their owners to enter "
                "them again"
            )
        what = f"API keys are encrypted with {key_id!r}"
        bare = key_id.partition("#")[0]
        for other in configured:
            if other.partition("#")[0] == bare:
                return (
                    f"{what}, but {bare!r} has other bytes now, {other!r}; "
                    "put the old ones back, and give new ones another id"
                )
        return f"{what}, an encryption key that is not configured; {_FIXES[self.is_strict]}"
