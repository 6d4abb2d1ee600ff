"""Export the models and credentials of one app as lines of JSON."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from ..db.columns import readable_columns
from ..db.representation import rfc_3339
from ..db.users import Person, find_user
from ..errors import UnreadableCredentialError
from ..providers.app_providers import Catalogue
from ..secret import Hidden
from .account_secrets import AccountSecret, encryption_row
from .details import parameters_to_dict
from .stored import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .app_services import Services

_BATCH = 200
# The fields of a line that are columns of the same name.
_MODEL = (
    "model_id category model_provider model_name base_url temperature dimension abilities "
    "description is_active"
).split()
_CREDENTIAL = "name model_provider base_url kind settings".split()


@dataclass(frozen=True)
class ExportLine:
    """A model or credential as a line of text, and the problem if something is left out."""

    text: Hidden[str]
    problem: str | None = None


class _WrittenCredentials:
    """The owner and name of each credential that has a line, in a temporary SQLite database.

    There may be more than fit in memory. A model must name its credential as the credential's line
    does, even if the credential has been renamed in the meantime.
    """

    def __init__(self) -> None:
        # Imported late, because some builds of Python lack it.
        from sqlite3 import connect

        self._rows = connect("", isolation_level=None)
        self._rows.execute("CREATE TABLE written (id INTEGER PRIMARY KEY, owner TEXT, name TEXT)")
        self._rows.execute("BEGIN")

    def add(self, credential: Mapping[Any, Any]) -> None:
        """Keep the owner and the name of a credential."""
        row = (credential["id"], str(credential["owner_id"]), credential["name"])
        self._rows.execute("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Delete the file."""
        self._rows.close()

    def name_of(self, credential_id: int | None) -> tuple[str, str] | None:
        """Return the owner, as a string, and the name of a credential that has a line."""
        found = self._rows.execute("SELECT owner, name FROM written WHERE id = ?", (credential_id,))
        named: tuple[str, str] | None = found.fetchone()
        return named


class Export:
    """The models and credentials of one registry, all or those of one owner."""

    def __init__(self, services: Services, connection: sa.Connection, owner: str | None) -> None:
        self._services = services
        self._connection = connection
        self._tables = tables = services.rows.queries.access.tables
        self._owner = None
        if owner is not None:
            self._owner = find_user(connection, tables, Person(owner))

    def count(self) -> int:
        """Return how many credentials and models there are now."""
        tables = (self._tables.credentials, self._tables.models)
        counts = (
            self._for_owner(sa.select(sa.func.count()).select_from(each), each) for each in tables
        )
        return sum(self._connection.scalar(each) or 0 for each in counts)

    def lines(self, *, with_secrets: bool) -> Iterator[ExportLine]:
        """Yield a line for each credential and then for each model, in the order of their ids."""
        with closing(_WrittenCredentials()) as self._written:
            for row in self._rows(self._tables.credentials):
                yield self._credential(row, with_secrets=with_secrets)
            for row in self._rows(self._tables.models):
                if (created := self._created_since(row)) is not None:
                    yield self._credential(created, with_secrets=with_secrets)
                yield self._model(row, with_secrets=with_secrets)

    def _rows(self, table: sa.Table) -> Iterator[Mapping[Any, Any]]:
        columns = readable_columns(table)
        page = sa.select(*columns).where(table.c.id > sa.bindparam("after"))
        page = self._for_owner(page.order_by(table.c.id).limit(_BATCH), table)
        after = 0
        while rows := self._connection.execute(page, {"after": after}).mappings().all():
            yield from rows
            after = rows[-1]["id"]

    def _for_owner(self, statement: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
        return (
            statement if self._owner is None else statement.where(table.c.owner_id == self._owner)
        )

    def _created_since(self, model: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
        """Return the row of a model's credential, if it was created after the credentials' lines.

        Nothing is locked, so that users may create credentials while this runs.
        """
        credential_id = model["credential_id"]
        if model["ciphertext"] is not None or credential_id is None:
            return None
        if self._written.name_of(credential_id) is not None:
            return None
        parameters = {name: model[name] for name in ("credential_id", "owner_id")}
        statement = self._services.rows.queries.credential
        return self._connection.execute(statement, parameters).mappings().first()

    def _credential(self, row: Mapping[Any, Any], *, with_secrets: bool) -> ExportLine:
        self._written.add(row)
        line: dict[str, Any] = {"type": "credential", "owner": str(row["owner_id"])}
        line |= {name: row[name] for name in _CREDENTIAL}
        line["expires_at"] = rfc_3339(row["expires_at"])
        if row["reference"] is not None:
            line["reference"] = row["reference"]  # the secret isn't stored here
        problems = _unreadable(row)
        if with_secrets:
            line["base_url"] = self._base_url(row)
        if with_secrets and row["ciphertext"] is not None:
            try:
                secret = AccountSecret.of(
                    self._services.keys.credentials.decrypt(encryption_row(row), is_logged=False),
                    row["kind"],
                )
                line["secret"] = Hidden(secret.revealed())
            except UnreadableCredentialError as error:
                problems.append(error.detail)
        return _line(line, f"credential {row['id']} ({row['name']!r})", problems)

    def _model(self, row: Mapping[Any, Any], *, with_secrets: bool) -> ExportLine:
        line = {"owner": str(row["owner_id"]), **{name: row[name] for name in _MODEL}}
        line["share_with_users"] = row["is_shared"]
        line |= parameters_to_dict(row)
        what, problems = f"model {row['id']} ({row['model_id']!r})", _unreadable(row)
        if row["ciphertext"] is None:
            named = self._written.name_of(row["credential_id"])
            # SQL may have made the model refer to another user's credential.
            if named is not None and named[0] == line["owner"]:
                line["credential"] = named[1]
                if with_secrets:
                    line["base_url"] = self._base_url(row)
            return _line(line, what, problems)
        if with_secrets:
            try:
                line["api_key"] = self._services.keys.credentials.decrypt(row, is_logged=False)
                line["base_url"] = self._base_url(row)
            except UnreadableCredentialError as error:
                problems.append(error.detail)
        return _line(line, what, problems)

    def _base_url(self, row: Mapping[Any, Any]) -> str | None:
        """Return the base URL to export with a secret."""
        if has_another_base_url(self._services, row):
            return self._services.providers.catalogue[row["model_provider"]].base_url
        return cast("str | None", row["base_url"])


def has_another_base_url(services: Services, row: Mapping[Any, Any]) -> bool:
    """Return whether calls go to a provider's base URL that only this app has."""
    catalogue = services.providers.catalogue
    provider = catalogue.canonical(row["model_provider"])
    own = catalogue[provider].base_url
    return row.get("base_url") is None and own != Catalogue()[provider].base_url


def _unreadable(row: Mapping[Any, Any]) -> list[str]:
    return [f"The stored {name} can't be read." for name in unreadable(row)]


def _line(line: Mapping[str, Any], what: str, problems: list[str]) -> ExportLine:
    problem = f"{what}: {' '.join(problems)}" if problems else None
    return ExportLine(Hidden(json.dumps(line, default=Hidden.reveal)), problem)
