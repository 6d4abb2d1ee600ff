"""Types of fields: what they refuse, and how the OpenAPI document describes them."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import marshmallow
from marshmallow import ValidationError, fields
from marshmallow.validate import Length, Regexp

from ..providers.kinds import REQUIRED_KEY
from ..secret import Hidden, Secret
from ..text import LINE, LINES, problem_of_script
from .categories import ABILITIES, FIELD_CATEGORIES
from .limits import MAX_SEARCH_TEXT_LENGTH, MODEL_ID

TEXT = Regexp(
    LINES,
    error="Must not contain control or invisible formatting characters.",
)
ONE_LINE = Regexp(
    LINE,
    error="Must be one line, without leading or trailing blanks, control or invisible characters.",
)


class _ModelIdFormat(Regexp):
    """The format of a ``model_id``: a pattern, and no ambiguous characters beyond ASCII."""

    def __call__(self, value: Any) -> Any:
        super().__call__(value)
        if not value.isascii() and (problem := problem_of_script(value)):
            raise ValidationError(problem)
        return value


MODEL_ID_FORMAT = _ModelIdFormat(
    rf"{MODEL_ID.pattern}\Z",
    error="Must be 1 to 255 letters and digits of any script and . _ : / @ + - beginning with a "
    "letter, digit, @ or ~, without empty, '.' or '..' segments.",
)
PROVIDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PROVIDER = Regexp(
    rf"{PROVIDER_ID.pattern}\Z",
    error="Must be 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit.",
)
ABILITY = Regexp(
    r"[a-z0-9][a-z0-9._:-]{0,63}\Z",
    error="Must be 1 to 64 of a-z 0-9 . _ : - beginning with a letter or digit.",
)
# What users paste instead of an API key, or with it.
_PASTED_KEYS = {
    re.compile(pattern): message
    for pattern, message in {
        r"(?i)\s*(?:authorization:\s*)?bearer\s": "Leave out 'Bearer': calls add it.",
        r"\s*\S+\s+\S": "Must be one key, without blanks or line breaks.",
        r"\s|\S+\s": "Leave out the blank or line break around the key.",
        r"([A-Za-z]{2,8}[-_])\S*[,;]\1": "Must be one key; these are several.",
        r"\$\{.*\}\Z|\$[A-Z][A-Z0-9_]*\Z|%\w+%\Z|os\.environ\b": (
            "This is the name of a variable, not a key."
        ),
        r"(?i)<.*>\Z|\{\{.*\}\}\Z|(?:your|insert|enter|replace)[-_]\w*[-_]?(?:key|token)": (
            "This is a placeholder, not a key."
        ),
    }.items()
}
API_KEY = [
    # Characters that a header can hold.
    Regexp(r"[\x21-\x7e]{1,8192}\Z", error="Must be 1 to 8192 visible ASCII characters."),
    # Masked API keys, which users paste from pages that hide them.
    Regexp(r"(?!.*(\*{2}|\.{3})|[*.xX]{3,}\Z)", error="This is a mask, not a key."),
]
NO_KEY: dict[str, Any] = {"required": REQUIRED_KEY}
_MAX_KEY_LENGTH = 8192
CURSOR = Regexp(r"[A-Za-z0-9_=-]{1,1440}\Z", error="Must come from a Link header.")


def about(text: str, **more: Any) -> dict[str, Any]:
    """Return the metadata of a field for the OpenAPI document."""
    return {"description": text, **more}


ABOUT_PROVIDER = about(
    "The `id` of a provider in `/providers`, or any other name with a `base_url`. "
    "Stored in lower case."
)
ABOUT_NAME = about("The provider's name for the model.")
ABOUT_BASE_URL = about("`https://host[:port][/path]`. If null, the provider's own URL is used.")
ABOUT_KEY = about("Write-only: never returned. If the server needs no API key, send any string.")


# Characters that a search replaces with others. The wildcards of LIKE become characters that no
# text has after NFKC.
NOT_SEARCHED = {ord("\u0131"): "i", ord("%"): "\ufe6a", ord("_"): "\ufe4d"}


def search_text(*texts: str) -> str:
    r"""Return texts in the form in which a search compares them, in any script and case.

    That is Unicode's NFKC with full case folding, as for caseless identifiers (section 3.13 of the
    standard). Turkish differs: its dotted and dotless I equal any other I.

    Example:
        >>> search_text("GROẞE Bilder", "vision")
        'grosse bilder\nvision'
    """
    folded = unicodedata.normalize("NFKD", "\n".join(texts)).casefold()
    text = unicodedata.normalize("NFKC", folded).replace("i\u0307", "i")
    return text.translate(NOT_SEARCHED)[:MAX_SEARCH_TEXT_LENGTH]


class Schema(marshmallow.Schema):
    """A schema without an entry in Marshmallow's registry, whose names belong to the host."""

    class Meta:  # noqa: D106
        register = False


class ApiKey(fields.String):
    """An API key: a string that is loaded as a :class:`Secret`."""

    def deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        """Return a :class:`Secret`. Python code may also pass one."""
        given = value.reveal() if isinstance(value, Hidden) else value
        if isinstance(given, str) and len(given) <= _MAX_KEY_LENGTH:  # longer text is refused below
            for pattern, message in _PASTED_KEYS.items():
                if pattern.match(given):
                    raise ValidationError(message)
        text = super().deserialize(given, *args, **options)
        return Secret(text) if isinstance(text, str) else text


class JsonNumber(fields.Float):
    """A JSON number; a string is not one."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return (super()._deserialize(value, *args, **options) or 0.0) + 0.0  # no negative zero


class JsonBoolean(fields.Boolean):
    """A JSON boolean; 1 and "yes" are not."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class StringList(fields.List):  # type: ignore[type-arg]  # Marshmallow 3 has no arguments
    """A list of unique strings that checks its length before it loads each of them."""

    def __init__(self, text: fields.String, *, most: int, **options: Any) -> None:
        super().__init__(text, **options)
        self._length = Length(max=most)
        self.validators.append(self._length)  # for the description of the API

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> list[Any]:
        if isinstance(value, list):
            self._length(value)
        items: list[Any] = super()._deserialize(value, *args, **options)
        if len({*items}) < len(items):
            raise ValidationError("Must not contain duplicates.")
        return items


ABOUT_ABILITIES = about(
    "What the model can do, by category. llm: any, such as chat; {}.".format(
        "; ".join(f"{name}: {', '.join(sorted(each))}" for name, each in ABILITIES.items())
    )
)


def category_only(field: str) -> dict[str, Any]:
    """Return the description of a field that only some categories have."""
    return about(f"Only for category {' or '.join(sorted(FIELD_CATEGORIES[field]))}.")
