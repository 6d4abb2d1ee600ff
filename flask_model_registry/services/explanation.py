"""Explain why a reference does or doesn't lead a user to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..db.access import parameters_of
from ..db.representation import ACCESS_FLAGS
from ..errors import ConfigError, NoAddressError, NotFoundError, RegistryError
from ..policy import Action
from .account_secrets import with_credential
from .rows import kind_of_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..policy import Actor
    from ..providers.app_providers import Providers
    from .encryption import CredentialService
    from .rows import Rows

_MAX_NAMED = 10  # the number of models that are named


@dataclass(frozen=True)
class Explanation:
    """What ``resolve`` finds for a user, and why.

    Show an explanation only to developers, because it names models that the user cannot see. It
    contains no secrets. ``str()`` returns the explanation as lines of text.

    Attributes:
        ref: The reference to explain.
        id: The id of the model that ``ref`` leads to, or ``None``.
        model_id: The ``model_id`` of the model.
        owner: The owner's primary key, as a string.
        relations: Why the user sees the model: owner, shared with everyone, granted to the user,
            granted to a group of the user.
        actions: What the user may do: use, edit, delete, share.
        base_url: The URL that calls would go to.
        key_id: The id of the encryption key that encrypted the model's API key.
        same_model_id: The ids of other models with the same ``model_id`` that the user sees. If
            several models have a ``model_id``, ``resolve`` returns the nearest active one.
        problems: The reasons why ``resolve`` would raise an error, each with a fix; empty if
            ``resolve`` would return the model.

    Example:
        >>> registry.explain("gpt-4o", user=alice).relations
        ('owner',)
    """

    ref: int | str
    id: int | None = None
    model_id: str | None = None
    owner: str | None = None
    relations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    base_url: str | None = None
    key_id: str | None = None
    same_model_id: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def namesakes(self) -> tuple[int, ...]:
        """The former name of ``same_model_id``, from version 0.1.0."""
        return self.same_model_id

    def __str__(self) -> str:
        # With repr(), so that nothing in the database can control a terminal.
        return "\n".join(f"{name}: {value!r}" for name, value in vars(self).items() if value)


class Explainer:
    """Explains the references of one registry in one app."""

    def __init__(self, rows: Rows, credentials: CredentialService, providers: Providers) -> None:
        self._rows = rows
        self._credentials = credentials
        self._providers = providers
        self._access = rows.queries.access
        self._models = rows.queries.access.tables.models.c

    def explain(self, actor: Actor, ref: int | str) -> Explanation:
        """Return why the reference does or doesn't lead the actor to a model."""
        try:
            row = self._rows.find_model(self._rows.queries.secret, actor, ref)._mapping
        except NotFoundError:
            return Explanation(ref, problems=(self._not_visible(ref),))
        except ConfigError as error:  # about the encryption keys
            return Explanation(ref, problems=(str(error),))
        if row["credential_id"] is not None:
            row = with_credential(self._rows, row)
        return Explanation(
            ref,
            row["id"],
            model_id=row["model_id"],
            owner=str(row["owner_id"]),
            relations=self._relations(actor, row["id"]),
            actions=(
                Action.USE.value,
                *(action.value for name, action in ACCESS_FLAGS.items() if row[name]),
            ),
            base_url=self._base_url(row),
            key_id=(row.get("credential") or row)["key_id"],
            same_model_id=self._same_model_id(actor, row),
            problems=tuple(self._problems(row)),
        )

    def _base_url(self, row: Mapping[Any, Any]) -> str | None:
        try:
            return self._providers.base_url(row)
        except NoAddressError:
            return None

    def _relations(self, actor: Actor, row_id: int) -> tuple[str, ...]:
        conditions = self._access.reasons(Action.USE)
        statement = sa.select(*conditions.values()).where(self._models.id == row_id)
        row = self._rows.connect().execute(statement, parameters_of(actor)).first() or ()
        return tuple(name for name, holds in zip(conditions, row, strict=False) if holds)

    def _same_model_id(self, actor: Actor, row: Mapping[Any, Any]) -> tuple[int, ...]:
        is_same = (self._models.model_id == row["model_id"]) & (self._models.id != row["id"])
        statement = sa.select(self._models.id).where(is_same, self._access.where(Action.USE))
        statement = statement.order_by(self._models.id).limit(_MAX_NAMED)
        return tuple(self._rows.connect().scalars(statement, parameters_of(actor)))

    def _problems(self, row: Mapping[Any, Any]) -> Iterator[str]:
        if not row["is_active"]:
            yield "The model is inactive; set is_active."
        try:
            self._credentials.resolve(row)
        except RegistryError as error:
            yield error.detail

    def _not_visible(self, ref: int | str) -> str:
        ids = ", ".join(map(str, self._ids_with(ref)))
        if not ids:
            return "There is no such model; register it."
        return f"The user does not see model {ids}; the owner can grant or share it."

    def _ids_with(self, ref: int | str) -> Sequence[int]:
        try:
            column = {int: self._models.id, str: self._models.model_id}[kind_of_ref(ref)]
        except NotFoundError:
            return ()
        statement = sa.select(self._models.id).where(column == ref).order_by(self._models.id)
        return self._rows.connect().scalars(statement.limit(_MAX_NAMED)).all()
