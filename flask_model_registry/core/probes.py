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
    TooManyProbesError,
    UnreadableCredentialError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .access import Actor
    from .ports import Endpoints
    from .rows import Rows
    from .vault import Vault

    # What is left to do when the connection to the database has been given back.
    Rest: TypeAlias = Callable[[], dict[str, Any]]


class Probes:
    """The probes of one registry in one process.

    Args:
        concurrency: How many a user may have running at once.
    """

    def __init__(self, rows: Rows, vault: Vault, endpoints: Endpoints, *, concurrency: int) -> None:
        self._rows = rows
        self._vault = vault
        self._endpoints = endpoints
        self._prober = endpoints.prober
        self._concurrency = concurrency
        self._running: Counter[Any] = Counter()
        self._lock = Lock()

    def of_saved(self, actor: Actor, ref: int | str) -> Rest:
        """Test a model with its stored key, at its stored address.

        Raises:
            NotFoundError: There is none that the actor may see.
            UnreadableCredentialError: There is no key that opens.
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            ConflictError: Its provider cannot be tested.
        """
        row = self._rows.one(self._rows.queries.secret, actor, ref)._mapping
        try:
            api_key = self._vault.opened(row)
        except UnreadableCredentialError:  # why is for the operator
            raise UnreadableCredentialError("There is no API key that opens; set one.") from None
        self._vault.address(row)
        if not self._prober.can_ask(row["model_provider"]):
            raise ConflictError("This provider cannot be tested.")
        return partial(self._probe, actor, row, api_key.reveal)

    def of_submitted(self, actor: Actor, fields: Mapping[str, Any]) -> Rest:
        """Test what was sent, which need not be saved.

        Raises:
            ValidationError: The address may not be called, or the provider cannot be tested.
        """
        fields = self._checked(fields)
        return partial(self._probe, actor, fields, fields["api_key"].reveal)

    def names(self, actor: Actor, fields: Mapping[str, Any]) -> Rest:
        """Ask a provider which models it serves.

        Raises:
            ValidationError: The address may not be called, or the provider cannot be asked.
        """
        return partial(self._names, actor, self._checked(fields))

    def _checked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        provider = self._endpoints.canonical(fields["model_provider"])
        faults = [*self._endpoints.faults(provider, fields["base_url"])]
        if not self._prober.can_ask(provider):
            faults.append(("model_provider", "This provider cannot be tested."))
        if faults:
            raise ValidationError(faults)
        return {**fields, "model_provider": provider}

    def _probe(
        self, actor: Actor, model: Mapping[str, Any], reveal: Callable[[], str]
    ) -> dict[str, Any]:
        with self._slot(actor):
            address = (model["model_provider"], model["base_url"])
            return asdict(self._prober.probe(*address, model["model_name"], reveal()))

    def _names(self, actor: Actor, fields: Mapping[str, Any]) -> dict[str, Any]:
        with self._slot(actor):
            address = (fields["model_provider"], fields["base_url"])
            return {"models": self._prober.names(*address, fields["api_key"].reveal())}

    @contextmanager
    def _slot(self, actor: Actor) -> Iterator[None]:
        with self._lock:
            if self._running[actor.key] >= self._concurrency:
                raise TooManyProbesError
            self._running[actor.key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[actor.key] -= 1
                self._running += Counter()  # forgets those who have none
