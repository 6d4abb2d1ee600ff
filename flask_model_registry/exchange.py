"""Models as lines of JSON: out of one app, and into another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from marshmallow import EXCLUDE

from .core.rows import Target
from .core.users import Person, find_user
from .errors import (
    ModelIdTakenError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
)
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
        on_conflict: What to do if the ``model_id`` is taken: ``error``, ``skip``, or ``update``
            the owner's model as ``PUT`` does.
    """

    def __init__(self, registry: Registry, *, owner: str | None, on_conflict: str) -> None:
        self._registry = registry
        self._owner = owner
        self._on_conflict = on_conflict
        self._names = ExchangedModel(only=["model_id", "owner"], unknown=EXCLUDE)
        self._model = ExchangedModel()
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
            line = self._owned(parse_json(text))
            names = loaded_by(self._names, line)
            about = names["model_id"]
            return Outcome(number, self._done(names, line), about)
        except UnavailableError:
            raise  # for all lines
        except RegistryError as error:
            return Outcome(number, "fail", f"{about}: {error}" if about else str(error))

    def _owned(self, line: Any) -> Any:
        """Return the line with the owner that was asked for."""
        if self._owner is None or not isinstance(line, dict):
            return line
        return {**line, "owner": self._owner}

    def _done(self, names: Mapping[str, str], line: dict[str, Any]) -> str:
        actor = self._actor(names["owner"])
        own = self._own(actor, names["model_id"])
        if own is not None and self._on_conflict == "skip":
            return "skip"  # whatever else the line says
        fields = loaded_by(self._model, line)
        del fields["owner"]
        if own is None:
            return self._created(actor, fields)
        if self._on_conflict == "error":
            raise ModelIdTakenError("The owner has this model already; see --on-conflict.")
        if self._has_key(own, fields):
            del fields["api_key"]
        model = self._registry.models.update(actor, Target(own["id"]), fields)
        return "keep" if model.version == own["version"] else "update"

    def _created(self, actor: Actor, fields: Mapping[str, Any]) -> str:
        try:
            self._registry.models.create(actor, {"api_key": None, **fields})
        except ModelIdTakenError:  # by a shared model of somebody else
            if self._on_conflict == "skip":
                return "skip"
            raise
        return "create"

    def _actor(self, owner: str) -> Actor:
        if owner not in self._actors:
            rows = self._registry.rows
            key = find_user(rows.connect(), rows.queries.access.tables, Person(owner))
            self._actors[owner] = self._registry.actors.of_key(key)
        return self._actors[owner]

    def _own(self, actor: Actor, model_id: str) -> Mapping[Any, Any] | None:
        models = self._registry.rows.queries.access.tables.models
        is_it = (models.c.owner_id == actor.key) & (models.c.model_id == model_id)
        statement = sa.select(models).where(is_it)
        return self._registry.rows.connect().execute(statement).mappings().first()

    def _has_key(self, own: Mapping[Any, Any], fields: Mapping[str, Any]) -> bool:
        """Tell whether this key is the stored one, for the same address."""
        if fields.get("api_key") is None:
            return False
        vault, provider = self._registry.keys.vault, fields["model_provider"]
        moved = {**fields, "model_provider": self._registry.endpoints.canonical(provider)}
        if vault.destination(own) != vault.destination(moved):
            return False
        try:
            return bool(vault.opened(own).reveal() == fields["api_key"].reveal())
        except UnreadableCredentialError:
            return False
