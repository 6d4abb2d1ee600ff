"""Why a reference leads a user to a model, or does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import NotFoundError, RegistryError
from .access import Action
from .rows import kind_of_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .access import Actor
    from .rows import Rows
    from .vault import Vault

_NAMED = 10  # of the models that the user cannot see


@dataclass(frozen=True)
class Explanation:
    """What ``resolve`` finds for a user, and why.

    It is for the host's developer: it tells of models that the user cannot see. It holds no
    secret. ``str()`` makes lines of text of it.

    Attributes:
        ref: The reference that was asked for.
        id: The model it leads to, or ``None``.
        relations: Why the user sees it: owner, granted to the user, granted to a group of the
            user, shared with everybody.
        actions: What the user may do: use, edit, delete, own.
        base_url: Where it would be called.
        key_id: The encryption key that its API key is sealed with.
        notes: Other models that the reference might have meant.
        problems: What keeps ``resolve`` from answering, with the cure; empty if nothing does.
    """

    ref: int | str
    id: int | None = None
    relations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    base_url: str | None = None
    key_id: str | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = "leads to no model" if self.id is None else f"is model {self.id}"
        facts = {
            "seen as": ", ".join(self.relations),
            "may": ", ".join(self.actions),
            "address": self.base_url,
            "API key sealed with": self.key_id,
        }
        told = [f"  {name}: {value}" for name, value in facts.items() if value]
        notes = [f"  note: {each}" for each in self.notes]
        problems = [f"  problem: {each}" for each in self.problems] or ["  resolves"]
        return "\n".join([f"{self.ref!r} {found}", *told, *notes, *problems])


class Explainer:
    """Explains the references of one registry in one app."""

    def __init__(self, rows: Rows, vault: Vault) -> None:
        self._rows = rows
        self._vault = vault
        self._access = rows.queries.access
        self._models = rows.queries.access.tables.models.c

    def explain(self, actor: Actor, ref: int | str) -> Explanation:
        """Return why the reference leads the actor to a model, or does not."""
        try:
            row = self._rows.one(self._rows.queries.secret, actor, ref)._mapping
        except NotFoundError:
            return Explanation(ref, problems=(self._unseen(ref),))
        return Explanation(
            ref,
            row["id"],
            relations=self._holding(actor, row["id"], self._access.reasons(Action.USE)),
            actions=self._holding(
                actor, row["id"], {each.value: self._access.where(each) for each in Action}
            ),
            base_url=self._vault.address(row),
            key_id=row["key_id"],
            notes=tuple(self._namesakes(actor, ref, row["id"])),
            problems=tuple(self._problems(row)),
        )

    def _holding(
        self, actor: Actor, row_id: int, conditions: Mapping[str, sa.ColumnElement[bool]]
    ) -> tuple[str, ...]:
        statement = sa.select(*conditions.values()).where(self._models.id == row_id)
        row = self._rows.connect().execute(statement, actor.parameters).first() or ()
        return tuple(name for name, holds in zip(conditions, row, strict=False) if holds)

    def _namesakes(self, actor: Actor, ref: int | str, row_id: int) -> Iterator[str]:
        if isinstance(ref, int):
            return
        parameters = {"ref": ref, **actor.parameters}
        ids = self._rows.connect().scalars(self._rows.queries.namesakes, parameters)
        if others := sorted({*ids} - {row_id}):
            yield f"it comes before {_listed(others)}, of the same model_id; take that by its id"

    def _problems(self, row: Mapping[Any, Any]) -> Iterator[str]:
        if not row["is_active"]:
            yield "The model is inactive; set is_active."
        try:
            self._vault.resolved(row)
        except RegistryError as error:
            yield error.detail

    def _unseen(self, ref: int | str) -> str:
        ids = self._hidden(ref)
        if not ids:
            return "There is no such model; register it."
        return f"The user does not see {_listed(ids)}; the owner can grant or share it."

    def _hidden(self, ref: int | str) -> Sequence[int]:
        try:
            column = {int: self._models.id, str: self._models.model_id}[kind_of_ref(ref)]
        except NotFoundError:
            return ()
        statement = sa.select(self._models.id).where(column == ref).order_by(self._models.id)
        return self._rows.connect().scalars(statement.limit(_NAMED)).all()


def _listed(ids: Sequence[int]) -> str:
    return ("model " if len(ids) == 1 else "models ") + ", ".join(map(str, ids))
