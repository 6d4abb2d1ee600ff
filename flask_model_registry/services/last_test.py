"""The last connection test of a model, which is kept in the model's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .account_secrets import with_credential

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .rows import Rows


def keep_test(
    rows: Rows, model: Mapping[Any, Any], outcome: Mapping[str, Any], *, at: datetime
) -> None:
    """Write the result of a test to the model's row, if what was tested hasn't changed since.

    No tag changes, because the version and ``updated_at`` stay. A row that another transaction
    has locked is left alone, because it is about to change and the user should not wait for that.

    Args:
        model: The row that was tested.
        at: When its API key was read. A secret that is newer was not tested.
    """
    models = rows.queries.access.tables.models
    is_unchanged = (models.c.id == model["id"]) & (models.c.version == model["version"])
    # Rows that refer to the model, such as grants, may be written in the meantime.
    free = (
        sa.select(models.c.id).where(is_unchanged).with_for_update(key_share=True, skip_locked=True)
    )
    columns = {
        "test_result": outcome["result"],
        "test_latency_ms": outcome["latency_ms"],
        "tested_at": at,
    }
    with rows.write_transaction(connection=rows.connect(to_write=True, check_keys=False)) as writer:
        if writer.execute(free).first() is not None and _has_settings(rows, writer, model):
            writer.execute(sa.update(models).where(is_unchanged), columns)


def _has_settings(rows: Rows, connection: sa.Connection, model: Mapping[Any, Any]) -> bool:
    """Return whether the credential of a locked model has the settings that were tested.

    A change of the settings also clears the tests of the credential's models, which waits for their
    locks. So the change is either seen here, or clears this test later.
    """
    tested = model.get("credential")
    if tested is None:
        return True
    now = with_credential(rows, model, connection)["credential"]
    return now is not None and now["settings"] == tested["settings"]
