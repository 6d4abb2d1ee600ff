"""Check that JSON columns hold what the registry wrote, because SQL may write something else.

Such a value is shown as empty. No model is called with it, because the right value is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..db.columns import is_readable, readable
from ..errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..db.declare import Tables

_MODEL_COLUMNS, _CREDENTIAL_COLUMNS = ("abilities", "parameters", "info"), ("settings",)
_BATCH = 200  # rows that are in memory at once, each with documents of kilobytes


def check_stored(row: Mapping[Any, Any]) -> None:
    """Check the stored values, other than the secret, that a model is called with.

    Args:
        row: The model's row, with its credential's row if it uses one.

    Raises:
        ConflictError: A column can't be read.
    """
    if names := unreadable(row):
        raise ConflictError(f"The stored {' and '.join(names)} can't be read. Set them again.")
    if unreadable(row.get("credential") or {}):
        raise ConflictError("The settings of the credential aren't valid. Set them again.")


def unreadable(row: Mapping[Any, Any]) -> list[str]:
    """Return the names of the columns of a model's or credential's row that can't be read."""
    names = (each for each in (*_MODEL_COLUMNS, *_CREDENTIAL_COLUMNS) if each in row)
    return [each for each in names if not is_readable(each, row[each])]


def unreadable_rows(connection: sa.Connection, tables: Tables) -> Iterator[tuple[str, str, int]]:
    """Yield the kind of row, the column, and the row's id, for each column that can't be read."""
    for what, table, names in (
        ("models", tables.models, _MODEL_COLUMNS),
        ("credentials", tables.credentials, _CREDENTIAL_COLUMNS),
    ):
        is_set = sa.or_(*(table.c[name].is_not(None) for name in names))
        page = sa.select(table.c.id, *table.c[names]).order_by(table.c.id).limit(_BATCH)
        page = readable(page.where(table.c.id > sa.bindparam("last"), is_set))
        last = 0
        while rows := connection.execute(page, {"last": last}).mappings().all():
            last = rows[-1]["id"]
            for row in rows:
                for name in unreadable(row):
                    yield what, name, row["id"]
