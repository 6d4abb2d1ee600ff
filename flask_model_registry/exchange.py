"""Models as lines of JSON: out of one app, and into another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .core.rows import Target
from .core.users import Person, find_user
from .errors import ModelIdTakenError, RegistryError, UnreadableCredentialError
from .web.parser import loaded_by, parse_json
from .web.schemas import ExchangedModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .core.access import Actor
    from .core.registry import Registry

CONFLICTS = ("error", "skip", "update")
_BATCH = 200
_BOM = b"\xef\xbb\xbf"
# The fields of a line that are columns of the same name.
_COLUMNS = (
    "model_id category model_provider model_name base_url temperature dimension abilities "
    "description is_active"
).split()


@dataclass(frozen=True)
class Line:
    """A model in text, and what is wrong with its API key."""

    text: str
    fault: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a line.

    Attributes:
        act: ``create``, ``update``, ``skip``, ``keep`` (it is there, and the same) or ``fail``.
        about: The ``model_id``, if the line got as far as that, and what is wrong.
    """

    number: int
    act: str
    about: str

    def __str__(self) -> str:
        return f"{self.number:>6}  {self.act:<6}  {self.about}"


class Export:
    """The models of one registry, all or those of one owner."""

    def __init__(self, registry: Registry, connection: sa.Connection, owner: str | None) -> None:
        self._registry = registry
        self._connection = connection
        models = registry.rows.queries.access.tables.models
        self._page = sa.select(models).where(models.c.id > sa.bindparam("after"))
        self._page = self._page.order_by(models.c.id).limit(_BATCH)
        if owner is not None:
            key = find_user(connection, registry.rows.queries.access.tables, Person(owner))
            self._page = self._page.where(models.c.owner_id == key)

    def lines(self, *, with_secrets: bool) -> Iterator[Line]:
        """Yield a line for each model, in the order of their ids."""
        after = 0
        while rows := self._connection.execute(self._page, {"after": after}).mappings().all():
            for row in rows:
                yield self._line(row, with_secrets=with_secrets)
            after = rows[-1]["id"]

    def _line(self, row: Mapping[Any, Any], *, with_secrets: bool) -> Line:
        model = {"owner": str(row["owner_id"]), **{name: row[name] for name in _COLUMNS}}
        model["share_with_users"] = row["is_shared"]
        fault = None
        if with_secrets and row["ciphertext"] is not None:
            try:
                model["api_key"] = self._registry.keys.vault.opened(row).reveal()
            except UnreadableCredentialError as error:
                fault = f"model {row['id']} ({row['model_id']!r}): {error.detail}"
        return Line(json.dumps(model), fault)


class Import:
    """Registers models for their owners, by the rules that hold for these. Commits nothing.

    Args:
        owner: The text of the key of the user who gets them; else each line names its own.
        on_conflict: What to do if the owner has a model with this ``model_id``: ``error``,
            ``skip``, or ``update`` as ``PUT`` does.
    """

    def __init__(self, registry: Registry, *, owner: str | None, on_conflict: str) -> None:
        self._registry = registry
        self._owner = owner
        self._on_conflict = on_conflict
        self._schema = ExchangedModel(partial=["owner"] if owner is not None else None)
        self._actors: dict[str, Actor] = {}

    def outcomes(self, lines: Iterable[bytes]) -> Iterator[Outcome]:
        """Yield what comes of each line, but for the blank ones."""
        for number, line in enumerate(lines, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                yield self._outcome(number, text)

    def _outcome(self, number: int, text: bytes) -> Outcome:
        about = ""
        try:
            fields = loaded_by(self._schema, parse_json(text))
            about = fields["model_id"]
            return Outcome(number, self._done(fields), about)
        except RegistryError as error:
            return Outcome(number, "fail", f"{about}: {error}" if about else str(error))

    def _done(self, fields: dict[str, Any]) -> str:
        owner = fields.pop("owner", None)
        actor = self._actor(self._owner or owner)
        try:
            self._registry.models.create(actor, {"api_key": None, **fields})
        except ModelIdTakenError:
            own = self._own(actor, fields["model_id"])
            if own is None or self._on_conflict == "error":
                raise
        else:
            return "create"
        if self._on_conflict == "skip":
            return "skip"
        model = self._registry.models.update(actor, Target(own.id), fields)
        return "keep" if model.version == own.version else "update"

    def _actor(self, owner: str) -> Actor:
        if owner not in self._actors:
            rows = self._registry.rows
            key = find_user(rows.connect(), rows.queries.access.tables, Person(owner))
            self._actors[owner] = self._registry.actors.of_key(key)
        return self._actors[owner]

    def _own(self, actor: Actor, model_id: str) -> Any:
        """Return the id and the version of the model that is in the way; not one of others'."""
        models = self._registry.rows.queries.access.tables.models.c
        is_it = (models.owner_id == actor.key) & (models.model_id == model_id)
        statement = sa.select(models.id, models.version).where(is_it)
        return self._registry.rows.connect().execute(statement).first()
