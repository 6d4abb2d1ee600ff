"""Convert a LiteLLM proxy's configuration to lines to import.

Each setting is applied, or refused by name. Nothing is guessed. If LiteLLM would look up a value in
its environment, or a value changes where an API key goes, the file must contain this value in a
form that the registry can store.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .providers import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# LiteLLM's name for each provider, and the registry's. Other providers have no API key to import,
# or have an API of their own.
_SAME_NAMES = (
    "anthropic cerebras cohere dashscope deepinfra deepseek gemini groq meta minimax mistral "
    "modelscope moonshot nebius novita ollama openai openrouter perplexity sambanova volcengine "
    "voyage xai xinference zai"
)
PROVIDERS = {each: each for each in _SAME_NAMES.split()} | {
    "azure": "azure-openai",
    "cohere_chat": "cohere",
    "custom_openai": "openai-compatible",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "jina_ai": "jina",
    "litellm_proxy": "litellm",
    "lm_studio": "lm-studio",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "openai_like": "openai-compatible",
    "qwen_ai_platform": "dashscope",
    "qwencloud": "dashscope-intl",
    "tencent": "tencent-intl",
    "together_ai": "together",
    "vercel_ai_gateway": "vercel",
}
# Models that LiteLLM calls at OpenAI if they have no prefix. LiteLLM also knows other providers'.
OPENAI_MODELS = frozenset(
    "gpt-3.5-turbo gpt-4 gpt-4-turbo gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-mini gpt-5 "
    "gpt-5-mini gpt-5-nano gpt-image-1 o1 o3 o3-mini o4-mini text-embedding-3-large "
    "text-embedding-3-small text-embedding-ada-002 tts-1 tts-1-hd whisper-1".split()
)
_CATEGORIES = {
    "chat": "llm",
    "completion": "llm",
    "responses": "llm",
    "embedding": "embedding",
    "image_generation": "image",
    "audio_speech": "speech",
    "audio_transcription": "speech",
    "rerank": "rerank",
}
_NEEDS_A_MODE = re.compile(r"embed|rerank|whisper|transcri|tts|dall-e|image|moderation", re.I)
_NO_KEY = "none"
_KEYLESS = {each.id for each in catalogue.PROVIDERS if not each.needs_key}
_IMPORTED_PARAMS = {"api_base", "api_key", "base_url", "model", "temperature"}
# Settings for a proxy's load and budget. None of them changes what is sent, or to whom.
_PROXY_PARAMS = set(
    "additional_drop_params budget_duration cooldown_time drop_params input_cost_per_second "
    "input_cost_per_token itpm max_budget max_parallel_requests max_retries num_retries order otpm "
    "output_cost_per_second output_cost_per_token rpd rpm stream_timeout tags timeout tpd tpm "
    "weight".split()
)
_ENTRY_FIELDS = {"model_name", "litellm_params", "model_info"}
_SECTIONS = {
    "general_settings": set(
        "alerting alerting_threshold database_connection_pool_limit database_url "
        "disable_spend_logs global_max_parallel_requests master_key max_parallel_requests "
        "proxy_batch_write_at store_model_in_db".split()
    ),
    "litellm_settings": set(
        "allowed_fails cache cache_params callbacks content_policy_fallbacks "
        "context_window_fallbacks default_fallbacks drop_params failure_callback fallbacks "
        "json_logs max_budget num_retries request_timeout set_verbose success_callback telemetry "
        "turn_off_message_logging".split()
    ),
    "router_settings": set(
        "allowed_fails cooldown_time enable_pre_call_checks fallbacks num_retries redis_host "
        "redis_password redis_port retry_after routing_strategy timeout".split()
    ),
}
_ENVIRON_PREFIX = "os.environ/"
# Other names for a provider in environment variables.
_STEMS = {"COHERE": "CO", "VOLCENGINE": "ARK"}


class LiteLLMError(ValueError):
    """Something in the configuration cannot be imported; the message says what to do."""


def entries(config: Any) -> list[Any]:
    """Return the models of a configuration.

    Raises:
        LiteLLMError: The configuration has no models, or a section that may change how models are
            called.
    """
    models = config.get("model_list") if isinstance(config, dict) else None
    if not isinstance(models, list) or not models:
        raise LiteLLMError("there is no model_list with models in it")
    for name, section in config.items():
        if name == "model_list":
            continue
        known = _SECTIONS.get(name, set())
        keys = section if isinstance(section, dict) else {"": None}
        for key in sorted(map(str, {*keys} - known)) if section is not None else ():
            raise LiteLLMError(
                f"{name}{'.' if key else ''}{key} may change how models are called. "
                "Import a copy of the file without it"
            )
    return models


def lines(
    models: list[Any], environ: Mapping[str, str], *, share: bool = False
) -> Iterator[tuple[str, dict[str, Any] | LiteLLMError]]:
    """Yield the name of each model, and the line to import or the error.

    Args:
        environ: Where ``os.environ/NAME`` is looked up.
        share: Whether to share the models with everyone.
    """
    seen: dict[Any, int] = {}
    for number, entry in enumerate(models, 1):
        name = entry.get("model_name") if isinstance(entry, dict) else None
        name = name if isinstance(name, str) else ""
        try:
            _check_is_first(seen.setdefault(name, number), number)
            line = _line(entry, environ)
        except LiteLLMError as error:
            yield name, error
        else:
            yield name, {**line, "share_with_users": share}


def with_credentials(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines in which models with the same API key and base URL use one credential.

    The lines of credentials come last, so that the numbers of the models' lines stay the same.
    """
    groups: dict[Any, list[dict[str, Any]]] = {}
    for line in models:
        destination = line["model_provider"], line.get("base_url"), line.get("api_key")
        groups.setdefault(destination, []).append(line)
    taken: Counter[str] = Counter()
    credentials = []
    for (provider, base_url, api_key), group in groups.items():
        if len(group) < 2 or api_key in {None, _NO_KEY}:
            continue
        taken[provider] += 1
        number = f"-{taken[provider]}" if taken[provider] > 1 else ""
        name = f"litellm-{provider}{number}"
        fields = {"model_provider": provider, "base_url": base_url}
        secret = {"api_key": api_key}
        credentials.append({"type": "credential", "name": name, **fields, "secret": secret})
        for line in group:
            del line["api_key"]
            line["credential"] = name
    return [*models, *credentials]


