"""Open all stored API keys to see that they do, and seal them again with the newest key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from ..errors import ConfigError, UnreadableCredentialError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .keys import Keys
    from .resolver import Secret

    Row: TypeAlias = Mapping[Any, Any]


@dataclass(frozen=True)
class Unreadable:
    """A model with an API key that does not open."""

    id: int
    model_id: str
    key_id: str | None
    reason: str


@dataclass
class Tally:
    """What a walk over the stored API keys has met so far.

    Attributes:
        seen: Rows looked at; once more in each pass.
        sealed: Rows that are on the newest key now, and were not before.
        missed: Rows that somebody else changed between our look and our write.
        unreadable: Those that do not open, of the last pass.
    """

    seen: int = 0
    sealed: int = 0
    missed: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


class Rotation:
    """Walks over the stored API keys, on a connection of its own.

    Rows are read in pages by id, and no transaction is open while keys are sealed or opened.

    Args:
        size: How many rows a page has.
    """

    def __init__(self, connection: sa.Connection, keys: Keys, size: int) -> None:
        self._connection = connection
        self._keys = keys
        self._vault = keys.vault
        self._size = size
        models = keys.tables.models.c
        self._models = models
        self._page = (
            sa.select(models.id, models.model_id, models.uuid, models.model_provider)
            .add_columns(models.base_url, models.ciphertext, models.key_id)
            .where(models.ciphertext.is_not(None), models.id > sa.bindparam("last"))
            .order_by(models.id)
            .limit(size)
        )
        self._swap = sa.update(keys.tables.models).where(
            models.id == sa.bindparam("row_id"), models.ciphertext == sa.bindparam("old")
        )

    def verify(self, *, only_old: bool = False) -> Iterator[Tally]:
        """Open every API key, or those that are not on the newest key; yield after each page."""
        tally = Tally()
        for page in self._old() if only_old else self._pages(self._page):
            for row in page:
                self._opened(row, tally)
            yield tally

    def rotate(self) -> Iterator[Tally]:
        """Seal with the newest key what is on others, until no more can be; yield after each page.

        Each row is changed by one statement, if it is still as it was read; that is all that a
        kill can interrupt. What others write meanwhile is met by the next pass.

        Raises:
            ConfigError: The backend does not name its keys, or does not open what it seals; then
                the row is as it was.
        """
        if self._vault.key_id is None:
            raise ConfigError("the secret_box has no key_id, so nothing tells old keys from new")
        tally, is_done = Tally(), False
        while not is_done:
            changed = tally.sealed + tally.missed
            tally.unreadable.clear()
            for page in self._old():
                for row in page:
                    self._reseal(row, tally)
                yield tally
            is_done = changed == tally.sealed + tally.missed

    def _old(self) -> Iterator[Sequence[Row]]:
        with self._connection.begin():
            names = [*self._keys.names(self._connection)]
        for name in (*names, None):
            if name != self._vault.key_id:
                yield from self._pages(self._page.where(self._models.key_id == name))

    def _pages(self, statement: sa.Select[Any]) -> Iterator[Sequence[Row]]:
        last = 0
        while page := self._read(statement, last):
            yield page
            last = page[-1]["id"]

    def _read(self, statement: sa.Select[Any], last: int) -> Sequence[Row]:
        with self._connection.begin():
            return self._connection.execute(statement, {"last": last}).mappings().all()

    def _opened(self, row: Row, tally: Tally) -> Secret | None:
        tally.seen += 1
        try:
            return self._vault.opened(row)
        except UnreadableCredentialError as error:
            found = Unreadable(row["id"], row["model_id"], row["key_id"], error.detail)
            tally.unreadable.append(found)
            return None

    def _reseal(self, row: Row, tally: Tally) -> None:
        api_key = self._opened(row, tally)
        if api_key is None:
            return
        parameters = {
            "row_id": row["id"],
            "old": row["ciphertext"],
            **self._vault.resealed(row, api_key),
        }
        with self._connection.begin():
            is_ours = self._connection.execute(self._swap, parameters).rowcount == 1
        tally.sealed += is_ours
        tally.missed += not is_ours
