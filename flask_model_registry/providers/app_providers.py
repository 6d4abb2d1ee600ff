"""Where a model is called: the known providers, under the address policy of an app."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..errors import BlockedAddressError, ConfigError, NoAddressError
from ..secret import ClearedFrames
from .base_urls import AddressPolicy, BadAddressError, parse_base_url
from .catalogue import PROVIDERS, Provider, check_provider
from .client import ProviderClient
from .kinds import cloud_url, settings_problems
from .pasted import base_url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..config import Settings
    from ..secret import Secret
    from .transport import Transport

    ClientOpener = Callable[..., Any]

_SIMILAR = 0.75  # difflib's ratio; a lower one would suggest names that have little in common


class Catalogue(dict[str, Provider]):
    """The known providers by id. A host's provider replaces a built-in one with the same id."""

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
        """Return an unknown provider, which is taken to have OpenAI's API."""
        return Provider(provider_id, provider_id, list_is_complete=False)

    def canonical(self, name: str) -> str:
        """Return a provider's id for its id or alias, and an unknown name in lower case."""
        name = name.lower()
        for spelling in (name, name.replace("_", "-")):
            if (found := spelling if spelling in self else self._aliases.get(spelling)) is not None:
                return found
        return name

    def like(self, name: str) -> str | None:
        """Return the id or alias that was probably meant by an unknown name."""
        known = [*self, *self._aliases]
        return next(iter(get_close_matches(name, known, 1, _SIMILAR)), None)