def _check_is_first(first: int, number: int) -> None:
    if first != number:
        raise LiteLLMError(
            f"entry {first} has this model_name too. The registry does not balance load: "
            "give each entry a name of its own, or leave one out"
        )


def _line(entry: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("model_name"), str)
        or not isinstance(entry.get("litellm_params"), dict)
    ):
        raise LiteLLMError("must have litellm_params, and a model_name that is a string")
    if unknown := sorted(map(str, {*entry} - _ENTRY_FIELDS)):
        raise LiteLLMError(f"{unknown[0]} is unknown; remove it")
    params = _imported_params(entry["litellm_params"], environ)
    prefix, upstream = _upstream(params.get("model"))
    if "*" in f"{entry['model_name']}{upstream}":
        raise LiteLLMError("a wildcard is not a model; list the models that are used")
    base_url = _base_url(params, prefix, environ)
    provider = PROVIDERS[prefix]
    api_key = _api_key(params, provider)
    if provider == "voyage" and base_url is None and (api_key or "").startswith("al-"):
        raise LiteLLMError("LiteLLM sends this API key to MongoDB; write an api_base")
    if provider == "openai" and base_url is not None:
        provider = "openai-compatible"  # otherwise users would think that the gateway is OpenAI
    line = {
        "model_id": entry["model_name"],
        "model_provider": provider,
        "model_name": upstream,
        "category": _category(entry.get("model_info"), upstream),
        "base_url": base_url,
        "api_key": api_key,
        "temperature": params.get("temperature"),
    }
    return {field: value for field, value in line.items() if value is not None}


