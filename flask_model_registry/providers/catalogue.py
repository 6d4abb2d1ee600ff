"""Who serves models, as data: names, aliases and the address of each OpenAI-compatible API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Provider:
    """A service that serves models.

    Attributes:
        id: What ``model_provider`` holds, in lower case.
        base_url: Its address for OpenAI clients; ``None`` if each customer has another one.
        aliases: Other names people use; they are saved as ``id``.
    """

    id: str
    name: str
    base_url: str | None = None
    aliases: tuple[str, ...] = ()


PROVIDERS = (
    Provider("openai", "OpenAI", "https://api.openai.com/v1"),
    Provider("anthropic", "Anthropic", "https://api.anthropic.com/v1", ("claude",)),
    Provider(
        "gemini",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("google", "google-gemini"),
    ),
    Provider("azure-openai", "Azure OpenAI"),
    Provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1"),
    Provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1"),
    Provider(
        "dashscope",
        "Alibaba Cloud DashScope",
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        ("qwen", "tongyi", "aliyun"),
    ),
    Provider("zhipu", "Zhipu AI", "https://open.bigmodel.cn/api/paas/v4", ("zhipuai", "glm")),
    Provider("mistral", "Mistral AI", "https://api.mistral.ai/v1", ("mistralai",)),
    Provider("groq", "Groq", "https://api.groq.com/openai/v1"),
    Provider("xinference", "Xinference"),
    Provider("ollama", "Ollama"),
    Provider("vllm", "vLLM"),
    Provider("openai-compatible", "OpenAI-compatible"),
)


class Catalogue:
    """The known providers; those of the host replace built-in ones of the same id."""

    def __init__(self, providers: Sequence[Provider] = ()) -> None:
        for provider in providers:
            if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", provider.id):
                raise ConfigError("the id of a Provider must be 1 to 64 of a-z 0-9 . _ -")
        self._by_id = {provider.id: provider for provider in (*PROVIDERS, *providers)}
        self._aliases = {
            alias: provider.id for provider in self._by_id.values() for alias in provider.aliases
        }

    def canonical(self, name: str) -> str:
        """Return the id of a provider by its id or alias; an unknown name stays, in lower case."""
        name = name.lower()
        return name if name in self._by_id else self._aliases.get(name, name)

    def base_url(self, provider_id: str) -> str | None:
        """Return the provider's own address, if it has one that is the same for everybody."""
        provider = self._by_id.get(provider_id)
        return provider.base_url if provider else None
