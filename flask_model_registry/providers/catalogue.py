"""Who serves models, as data: names, aliases, addresses, and how each lists its models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .apis import DIALECTS
from .base_urls import BadAddressError, parse_base_url

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Provider:
    """A service that serves models.

    Attributes:
        id: What ``model_provider`` holds, in lower case.
        name: What people call it.
        base_url: Its address for OpenAI clients; ``None`` if each customer has another one.
        aliases: Other names people use; they are saved as ``id``.
        dialect: How it lists its models: ``openai``, ``anthropic``, ``gemini``, ``azure-openai``,
            ``cohere``, ``together``, ``ollama``, or ``None`` if it cannot be asked with an API key.
        needs_key: Whether calls take an API key; if not, any will do.
        categories: Of models that it is known for; a hint for forms, not a rule.
    """

    id: str
    name: str
    base_url: str | None = None
    aliases: tuple[str, ...] = ()
    dialect: str | None = "openai"
    needs_key: bool = True
    categories: tuple[str, ...] = ("llm",)

    def shown(self) -> dict[str, Any]:
        """Return the provider as plain data."""
        return {
            "id": self.id,
            "name": self.name,
            "aliases": [*self.aliases],
            "base_url": self.base_url,
            "needs_base_url": self.base_url is None,
            "needs_key": self.needs_key,
            "can_be_tested": self.dialect is not None,
            "categories": [*self.categories],
        }


_ALL = ("llm", "embedding", "image", "speech", "rerank")

PROVIDERS = (
    Provider(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        categories=("llm", "embedding", "image", "speech"),
    ),
    Provider(
        "anthropic",
        "Anthropic",
        "https://api.anthropic.com/v1",
        ("claude",),
        dialect="anthropic",
    ),
    Provider(
        "gemini",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("google", "google-gemini"),
        dialect="gemini",
        categories=("llm", "embedding", "image", "speech"),
    ),
    Provider(
        "azure-openai",
        "Azure OpenAI",
        aliases=("azure",),
        dialect="azure-openai",
        categories=("llm", "embedding", "image", "speech"),
    ),
    Provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1"),
    Provider(
        "mistral",
        "Mistral AI",
        "https://api.mistral.ai/v1",
        ("mistralai",),
        categories=("llm", "embedding", "speech"),
    ),
    Provider("groq", "Groq", "https://api.groq.com/openai/v1", categories=("llm", "speech")),
    Provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1"),
    Provider(
        "dashscope",
        "Alibaba Cloud DashScope",
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        ("qwen", "tongyi", "aliyun"),
        categories=("llm", "embedding"),
    ),
    Provider(
        "zhipu",
        "Zhipu AI",
        "https://open.bigmodel.cn/api/paas/v4",
        ("zhipuai", "glm"),
        categories=("llm", "embedding", "image"),
    ),
    Provider("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", ("kimi",)),
    Provider("minimax", "MiniMax", "https://api.minimax.io/v1", categories=("llm", "speech")),
    Provider("xai", "xAI", "https://api.x.ai/v1", ("grok", "x-ai"), categories=("llm", "image")),
    Provider(
        "cohere",
        "Cohere",
        "https://api.cohere.ai/compatibility/v1",
        dialect="cohere",
        categories=("llm", "embedding", "rerank"),
    ),
    Provider(
        "together",
        "Together AI",
        "https://api.together.xyz/v1",
        ("togetherai", "together-ai"),
        dialect="together",
        categories=_ALL,
    ),
    Provider(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        ("fireworks-ai",),
        categories=("llm", "embedding", "image"),
    ),
    Provider("huggingface", "Hugging Face", "https://router.huggingface.co/v1", ("hf",)),
    Provider(
        "nvidia",
        "NVIDIA NIM",
        "https://integrate.api.nvidia.com/v1",
        ("nim", "nvidia-nim"),
        categories=("llm", "embedding"),
    ),
    Provider("bedrock", "Amazon Bedrock", aliases=("aws", "aws-bedrock"), dialect=None),
    Provider("xinference", "Xinference", needs_key=False, categories=_ALL),
    Provider(
        "ollama",
        "Ollama",
        dialect="ollama",
        needs_key=False,
        categories=("llm", "embedding"),
    ),
    Provider("vllm", "vLLM", needs_key=False, categories=("llm", "embedding", "rerank")),
    Provider(
        "lm-studio",
        "LM Studio",
        aliases=("lmstudio",),
        needs_key=False,
        categories=("llm", "embedding"),
    ),
    Provider("openai-compatible", "OpenAI-compatible", categories=_ALL),
)


def check_provider(provider: Provider) -> None:
    """Check a provider of the host.

    Raises:
        ConfigError: It can't be used.
    """
    if not isinstance(provider, Provider):
        raise ConfigError(f"providers must be Provider objects, not {type(provider).__name__}")
    if isinstance(provider.aliases, str) or isinstance(provider.categories, str):
        raise ConfigError(f"the aliases and categories of Provider {provider.id!r} must be tuples")
    if not all(map(_ID.fullmatch, (provider.id, *provider.aliases))):
        raise ConfigError("the id of a Provider must be 1 to 64 of a-z 0-9 . _ -; so its aliases")
    if provider.dialect not in (None, *DIALECTS):
        known = ", ".join(DIALECTS)
        raise ConfigError(f"the dialect of a Provider must be None or one of: {known}")
    try:
        parse_base_url(provider.base_url or "https://none.example.com")
    except BadAddressError as error:
        raise ConfigError(f"the base_url of a Provider cannot be used: {error}") from None
