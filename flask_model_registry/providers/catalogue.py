"""The known providers: names, aliases, base URLs, and how each lists its models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .apis import DIALECTS, ListApi
from .base_urls import BadAddressError, parse_base_url
from .kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # the name of a header, by RFC 9110
_VISIBLE = re.compile(r"[ -~]*")
_LIST_PATH = re.compile(r"/[!-~]*")
_TRANSPORT_HEADERS = frozenset(
    "accept-encoding connection content-length host transfer-encoding".split()
)
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PAGE = re.compile(r"https://[!-~]+")


@dataclass(frozen=True)
class Provider:
    """A service that serves models.

    Attributes:
        id: The value of ``model_provider``, in lower case.
        name: The name to show.
        base_url: The base URL for OpenAI clients; ``None`` if each customer has a different one.
        aliases: Other names that users may send; the registry saves ``id`` instead.
        dialect: The format of the provider's list of models: ``openai``, ``anthropic``, ``gemini``,
            ``azure-openai``, ``cohere``, ``together``, ``ollama``, or ``None`` if the provider has
            no list that accepts an API key.
        needs_key: Whether calls need an API key. If calls need none, users can register any
            string as the API key.
        categories: The categories of models that users can call at the base URL, as a hint for
            forms. The API is OpenAI's, except for ``rerank``, where it is Cohere's or Jina's.
        lists_to_anyone: Whether the provider lists its models without checking the API key.
        list_is_complete: Whether the list contains all models that users can call.
        key_check: The path of a URL that checks the API key, such as ``/api/v1/models/user``, for
            a provider whose list doesn't check it. ``None`` if the list checks the API key, or if
            no URL does. The path begins at the root of the provider's server.
        keys_url: The page where users get an API key.
        list_api: How the provider lists its models. By default, the dialect decides this.
        kinds: The kinds of secrets that the provider accepts: ``key``, ``aws``, ``google``. Forms
            offer the first kind.
        settings: The settings that forms offer with an API key, such as ``organization``.

    Example:
        >>> Provider("acme", "Acme", "https://llm.acme.example/v1").shown()["can_be_tested"]
        True
    """

    id: str
    name: str
    base_url: str | None = None
    aliases: tuple[str, ...] = ()
    dialect: str | None = "openai"
    needs_key: bool = True
    categories: tuple[str, ...] = ("llm",)
    lists_to_anyone: bool = False
    list_is_complete: bool = True
    key_check: str | None = None
    keys_url: str | None = None
    list_api: ListApi | None = None
    kinds: tuple[str, ...] = ("key",)
    settings: tuple[str, ...] = ()

    @property
    def listing(self) -> ListApi:
        """The ``list_api`` of the provider, or that of its dialect."""
        return self.list_api or DIALECTS[self.dialect or "openai"]

    def shown(self) -> dict[str, Any]:
        """Return the provider as a dict that can be serialized to JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "aliases": [*self.aliases],
            "base_url": self.base_url,
            "needs_base_url": self.base_url is None,
            "needs_key": self.needs_key,
            "can_be_tested": self.dialect is not None,
            "categories": [*self.categories],
            "keys_url": self.keys_url,
            "kinds": [self._kind(kind) for kind in self.kinds],
        }

    def _kind(self, kind: str) -> dict[str, Any]:
        known = KINDS[kind]
        settings = dict.fromkeys(self.settings, False) if kind == "key" else known.settings
        return {"kind": kind, "secret": _fields(known.secrets), "settings": _fields(settings)}


def _fields(required: Mapping[str, bool]) -> list[dict[str, Any]]:
    return [{"name": name, "required": is_required} for name, is_required in required.items()]


# A table: id, name, base URL, aliases, and then the arguments that differ from the defaults.
# fmt: off
_ALL = ("llm", "embedding", "image", "speech", "rerank")
_RERANK = ("llm", "embedding", "rerank")
_MEDIA = ("llm", "embedding", "image", "speech")
_TEXT = ("llm", "embedding")

