"""How each kind of API lists the models it serves; listing is free everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Dialect:
    """How an API lists its models.

    Attributes:
        endings: Ends of a base URL that clients of other dialects need, and this one does not.
        path: Where the list is, after what remains.
        header: The header that carries the API key.
        scheme: What comes before the key in it.
        more: Other headers.
        items: The member of the answer that holds the models.
        name: The member of each that holds its name.
        prefix: What comes before the name in it.
        is_complete: Whether a model that is not listed is not there.
    """

    path: str = "/models"
    endings: tuple[str, ...] = ()
    header: str = "Authorization"
    scheme: str = "Bearer "
    more: Mapping[str, str] = field(default_factory=dict)
    items: str = "data"
    name: str = "id"
    prefix: str = ""
    is_complete: bool = True

    def url(self, base_url: str) -> str:
        """Return where the models are listed."""
        root = base_url.rstrip("/")
        for ending in self.endings:
            root = root.removesuffix(ending)
        return root + self.path

    def headers(self, api_key: str) -> dict[str, str]:
        """Return the headers to send; the key goes nowhere else."""
        return {self.header: self.scheme + api_key, **self.more}

    def names(self, body: bytes) -> list[str]:
        """Return the names in an answer.

        Raises:
            ValueError: It is not such an answer.
        """
        answer = _json(body)
        items = answer.get(self.items) if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise ValueError("not a list of models")  # noqa: TRY004  # of an answer, not of ours
        names = (item.get(self.name) for item in items if isinstance(item, dict))
        return [name.removeprefix(self.prefix) for name in names if isinstance(name, str)]


# The sources are the API references of each, as of 2026.
DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(),
    "anthropic": Dialect(
        "/v1/models?limit=1000",
        endings=("/v1",),
        header="x-api-key",
        scheme="",
        more={"anthropic-version": "2023-06-01"},
    ),
    "gemini": Dialect(
        "/models?pageSize=1000",
        endings=("/openai",),
        header="x-goog-api-key",
        scheme="",
        items="models",
        name="name",
        prefix="models/",
    ),
    # Lists the models that could be deployed; a deployment has a name of its own.
    "azure-openai": Dialect(
        "/openai/v1/models",
        endings=("/v1", "/openai"),
        header="api-key",
        scheme="",
        is_complete=False,
    ),
    "cohere": Dialect(
        "/v1/models?page_size=1000",
        endings=("/v1", "/v2", "/compatibility"),
        items="models",
        name="name",
    ),
    "ollama": Dialect("/api/tags", endings=("/v1",), items="models", name="name"),
}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