@dataclass(frozen=True, eq=False)
class Providers:
    """The providers of one registry under the address policy of one app."""

    catalogue: Catalogue
    policy: AddressPolicy
    client: ProviderClient
    proxy: Secret | None = None

    @classmethod
    def of(cls, catalogue: Catalogue, settings: Settings) -> Providers:
        """Return the providers under an app's settings, on this machine's network.

        Raises:
            ConfigError: The settings do not allow the base URL of a provider.
        """
        policy = AddressPolicy(settings.allowed_hosts, settings.allowed_networks)
        open_transport = partial(_transport, policy, settings.probe_timeout, settings.proxy)
        client = ProviderClient(catalogue, policy, open_transport)
        providers = cls(catalogue, policy, client, settings.proxy)
        for provider in catalogue.values():
            if provider.base_url and (problem := providers.problem(provider.base_url)):
                raise ConfigError(f"the base_url of Provider {provider.id!r} is refused: {problem}")
        return providers

    @cached_property
    def _call_transport(self) -> Transport:
        # Separate from connection tests, whose slow DNS look-ups must not hold up calls.
        return _transport(self.policy, 0)

    @cached_property
    def open_client(self) -> ClientOpener:
        """The function that makes the HTTP client for a base URL and API key.

        It is not a method, because models keep a reference to it. With a method, a deep copy of a
        model would also copy this object.
        """

        def open_client(
            base_url: str, api_key: Any, *, alias: str, proxy: str | None = None, **options: Any
        ) -> Any:
            from .destination import Destination
            from .http_client import open_client

            if problem := self.problem(base_url):  # a copied model may have another base URL
                raise BlockedAddressError(problem)
            destination = Destination(parse_base_url(base_url), parse_base_url(alias), api_key)
            app_proxy = None if self.policy.allows(destination.endpoint.host) else self.proxy
            with ClearedFrames():  # the proxy's URL may hold a password
                return open_client(
                    self._call_transport,
                    destination,
                    proxy=app_proxy.reveal() if app_proxy and proxy is None else proxy,
                    **options,
                )

        return open_client

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the known providers as plain data."""
        return [provider.shown() for provider in self.catalogue.values()]

    def problems(
        self, provider: str, base_url: str | None, kind: str = "key"
    ) -> Iterator[tuple[str, str]]:
        """Yield a field and a message if a model may not be at this base URL.

        Args:
            kind: The kind of its credential, or ``key`` if it has its own API key.
        """
        if kind != "key" or kind not in self.catalogue[provider].kinds:
            yield from self._kind_problems(provider, base_url, kind)
        elif base_url is None:
            if provider not in self.catalogue:
                yield "model_provider", self._unknown(provider)
                yield "base_url", "Required for an unknown provider."
            elif self.catalogue[provider].base_url is None:
                yield "base_url", "This provider has no URL of its own, so give one."
        elif problem := self.problem(base_url):
            own = self.catalogue[provider].base_url
            if own:
                problem += f" If left out, it is {own}."
            elif "?api-version=" in base_url:
                problem += " For an Azure URL, choose the provider azure-openai."
            yield "base_url", problem

    def _kind_problems(
        self, provider: str, base_url: str | None, kind: str
    ) -> Iterator[tuple[str, str]]:
        if kind not in self.catalogue[provider].kinds:
            yield "model_provider", f"Takes no secret of the kind {kind}."
        elif base_url is not None:
            yield "base_url", f"Must be null for the kind {kind}, whose settings decide it."

    def base_url_of(self, pasted: str, provider: str) -> str:
        """Return the base URL that a pasted URL stands for, at this provider."""
        return base_url_of(pasted, self.catalogue[provider])

    def _unknown(self, provider: str) -> str:
        like = self.catalogue.like(provider)
        hint = f" Did you mean {like}?" if like else ""
        return f"Unknown provider.{hint} GET /providers lists them; any other needs a base_url."

    def problem(self, base_url: str) -> str | None:
        """Return why a model may not be called at a base URL, without looking up its host."""
        try:
            self.policy.check(parse_base_url(base_url))
        except BadAddressError as error:
            return str(error)
        return None

    def base_url(self, model: Mapping[Any, Any]) -> str:
        """Return the base URL to call a model at.

        Args:
            model: Its row, with that of its credential if it uses one.

        Raises:
            NoAddressError: It has no ``base_url``, and its provider has none or is not known any
                more; or a setting of its credential is not valid any more.
        """
        provider = self.catalogue[model["model_provider"]]
        if model["base_url"] is not None:
            return provider.listing.completed(model["base_url"])
        # Not get, because a missing key of a row costs an exception.
        credential = "credential" in model and model["credential"]
        if credential and credential["kind"] != "key":
            kind, settings = credential["kind"], credential["settings"]
            if kind not in provider.kinds or [*settings_problems(kind, settings)]:
                raise NoAddressError("The settings of the credential aren't valid. Set them again.")
            return cloud_url(kind, settings)
        if provider.base_url is None and provider.id in self.catalogue:
            raise NoAddressError("The provider has no URL of its own. Give the model a base_url.")
        if provider.base_url is None:
            raise NoAddressError("The provider is no longer known. Give the model a base_url.")
        return provider.base_url

    def key_origin(self, model: Mapping[Any, Any]) -> str:
        """Return the origin that an API key may be sent to, or the provider if there is no URL."""
        if model["base_url"] is None:
            return f"provider:{model['model_provider']}"
        try:
            return parse_base_url(model["base_url"]).origin
        except BadAddressError:
            return "nowhere"  # edited in SQL; no API key was encrypted for this

    def call_origin(self, model: Mapping[Any, Any]) -> str:
        """Return the origin that a model is called at, such as ``https://api.openai.com``.

        It is empty if there is no base URL, and then nothing can be called.
        """
        with suppress(BadAddressError, NoAddressError):
            endpoint = parse_base_url(self.base_url(model))
            return f"{endpoint.scheme}://{endpoint.netloc}"
        return ""

    def is_moved(self, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> bool:
        """Return whether the API key would go to another provider or origin than before."""
        # A stored name may have become an alias in the meantime.
        before, after = (self.catalogue.canonical(each["model_provider"]) for each in (old, new))
        return before != after or self.key_origin(old) != self.key_origin(new)


def _transport(policy: AddressPolicy, timeout: float, proxy: Secret | None = None) -> Transport:
    # Imported late, because it takes long and few processes test a model.
    from .transport import Transport, system_network

    if proxy is None:
        return Transport(policy, system_network(), timeout)
    from .proxy import ProxiedTransport

    return ProxiedTransport(policy, system_network(), timeout, proxy)