PROVIDERS = (
    Provider("openai", "OpenAI", "https://api.openai.com/v1",
             categories=_MEDIA, keys_url="https://platform.openai.com/api-keys",
             settings=("organization", "project")),
    Provider("anthropic", "Anthropic", "https://api.anthropic.com/v1", ("claude",),
             dialect="anthropic", keys_url="https://platform.claude.com/settings/keys"),
    Provider("gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai",
             ("google", "google-gemini"), dialect="gemini",
             categories=("llm", "embedding", "image"),
             keys_url="https://aistudio.google.com/app/apikey"),
    Provider("azure-openai", "Azure OpenAI", None, ("azure",), dialect="azure-openai",
             categories=_MEDIA, list_is_complete=False, keys_url="https://portal.azure.com/",
             settings=("api_version",)),
    Provider("azure-foundry", "Microsoft Foundry", None, ("azure-ai", "azure-ai-foundry"),
             dialect="azure-openai", categories=("llm", "embedding", "image"),
             list_is_complete=False, keys_url="https://ai.azure.com/",
             settings=("api_version",)),
    Provider("bedrock", "Amazon Bedrock", None, ("aws", "aws-bedrock", "amazon-bedrock"),
             list_is_complete=False, keys_url="https://console.aws.amazon.com/bedrock/",
             kinds=("key", "aws")),
    # Instead of an API key, these two take tokens that expire within hours.
    Provider("vertex", "Google Vertex AI", None, ("vertex-ai", "google-vertex"), dialect=None,
             kinds=("google", "key"),
             keys_url="https://console.cloud.google.com/iam-admin/serviceaccounts"),
    Provider("watsonx", "IBM watsonx.ai", None, dialect=None, categories=_TEXT),
    Provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", categories=_TEXT,
             lists_to_anyone=True, list_is_complete=False, key_check="/api/v1/models/user",
             keys_url="https://openrouter.ai/settings/keys"),
    Provider("mistral", "Mistral AI", "https://api.mistral.ai/v1", ("mistralai",),
             categories=("llm", "embedding", "speech"),
             keys_url="https://console.mistral.ai/api-keys"),
    Provider("groq", "Groq", "https://api.groq.com/openai/v1",
             categories=("llm", "speech"), keys_url="https://console.groq.com/keys"),
    Provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1",
             keys_url="https://platform.deepseek.com/api_keys"),
    Provider("xai", "xAI", "https://api.x.ai/v1", ("grok", "x-ai"), categories=("llm", "image"),
             list_is_complete=False, keys_url="https://console.x.ai/"),
    Provider("cohere", "Cohere", "https://api.cohere.ai/compatibility/v1", dialect="cohere",
             categories=_RERANK, keys_url="https://dashboard.cohere.com/api-keys"),
    Provider("together", "Together AI", "https://api.together.ai/v1", ("togetherai", "together-ai"),
             dialect="together", categories=_ALL,
             keys_url="https://api.together.ai/settings/api-keys"),
    Provider("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1",
             ("fireworks-ai",), categories=_RERANK, list_is_complete=False,
             keys_url="https://fireworks.ai/account/api-keys"),
    Provider("huggingface", "Hugging Face", "https://router.huggingface.co/v1", ("hf",),
             lists_to_anyone=True, list_is_complete=False,
             keys_url="https://huggingface.co/settings/tokens"),
    Provider("nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", ("nim", "nvidia-nim"),
             categories=_TEXT, lists_to_anyone=True,
             keys_url="https://build.nvidia.com/settings/api-keys"),
    Provider("meta", "Meta", "https://api.meta.ai/v1", categories=("llm", "image")),
    Provider("cerebras", "Cerebras", "https://api.cerebras.ai/v1",
             keys_url="https://cloud.cerebras.ai/"),
    Provider("sambanova", "SambaNova", "https://api.sambanova.ai/v1",
             categories=("llm", "embedding", "speech"), lists_to_anyone=True,
             keys_url="https://cloud.sambanova.ai/apis"),
    Provider("nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1",
             categories=_TEXT, keys_url="https://tokenfactory.nebius.com/?modals=create-api-key"),
    Provider("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", categories=_MEDIA,
             lists_to_anyone=True, key_check="/v1/me",
             keys_url="https://deepinfra.com/dash/api_keys"),
    Provider("novita", "Novita AI", "https://api.novita.ai/openai/v1", ("novita-ai",),
             categories=_RERANK, lists_to_anyone=True,
             key_check="/openapi/v1/billing/balance/detail",
             keys_url="https://novita.ai/settings/key-management"),
    Provider("baseten", "Baseten", "https://inference.baseten.co/v1",
             keys_url="https://app.baseten.co/"),
    Provider("perplexity", "Perplexity", "https://api.perplexity.ai",
             keys_url="https://www.perplexity.ai/settings/api"),
    Provider("voyage", "Voyage AI", "https://api.voyageai.com/v1", ("voyageai", "voyage-ai"),
             categories=("embedding", "rerank"),
             keys_url="https://dashboard.voyageai.com/organization/api-keys"),
    Provider("jina", "Jina AI", "https://api.jina.ai/v1", ("jina-ai",),
             categories=("embedding", "rerank"), keys_url="https://jina.ai/"),
    Provider("upstage", "Upstage", "https://api.upstage.ai/v1",
             keys_url="https://console.upstage.ai/api-keys"),
    Provider("vercel", "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1",
             ("vercel-ai-gateway",), categories=("llm", "embedding", "image"),
             lists_to_anyone=True, key_check="/v1/credits",
             keys_url="https://vercel.com/docs/ai-gateway/authentication"),
    Provider("cloudflare", "Cloudflare Workers AI", None, ("cloudflare-workers-ai",),
             categories=_TEXT, keys_url="https://dash.cloudflare.com/profile/api-tokens"),
    Provider("databricks", "Databricks", None, categories=_TEXT, list_is_complete=False),
    Provider("snowflake", "Snowflake Cortex", None, ("snowflake-cortex",), list_is_complete=False),
    # Each region of these providers has its own API keys, so it is listed as a provider.
    Provider("dashscope", "Alibaba Cloud DashScope, China",
             "https://dashscope.aliyuncs.com/compatible-mode/v1", ("qwen", "tongyi", "aliyun"),
             categories=_TEXT, list_is_complete=False,
             keys_url="https://bailian.console.aliyun.com/?tab=model#/api-key"),
    Provider("dashscope-intl", "Alibaba Cloud DashScope, Singapore",
             "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ("alibaba",),
             categories=_TEXT, list_is_complete=False,
             keys_url="https://modelstudio.console.alibabacloud.com/?tab=playground#/api-key"),
    Provider("dashscope-us", "Alibaba Cloud DashScope, US",
             "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
             categories=_TEXT, list_is_complete=False,
             keys_url="https://modelstudio.console.alibabacloud.com/?tab=playground#/api-key"),
    Provider("zhipu", "Zhipu AI", "https://open.bigmodel.cn/api/paas/v4",
             ("zhipuai", "glm", "bigmodel"), categories=_MEDIA, list_is_complete=False,
             keys_url="https://open.bigmodel.cn/apikey/platform"),
    Provider("zai", "Z.ai", "https://api.z.ai/api/paas/v4", ("z-ai", "z.ai"),
             list_is_complete=False,
             keys_url="https://z.ai/manage-apikey/apikey-list"),
    Provider("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", ("kimi", "moonshotai"),
             keys_url="https://platform.kimi.ai/console/api-keys"),
    Provider("moonshot-cn", "Moonshot AI, China", "https://api.moonshot.cn/v1", ("moonshotai-cn",),
             keys_url="https://platform.moonshot.cn/console/api-keys"),
    Provider("minimax", "MiniMax", "https://api.minimax.io/v1",
             keys_url="https://platform.minimax.io/user-center/basic-information/interface-key"),
    Provider("minimax-cn", "MiniMax, China", "https://api.minimaxi.com/v1",
             keys_url="https://platform.minimaxi.com/user-center/basic-information/interface-key"),
    Provider("siliconflow", "SiliconFlow", "https://api.siliconflow.com/v1",
             categories=_ALL, keys_url="https://cloud.siliconflow.com/account/ak"),
    Provider("siliconflow-cn", "SiliconFlow, China", "https://api.siliconflow.cn/v1",
             categories=_ALL, keys_url="https://cloud.siliconflow.cn/account/ak"),
    Provider("stepfun", "StepFun, China", "https://api.stepfun.com/v1",
             keys_url="https://platform.stepfun.com/interface-key"),
    Provider("stepfun-ai", "StepFun", "https://api.stepfun.ai/v1",
             keys_url="https://platform.stepfun.ai/interface-key"),
    Provider("tencent", "Tencent TokenHub, China", "https://tokenhub.tencentmaas.com/v1",
             ("tencent-tokenhub",), keys_url="https://console.cloud.tencent.com/tokenhub/apikey"),
    Provider("tencent-intl", "Tencent TokenHub", "https://tokenhub-intl.tencentcloudmaas.com/v1",
             keys_url="https://console.tencentcloud.com/tokenhub/apikey"),
    Provider("volcengine", "Volcano Engine Ark", "https://ark.cn-beijing.volces.com/api/v3",
             ("doubao",), categories=("llm", "embedding", "image"), list_is_complete=False,
             keys_url="https://console.volcengine.com/ark/"),
    Provider("byteplus", "BytePlus ModelArk", "https://ark.ap-southeast.bytepluses.com/api/v3",
             categories=("llm", "image"), list_is_complete=False),
    Provider("qianfan", "Baidu Qianfan", "https://qianfan.baidubce.com/v2", ("baidu",),
             list_is_complete=False,
             keys_url="https://console.bce.baidu.com/qianfan/ais/console/apiKey"),
    Provider("modelscope", "ModelScope", "https://api-inference.modelscope.cn/v1",
             lists_to_anyone=True, keys_url="https://modelscope.cn/my/myaccesstoken"),
    # Self-hosted servers. Some serve their only model, whichever model a request names.
    Provider("ollama", "Ollama", dialect="ollama", needs_key=False, categories=_TEXT),
    Provider("vllm", "vLLM", needs_key=False, categories=("llm", "embedding", "speech", "rerank")),
    Provider("sglang", "SGLang", needs_key=False, categories=_RERANK, list_is_complete=False),
    Provider("llama-cpp", "llama.cpp server", None, ("llamacpp", "llama.cpp", "llama-server"),
             needs_key=False, categories=_RERANK, list_is_complete=False),
    Provider("lm-studio", "LM Studio", None, ("lmstudio",), needs_key=False, categories=_TEXT),
    Provider("localai", "LocalAI", None, ("local-ai",), needs_key=False, categories=_ALL),
    Provider("xinference", "Xinference", needs_key=False, categories=_ALL),
    Provider("tgi", "Text Generation Inference", needs_key=False, list_is_complete=False),
    Provider("tei", "Text Embeddings Inference", needs_key=False, categories=("embedding",),
             list_is_complete=False),
    Provider("litellm", "LiteLLM proxy", None, ("litellm-proxy",), categories=_ALL,
             list_is_complete=False),
    Provider("openai-compatible", "OpenAI-compatible", categories=_ALL, list_is_complete=False),
)
# fmt: on


