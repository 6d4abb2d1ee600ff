"""A resolved model: what the host app's code needs to call a model."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..secret import Secret as Secret  # noqa: TC001  # Pydantic and its like look it up here
from . import client_methods, cloud_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Literal

    Library = Literal["httpx", "httpx2"]

# The origin that LiteLLM gets instead of the real one, which only the guarded client knows. Calls
# that LiteLLM makes with its own HTTP client fail, because no such host exists (RFC 6761).
_ALIAS = "https://only-for-the-guarded-client.invalid"
# The end of a base URL that OpenAI's clients need. The providers' own clients add it themselves.
_OPENAI_ENDING = re.compile(r"(?<!/)(?:/openai|/compatibility)?(?:/v1beta|/v[12])?(?:/openai)?\Z")


@dataclass(frozen=True)
class ResolvedModel:
    """A model with everything that a call needs.

    Attributes:
        model_name: The provider's name for the model.
        base_url: The URL to call: the model's own base URL, or the provider's. For the kinds
            ``aws`` and ``google``, that of the cloud's region.
        dialect: Which kind of API its provider has, such as ``openai`` or ``anthropic``; ``None``
            if calls need more than an API key.
        abilities: Its abilities, such as ``vision``; empty if none were registered.
        api_key: The API key, hidden until ``.reveal()``.
        headers: The headers of the model's credential, to send with each request; each value is
            hidden until ``.reveal()``.
        settings: The settings of its credential, such as ``organization`` or ``region``.
        expires_at: When its credential expires, in UTC without a zone; ``None`` if unknown. Calls
            still work after that.
        parameters: Members that users added to the JSON body of each call, such as ``max_tokens``.
        info: Facts that users noted about the model, such as prices; calls don't send them.
        kind: The kind of its credential: ``key``, ``aws`` or ``google``.
        secrets: For kinds other than ``key``, the credential's secrets by name; revealing
            ``api_key`` then raises.
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
    headers: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    expires_at: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kind: Literal["key", "aws", "google"] = "key"
    secrets: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    # Not a field, so that `==`, `repr` and `asdict` leave it out.
    _open_client: InitVar[Callable[..., Any] | None] = None

    def __post_init__(self, _open_client: Callable[..., Any] | None) -> None:
        object.__setattr__(self, "_open_client", _open_client)

    def http_client(self, library: Library | None = None, *, proxy: str | None = None) -> Any:
        """Return an HTTP client that calls this model's server and no other.

        Pass it as ``http_client=`` to the SDKs, or as ``transport=`` to httpx's clients. It checks
        each connection as a connection test does: only https to a public address, unless
        ``MODEL_REGISTRY_ALLOWED_HOSTS`` allows more. The client follows no redirects, keeps no
        cookies, and takes no proxy, ``.netrc``, API key or header from the environment. It sends
        no API key but this model's. Closing the SDK's client closes it. Threads may share it.

        Args:
            library: Which library's ``Client`` to return, ``httpx`` or ``httpx2``. Default: httpx2
                if it is installed. openai 3 and anthropic 2 take httpx2, older versions httpx.
            proxy: The URL of an HTTP proxy to call through. The proxy looks the host up itself, so
                it must refuse internal addresses. The addresses that this machine finds for the
                host are checked first.

        Raises:
            ConfigError: The library isn't installed, the proxy isn't an HTTP proxy, or no registry
                has resolved this model.
            BlockedAddressError: This model is a changed copy, and its base URL isn't allowed.
            UnsupportedClientError: Its credential is of the kind ``aws`` or ``google``. Such calls
                only go to a host of the cloud, and their clients sign them.

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
        if self.kind != "key":
            raise client_methods.unsupported(self.kind, "http_client()")
        open_client: Callable[..., Any] | None = vars(self)["_open_client"]
        if open_client is None:
            raise client_methods.unresolved()
        return open_client(
            self.base_url,
            self.api_key,
            alias=_ALIAS,
            is_async=is_async,
            library=library,
            proxy=proxy,
        )

    @property
    def root(self) -> str:
        """The base URL without the endings that OpenAI's clients need, such as the version.

        The clients of Anthropic, Cohere, Google, Groq, Mistral, Ollama and Together need it, and
        so do their LangChain packages. They add the rest of the path themselves.

        Example:
            ``https://api.groq.com`` for a ``base_url`` of ``https://api.groq.com/openai/v1``
        """
        return _OPENAI_ENDING.sub("", self.base_url.rstrip("/"))

    def openai_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``openai.OpenAI`` for this model.

        They always include the API key and base URL, so that the SDK ignores its environment's.

        Example:
            >>> [*registry.resolve("gpt-4o", user=alice).openai_kwargs()]
            ['api_key', 'base_url']
        """
        return {
            "api_key": self.api_key.reveal(),
            "base_url": self.base_url,
            **self._settings("organization", "project"),
            **self._headers("default_headers"),
        }

    def azure_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``openai.AzureOpenAI`` for this model.

        For deployments that need an ``api_version``. Pass one yourself, unless the model's
        credential has one; then these arguments include it. ``openai_kwargs()`` needs none: it
        calls Azure's version 1. Use openai 3, because older versions prefer an
        ``AZURE_OPENAI_AD_TOKEN`` from the environment to the API key.

        Raises:
            UnsupportedClientError: The dialect isn't ``azure-openai``.

        Example:
            ``AzureOpenAI(**model.azure_kwargs(), api_version="2024-10-21")``
        """
        client_methods.require(self, "azure_kwargs")
        return {
            "api_key": self.api_key.reveal(),
            "azure_endpoint": self.root,
            **self._settings("api_version"),
            **self._headers("default_headers"),
        }

    def anthropic_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``anthropic.Anthropic`` for this model.

        Raises:
            UnsupportedClientError: The dialect isn't ``anthropic``.

        Example:
            >>> registry.resolve("claude", user=alice).anthropic_kwargs()["base_url"]
            'https://api.anthropic.com'
        """
        client_methods.require(self, "anthropic_kwargs")
        return {
            "api_key": self.api_key.reveal(),
            "base_url": self.root,
            **self._headers("default_headers"),
        }

    def google_kwargs(self, http_client: Any = None) -> dict[str, Any]:
        """Return the keyword arguments of ``google.genai.Client`` for this model.

        For a credential of the kind ``google``, they are for Vertex AI, with the service account.

        Args:
            http_client: The result of ``http_client()``, or of ``async_http_client()``
                for ``Client(...).aio``. Vertex AI takes none.

        Raises:
            UnsupportedClientError: The dialect isn't ``gemini``, and the kind isn't ``google``.
            ConfigError: For Vertex AI, the package isn't installed.

        Example:
            ``genai.Client(**model.google_kwargs(model.http_client()))``
        """
        client_methods.require(self, "google_kwargs")
        if self.kind == "google":
            return cloud_arguments.for_google(self)
        options = {"base_url": self.root, "api_version": "v1beta", **self._headers("headers")}
        if http_client is not None:
            is_async = hasattr(http_client, "aclose")
            options["httpx_async_client" if is_async else "httpx_client"] = http_client
        # Explicit, because the environment may choose Vertex AI, which takes other keys.
        return {"api_key": self.api_key.reveal(), "vertexai": False, "http_options": options}

    def boto3_kwargs(self, config: Any = None) -> dict[str, Any]:
        """Return the keyword arguments of ``boto3.client`` for this model at Amazon Bedrock.

        Neither the environment nor a profile is used.

        Args:
            config: Your own ``botocore.config.Config``, such as for timeouts.

        Raises:
            UnsupportedClientError: Its credential isn't of the kind ``aws``.
            ConfigError: boto3 isn't installed.

        Example:
            ``boto3.client(**model.boto3_kwargs()).converse(modelId=model.model_name, ...)``
        """
        client_methods.require(self, "boto3_kwargs")
        return cloud_arguments.for_boto3(self, config)

    def ollama_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``ollama.Client`` for this model.

        They always have an ``Authorization`` header, so that no ``OLLAMA_API_KEY`` replaces it.

        Raises:
            UnsupportedClientError: The dialect isn't ``ollama``.

        Example:
            ``ollama.Client(**model.ollama_kwargs(), transport=model.http_client("httpx"))``
        """
        client_methods.require(self, "ollama_kwargs")
        headers = self._headers("headers").get("headers", {})
        return {
            "host": self.root,
            "headers": {**headers, "Authorization": f"Bearer {self.api_key.reveal()}"},
            "follow_redirects": False,
        }

    def llamaindex_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of LlamaIndex's ``OpenAILike`` for this model.

        For a model of the category ``embedding``, they are for ``OpenAILikeEmbedding``. They
        include the registered temperature or dimensions, and the parameters.

        Example:
            ``OpenAILike(**model.llamaindex_kwargs(), http_client=model.http_client("httpx"))``
        """
        registered = self._fields()
        kwargs = {
            "api_key": self.api_key.reveal(),
            "api_base": self.base_url,
            **self._headers("default_headers"),
            **registered,
        }
        # In extra_body, because LlamaIndex passes these on as arguments of OpenAI's client.
        if body := {**self.parameters, **registered} if self.parameters else {}:
            kwargs["additional_kwargs"] = {"extra_body": body}
        if self.category == "embedding":
            return {"model_name": self.model_name, **kwargs}
        return {"model": self.model_name, "is_chat_model": True, **kwargs}

    def litellm_kwargs(self, client: Any = None) -> dict[str, Any]:
        """Return keyword arguments of ``litellm.completion`` and similar functions for this model.

        LiteLLM calls each model with its provider ``openai``, because with other providers, some
        model names decide where the API key goes. With a credential of the kind ``aws`` or
        ``google``, it uses its provider ``bedrock`` or ``vertex_ai``, and takes no client.

        Args:
            client: An ``openai.OpenAI`` with ``openai_kwargs()`` and ``http_client()``, or an
                ``AsyncOpenAI`` for LiteLLM's asynchronous functions. LiteLLM gets a copy
                of it, with placeholders for the base URL and the API key, and so learns neither.
                For some model names, LiteLLM uses its own HTTP client, and these calls fail.

        Example:
            ``litellm.completion(**model.litellm_kwargs(client), messages=messages)``; to send the
            parameters too, pass ``**model.call_kwargs() | model.litellm_kwargs(client)``
        """
        if self.kind != "key":
            return cloud_arguments.for_litellm(self)
        name = f"openai/{self.model_name}"
        if client is None:
            key = {"api_key": self.api_key.reveal(), "api_base": self.base_url}
            return {"model": name, **key, **self._headers("extra_headers")}
        base_url = _ALIAS + urlsplit(self.base_url).path
        client = client.with_options(api_key="unused", base_url=base_url)
        return {"model": name, "api_key": "unused", "api_base": base_url, "client": client}

    def call_kwargs(self) -> dict[str, Any]:
        """Return the arguments of each call: the model's name, and the registered parameters.

        For the methods of OpenAI's and Anthropic's clients and for LiteLLM's functions. The
        temperature, the dimensions and the parameters are in ``extra_body``, because the clients
        lack arguments for some of them. An argument may also do more than set a part of the body.

        Example:
            >>> registry.resolve("gpt-4o", user=alice).call_kwargs()
            {'model': 'gpt-4o-2024-11-20', 'extra_body': {'temperature': 0.2}}
        """
        body = {**self.parameters, **self._fields()}
        return {"model": self.model_name, **({"extra_body": body} if body else {})}

    def _fields(self) -> dict[str, Any]:
        registered = {"temperature": self.temperature, "dimensions": self.dimension}
        return {name: value for name, value in registered.items() if value is not None}

    def _settings(self, *names: str) -> dict[str, str]:
        return {name: self.settings[name] for name in names if name in self.settings}

    def _headers(self, argument: str) -> dict[str, dict[str, str]]:
        """Return the headers as an argument of an SDK, if there are any."""
        headers = {name: value.reveal() for name, value in self.headers.items()}
        return {argument: headers} if headers else {}
