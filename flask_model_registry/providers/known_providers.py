"""Where a model is called: the known providers, under the address policy of an app."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..errors import BlockedAddressError, ConfigError, NoAddressError
from .apis import DIALECTS
from .base_urls import AddressPolicy, BadAddressError, parse_base_url
from .catalogue import PROVIDERS, Provider, check_provider
from .client import ProviderClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..config import Settings
    from .transport import Transport

    ClientOpener = Callable[..., Any]

_ALIKE = 0.75  # of 1, by difflib; less would suggest names that have little in common


class Catalogue(dict[str, Provider]):
    """The known providers by id; those of the host replace built-in ones of the same id."""

    def __init__(self, providers: Sequence[Provider] = ()) -> None:
        for provider in providers:
            check_provider(provider)
        names = [name for provider in providers for name in (provider.id, *provider.aliases)]
        if len({*names}) < len(names):
            raise ConfigError("two of the providers have the same id or alias")
        super().__init__((provider.id, provider) for provider in (*PROVIDERS, *providers))
        self._aliases = {
            alias: provider.id for provider in self.values() for alias in provider.aliases
        }

    def __missing__(self, provider_id: str) -> Provider:
        """Return a provider that is not known: it speaks the OpenAI dialect."""
        return Provider(provider_id, provider_id)

    def canonical(self, name: str) -> str:
        """Return the id of a provider by its id or alias; an unknown name stays, in lower case."""
        name = name.lower()
        return name if name in self else self._aliases.get(name, name)

    def like(self, name: str) -> str | None:
        """Return the id or alias that an unknown name was probably meant to be."""
        known = [*self, *self._aliases]
        return next(iter(get_close_matches(name, known, 1, _ALIKE)), None)


@dataclass(frozen=True, eq=False)
class Providers:
    """The providers of one registry under the address policy of one app."""

    catalogue: Catalogue
    policy: AddressPolicy
    client: ProviderClient

    @classmethod
    def of(cls, catalogue: Catalogue, settings: Settings) -> Providers:
        """Return the providers under an app's settings, on this machine's network.

        Raises:
            ConfigError: The settings do not allow the base URL of a provider.
        """
        policy = AddressPolicy(settings.allowed_hosts, settings.allowed_networks)
        opening = partial(_transport, policy, settings.probe_timeout)
        providers = cls(catalogue, policy, ProviderClient(catalogue, policy, opening))
        for provider in catalogue.values():
            if provider.base_url and (problem := providers.problem(provider.base_url)):
                raise ConfigError(f"the base_url of Provider {provider.id!r} is refused: {problem}")
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

            if problem := self.problem(base_url):  # of a copy with another base URL
                raise BlockedAddressError(problem)
            destination = Destination(parse_base_url(base_url), parse_base_url(alias), api_key)
            return open_client(self._call_transport, destination, **options)

        return open_client

    def described(self) -> list[dict[str, Any]]:
        """Return the known providers as plain data."""
        return [provider.shown() for provider in self.catalogue.values()]

    def problems(self, provider: str, base_url: str | None) -> Iterator[tuple[str, str]]:
        """Yield a field and a message if a model may not be at this base URL."""
        if base_url is None:
            if provider not in self.catalogue:
                yield "model_provider", self._unknown(provider)
                yield "base_url", "Required for a provider that is not known."
            elif self.catalogue[provider].base_url is None:
                yield "base_url", "This provider has no URL of its own, so give one."
        elif problem := self.problem(base_url):
            yield "base_url", problem

    def _unknown(self, provider: str) -> str:
        like = self.catalogue.like(provider)
        hint = f" Did you mean {like}?" if like else ""
        return f"Unknown provider.{hint} GET /providers lists them; any other needs a base_url."

    def problem(self, base_url: str) -> str | None:
        """Return why a model may not be called there, as far as that goes without a look-up."""
        try:
            self.policy.check(parse_base_url(base_url))
        except BadAddressError as error:
            return str(error)
        return None

    def base_url(self, model: Mapping[Any, Any]) -> str:
        """Return the base URL to call a model at.

        Raises:
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
        """
        provider = self.catalogue[model["model_provider"]]
        if model["base_url"] is not None:
            return DIALECTS[provider.dialect or "openai"].completed(model["base_url"])
        if provider.base_url is None:
            raise NoAddressError("The provider is not known any more; give the model a base_url.")
        return provider.base_url

    def key_origin(self, model: Mapping[Any, Any]) -> str:
        """Return what an API key is bound to: the origin it may be sent to, or the provider."""
        if model["base_url"] is None:
            return f"provider:{model['model_provider']}"
        try:
            return parse_base_url(model["base_url"]).origin
        except BadAddressError:
            return "nowhere"  # edited behind our back; no key was ever bound to this

    def is_moved(self, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> bool:
        """Return whether the API key would go to another provider or origin than before."""
        is_same_provider = old["model_provider"] == new["model_provider"]
        return not is_same_provider or self.key_origin(old) != self.key_origin(new)


def _transport(policy: AddressPolicy, timeout: float) -> Transport:
    # An HTTP client takes as long to import as much of the rest, and few processes test a model.
    from .transport import Transport, system_network

    return Transport(policy, system_network(), timeout)
