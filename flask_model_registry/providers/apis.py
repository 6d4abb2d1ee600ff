"""How each kind of API lists its models; a list costs nothing at any provider."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MAX_ITEMS = 200_000
_TOKEN = 2048  # characters


@dataclass(frozen=True)
class ListApi:
    """How an API lists its models.

    The list's URL and the URLs of calls begin with the same root. So if a connection test finds the
    list, calls to the same base URL will work too.

    Attributes:
        path: The path of the list, after the root.
        known: A regular expression for the paths of base URLs, with a group that matches the root.
            If a path doesn't match, calls go to the base URL unchanged, and the list is at
            ``/models`` below the base URL.
        home: The path of the root if the base URL has no path.
        api: The path that OpenAI clients call, after the root.
        header: The header that contains the API key.
        scheme: The text before the API key in this header.
        more: Other headers of the request for the list.
        items: The field of the response that contains the models.
        name: The field of a model that contains the model's name.
        prefix: A prefix that names in the list may have, such as ``models/``.
        version: A regular expression for what may follow a name in the list, such as a version.
        cursor: The field of the response that contains the cursor of the next page.
        after: The query parameter for the cursor.
        lists_deployable: Whether the list contains models that users can call only after they
            deploy them under another name.

    Example:
        >>> api = ListApi(path="/catalog", items="models", name="slug")
        >>> api.page(b'{"models": [{"slug": "a"}]}')
        (['a'], '')
    """

    path: str = "/models"
    known: str = ""
    home: str = ""
    api: str = ""
    header: str = "Authorization"
    scheme: str = "Bearer "
    more: Mapping[str, str] = field(default_factory=dict)
    items: str = "data"
    name: str = "id"
    prefix: str = ""
    version: str = ":latest"
    cursor: str = "last_id"
    after: str = "after"
    lists_deployable: bool = False

    def root(self, base_url: str) -> str | None:
        """Return the root of a base URL; ``None`` if its path is not known."""
        scheme, _, rest = base_url.partition("://")
        host, slash, path = rest.partition("/")
        origin, path = f"{scheme}://{host}", (slash + path).rstrip("/")
        if not path:
            return origin + self.home
        known = re.fullmatch(self.known, path)
        return origin + known[known.lastindex or 0] if known else None

    def completed(self, base_url: str) -> str:
        """Return the base URL for OpenAI clients."""
        root = self.root(base_url)
        is_whole = root is None or base_url.rstrip("/") == root + self.api
        return base_url if is_whole else f"{root}{self.api}"

    def url(self, base_url: str) -> str:
        """Return the URL of the list."""
        root = self.root(base_url)
        return base_url.rstrip("/") + "/models" if root is None else root + self.path

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers to send, the only place for the API key."""
        key = {} if api_key is None else {self.header: self.scheme + api_key}
        return {**key, **self.more}

    def page(self, body: bytes) -> tuple[list[str], str]:
        """Return the names in a response, and the query for the next page.

        Raises:
            ValueError: The response isn't a list of models.
        """
        content = read_json(body)
        if isinstance(content, list):
            content = {self.items: content}
        items = self._items(content) if isinstance(content, dict) else None
        if not isinstance(items, list):
            raise ValueError("not a list of models")  # noqa: TRY004  # the response's fault
        names = [name for item in items for name in self._names(item)]
        if items and not names:
            raise ValueError("a list of something else")
        token = content.get(self.cursor)
        # The last page has a last id, too.
        has_more = self.cursor != "last_id" or content.get("has_more") is True
        if not has_more or not isinstance(token, str) or not 0 < len(token) <= _TOKEN:
            return names, ""
        return names, f"{self.after}={quote(token, safe='')}"

    def _items(self, content: dict[str, Any]) -> Any:
        for member in (self.items, "data", "models"):
            if member in content:
                # For some servers null is an empty list, for others a sign of an error.
                is_empty = content[member] is None and (
                    len(content) == 1 or content.get("object") == "list"
                )
                return [] if is_empty else content[member]
        return None

    def _names(self, item: Any) -> list[str]:
        names = [item]
        if isinstance(item, dict):
            own = [item.get(member) for member in (self.name, "id", "name", "model")]
            others = item.get("aliases")
            names = [*[each for each in own if isinstance(each, str)][:1]]
            names += others if isinstance(others, list) else ()
        return [name.removeprefix(self.prefix) for name in names if isinstance(name, str)]

    def lists(self, model_name: str, names: Collection[str]) -> bool:
        """Return whether a model is among those listed, or has a listed version."""
        name = model_name.removeprefix(self.prefix)
        version = re.compile(re.escape(name.removesuffix("-latest")) + self.version)
        return name in names or any(map(version.fullmatch, names))


# From the API reference of each, as of 2026.
DIALECTS: Mapping[str, ListApi] = {
    "openai": ListApi(),
    "anthropic": ListApi(
        "/v1/models?limit=1000",
        known="(.*?)(?:/v1)?",
        api="/v1",
        header="x-api-key",
        scheme="",
        more={"anthropic-version": "2023-06-01"},
        version="-[0-9]{8}",
        after="after_id",
    ),
    "gemini": ListApi(
        "/models?pageSize=1000",
        known="(.*)/openai|(.*/v1(?:alpha|beta)?)",
        home="/v1beta",
        api="/openai",
        header="x-goog-api-key",
        scheme="",
        items="models",
        name="name",
        prefix="models/",
        cursor="nextPageToken",
        after="pageToken",
    ),
    "azure-openai": ListApi(
        "/openai/v1/models",
        known="(.*)/openai(?:/v1)?",
        api="/openai/v1",
        header="api-key",
        scheme="",
        lists_deployable=True,
    ),
    "cohere": ListApi(
        "/v1/models?page_size=1000",
        known="(.*?)(?:/v1|/v2|/compatibility|/compatibility/v1)",
        api="/compatibility/v1",
        items="models",
        name="name",
        cursor="next_page_token",
        after="page_token",
    ),
    "together": ListApi(),  # kept because its name is public; page() takes bare arrays anyway
    "ollama": ListApi("/api/tags", known="(.*)/v1", api="/v1", items="models", name="name"),
}


def read_json(body: bytes) -> Any:
    """Return a response's JSON, parsed.

    Raises:
        ValueError: It isn't JSON, is too large, or is nested too deeply to be parsed.
    """
    # Parsed items take far more memory than their text.
    if body.count(b",") > _MAX_ITEMS:
        raise ValueError("too many items")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