def _imported_params(params: Mapping[Any, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that the import applies, with values from the environment."""
    imported = {}
    for field, value in params.items():
        if field not in _IMPORTED_PARAMS | _PROXY_PARAMS:
            raise LiteLLMError(
                f"litellm_params.{field} is not imported, and may change where or how the model is "
                "called. Remove it, or register this model by hand"
            )
        if field not in _IMPORTED_PARAMS or value is None:
            continue
        if isinstance(value, str) and value.startswith(_ENVIRON_PREFIX):
            variable = value.removeprefix(_ENVIRON_PREFIX)
            if not environ.get(variable):
                raise LiteLLMError(f"litellm_params.{field}: {variable} is not set")
            value = environ[variable]
        if field == "temperature":
            value = _number(value)
        elif not isinstance(value, str) or not value.strip():
            raise LiteLLMError(f"litellm_params.{field} must be text")
        imported[field] = value
    return imported


def _number(value: Any) -> float:
    try:
        if math.isfinite(number := float(value)) and not isinstance(value, bool):
            return number
    except (ValueError, TypeError, OverflowError):
        pass
    raise LiteLLMError("litellm_params.temperature must be a number")


def _path(base_url: str) -> str:
    try:
        return urlsplit(base_url).path.rstrip("/")
    except ValueError:  # the error's message would quote the value
        raise LiteLLMError("litellm_params has an invalid base URL") from None


def _upstream(model: str | None) -> tuple[str, str]:
    """Return LiteLLM's name of the provider, and the provider's name of the model."""
    if model is None:
        raise LiteLLMError("litellm_params.model is missing")
    prefix, slash, upstream = model.partition("/")
    if not slash and model in OPENAI_MODELS:
        return "openai", model
    if not slash:
        raise LiteLLMError(
            "litellm_params.model has no provider. Write openai/NAME, anthropic/NAME and so on"
        )
    if prefix not in PROVIDERS or not upstream:
        raise LiteLLMError(
            f"the provider {prefix!r} is not imported. Register the model by hand, or give "
            "openai/NAME and an api_base that speaks OpenAI's API"
        )
    return prefix, upstream


def _base_url(params: Mapping[str, Any], prefix: str, environ: Mapping[str, str]) -> str | None:
    # LiteLLM prefers base_url to api_base, but not in all of its calls.
    given = {params[field] for field in ("api_base", "base_url") if field in params}
    if len(given) > 1:
        raise LiteLLMError("litellm_params has an api_base and another base_url; remove one")
    if not given:
        _check_no_base_in_environment(prefix, environ)
        return None
    base_url = str(given.pop())
    path = _path(base_url)
    if prefix == "azure" and not path.endswith("/openai/v1"):
        raise LiteLLMError(
            "the api_base of Azure must be that of its v1 API, https://NAME.openai.azure.com/"
            "openai/v1"
        )
    if PROVIDERS[prefix] == "ollama" and not path:
        return f"{base_url.rstrip('/')}/v1"  # the path of Ollama's OpenAI-compatible API
    return base_url


def _check_no_base_in_environment(prefix: str, environ: Mapping[str, str]) -> None:
    start = prefix.upper().removesuffix("_CHAT")
    stems = "|".join({start, start.removesuffix("_AI"), _STEMS.get(start, start)})
    # Such as OPENAI_BASE_URL, and MISTRAL_AZURE_API_BASE.
    name = re.compile(rf"(?:{stems})_(?:\w+_)?(?:API_BASE|BASE_URL|API_URL)|USE_LITELLM_PROXY")
    if found := sorted(each for each in environ if name.fullmatch(each) and environ[each]):
        raise LiteLLMError(
            f"{found[0]} is set, so LiteLLM may call a server other than the provider's. "
            "Write an api_base, or unset it"
        )


def _api_key(params: Mapping[str, Any], provider: str) -> str | None:
    api_key: str | None = params.get("api_key")
    if api_key is not None and api_key.startswith("oidc/"):
        raise LiteLLMError("litellm_params.api_key names a token file; an API key is needed")
    return _NO_KEY if api_key is None and provider in _KEYLESS else api_key


def _category(info: Any, upstream: str) -> str:
    mode = info.get("mode") if isinstance(info, dict) else None
    if mode is None and _NEEDS_A_MODE.search(upstream):
        raise LiteLLMError(
            "set model_info.mode, for example to embedding, to say what the model is for"
        )
    if mode is not None and not isinstance(mode, str):  # with YAML aliases, its str() may be huge
        raise LiteLLMError("model_info.mode must be text")
    if mode is not None and mode not in _CATEGORIES:
        raise LiteLLMError(f"model_info.mode: the registry has no models for {mode[:40]!r}")
    return _CATEGORIES[mode or "chat"]
