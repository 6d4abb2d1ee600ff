"""Import models and credentials from lines of JSON, as an export writes them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from marshmallow import EXCLUDE

from ..db.columns import readable_columns
from ..errors import (
    ConflictError,
    CredentialNameTakenError,
    ModelIdTakenError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
    ValidationError,
)
from ..schemas import load, parse_json
from ..schemas.exchange import ExchangedCredential, ExchangedModel
from ..secret import Hidden
from .account_secrets import AccountSecret, encryption_row, with_credential
from .rows import ResourceRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from ..policy import Actor
    from .app_services import Services

    Line: TypeAlias = Hidden[dict[str, Any]]

CONFLICTS = ("error", "skip", "update")
_BOM = b"\xef\xbb\xbf"
_LINE_FIELDS = ("owner", "type")


@dataclass(frozen=True)
class ImportResult:
    """The result of a line.

    Attributes:
        action: ``create``, ``update``, ``skip``, ``keep`` (the same exists already) or ``fail``.
        detail: The ``model_id`` or the name of the credential, if the line has one, and the
            problem.
    """

    number: int
    action: str
    detail: str

    def __str__(self) -> str:
        return f"{self.number:>6}  {self.action:<6}  {self.detail}"


class Import:
    """Registers models and credentials for their owners, with the owners' rights.

    Commits nothing.

    Args:
        owner: The primary key, as a string, of the user who gets everything. By default, each line
            names its owner.
        on_conflict: What to do if the owner has a model with this ``model_id``, or a credential
            with this name: ``error``, ``skip``, or ``update`` it as ``PUT`` does.
    """

    def __init__(self, services: Services, *, owner: str | None, on_conflict: str) -> None:
        self._services = services
        self._owner = owner
        self._on_conflict = on_conflict
        self._model_names = ExchangedModel(only=["model_id", "owner"], unknown=EXCLUDE)
        self._credential_names = ExchangedCredential(only=["name", "owner"], unknown=EXCLUDE)
        self._model, self._credential = ExchangedModel(), ExchangedCredential()
        self._users: dict[str, Actor] = {}
        self._with_new_secret: set[int] = set()  # the credentials whose line had the secret

    def results(self, lines: Iterable[Hidden[bytes]]) -> list[ImportResult]:
        """Return the result of each line, except blank ones.

        Credentials come before models, in whatever order the lines are.
        """
        results: list[ImportResult] = []
        models: list[tuple[int, Line]] = []
        for number, text in enumerate(lines, 1):
            if not _text(number, text).strip():
                continue
            try:
                line = Hidden(self._with_owner(parse_json(_text(number, text))))
            except RegistryError as error:
                results.append(ImportResult(number, "fail", str(error)))
                continue
            if _is_credential(line):
                results.append(self._result(number, line, self._import_credential))
            else:
                models.append((number, line))
        results += [self._result(number, line, self._import_model) for number, line in models]
        return sorted(results, key=attrgetter("number"))

    def _result(
        self, number: int, line: Line, import_line: Callable[[Line, list[str]], str]
    ) -> ImportResult:
        label: list[str] = []
        try:
            action = import_line(line, label)
            return ImportResult(number, action, *label)
        except UnavailableError:
            raise  # the other lines would fail too
        except RegistryError as error:
            return ImportResult(number, "fail", ": ".join([*label, str(error)]))

    def _with_owner(self, line: Any) -> Any:
        """Return the line with the requested owner."""
        if self._owner is None or not isinstance(line, dict):
            return line
        return {**line, "owner": self._owner}

    def _import_credential(self, line: Line, label: list[str]) -> str:
        names = load(self._credential_names, copy(line.reveal()))
        label.append(f"credential {names['name']!r}")
        actor = self._actor(names["owner"])
        own = self._own_credential(actor, names["name"])
        if own is not None and self._on_conflict == "skip":
            return "skip"  # whatever else the line says
        fields = _without_names(load(self._credential, line.reveal()))
        if own is not None and self._on_conflict == "error":
            raise CredentialNameTakenError(
                "The owner has this credential already; see --on-conflict."
            )
        if own is None:
            new, action = self._services.accounts.create(actor, fields), "create"
        else:
            new = self._update_credential(actor, own, fields)
            action = "keep" if new["version"] == own["version"] else "update"
        if "secret" in fields or "reference" in fields:
            self._with_new_secret.add(new["id"])
        return action

    def _update_credential(
        self, actor: Actor, own: Mapping[Any, Any], fields: Mapping[str, Any]
    ) -> Mapping[Any, Any]:
        """Update a credential from a line. Missing fields get defaults, but the secret stays."""
        change = dict(fields)
        if change.pop("kind") != own["kind"]:
            raise ValidationError(
                [("kind", "The owner's credential is of another kind; delete it first.")]
            )
        # What stays unchanged isn't checked again: this app may allow less than when it was stored.
        provider = self._services.providers.catalogue.canonical(change["model_provider"])
        is_same_destination = (
            provider == own["model_provider"] and change["base_url"] == own["base_url"]
        )
        if is_same_destination:
            del change["model_provider"], change["base_url"]
        if is_same_destination and "secret" in change and self._has_secret(own, change["secret"]):
            del change["secret"]
        if is_same_destination and change.get("reference") == own["reference"]:
            change.pop("reference", None)
        change["settings"] = {**dict.fromkeys(own["settings"]), **change["settings"]}
        return self._services.accounts.update(actor, ResourceRef(own["id"]), change)

    def _has_secret(self, own: Mapping[Any, Any], secret: Mapping[str, Any]) -> bool:
        try:
            stored = AccountSecret.of(
                self._services.keys.credentials.decrypt(encryption_row(own)), own["kind"]
            )
        except UnreadableCredentialError:
            return False
        return stored == AccountSecret.from_fields(own["kind"], secret)

    def _import_model(self, line: Line, label: list[str]) -> str:
        names = load(self._model_names, copy(line.reveal()))
        label.append(names["model_id"])
        actor = self._actor(names["owner"])
        own = self._own_model(actor, names["model_id"])
        if own is not None and self._on_conflict == "skip":
            return "skip"  # whatever else the line says
        fields = _without_names(load(self._model, line.reveal()))
        credential = self._named_credential(actor, fields)
        if own is None:
            return self._create(actor, fields, credential)
        if self._on_conflict == "error":
            raise ModelIdTakenError("The owner has this model already; see --on-conflict.")
        if credential is not None:
            return self._update_with_credential(actor, own, fields, credential)
        _check_not_accepted(own, fields, has_new_key="api_key" in fields)
        if self._has_key(own, fields):
            del fields["api_key"]
        model = self._services.models.update(actor, ResourceRef(own["id"]), fields)
        return "keep" if model.version == own["version"] else "update"

    def _named_credential(self, actor: Actor, fields: dict[str, Any]) -> Mapping[Any, Any] | None:
        """Return the credential that a line names, and leave its name out of the fields."""
        name = fields.pop("credential", None)
        if name is None:
            return None
        credential = self._own_credential(actor, name)
        if credential is None:
            raise ValidationError([("credential", "The owner has no such credential.")])
        if self._is_moved(credential, fields):
            raise ValidationError([("credential", "Is for another provider or origin.")])
        return credential

    def _create(
        self, actor: Actor, fields: Mapping[str, Any], credential: Mapping[Any, Any] | None
    ) -> str:
        try:
            if credential is None:
                self._services.models.create(actor, {"api_key": None, **fields})
            else:
                target = ResourceRef(credential["id"])
                self._services.attachments.register(actor, target, [fields])
        except ModelIdTakenError:  # another owner's shared model has it
            if self._on_conflict == "skip":
                return "skip"
            raise
        except ValidationError as error:
            # register() takes several models, so its errors begin with the number of this one.
            raise ValidationError(
                [(field.removeprefix("models.0."), problem) for field, problem in error.errors]
            ) from None
        return "create"

    def _update_with_credential(
        self,
        actor: Actor,
        own: Mapping[Any, Any],
        fields: dict[str, Any],
        credential: Mapping[Any, Any],
    ) -> str:
        """Update a model from a line, with a credential."""
        is_attached = own["ciphertext"] is None and own["credential_id"] == credential["id"]
        is_new = not is_attached or credential["id"] in self._with_new_secret
        _check_not_accepted(own, fields, has_new_key=is_new)
        is_empty = credential["ciphertext"] is None and credential["reference"] is None
        if own["ciphertext"] is not None and is_empty:
            raise ConflictError(
                "The credential has no secret, and the model's own API key would be deleted. "
                "Set the secret first."
            )
        if not is_attached and self._is_moved(own, fields):
            fields["api_key"] = None
        model = self._services.models.update(actor, ResourceRef(own["id"]), fields)
        if not is_attached:
            self._services.attachments.attach(actor, ResourceRef(own["id"]), credential["id"])
        return "keep" if is_attached and model.version == own["version"] else "update"

    def _actor(self, owner: str) -> Actor:
        if owner not in self._users:
            self._users[owner] = self._services.actor_of(owner)
        return self._users[owner]

    def _own_model(self, actor: Actor, model_id: str) -> Mapping[Any, Any] | None:
        models = self._services.rows.queries.access.tables.models
        return self._first(models, actor, models.c.model_id == model_id)

    def _own_credential(self, actor: Actor, name: str) -> Mapping[Any, Any] | None:
        credentials = self._services.rows.queries.access.tables.credentials
        return self._first(credentials, actor, credentials.c.name == name)

    def _first(
        self, table: sa.Table, actor: Actor, condition: sa.ColumnElement[bool]
    ) -> Mapping[Any, Any] | None:
        statement = sa.select(*readable_columns(table))
        statement = statement.where(table.c.owner_id == actor.key, condition)
        return self._services.rows.connect().execute(statement).mappings().first()

    def _is_moved(self, own: Mapping[Any, Any], fields: Mapping[str, Any]) -> bool:
        providers = self._services.providers
        provider = providers.catalogue.canonical(fields["model_provider"])
        base_url = fields["base_url"] and providers.base_url_of(fields["base_url"], provider)
        return providers.is_moved(own, {"model_provider": provider, "base_url": base_url})

    def _has_key(self, own: Mapping[Any, Any], fields: Mapping[str, Any]) -> bool:
        """Return whether the line's API key is the stored one, for the same base URL."""
        if fields.get("api_key") is None or self._is_moved(own, fields):
            return False
        if own["credential_id"] is not None:
            own = with_credential(self._services.rows, own)
            if own.get("credential") and own["credential"]["reference"] is not None:
                return False  # don't ask the secret_source, because locks may be held
        try:
            return bool(self._services.keys.credentials.decrypt(own) == fields["api_key"])
        except UnreadableCredentialError:
            return False


def _check_not_accepted(
    own: Mapping[str, Any], fields: Mapping[str, Any], *, has_new_key: bool
) -> None:
    """Refuse to switch on a possible gift if the line lacks its API key."""
    has_key = own["ciphertext"] is not None or own["credential_id"] is not None
    if has_key and not has_new_key and fields["is_active"] and not own["is_active"]:
        raise ConflictError(
            "The owner's model is switched off, and may be a gift with another user's API key. "
            "Switch it on or delete it, or add its api_key to the line."
        )


def _is_credential(line: Line) -> bool:
    return isinstance(line.reveal(), dict) and line.reveal().get("type") == "credential"


def _without_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line that the services take."""
    return {name: value for name, value in fields.items() if name not in _LINE_FIELDS}


def _text(number: int, line: Hidden[bytes]) -> bytes:
    return line.reveal().removeprefix(_BOM if number == 1 else b"")
