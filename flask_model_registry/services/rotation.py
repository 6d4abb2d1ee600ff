"""Decrypt all stored API keys as a check, or encrypt them again with the newest encryption key."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import randint
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import sqlalchemy as sa

from ..db.failures import failure_of, is_transient
from ..errors import ConfigError, UnreadableCredentialError
from .account_secrets import encryption_row
from .problems import Problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tenacity import Retrying

    from .key_check import EncryptionKeys
    from .resolved_model import Secret

    Row: TypeAlias = Mapping[Any, Any]
    _Change: TypeAlias = tuple[Row, Mapping[str, Any]]  # a row, and its newly encrypted columns

T = TypeVar("T")


@dataclass
class Progress:
    """The progress of a pass over the stored API keys.

    Attributes:
        processed: Rows read in this pass, and rows encrypted or skipped in earlier ones.
        problems: Which of them can't be decrypted or changed, and why.
        encrypted: Rows encrypted with the newest encryption key, in all passes.
        skipped: Rows that another transaction changed between the read and the write.
    """

    processed: int = 0
    problems: Problems = field(default_factory=Problems)
    encrypted: int = 0
    skipped: int = 0

    @property
    def readable(self) -> int:
        """How many rows can be decrypted, in a pass that changes none."""
        return self.processed - self.problems.count


@dataclass(frozen=True)
class _EncryptedTable:
    """A table whose rows hold something encrypted.

    Attributes:
        what: The word for a row in messages.
        name: The column with its owner's name for it.
        encryption_row: Returns the row that the value is encrypted for.
        call_row: Returns the row in the form from which a call gets its secret.
        more: Other columns that ``call_row`` needs.
    """

    what: str
    name: sa.Column[str]
    encryption_row: Callable[[Row], Row] = lambda row: row
    call_row: Callable[[Row], Row] = lambda row: row
    more: tuple[sa.Column[Any], ...] = ()

    @property
    def columns(self) -> Any:
        """The columns of the table."""
        return self.name.table.c

    def batch(self, size: int) -> sa.Select[Any]:
        """Return the statement for a batch of rows."""
        columns = self.columns
        return (
            sa.select(columns.id, self.name.label("name"), columns.owner_id, columns.uuid)
            .add_columns(columns.model_provider, columns.base_url)
            .add_columns(columns.ciphertext, columns.key_id, *self.more)
            .where(columns.ciphertext.is_not(None), columns.id > sa.bindparam("last"))
            .order_by(columns.id)
            .limit(size)
        )

    def replace_if_unchanged(self) -> sa.Update:
        """Return an UPDATE that replaces a row's value only if it is still as it was read."""
        is_row = self.columns.id == sa.bindparam("row_id")
        is_unchanged = self.columns.ciphertext == sa.bindparam("old")
        return sa.update(self.name.table).where(is_row, is_unchanged)

    def stored(self, ids: Sequence[int]) -> sa.Select[Any]:
        """Return the statement for the present values of these rows."""
        return sa.select(self.columns.id, self.columns.ciphertext).where(self.columns.id.in_(ids))

    def describe(self, row: Row) -> str:
        """Return a name for the row in messages."""
        which = f"{self.what} {row['id']} {row['name']!r} of user {str(row['owner_id'])!r}"
        return f"{which} on {row['key_id']!r}"


