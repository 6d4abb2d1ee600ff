"""Where a model is called: the answers that need both the catalogue and the address policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..errors import BlockedAddressError, ConfigError
from .addresses import AddressPolicy, BadAddressError, parse_base_url
from .apis import DIALECTS
from .client import ProviderClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..config import Settings
    from .catalogue import Catalogue
    from .transport import Transport

    ClientOpener = Callable[..., Any]


@dataclass(frozen=True)
class Providers:
    """The providers of one registry under the address policy of one app."""

    catalogue: Catalogue
    policy: AddressPolicy
    prober: ProviderClient

    @classmethod
    def of(cls, catalogue: Catalogue, settings: Settings) -> Providers:
        """Return the providers under an app's settings, on this machine's network.

        Raises:
            ConfigError: A provider is at an address that the settings do not allow.
        """
        policy = AddressPolicy(settings.allowed_hosts, settings.allowed_networks)
        opening = partial(_transport, policy, settings.probe_timeout)
        providers = cls(catalogue, policy, ProviderClient(catalogue, policy, opening))
        for provider in catalogue:
            if provider.base_url and (fault := providers.fault(provider.base_url)):
                raise ConfigError(f"the base_url of Provider {provider.id!r} is refused: {fault}")
        return providers

    @cached_property
    def _call_transport(self) -> Transport:
        # Not the one of tests: users whose tests wait for names must not hold up calls.
        return _transport(self.policy, 0)

    @cached_property
    def open_client(self) -> ClientOpener:
        """What makes the HTTP client for a model, of its base URL and API key.

        A plain function, because models carry it and may be copied; methods copy their objects.
        """

        def open_client(base_url: str, api_key: Any, *, alias: str, **options: Any) -> Any:
            from .http_client import open_client
            from .key_origin import Destination

            if fault := self.fault(base_url):  # of a copy with another base URL
                raise BlockedAddressError(fault)
            destination = Destination(parse_base_url(base_url), parse_base_url(alias), api_key)
            return open_client(self._call_transport, destination, **options)

        return open_client

    def described(self) -> list[dict[str, Any]]:
        """Return the known providers as plain data."""
        return [provider.shown() for provider in self.catalogue]

    def dialect(self, provider: str) -> str | None:
        """Return which kind of API a provider has."""
        return self.catalogue.get(provider).dialect

    def canonical(self, provider: str) -> str:
        """Return the provider's id for any of its names."""
        return self.catalogue.canonical(provider)

    def faults(self, provider: str, base_url: str | None) -> Iterator[tuple[str, str]]:
        """Yield a field and a message if a model may not be at this address."""
        if base_url is None:
            if not self.catalogue.knows(provider):
                yield "model_provider", self._unknown(provider)
                yield "base_url", "Required for a provider that is not known."
            elif self.catalogue.get(provider).base_url is None:
                yield "base_url", "This provider has no URL of its own, so give one."
        elif fault := self.fault(base_url):
            yield "base_url", fault

    def _unknown(self, provider: str) -> str:
        like = self.catalogue.like(provider)
        hint = f" Did you mean {like}?" if like else ""
        return f"Unknown provider.{hint} GET /providers lists them; any other needs a base_url."

    def fault(self, address: str) -> str | None:
        """Return why a model may not be called there, as far as that goes without a look-up."""
        try:
            self.policy.check(parse_base_url(address))
        except BadAddressError as error:
            return str(error)
        return None

    def address(self, provider: str, base_url: str | None) -> str | None:
        """Return the base URL to call."""
        known = self.catalogue.get(provider)
        if base_url is None:
            return known.base_url
        return DIALECTS[known.dialect or "openai"].completed(base_url)

    def origin(self, provider: str, base_url: str | None) -> str:
        """Return what a key is bound to: the origin it may be sent to, or the provider."""
        if base_url is None:
            return f"provider:{provider}"
        try:
            return parse_base_url(base_url).origin
        except BadAddressError:
            return "nowhere"  # edited behind our back; no key was ever bound to this


def _transport(policy: AddressPolicy, timeout: float) -> Transport:
    # An HTTP client takes as long to import as much of the rest, and few processes test a model.
    from .transport import Transport, system_network

    return Transport(policy, system_network(), timeout)