def check_provider(provider: Provider) -> None:
    """Check a provider of the host.

    Raises:
        ConfigError: It can't be used.
    """
    if not isinstance(provider, Provider):
        raise ConfigError(f"providers must be Provider objects, not {type(provider).__name__}")
    tuples = (provider.aliases, provider.categories, provider.kinds, provider.settings)
    if any(isinstance(each, str) for each in tuples):
        raise ConfigError(
            "the aliases, categories, kinds and settings of "
            f"Provider {provider.id!r} must be tuples"
        )
    if not all(map(_ID.fullmatch, (provider.id, *provider.aliases))):
        raise ConfigError("the id and aliases of a Provider must be 1 to 64 of a-z 0-9 . _ -")
    if provider.dialect not in (None, *DIALECTS):
        known = ", ".join(DIALECTS)
        raise ConfigError(f"the dialect of a Provider must be None or one of: {known}")
    try:
        parse_base_url(provider.base_url or "https://none.example.com")
    except BadAddressError as error:
        raise ConfigError(f"the base_url of a Provider cannot be used: {error}") from None
    _check_more(provider)


def _check_more(provider: Provider) -> None:
    if provider.key_check is not None and not _PATH.fullmatch(provider.key_check):
        raise ConfigError("the key_check of a Provider must be a path such as /v1/me")
    if provider.keys_url is not None and not _PAGE.fullmatch(provider.keys_url):
        raise ConfigError("the keys_url of a Provider must begin with https://")
    kinds, settings = {*KINDS}, {*KINDS["key"].settings}
    if not provider.kinds or not {*provider.kinds} <= kinds or not {*provider.settings} <= settings:
        raise ConfigError(
            f"the kinds of a Provider must be some of: {', '.join(KINDS)}; and its settings some "
            f"of: {', '.join(KINDS['key'].settings)}"
        )
    if provider.list_api is not None:
        _check_list_api(provider.list_api)


def _check_list_api(api: ListApi) -> None:
    if not isinstance(api, ListApi):
        raise ConfigError(f"the list_api of a Provider must be a ListApi, not {type(api).__name__}")
    headers = {api.header: api.scheme, **api.more}
    names = {name.lower() for name in headers}
    are_distinct = len(names) == 1 + len(api.more)
    if not are_distinct or names & _TRANSPORT_HEADERS or not all(map(_TOKEN.fullmatch, names)):
        raise ConfigError(
            "the header and more of a ListApi must be valid, distinct names of headers, "
            "and not of headers that the HTTP client sets"
        )
    if not all(map(_VISIBLE.fullmatch, headers.values())) or not _LIST_PATH.fullmatch(api.path):
        raise ConfigError(
            "the path of a ListApi must begin with /; its path and headers must be visible ASCII"
        )
    try:
        re.compile(api.version)
    except re.error:
        raise ConfigError("the version of a ListApi must be a regular expression") from None
