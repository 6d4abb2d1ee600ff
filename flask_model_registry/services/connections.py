"""Test models, saved or not. No database connection is held while a test waits for a provider."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from ..db.representation import ACCESS_FLAGS
from ..errors import (
    ConflictError,
    ProbesBusyError,
    TooManyProbesError,
    UnreadableCredentialError,
    ValidationError,
)
from ..policy import Action, action_for_test, check_active, check_allowed
from ..providers.calls import CALLABLE_CATEGORIES, CalledModel
from ..secret import Secret
from .account_secrets import AccountSecret, encryption_row, with_credential
from .last_test import keep_test
from .stored import check_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from ..policy import Actor
    from ..providers.app_providers import Providers
    from .account_credentials import AccountCredentials
    from .encryption import CredentialService
    from .rows import Rows

    # Asks a provider, without a connection to the database.
    ProviderRequest: TypeAlias = Callable[[], dict[str, Any]]


# Headers by setting. https://platform.openai.com/docs/api-reference/authentication
_OPENAI_HEADERS = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}


@dataclass(frozen=True)
class SavedTest:
    """A test of a saved model.

    Attributes:
        run: Runs the test, without a connection to the database.
        keep: Writes its result to the model's row, in a transaction of its own; ``None`` if
            another model was tested.
    """

    run: ProviderRequest
    keep: Callable[[Mapping[str, Any]], None] | None


class ConnectionService:
    """The connection tests of one registry in one process.

    Each test occupies a thread of the server until the provider responds or the timeout ends. So
    there is a limit for all users together, which one user alone can't reach.

    Args:
        concurrency: How many tests a user may run at once. All users together may run one more.
    """

    def __init__(
        self,
        rows: Rows,
        accounts: AccountCredentials,
        credentials: CredentialService,
        providers: Providers,
        *,
        concurrency: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._accounts = accounts
        self._credentials = credentials
        self._providers = providers
        self._client = providers.client
        self._concurrency = concurrency
        self._running: Counter[Any] = Counter()
        self._lock = Lock()

    def saved_test(
        self, actor: Actor, ref: int | str, *, model_name: str | None = None, billed: bool = False
    ) -> SavedTest:
        """Test a model with its stored secret, at its stored base URL.

        Args:
            model_name: Another model to test there, whose result is not kept.
            billed: Whether to call the model once, instead of looking for it in a list.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
            ForbiddenError: The test needs permission to edit the model.
            InactiveModelError: The model is switched off.
            UnreadableCredentialError: The API key is missing or can't be decrypted.
            NoAddressError: It has no ``base_url``, and its provider is no longer known.
            ConflictError: Its provider cannot be tested, or its category cannot be called.
        """
        at = self._clock()
        is_other = model_name is not None
        action = action_for_test(is_other_model=is_other, is_billed=billed)
        row = self._saved_row(actor, ref, action)
        secret = self._readable_secret(row)
        if billed:
            self._check_callable(row)
        called = CalledModel(model_name or row["model_name"], row["category"])
        if not is_other:
            called = CalledModel.of(row)
        test = partial(self._probe, actor, row, secret, called, billed=billed)
        return SavedTest(test, None if is_other else partial(keep_test, self._rows, row, at=at))

    def names_for_model(self, actor: Actor, ref: int | str) -> ProviderRequest:
        """Ask the provider of a model which models it serves, with the stored secret.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
            ForbiddenError: The actor may not edit the model.
            RegistryError: The same errors as for a test.
        """
        row = self._saved_row(actor, ref, Action.EDIT)
        return partial(self._names, actor, row, self._readable_secret(row))

    def credential_test(
        self, actor: Actor, credential_id: int | str, called: CalledModel, *, billed: bool = False
    ) -> ProviderRequest:
        """Test whether the actor's credential can reach a model.

        Args:
            billed: Whether to call the model once, instead of looking for it in a list.

        Raises:
            NotFoundError: The actor has no such credential.
            UnreadableCredentialError: Its secret can't be decrypted.
            ConflictError: Its provider cannot be tested, or the category cannot be called.
        """
        row = self._credential_row(actor, credential_id)
        secret = self._readable_secret(row)
        if billed:
            self._check_callable({**row, "category": called.category})
        return partial(self._probe, actor, row, secret, called, billed=billed)

    def names_for_credential(self, actor: Actor, credential_id: int | str) -> ProviderRequest:
        """Ask the provider of the actor's credential which models it serves.

        Raises:
            NotFoundError: The actor has no such credential.
            RegistryError: The same errors as for a test.
        """
        row = self._credential_row(actor, credential_id)
        return partial(self._names, actor, row, self._readable_secret(row))

    def _saved_row(self, actor: Actor, ref: int | str, action: Action) -> Mapping[Any, Any]:
        row: Mapping[Any, Any]
        row = self._rows.find_model(self._rows.queries.secret, actor, ref)._mapping
        allowed = {each for name, each in ACCESS_FLAGS.items() if row[name]}
        check_allowed(action, {Action.USE, *allowed})
        check_active(row, "The model is inactive. Switch it on before you test it.")
        if row["credential_id"] is not None:
            row = with_credential(self._rows, row)
        return row

    def _credential_row(self, actor: Actor, credential_id: int | str) -> dict[str, Any]:
        row = self._accounts.get(actor, credential_id)
        return {**encryption_row(row), "credential": row}

    def _readable_secret(self, row: Mapping[Any, Any]) -> AccountSecret:
        try:
            secret = self._credentials.secret(row)
        except UnreadableCredentialError:  # only the operator learns why
            raise UnreadableCredentialError("There is no readable API key. Enter one.") from None
        check_stored(row)
        if secret.kind != "key":
            raise ConflictError(f"A credential of the kind {secret.kind} can't be tested.")
        self._providers.base_url(row)
        if not self._client.can_ask(row["model_provider"]):
            raise ConflictError("This provider cannot be tested.")
        return secret

    def _check_callable(self, row: Mapping[Any, Any]) -> None:
        category = row["category"]
        if category not in CALLABLE_CATEGORIES:
            raise ConflictError(
                f"Calls to {category} models cost too much and take too long for a test. Test the "
                "model without billed_call."
            )
        if not self._client.can_call(row["model_provider"], category):
            raise ConflictError(f"This provider has no API to call {category} models.")

    def submitted_test(self, actor: Actor, fields: Mapping[str, Any]) -> ProviderRequest:
        """Test the submitted model, which need not be saved.

        Raises:
            ValidationError: The base URL may not be called, or the provider cannot be tested.
        """
        fields = self._checked(fields)
        called = CalledModel(fields["model_name"])
        return partial(self._probe, actor, fields, AccountSecret.of_key(fields["api_key"]), called)

    def names(self, actor: Actor, fields: Mapping[str, Any]) -> ProviderRequest:
        """Ask a provider which models it serves.

        Raises:
            ValidationError: The base URL may not be called, or the provider cannot be asked.
        """
        fields = self._checked(fields)
        return partial(self._names, actor, fields, AccountSecret.of_key(fields["api_key"]))

    def _checked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        provider = self._providers.catalogue.canonical(fields["model_provider"])
        base_url = fields["base_url"] and self._providers.base_url_of(fields["base_url"], provider)
        problems = [*self._providers.problems(provider, base_url)]
        if not self._client.can_ask(provider):
            problems.append(("model_provider", "This provider cannot be tested."))
        if problems:
            raise ValidationError(problems)
        return {**fields, "model_provider": provider, "base_url": base_url}

    def _probe(
        self,
        actor: Actor,
        destination: Mapping[str, Any],
        secret: AccountSecret,
        called: CalledModel,
        *,
        billed: bool = False,
    ) -> dict[str, Any]:
        with self._slot(actor):
            target = (destination["model_provider"], destination["base_url"])
            sent = self._with_settings(destination, secret)
            if billed:
                return asdict(self._client.call(*target, called, **sent.revealed()))
            return asdict(self._client.probe(*target, called.model_name, **sent.revealed()))

    def _names(
        self, actor: Actor, destination: Mapping[str, Any], secret: AccountSecret
    ) -> dict[str, Any]:
        with self._slot(actor):
            target = (destination["model_provider"], destination["base_url"])
            sent = self._with_settings(destination, secret)
            return {"models": self._client.names(*target, **sent.revealed())}

    def _with_settings(
        self, destination: Mapping[str, Any], secret: AccountSecret
    ) -> AccountSecret:
        """Return the secret with the headers that OpenAI's SDK sends for ``openai_kwargs()``."""
        settings = (destination.get("credential") or {}).get("settings") or {}
        if self._providers.catalogue[destination["model_provider"]].dialect != "openai":
            return secret
        present = {name.lower() for name in secret.headers}
        added = {
            header: Secret(settings[name])
            for name, header in _OPENAI_HEADERS.items()
            if name in settings and header.lower() not in present
        }
        return replace(secret, headers={**added, **secret.headers})

    @contextmanager
    def _slot(self, actor: Actor) -> Iterator[None]:
        with self._lock:
            if self._running[actor.key] >= self._concurrency:
                raise TooManyProbesError
            if self._running.total() > self._concurrency:
                raise ProbesBusyError
            self._running[actor.key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[actor.key] -= 1
                self._running += Counter()  # forgets users without a test
