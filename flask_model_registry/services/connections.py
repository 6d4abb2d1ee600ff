"""Test models, saved or not: the database is asked first, then the world, with nothing held."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import (
    ConflictError,
    ProbesBusyError,
    TooManyProbesError,
    UnreadableCredentialError,
    ValidationError,
)
from ..policy import check_active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..policy import Actor
    from ..providers.known_providers import Providers
    from .credentials import CredentialService
    from .resolved_model import Secret
    from .rows import Rows

    # What is left to do when the connection to the database has been given back.
    Rest: TypeAlias = Callable[[], dict[str, Any]]


class ConnectionService:
    """The probes of one registry in one process.

    Each takes a thread of the server for as long as a provider likes, up to the timeout. So there
    is a bound for all users together, and one user alone does not reach it.

    Args:
        concurrency: How many a user may have running at once; all users together, one more.
    """

    def __init__(
        self, rows: Rows, credentials: CredentialService, providers: Providers, *, concurrency: int
    ) -> None:
        self._rows = rows
        self._credentials = credentials
        self._providers = providers
        self._client = providers.client
        self._concurrency = concurrency
        self._running: Counter[Any] = Counter()
        self._lock = Lock()

    def of_saved(self, actor: Actor, ref: int | str) -> Rest:
        """Test a model with its stored API key, at its stored base URL.

        Raises:
            NotFoundError: There is none that the actor may see.
            InactiveModelError: The model is switched off.
            UnreadableCredentialError: The API key is missing or can't be decrypted.
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            ConflictError: Its provider cannot be tested.
        """
        row = self._rows.find_model(self._rows.queries.secret, actor, ref)._mapping
        check_active(row, "The model is inactive. Switch it on before you test it.")
        try:
            api_key = self._credentials.open(row)
        except UnreadableCredentialError:  # why is for the operator
            raise UnreadableCredentialError(
                "The model has no readable API key. Enter one."
            ) from None
        self._providers.base_url(row)
        if not self._client.can_ask(row["model_provider"]):
            raise ConflictError("This provider cannot be tested.")
        return partial(self._probe, actor, row, api_key)

    def of_submitted(self, actor: Actor, fields: Mapping[str, Any]) -> Rest:
        """Test what was sent, which need not be saved.

        Raises:
            ValidationError: The base URL may not be called, or the provider cannot be tested.
        """
        fields = self._checked(fields)
        return partial(self._probe, actor, fields, fields["api_key"])

    def names(self, actor: Actor, fields: Mapping[str, Any]) -> Rest:
        """Ask a provider which models it serves.

        Raises:
            ValidationError: The base URL may not be called, or the provider cannot be asked.
        """
        return partial(self._names, actor, self._checked(fields))

    def _checked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        provider = self._providers.catalogue.canonical(fields["model_provider"])
        problems = [*self._providers.problems(provider, fields["base_url"])]
        if not self._client.can_ask(provider):
            problems.append(("model_provider", "This provider cannot be tested."))
        if problems:
            raise ValidationError(problems)
        return {**fields, "model_provider": provider}

    def _probe(self, actor: Actor, model: Mapping[str, Any], api_key: Secret) -> dict[str, Any]:
        with self._slot(actor):
            where = (model["model_provider"], model["base_url"])
            return asdict(self._client.probe(*where, model["model_name"], api_key.reveal()))

    def _names(self, actor: Actor, fields: Mapping[str, Any]) -> dict[str, Any]:
        with self._slot(actor):
            where = (fields["model_provider"], fields["base_url"])
            return {"models": self._client.names(*where, fields["api_key"].reveal())}

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
                self._running += Counter()  # forgets those who have none