class Rotation:
    """Walks over the stored API keys, of models and credentials, on a connection of its own.

    No transaction is open while keys are decrypted and encrypted.

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
        models, credentials = keys.tables.models, keys.tables.credentials
        self._batch_size = batch_size
        self._tables = (
            _EncryptedTable("model", models.c.model_id),
            _EncryptedTable(
                "credential",
                credentials.c.name,
                encryption_row,
                lambda row: {**row, "credential": row},
                (credentials.c.kind, credentials.c.reference),
            ),
        )

    def count(self, *, only_old: bool = False) -> int:
        """Return how many API keys there are, or how many need the newest encryption key."""
        counts = self._transact(self._keys.counts)
        return sum(key.count for key in counts if not (only_old and key.state == "seals"))

    def verify(self, *, only_old: bool = False) -> Iterator[Progress]:
        """Decrypt every API key, and check that calls still accept it. Yield after each batch.

        With ``only_old``, only decrypt those that an older encryption key has encrypted.
        """
        progress = Progress()
        read = self._decrypt if only_old else self._secret_for_call
        for table, batch in self._old(progress) if only_old else self._batches(progress):
            for row in batch:
                self._read_secret(table, row, progress, read)
            yield progress

    def rotate(self) -> Iterator[Progress]:
        """Encrypt all API keys with the newest encryption key. Yield after each batch.

        It repeats until no more rows can be changed. The rows of a batch are changed in one
        transaction, each only if it hasn't changed since it was read. Killing the process can only
        undo that batch. The next pass finds rows that others write in the meantime.

        Raises:
            ConfigError: The backend has no ``key_id``, or can't decrypt what it encrypts.
        """
        progress, is_done = Progress(), False
        while not is_done:
            changed = progress.encrypted + progress.skipped
            progress.processed = changed
            progress.problems.clear()
            for table, batch in self._old(progress):
                self._reencrypt(table, batch, progress)
                yield progress
            is_done = changed == progress.encrypted + progress.skipped

    def _old(self, progress: Progress) -> Iterator[tuple[_EncryptedTable, Sequence[Row]]]:
        newest = self._credentials.key_id
        if newest is None:
            raise ConfigError(
                "the secret_box has no key_id, so old and new encryption keys look alike"
            )
        in_use = self._transact(lambda connection: [*self._keys.key_ids_in_use(connection)])
        for key_id in (*in_use, None):
            if key_id != newest:
                yield from self._batches(progress, key_id)

    def _batches(
        self, progress: Progress, *key_ids: str | None
    ) -> Iterator[tuple[_EncryptedTable, Sequence[Row]]]:
        """Yield all rows, or those of one encryption key, in the order of their ids.

        Where another rotation is changing the same rows, it continues at a random later place, so
        that the two share the work. The next pass finds the rows that were left out.
        """
        for table in self._tables:
            conditions = [table.columns.key_id == each for each in key_ids]
            statement, last = table.batch(self._batch_size).where(*conditions), 0
            greatest = sa.select(sa.func.max(table.columns.id)).where(*conditions)
            while batch := self._read(statement, last):
                skipped = progress.skipped
                yield table, batch
                last = batch[-1]["id"]
                if progress.skipped - skipped > len(batch) // 2:
                    last = randint(last, max(last, self._read_end(greatest)))  # noqa: S311  # no secret

    def _read(self, statement: sa.Select[Any], last: int) -> Sequence[Row]:
        return self._transact(lambda each: each.execute(statement, {"last": last}).mappings().all())

    def _read_end(self, greatest: sa.Select[Any]) -> int:
        return self._transact(lambda each: each.scalar(greatest) or 0)

    def _decrypt(self, table: _EncryptedTable, row: Row) -> Secret:
        return self._credentials.decrypt(table.encryption_row(row), is_logged=False)

    def _secret_for_call(self, table: _EncryptedTable, row: Row) -> Secret:
        return self._credentials.secret(table.call_row(row), is_logged=False).api_key

    @staticmethod
    def _read_secret(
        table: _EncryptedTable,
        row: Row,
        progress: Progress,
        read: Callable[[_EncryptedTable, Row], Secret],
    ) -> Secret | None:
        progress.processed += 1
        try:
            return read(table, row)
        except UnreadableCredentialError as error:
            progress.problems.add(f"{table.describe(row)}: {error.detail}")
            return None

    def _reencrypt(self, table: _EncryptedTable, batch: Sequence[Row], progress: Progress) -> None:
        changes: list[_Change] = []
        try:
            for row in batch:
                secret = self._read_secret(table, row, progress, self._decrypt)
                if secret is not None:
                    columns = self._credentials.reencrypt(table.encryption_row(row), secret)
                    changes.append((row, columns))
        finally:  # also write what was encrypted before the backend failed
            self._write(table, changes, progress)

    def _write(
        self, table: _EncryptedTable, changes: Sequence[_Change], progress: Progress
    ) -> None:
        """Change rows in one transaction, or each in its own if one of them is refused."""
        if not changes:
            return
        reason = ""
        try:
            stored = self._transact(lambda each: self._replace(table, changes, each))
        except sa.exc.DBAPIError as error:
            is_one = len(changes) == 1
            if failure_of(error) and (is_one or not is_transient(error)):
                raise
            if not is_one:
                for each in changes:
                    self._write(table, [each], progress)
                return
            stored = {row["id"]: row["ciphertext"] for row, _ in changes}
            reason = f": {str(error.orig)[:500]!r}"
        for row, columns in changes:
            now = stored.get(row["id"])
            if now == row["ciphertext"]:
                text = f"the database does not let it be changed{reason}"
                progress.problems.add(f"{table.describe(row)}: {text}")
            else:
                progress.encrypted += now == columns["ciphertext"]
                progress.skipped += now != columns["ciphertext"]

    @staticmethod
    def _replace(
        table: _EncryptedTable, changes: Sequence[_Change], connection: sa.Connection
    ) -> dict[int, bytes]:
        """Change the rows that are still as they were read. Return the present values of all."""
        parameters = [
            {"row_id": row["id"], "old": row["ciphertext"], **columns} for row, columns in changes
        ]
        connection.execute(table.replace_if_unchanged(), parameters)
        # Drivers disagree about how many rows a list of executions has changed.
        ids = [row["id"] for row, _ in changes]
        return dict(map(tuple, connection.execute(table.stored(ids))))

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        result: T = self._tries(self._once, work)
        return result

    def _once(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            # Even in AUTOCOMMIT, because a host's listeners may begin transactions themselves.
            with self._connection.begin():
                return work(self._connection)
        except sa.exc.DBAPIError as error:
            if is_transient(error):
                # SQLite keeps a transaction open that it could not commit, and SQLAlchemy doesn't
                # end it.
                self._connection.connection.rollback()
            raise
