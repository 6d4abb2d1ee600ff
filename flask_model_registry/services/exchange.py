"""Models as lines of JSON: out of one app, and into another."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from marshmallow import EXCLUDE

from ..db.users import Person, find_user
from ..errors import (
    ConflictError,
    ModelIdTakenError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
)
from ..providers.known_providers import Catalogue
from ..schemas import load, parse_json
from ..schemas.requests import ExchangedModel
from ..secret import Hidden, Secret
from .rows import ModelRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..policy import Actor
    from .app_services import Services

CONFLICTS = ("error", "skip", "update")
_BATCH = 200
_BOM = b"\xef\xbb\xbf"
# The fields of a line that are columns of the same name.
_COLUMNS = (
    "model_id category model_provider model_name base_url temperature dimension abilities "
    "description is_active"
).split()


@dataclass(frozen=True)
class ExportLine:
    """A model in text, and the problem with its API key."""

    text: Hidden[str]
    problem: str | None = None


@dataclass(frozen=True)
class ImportResult:
    """What came of a line.

    Attributes:
        act: ``create``, ``update``, ``skip``, ``keep`` (it is there, and the same) or ``fail``.
        about: The ``model_id``, if the line got as far as that, and the problem.
    """

    number: int
    act: str
    about: str

    def __str__(self) -> str:
        return f"{self.number:>6}  {self.act:<6}  {self.about}"


class Export:
    """The models of one registry, all or those of one owner."""

    def __init__(self, services: Services, connection: sa.Connection, owner: str | None) -> None:
        self._services = services
        self._connection = connection
        models = services.rows.queries.access.tables.models
        self._page = sa.select(models).where(models.c.id > sa.bindparam("after"))
        self._page = self._page.order_by(models.c.id).limit(_BATCH)
        if owner is not None:
            key = find_user(connection, services.rows.queries.access.tables, Person(owner))
            self._page = self._page.where(models.c.owner_id == key)

    def lines(self, *, with_secrets: bool) -> Iterator[ExportLine]:
        """Yield a line for each model, in the order of their ids."""
        after = 0
        while rows := self._connection.execute(self._page, {"after": after}).mappings().all():
            for row in rows:
                yield self._line(row, with_secrets=with_secrets)
            after = rows[-1]["id"]

    def _line(self, row: Mapping[Any, Any], *, with_secrets: bool) -> ExportLine:
        model = {"owner": str(row["owner_id"]), **{name: row[name] for name in _COLUMNS}}
        model["share_with_users"] = row["is_shared"]
        problem = None
        if with_secrets and row["ciphertext"] is not None:
            try:
                model["api_key"] = self._services.keys.credentials.open(row)
                model["base_url"] = self._base_url(row)
            except UnreadableCredentialError as error:
                problem = f"model {row['id']} ({row['model_id']!r}): {error.detail}"
        return ExportLine(Hidden(json.dumps(model, default=Secret.reveal)), problem)

    def _base_url(self, row: Mapping[Any, Any]) -> str | None:
        """Return the base URL that goes with the API key into another app."""
        if has_another_base_url(self._services, row):
            return self._services.providers.catalogue[row["model_provider"]].base_url
        return cast("str | None", row["base_url"])


def has_another_base_url(services: Services, model: Mapping[Any, Any]) -> bool:
    """Return whether a model is called at the URL of a provider that only this app has."""
    catalogue = services.providers.catalogue
    provider = catalogue.canonical(model["model_provider"])
    own = catalogue[provider].base_url
    return model.get("base_url") is None and own != Catalogue()[provider].base_url


class Import:
    """Registers models for their owners, by the rules that hold for these. Commits nothing.

    Args:
        owner: The primary key of the user who gets them, as a string; else each line names its
            own.
        on_conflict: What to do if the ``model_id`` is taken: ``error``, ``skip``, or ``update``
            the owner's model as ``PUT`` does.
    """

    def __init__(self, services: Services, *, owner: str | None, on_conflict: str) -> None:
        self._services = services
        self._owner = owner
        self._on_conflict = on_conflict
        self._names = ExchangedModel(only=["model_id", "owner"], unknown=EXCLUDE)
        self._model = ExchangedModel()
        self._users: dict[str, Actor] = {}

    def results(self, lines: Iterable[Hidden[bytes]]) -> Iterator[ImportResult]:
        """Yield what comes of each line, but for the blank ones."""
        for number, line in enumerate(lines, 1):
            if _text(number, line).strip():
                yield self._result(number, line)

    def _result(self, number: int, text: Hidden[bytes]) -> ImportResult:
        about = ""
        try:
            line = Hidden(self._owned(parse_json(_text(number, text))))
            names = load(self._names, copy(line.reveal()))
            about = names["model_id"]
            return ImportResult(number, self._done(names, line), about)
        except UnavailableError:
            raise  # for all lines
        except RegistryError as error:
            return ImportResult(number, "fail", f"{about}: {error}" if about else str(error))

    def _owned(self, line: Any) -> Any:
        """Return the line with the owner that was asked for."""
        if self._owner is None or not isinstance(line, dict):
            return line
        return {**line, "owner": self._owner}

    def _done(self, names: Mapping[str, str], line: Hidden[dict[str, Any]]) -> str:
        actor = self._actor(names["owner"])
        own = self._own(actor, names["model_id"])
        if own is not None and self._on_conflict == "skip":
            return "skip"  # whatever else the line says
        fields = load(self._model, line.reveal())
        del fields["owner"]
        if own is None:
            return self._created(actor, fields)
        if self._on_conflict == "error":
            raise ModelIdTakenError("The owner has this model already; see --on-conflict.")
        _check_not_accepted(own, fields)
        if self._has_key(own, fields):
            del fields["api_key"]
        model = self._services.models.update(actor, ModelRef(own["id"]), fields)
        return "keep" if model.version == own["version"] else "update"

    def _created(self, actor: Actor, fields: Mapping[str, Any]) -> str:
        try:
            self._services.models.create(actor, {"api_key": None, **fields})
        except ModelIdTakenError:  # another owner's shared model has it
            if self._on_conflict == "skip":
                return "skip"
            raise
        return "create"

    def _actor(self, owner: str) -> Actor:
        if owner not in self._users:
            rows = self._services.rows
            # Undone alone: PostgreSQL ends the transaction over a text that no key can be.
            with rows.write_transaction() as connection:
                key = find_user(connection, rows.queries.access.tables, Person(owner))
            self._users[owner] = self._services.users.from_key(key)
        return self._users[owner]

    def _own(self, actor: Actor, model_id: str) -> Mapping[Any, Any] | None:
        models = self._services.rows.queries.access.tables.models
        is_it = (models.c.owner_id == actor.key) & (models.c.model_id == model_id)
        statement = sa.select(models).where(is_it)
        return self._services.rows.connect().execute(statement).mappings().first()

    def _has_key(self, own: Mapping[Any, Any], fields: Mapping[str, Any]) -> bool:
        """Return whether this key is the stored one, for the same base URL."""
        if fields.get("api_key") is None:
            return False
        providers = self._services.providers
        provider = providers.catalogue.canonical(fields["model_provider"])
        if providers.is_moved(own, {**fields, "model_provider": provider}):
            return False
        try:
            return bool(self._services.keys.credentials.open(own) == fields["api_key"])
        except UnreadableCredentialError:
            return False


def _check_not_accepted(own: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """A file that does not know the API key of a gift does not accept it for the owner."""
    keeps_key = own["ciphertext"] is not None and "api_key" not in fields
    if keeps_key and fields["is_active"] and not own["is_active"]:
        raise ConflictError(
            "The owner's model is switched off, and may be a gift with another user's API key. "
            "Switch it on or delete it, or have the line bring its api_key."
        )


def _text(number: int, line: Hidden[bytes]) -> bytes:
    return line.reveal().removeprefix(_BOM if number == 1 else b"")
