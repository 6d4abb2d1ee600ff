"""One real call with a few tokens, in the format of each API, and what its response means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .apis import DIALECTS, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .apis import ListApi
    from .catalogue import Provider

#: Categories whose calls cost next to nothing, and take seconds.
CALLABLE_CATEGORIES = ("llm", "embedding", "rerank")
_TOKENS = 16  # some models refuse a lower limit
_TEXT = "Hi"
_MESSAGES = [{"role": "user", "content": _TEXT}]
_LIMITS = ("max_tokens", "max_completion_tokens")
# Parameters that a call sets itself, because they make the response longer or change its form.
_RESERVED = {"stream", "stream_options", "n", "thinking", *_LIMITS}
#: How many bytes of an error are read, because a server may send far more than the error itself.
MAX_ERROR_BYTES = 4096

# How servers name a model that isn't there, whatever the status.
_NO_MODEL = re.compile(
    rb"model_?not_?(?:found|available)|deployment_?not_?found|not a valid model"
    rb"|(?:invalid|unknown|no such) model|model[^\"]{0,300}?(?:not (?:exist|found)|n't exist)"
    rb"|\xe6\xa8\xa1\xe5\x9e\x8b\xe4\xb8\x8d\xe5\xad\x98\xe5\x9c\xa8",  # the same in Chinese
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(rb"insufficient[ _](?:quota|balance|credit)|balance is too low", re.I)
# Reasoning models may use up all tokens before they respond, which OpenAI reports with 400.
_CUT_OFF = re.compile(rb"max_tokens or model output limit was reached", re.IGNORECASE)


@dataclass(frozen=True)
class CalledModel:
    """What a call needs to know about a model.

    Attributes:
        parameters: Members for the body, such as a temperature.
    """

    model_name: str
    category: str = "llm"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> CalledModel:
        """Return the model of a row, with the parameters that were registered for its calls."""
        registered = {"temperature": row["temperature"], "dimensions": row["dimension"]}
        given = {name: value for name, value in registered.items() if value is not None}
        return cls(row["model_name"], row["category"], {**(row["parameters"] or {}), **given})


@dataclass(frozen=True)
class _Api:
    """A path after the root of an API, the body of a call, and the members of a response."""

    path: str
    body: Callable[[CalledModel], dict[str, Any]]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """A call to a model, with a variant for servers that refuse the parameter that limits tokens.

    Attributes:
        members: The members of a response; a working model fills one of them.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any]
    members: tuple[str, ...]
    model_name: str

    def content(self) -> bytes:
        """Return the body as JSON."""
        return json.dumps(self.body).encode()

    def with_other_limit(self, status: int, body: bytes) -> Call | None:
        """Return the call with the other parameter for the limit, if the response refuses this."""
        used = [name for name in _LIMITS if name in self.body]
        error = body[:MAX_ERROR_BYTES]
        names = any(name.encode() in error for name in _LIMITS)
        if status not in {400, 422} or not used or not names or _CUT_OFF.search(error):
            return None
        (other,) = {*_LIMITS} - {*used}
        kept = {name: value for name, value in self.body.items() if name not in used}
        return replace(self, body={**kept, other: _TOKENS})

    def result(self, status: int, body: bytes) -> str | None:
        """Return the result that a response's body shows; ``None`` if the status is enough."""
        if status == 200:
            return "ok" if self._is_filled(body) else "bad_response"
        error = body[:MAX_ERROR_BYTES]
        if _CUT_OFF.search(error):
            return "ok"
        if _NO_CREDIT.search(error):
            return "rate_limited"
        if _NO_MODEL.search(error) or (status == 404 and self._is_named(error)):
            return "model_not_found"
        return "bad_response" if status in {404, 405, 501} else None

    def _is_filled(self, body: bytes) -> bool:
        try:
            found = read_json(body)
        except ValueError:
            return False
        values = [found.get(name) for name in self.members] if isinstance(found, dict) else []
        return any(isinstance(each, (list, dict)) and each for each in values)

    def _is_named(self, error: bytes) -> bool:
        # Only in JSON, because a page about a missing path may repeat that path.
        is_json = error.lstrip()[:1] == b"{"
        return is_json and self.model_name.encode() in error


def call_of(
    provider: Provider, listing: ListApi, base_url: str, model: CalledModel, *, api_key: str
) -> Call:
    """Return the call to a model at a base URL, for which ``can_call`` must be true.

    If the path of the base URL isn't known, this adds OpenAI's path to it, as its clients do.
    """
    root = listing.root(base_url)
    apis = _APIS.get(provider.dialect or "", _OPENAI)
    if root is None:
        apis = _OPENAI
    home = listing.completed(base_url).rstrip("/") if apis is _OPENAI else str(root)
    keyed = DIALECTS[provider.dialect or "openai"] if root is not None else DIALECTS["openai"]
    api = apis[model.category]
    name = quote(model.model_name.removeprefix("models/"), safe="")  # part of some paths
    # The list's headers include those of a credential, which replace the API's own.
    headers = {**keyed.headers(api_key), **listing.more, "Content-Type": "application/json"}
    url = home + api.path.format(name)
    return Call(url, headers, api.body(model), api.members, model.model_name)


