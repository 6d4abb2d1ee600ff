"""The categories of models: which abilities, fields and uses each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A new one also belongs in types.py, providers/catalogue.py, litellm_config.py, and in the texts
# and the form of web/static.
CATEGORIES = ("llm", "embedding", "image", "speech", "rerank")

# The abilities of a category; an llm may have any.
ABILITIES: Mapping[str, frozenset[str]] = {
    "embedding": frozenset({"embedding"}),
    "image": frozenset({"generate", "edit"}),
    "speech": frozenset({"asr", "tts"}),
    "rerank": frozenset({"rerank"}),
}
# The categories that have this field.
FIELD_CATEGORIES: Mapping[str, frozenset[str]] = {
    "dimension": frozenset({"embedding"}),
    "temperature": frozenset({"llm", "image"}),
}
# For each kind of work, the category that its model must have.
CONFIG_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("general", "small_fast", "visual", "compact"), "llm"),
    "embedding": "embedding",
    **dict.fromkeys(("image", "image_edit"), "image"),
    **dict.fromkeys(("asr", "tts"), "speech"),
    "rerank": "rerank",
}


def problems(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a field and a message for each rule that the model breaks."""
    category = model["category"]
    allowed = ABILITIES.get(category)
    if allowed is not None and not allowed.issuperset(model["abilities"] or ()):
        yield "abilities", f"The abilities of category {category} are: {_listed(allowed)}."
    for field, categories in FIELD_CATEGORIES.items():
        if model[field] is not None and category not in categories:
            yield field, f"Only for category {_listed(categories)}."


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
