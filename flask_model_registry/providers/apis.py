"""How each kind of API lists the models it serves; listing is free everywhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


_ITEMS = 200_000


@dataclass(frozen=True)
class ListApi:
    """How an API lists its models.

    Attributes:
        endings: Ends of a base URL that OpenAI clients need, and the list does not.
        api: Where OpenAI clients call, for an address without a path.
        path: Where the list is, after what remains.
        header: The header that carries the API key.
        scheme: What comes before the key in it.
        more: Other headers.
        items: The member of the answer that holds the models; empty if it is them itself.
        name: The member of each that holds its name.
        prefix: What may come before the name.
        version: What may come after it, as a regular expression.
        is_complete: Whether a model that is not listed is not there.
    """

    path: str = "/models"
    endings: tuple[str, ...] = ()
    api: str = ""
    header: str = "Authorization"
    scheme: str = "Bearer "
    more: Mapping[str, str] = field(default_factory=dict)
    items: str = "data"
    name: str = "id"
    prefix: str = ""
    version: str = ":latest"
    is_complete: bool = True

    def completed(self, base_url: str) -> str:
        """Return a base URL with the usual path, if it has none."""
        origin, path = _parted(base_url)
        return base_url if path else origin + self.api

    def url(self, base_url: str) -> str:
        """Return where the models are listed."""
        origin, path = _parted(self.completed(base_url))
        for ending in self.endings:
            path = path.removesuffix(ending)
        return origin + path + self.path

    def headers(self, api_key: str) -> dict[str, str]:
        """Return the headers to send; the key goes nowhere else."""
        return {self.header: self.scheme + api_key, **self.more}

    def names(self, body: bytes) -> list[str]:
        """Return the names in an answer.

        Raises:
            ValueError: It is not such an answer.
        """
        items = _json(body)
        if self.items:
            items = items.get(self.items) if isinstance(items, dict) else None
        if not isinstance(items, list):
            raise ValueError("not a list of models")  # noqa: TRY004  # the response's fault
        names = (item.get(self.name) for item in items if isinstance(item, dict))
        return [name.removeprefix(self.prefix) for name in names if isinstance(name, str)]

    def lists(self, model_name: str, names: Collection[str]) -> bool:
        """Return whether a model is among those listed, or has a listed version."""
        name = model_name.removeprefix(self.prefix)
        version = re.compile(re.escape(name.removesuffix("-latest")) + self.version)
        return name in names or any(map(version.fullmatch, names))


# The sources are the API references of each, as of 2026.
DIALECTS: Mapping[str, ListApi] = {
    "openai": ListApi(),
    "anthropic": ListApi(
        "/v1/models?limit=1000",
        endings=("/v1",),
        api="/v1",
        header="x-api-key",
        scheme="",
        more={"anthropic-version": "2023-06-01"},
        version="-[0-9]{8}",
    ),
    "gemini": ListApi(
        "/models?pageSize=1000",
        endings=("/openai",),
        api="/v1beta/openai",
        header="x-goog-api-key",
        scheme="",
        items="models",
        name="name",
        prefix="models/",
    ),
    # Lists the models that could be deployed; a deployment has a name of its own.
    "azure-openai": ListApi(
        "/openai/v1/models",
        endings=("/v1", "/openai"),
        api="/openai/v1",
        header="api-key",
        scheme="",
        is_complete=False,
    ),
    "cohere": ListApi(
        "/v1/models?page_size=1000",
        endings=("/v1", "/v2", "/compatibility"),
        api="/compatibility/v1",
        items="models",
        name="name",
    ),
    "together": ListApi(items=""),
    "ollama": ListApi("/api/tags", endings=("/v1",), api="/v1", items="models", name="name"),
}


def _parted(base_url: str) -> tuple[str, str]:
    """Return the origin, and the path without a slash at its end."""
    scheme, _, rest = base_url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", (slash + path).rstrip("/")


def _json(body: bytes) -> Any:
    # Each item takes far more room than its text.
    if body.count(b",") > _ITEMS:
        raise ValueError("too many items")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