def can_call(provider: Provider, category: str) -> bool:
    """Return whether models of a category can be called at a provider."""
    if provider.dialect is None:
        return False
    return category in _APIS.get(provider.dialect, _OPENAI)


def _allowed(model: CalledModel) -> dict[str, Any]:
    """Return the registered parameters except ``_RESERVED``, ignoring case as servers in Go do."""
    given = model.parameters.items()
    return {name: value for name, value in given if name.casefold() not in _RESERVED}


def _chat(model: CalledModel) -> dict[str, Any]:
    names = {each.casefold() for each in model.parameters}
    limit = "max_completion_tokens" if "max_completion_tokens" in names else "max_tokens"
    return {**_allowed(model), "model": model.model_name, "messages": _MESSAGES, limit: _TOKENS}


def _anthropic_chat(model: CalledModel) -> dict[str, Any]:
    body = {name: value for name, value in _chat(model).items() if name not in _LIMITS}
    return {**body, "max_tokens": _TOKENS}


def _embedding(model: CalledModel) -> dict[str, Any]:
    return {**_allowed(model), "model": model.model_name, "input": _TEXT}


def _rerank(model: CalledModel) -> dict[str, Any]:
    own = {"model": model.model_name, "query": _TEXT, "documents": [_TEXT]}
    return {**_allowed(model), **own}


def _renamed(model: CalledModel, **names: str) -> dict[str, Any]:
    """Return registered parameters under the names that an API has for them."""
    given = model.parameters
    return {new: given[old] for old, new in names.items() if old in given}


def _gemini_chat(model: CalledModel) -> dict[str, Any]:
    config = {"maxOutputTokens": _TOKENS, **_renamed(model, temperature="temperature")}
    return {"contents": [{"parts": [{"text": _TEXT}]}], "generationConfig": config}


def _gemini_embedding(model: CalledModel) -> dict[str, Any]:
    size = _renamed(model, dimensions="outputDimensionality")
    return {"content": {"parts": [{"text": _TEXT}]}, **size}


def _cohere_chat(model: CalledModel) -> dict[str, Any]:
    own = {"model": model.model_name, "messages": _MESSAGES, "max_tokens": _TOKENS}
    return {**own, **_renamed(model, temperature="temperature")}


def _cohere_embedding(model: CalledModel) -> dict[str, Any]:
    own = {"model": model.model_name, "texts": [_TEXT], "input_type": "search_query"}
    return {**own, "embedding_types": ["float"], **_renamed(model, dimensions="output_dimension")}


def _cohere_rerank(model: CalledModel) -> dict[str, Any]:
    return {"model": model.model_name, "query": _TEXT, "documents": [_TEXT]}


def _ollama_chat(model: CalledModel) -> dict[str, Any]:
    options = {"num_predict": _TOKENS, **_renamed(model, temperature="temperature")}
    own = {"model": model.model_name, "messages": _MESSAGES}
    return {**own, "stream": False, "options": options}


def _ollama_embedding(model: CalledModel) -> dict[str, Any]:
    own = {"model": model.model_name, "input": _TEXT}
    return {**own, **_renamed(model, dimensions="dimensions")}


# From the API reference of each, as of 2026; the path after the root, or after the base URL.
_OPENAI: Mapping[str, _Api] = {
    "llm": _Api("/chat/completions", _chat, ("choices",)),
    "embedding": _Api("/embeddings", _embedding, ("data",)),
    "rerank": _Api("/rerank", _rerank, ("results", "data")),
}
_APIS: Mapping[str, Mapping[str, _Api]] = {
    "anthropic": {"llm": _Api("/v1/messages", _anthropic_chat, ("content",))},
    "gemini": {
        "llm": _Api("/models/{}:generateContent", _gemini_chat, ("candidates",)),
        "embedding": _Api("/models/{}:embedContent", _gemini_embedding, ("embedding",)),
    },
    "cohere": {
        "llm": _Api("/v2/chat", _cohere_chat, ("message",)),
        "embedding": _Api("/v2/embed", _cohere_embedding, ("embeddings",)),
        "rerank": _Api("/v2/rerank", _cohere_rerank, ("results",)),
    },
    "ollama": {
        "llm": _Api("/api/chat", _ollama_chat, ("message",)),
        "embedding": _Api("/api/embed", _ollama_embedding, ("embeddings",)),
    },
}
