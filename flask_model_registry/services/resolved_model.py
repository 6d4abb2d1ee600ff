"""What the host's code gets to call a model with."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..secret import Secret as Secret  # noqa: TC001  # Pydantic and its like look it up here

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    Library = Literal["httpx", "httpx2"]

# LiteLLM gets no other origin: only the guarded client knows which server this stands for. What
# LiteLLM calls with an HTTP client of its own goes nowhere, as no such host exists (RFC 6761).
_ALIAS = "https://only-for-the-guarded-client.invalid"
_VERSION = re.compile(r"(?<!/)/v1\Z")


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is ready to be called.

    Attributes:
        model_name: The name the provider knows the model by.
        base_url: Where to call it; the model's own base URL or the provider's.
        dialect: Which kind of API its provider has, such as ``openai`` or ``anthropic``; ``None``
            if that takes more than an API key.
        abilities: What it can do, such as ``vision``; empty if none were registered.
        api_key: The plain key, hidden until ``.reveal()``.
    """

    id: int
    model_id: str
    category: str
    model_provider: str
    model_name: str
    base_url: str
    dialect: str | None
    temperature: float | None
    dimension: int | None
    abilities: tuple[str, ...]
    api_key: Secret
    # Not a field: it is no part of what the model is, for `==`, `repr` and `asdict`.
    _open_client: InitVar[Callable[..., Any] | None] = None

    def __post_init__(self, _open_client: Callable[..., Any] | None) -> None:
        object.__setattr__(self, "_open_client", _open_client)

    def http_client(self, library: Library | None = None, *, proxy: str | None = None) -> Any:
        """Return an HTTP client that calls this model's server and no other.

        For ``http_client=`` of the SDKs. Each connection is checked as a connection test is: https
        to a public address, unless ``MODEL_REGISTRY_ALLOWED_HOSTS`` allows more. The client
        follows no redirects, keeps no cookies, and takes no proxy, ``.netrc``, API key or header
        from the environment. It sends no API key but this model's.

        Closing the SDK's client closes it. Threads may share it.

        Args:
            library: Which library's ``Client`` to return, ``httpx`` or ``httpx2``. Default: httpx2
                where it is installed, which openai 3 and anthropic 2 take; older ones take httpx.
            proxy: The URL of an HTTP proxy to call through. It looks the host up itself, so it has
                to refuse internal addresses; what this machine knows of the host is checked first.

        Raises:
            ConfigError: The library isn't installed, the proxy isn't an HTTP proxy, or no registry
                has resolved this model.
            BlockedAddressError: The base URL of a changed copy isn't allowed.

        Example:
            ``OpenAI(**model.openai_kwargs(), http_client=model.http_client())``
        """
        return self._http_client(library, proxy, is_async=False)

    def async_http_client(self, library: Library | None = None, *, proxy: str | None = None) -> Any:
        """Return the same as ``http_client``, for the asynchronous clients of the SDKs.

        Example:
            ``AsyncOpenAI(**model.openai_kwargs(), http_client=model.async_http_client())``
        """
        return self._http_client(library, proxy, is_async=True)

    def _http_client(self, library: str | None, proxy: str | None, *, is_async: bool) -> Any:
        open_client: Callable[..., Any] | None = vars(self)["_open_client"]
        if open_client is None:
            raise ConfigError(
                "this model was made by hand, so that no address policy applies to it; take an "
                "HTTP client from what registry.resolve() or registry.default() return"
            )
        return open_client(
            self.base_url,
            self.api_key,
            alias=_ALIAS,
            is_async=is_async,
            library=library,
            proxy=proxy,
        )

    def openai_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``openai.OpenAI`` for this model.

        Both are always given: what is not, the SDK would take from the environment.
        """
        return {"api_key": self.api_key.reveal(), "base_url": self.base_url}

    def anthropic_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``anthropic.Anthropic`` for this model.

        For the dialect ``anthropic``. The SDK adds the version to the base URL itself.
        """
        root = _VERSION.sub("", self.base_url.rstrip("/"))
        return {"api_key": self.api_key.reveal(), "base_url": root}

    def litellm_kwargs(self, client: Any = None) -> dict[str, Any]:
        """Return keyword arguments of ``litellm.completion`` and its like for this model.

        The model is called by LiteLLM's provider ``openai``, whatever its own is: by others,
        LiteLLM lets some names of models decide where the key goes.

        Args:
            client: An ``openai.OpenAI`` made of ``openai_kwargs()`` and ``http_client()``, or an
                ``AsyncOpenAI`` for LiteLLM's asynchronous functions. LiteLLM calls with a copy of
                it, and learns neither the base URL nor the API key. Models it would rather call
                with an HTTP client of its own, as some names make it do, therefore fail.

        Example:
            ``litellm.completion(**model.litellm_kwargs(client), messages=messages)``
        """
        name = f"openai/{self.model_name}"
        if client is None:
            return {"model": name, "api_key": self.api_key.reveal(), "api_base": self.base_url}
        base_url = _ALIAS + urlsplit(self.base_url).path
        client = client.with_options(api_key="unused", base_url=base_url)
        return {"model": name, "api_key": "unused", "api_base": base_url, "client": client}
