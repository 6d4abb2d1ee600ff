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
            ``aws`` and ``google``, the URL of the cloud's region.
        dialect: The kind of API that the provider has, such as ``openai`` or ``anthropic``;
            ``None`` if calls need more than an API key.
        abilities: The model's abilities, such as ``vision``; empty if none were registered.
        api_key: The API key, hidden until ``.reveal()``.
        headers: The credential's headers, to send with each request; hidden until ``.reveal()``.
        settings: The settings of the credential, such as ``organization`` or ``region``.
        expires_at: When the credential expires, in UTC without a time zone; ``None`` if unknown.
            Calls still work after this time.
        parameters: Fields that users added to the JSON body of each call, such as ``max_tokens``.
        info: Facts that users noted about the model, such as prices; calls don't send them.
        kind: The kind of the credential: ``key``, ``aws`` or ``google``.
        secrets: For the kinds ``aws`` and ``google``, the credential's secrets by name. For these
            kinds, ``api_key.reveal()`` raises an error.
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

        Pass the client as ``http_client=`` to an SDK, or as ``transport=`` to a client of httpx.
        The client connects only by https and only to public IP addresses, unless
        ``MODEL_REGISTRY_ALLOWED_HOSTS`` allows more. It follows no redirects and keeps no cookies.
        The client uses no proxy, ``.netrc``, API key or header from the environment, and sends only
        this model's API key. If you close the SDK's client, the HTTP client is closed too. Threads
        may share an HTTP client.

        Args:
            library: The library of the client, ``httpx`` or ``httpx2``. Default: httpx2 if it is
                installed. openai 3 and anthropic 2 accept httpx2; older versions accept httpx.
            proxy: The URL of an HTTP proxy for all calls. The proxy resolves host names itself, so
                it must refuse internal IP addresses. The client still refuses a host name that
                this machine resolves to an internal IP address.

        Raises:
            ConfigError: The library isn't installed, the proxy isn't an HTTP proxy, or no registry
                has resolved this model.
            BlockedAddressError: This model is a changed copy with a base URL that isn't allowed.
            UnsupportedClientError: The credential is of the kind ``aws`` or ``google``. Use the
                cloud's own client, which signs requests and calls only the cloud's hosts.

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
        """The base URL without the end that OpenAI's clients need, such as ``/v1``.

        Pass this URL to the clients of Anthropic, Cohere, Google, Groq, Mistral, Ollama and
        Together, and to their LangChain packages. These clients add the end of the URL themselves.

        Example:
            ``https://api.groq.com`` for a ``base_url`` of ``https://api.groq.com/openai/v1``
        """
        return _OPENAI_ENDING.sub("", self.base_url.rstrip("/"))

    def openai_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``openai.OpenAI`` for this model.

        With these arguments, the SDK reads no API key or base URL from the environment.

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

        Use this method for deployments that need an ``api_version``. If the credential has none,
        pass an ``api_version`` to the client yourself. ``openai_kwargs()`` needs none, because it
        calls version 1 of Azure's API. Use openai 3, because older versions use an
        ``AZURE_OPENAI_AD_TOKEN`` from the environment instead of the API key.

        Raises:
            UnsupportedClientError: The model's server is known not to have this API.

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
            UnsupportedClientError: The model's server is known not to have this API.

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

        For the kind ``google``, the arguments are for Vertex AI and include the service account.

        Args:
            http_client: The result of ``http_client()``, or of ``async_http_client()`` if you use
                ``Client(...).aio``. For Vertex AI, this argument is ignored.

        Raises:
            UnsupportedClientError: The model's server is known not to have this API.
            ConfigError: The kind is ``google``, but the package google-genai isn't installed.

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

        The arguments override the credentials, region and URL in the environment and profiles.

        Args:
            config: Your own ``botocore.config.Config``, such as for timeouts.

        Raises:
            UnsupportedClientError: The credential isn't of the kind ``aws``.
            ConfigError: boto3 isn't installed.

        Example:
            ``boto3.client(**model.boto3_kwargs()).converse(modelId=model.model_name, ...)``
        """
        client_methods.require(self, "boto3_kwargs")
        return cloud_arguments.for_boto3(self, config)

    def ollama_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``ollama.Client`` for this model.

        With these arguments, the client ignores the environment variable ``OLLAMA_API_KEY``.

        Raises:
            UnsupportedClientError: The model's server is known not to have this API.

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

        For a model of the category ``embedding``, the arguments are for ``OpenAILikeEmbedding``.
        The arguments include the registered temperature, dimensions and parameters.

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

        If a model has an API key, LiteLLM's provider is always ``openai``. With other providers of
        LiteLLM, a model's name may decide where LiteLLM sends the API key. For a credential of the
        kind ``aws`` or ``google``, LiteLLM's provider is ``bedrock`` or ``vertex_ai``.

        Args:
            client: An ``openai.OpenAI`` with ``openai_kwargs()`` and ``http_client()``, or an
                ``AsyncOpenAI`` for LiteLLM's asynchronous functions. LiteLLM gets a copy of the
                client without the real base URL and API key. For some model names, LiteLLM uses
                its own HTTP client instead, and the calls fail. Ignored for ``aws`` and ``google``.

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

        Pass these arguments to methods of OpenAI's or Anthropic's clients, or to LiteLLM. The
        temperature, dimensions and parameters are in ``extra_body``. The clients lack arguments
        for some of these values, and some arguments change more than the JSON body.

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
