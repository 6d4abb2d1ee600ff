"""Which client methods a resolved model supports, given its provider's API and its secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, UnsupportedClientError
from ..providers.catalogue import PROVIDERS

if TYPE_CHECKING:
    from .resolved_model import ResolvedModel

_COMMON_METHODS = ("openai_kwargs", "litellm_kwargs", "llamaindex_kwargs")
_PROVIDER_URLS = {each.base_url for each in PROVIDERS}
# Clients that work with one dialect only.
_METHODS_BY_DIALECT = {
    "anthropic": "anthropic_kwargs",
    "azure-openai": "azure_kwargs",
    "gemini": "google_kwargs",
    "ollama": "ollama_kwargs",
}
_CLOUD_METHODS = {
    "aws": ("boto3_kwargs", "litellm_kwargs"),
    "google": ("google_kwargs", "litellm_kwargs"),
}


def require(model: ResolvedModel, method: str) -> None:
    """Check that a model supports a client method.

    Raises:
        UnsupportedClientError: It lacks the method; the message names those that it has.
    """
    if model.kind != "key":
        if method not in _CLOUD_METHODS[model.kind]:
            raise unsupported(model.kind, f"{method}()")
        return
    own = _METHODS_BY_DIALECT.get(model.dialect or "")
    # A server of the user's own, such as a gateway, may have other APIs too.
    is_own_server = model.dialect == "openai" and model.base_url not in _PROVIDER_URLS
    if method != own and not (is_own_server and method in _METHODS_BY_DIALECT.values()):
        has = ", ".join(f"{each}()" for each in (*_COMMON_METHODS, own) if each)
        raise UnsupportedClientError(
            f"A model of the dialect {model.dialect or 'None'} has no {method}(); it has {has}."
        )


def unsupported(kind: str, what: str) -> UnsupportedClientError:
    """Return the error for a method that a model with a cloud credential lacks."""
    has = " and ".join(f"{each}()" for each in _CLOUD_METHODS[kind])
    return UnsupportedClientError(
        f"A model whose credential is of the kind {kind} has no {what}; it has {has}."
    )


def unresolved() -> ConfigError:
    """Return the error for a model that no registry has resolved."""
    return ConfigError(
        "this model was made by hand, so no address policy applies to it; take an HTTP client from "
        "a model that registry.resolve() or registry.default() returned"
    )
