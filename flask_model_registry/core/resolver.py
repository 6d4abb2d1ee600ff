"""What the host's code gets to call a model with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

_VERSION = re.compile(r"(?<!/)/v1\Z")


class Secret:
    """A text that does not show itself: ``repr``, ``str``, formatting, JSON and pickle hide it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled; resolve the model again where it is needed")


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is ready to be called.

    Attributes:
        model_name: The name the provider knows the model by.
        base_url: Where to call it; the model's own address or the provider's.
        dialect: Which kind of API its provider has, such as ``openai`` or ``anthropic``; ``None``
            if that takes more than an API key.
        api_key: The plain key, hidden until ``.reveal()``.
    """

    id: int
    model_id: str
    category: str
    model_provider: str
    model_name: str
    base_url: str
    dialect: str | None
    temperature: float | None
    dimension: int | None
    abilities: tuple[str, ...]
    api_key: Secret

    def openai_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``openai.OpenAI`` for this model.

        Both are always given: what is not, the SDK would take from the environment.
        """
        return {"api_key": self.api_key.reveal(), "base_url": self.base_url}

    def anthropic_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of ``anthropic.Anthropic`` for this model.

        For the dialect ``anthropic``. The SDK adds the version to the address itself.
        """
        root = _VERSION.sub("", self.base_url.rstrip("/"))
        return {"api_key": self.api_key.reveal(), "base_url": root}

    def litellm_kwargs(self) -> dict[str, Any]:
        """Return keyword arguments of ``litellm.completion`` and its like for this model.

        The model is called by LiteLLM's provider ``openai``, whatever its own is: by others,
        LiteLLM lets some names of models decide where the key goes.
        """
        return {
            "model": f"openai/{self.model_name}",
            "api_key": self.api_key.reveal(),
            "api_base": self.base_url,
        }
