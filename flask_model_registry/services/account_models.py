"""The models that use a credential, while it is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..policy import check_same_path, check_shared_key
from .rows import UNTESTED, LockedModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ..policy import Actor
    from .rows import Rows


_COLUMNS = "id owner_id model_id base_url version".split()


@dataclass(frozen=True)
class LockedCredential:
    """A credential's row, locked until the transaction ends."""

    connection: sa.Connection
    row: Mapping[Any, Any]


class AccountModels:
    """The models that use the credentials of one registry in one app."""

    def __init__(self, rows: Rows) -> None:
        self._access = rows.queries.access
        self._models = rows.queries.access.tables.models
        # There may be many models, each with long texts and parameters.
        self._columns = [self._models.c[name] for name in _COLUMNS]

    def lock(self, actor: Actor, locked: LockedCredential) -> Sequence[LockedModel]:
        """Lock a credential's models in the order of ids, and return a few columns of each."""
        statement = sa.select(*self._columns).where(self._uses(locked)).order_by(self._models.c.id)
        rows = locked.connection.execute(statement.with_for_update()).mappings().all()
        return [LockedModel(locked.connection, actor, row, (), self._access) for row in rows]

    def check_shared(self, actor: Actor, locked: LockedCredential) -> None:
        """Check that the actor may change the secret of models shared with everyone.

        Raises:
            ForbiddenError: There are such models, and the actor may not share.
        """
        is_shared = self._models.c.is_shared == sa.true()
        shared = sa.select(self._models.c.id).where(self._uses(locked), is_shared)
        # A locking read, because on MariaDB a plain one misses models just attached or shared.
        if locked.connection.execute(shared.with_for_update(read=True)).first():
            check_shared_key(actor)

    def move(
        self,
        actor: Actor,
        locked: LockedCredential,
        new: Mapping[Any, Any],
        *,
        moved: bool,
        now: datetime,
    ) -> Sequence[LockedModel]:
        """Move the models at the credential's old base URL; others stay at their own path.

        Args:
            moved: Whether the provider or the origin changes.

        Raises:
            CredentialInUseError: The provider or origin changes, but some models have another path.
        """
        models = self.lock(actor, locked)
        others = [each.row for each in models if each.row["base_url"] != locked.row["base_url"]]
        if moved:
            check_same_path(others)
        destination = {name: new[name] for name in ("model_provider", "base_url")}
        destination["updated_at"] = now
        at_old_url = (each for each in models if each.row["base_url"] == locked.row["base_url"])
        return [each.write(destination) for each in at_old_url]

    def clear_tests(self, locked: LockedCredential) -> None:
        """Forget the last tests of the models that use a credential.

        Their tags stay, because nothing that the models show has changed.
        """
        # For all models, because a running test may have written its result in the meantime.
        change = sa.update(self._models).where(self._uses(locked))
        locked.connection.execute(change, UNTESTED)

    def _uses(self, locked: LockedCredential) -> sa.ColumnElement[bool]:
        """Return the condition that a model uses a credential and has the same owner."""
        models, row = self._models.c, locked.row
        return sa.and_(models.credential_id == row["id"], models.owner_id == row["owner_id"])
