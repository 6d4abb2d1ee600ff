"""Open all stored API keys to see that they do, and seal them again with the newest key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import sqlalchemy as sa

from ..db.failures import is_transient
from ..errors import ConfigError, UnreadableCredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tenacity import Retrying

    from .encryption_keys import EncryptionKeys
    from .resolved_model import Secret

    Row: TypeAlias = Mapping[Any, Any]

T = TypeVar("T")


@dataclass
class Progress:
    """What a walk over the stored API keys has met so far.

    Attributes:
        processed: Rows looked at in this pass.
        unreadable: Which of them do not open, and why.
        sealed: Rows sealed with the newest key, in all passes.
        skipped: Rows that another transaction changed between the read and the write.
    """

    processed: int = 0
    unreadable: list[str] = field(default_factory=list)
    sealed: int = 0
    skipped: int = 0

    @property
    def readable(self) -> int:
        """How many of the rows in this pass open."""
        return self.processed - len(self.unreadable)


class Rotation:
    """Walks over the stored API keys, on a connection of its own.

    No transaction is open while keys are opened and sealed.

    Args:
        batch_size: How many rows to read at a time.
        tries: How often each transaction is tried.
    """

    def __init__(
        self, connection: sa.Connection, keys: EncryptionKeys, *, batch_size: int, tries: Retrying
    ) -> None:
        self._connection = connection
        self._tries = tries
        self._keys = keys
        self._credentials = keys.credentials
        models = keys.tables.models.c
        self._models = models
        self._batch = (
            sa.select(models.id, models.model_id, models.owner_id, models.uuid)
            .add_columns(models.model_provider, models.base_url, models.ciphertext, models.key_id)
            .where(models.ciphertext.is_not(None), models.id > sa.bindparam("last"))
            .order_by(models.id)
            .limit(batch_size)
        )
        self._replace_if_unchanged = sa.update(keys.tables.models).where(
            models.id == sa.bindparam("row_id"), models.ciphertext == sa.bindparam("old")
        )

    def count(self, *, only_old: bool = False) -> int:
        """Return how many API keys there are, or how many that are not on the newest key."""
        counts = self._transact(self._keys.counts)
        return sum(key.count for key in counts if not (only_old and key.state == "seals"))

    def verify(self, *, only_old: bool = False) -> Iterator[Progress]:
        """Open every API key, or those that are not on the newest key; yield after each batch."""
        progress = Progress()
        for batch in self._old() if only_old else self._batches(self._batch):
            for row in batch:
                self._opened(row, progress)
            yield progress

    def rotate(self) -> Iterator[Progress]:
        """Seal with the newest key what is on others, until no more can be; yield after each batch.

        Each row is changed by one statement, if it is still as it was read; that is all that a
        kill can interrupt. What others write meanwhile is met by the next pass.

        Raises:
            ConfigError: The backend has no ``key_id``, or does not open what it seals; or the
                database does not change a row.
        """
        progress, is_done = Progress(), False
        while not is_done:
            changed = progress.sealed + progress.skipped
            progress.processed = 0
            progress.unreadable.clear()
            for batch in self._old():
                for row in batch:
                    self._reseal(row, progress)
                yield progress
            is_done = changed == progress.sealed + progress.skipped

    def _old(self) -> Iterator[Sequence[Row]]:
        newest = self._credentials.key_id
        if newest is None:
            raise ConfigError("the secret_box has no key_id, so nothing tells old keys from new")
        in_use = self._transact(lambda connection: [*self._keys.key_ids_in_use(connection)])
        for key_id in (*in_use, None):
            if key_id != newest:
                yield from self._batches(self._batch.where(self._models.key_id == key_id))

    def _batches(self, statement: sa.Select[Any]) -> Iterator[Sequence[Row]]:
        last = 0
        while batch := self._read(statement, last):
            yield batch
            last = batch[-1]["id"]

    def _read(self, statement: sa.Select[Any], last: int) -> Sequence[Row]:
        return self._transact(lambda each: each.execute(statement, {"last": last}).mappings().all())

    def _opened(self, row: Row, progress: Progress) -> Secret | None:
        progress.processed += 1
        try:
            return self._credentials.open(row)
        except UnreadableCredentialError as error:
            which = f"model {row['id']} {row['model_id']!r} of user {str(row['owner_id'])!r}"
            progress.unreadable.append(f"{which} on {row['key_id']!r}: {error.detail}")
            return None

    def _reseal(self, row: Row, progress: Progress) -> None:
        api_key = self._opened(row, progress)
        if api_key is None:
            return
        columns = self._credentials.reseal(row, api_key)
        parameters = {"row_id": row["id"], "old": row["ciphertext"], **columns}
        is_ours = self._transact(
            lambda each: each.execute(self._replace_if_unchanged, parameters).rowcount == 1
        )
        if not is_ours and self._is_still(row):
            raise ConfigError(f"the database does not let model {row['id']} be changed")
        progress.sealed += is_ours
        progress.skipped += not is_ours

    def _is_still(self, row: Row) -> bool:
        ciphertext = sa.select(self._models.ciphertext).where(self._models.id == row["id"])
        return self._transact(lambda each: bool(each.scalar(ciphertext) == row["ciphertext"]))

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        result: T = self._tries(self._once, work)
        return result

    def _once(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            # In AUTOCOMMIT too: a host's listeners may begin transactions on their own.
            with self._connection.begin():
                return work(self._connection)
        except sa.exc.DBAPIError as error:
            if is_transient(error):
                # SQLite keeps a transaction that it could not commit, and SQLAlchemy leaves it so.
                self._connection.connection.rollback()
            raise
