"""Credentials as operators see them: those of all owners, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..db.representation import rfc_3339
from ..db.users import Person, find_user
from ..errors import NotFoundError
from ..schemas.limits import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..db.declare import Tables

_BATCH = 200
_SHOWN = "id owner_id name model_provider base_url kind reference expires_at".split()


@dataclass(frozen=True)
class CredentialSummary:
    """A credential's row without its secret, and how many models use it."""

    row: Mapping[Any, Any]

    def __str__(self) -> str:
        row = self.row
        state = "secret" if row["is_set"] else "no secret"
        if row["reference"] is not None:
            state = f"reference {row['reference']!r}"
        expiry = "" if row["expires_at"] is None else f"  expires {rfc_3339(row['expires_at'])}"
        base_url = row["base_url"] or "-"
        return (
            f"{row['id']:>6}  {str(row['owner_id'])!r}  {row['name']!r}  {row['model_provider']}  "
            f"{base_url}  {row['kind']}  {row['models']} models  {state}{expiry}"
        )


def summaries(
    connection: sa.Connection, tables: Tables, owner: str | None
) -> Iterator[CredentialSummary]:
    """Yield all credentials, or those of one owner, ordered by id.

    Raises:
        NotFoundError: There is no such user.
    """
    models, credentials = tables.models.c, tables.credentials.c
    uses = (models.credential_id == credentials.id) & (models.owner_id == credentials.owner_id)
    # A model's own API key comes before its credential's.
    is_used = sa.and_(uses, models.ciphertext.is_(None))
    count = sa.select(sa.func.count()).where(is_used).scalar_subquery()
    shown = [credentials[name] for name in _SHOWN]
    is_set = credentials.ciphertext.is_not(None).label("is_set")
    page = sa.select(*shown, is_set, count.label("models")).order_by(credentials.id).limit(_BATCH)
    page = page.where(credentials.id > sa.bindparam("after"))
    if owner is not None:
        page = page.where(credentials.owner_id == find_user(connection, tables, Person(owner)))
    after = 0
    while rows := connection.execute(page, {"after": after}).mappings().all():
        yield from map(CredentialSummary, rows)
        after = rows[-1]["id"]


def owner_of(connection: sa.Connection, tables: Tables, credential_id: int) -> Any:
    """Return the primary key of the owner of a credential.

    Raises:
        NotFoundError: There is no credential with this id.
    """
    credentials = tables.credentials.c
    statement = sa.select(credentials.owner_id).where(credentials.id == credential_id)
    owner = connection.scalar(statement) if 0 < credential_id <= MAX_ID else None
    if owner is None:
        raise NotFoundError("There is no such credential.")
    return owner
