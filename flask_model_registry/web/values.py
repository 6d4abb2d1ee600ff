"""The values that go over the wire: kinds of fields, what they refuse, and what is said of them."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Regexp

from ..core.rules import ABILITIES, FIELD_CATEGORIES, MODEL_ID
from ..text import LINE, LINES

TEXT = Regexp(
    LINES,
    error="Must not hold control or invisible formatting characters.",
)
ONE_LINE = Regexp(
    LINE,
    error="Must be on one line, without outer blanks, control or invisible characters.",
)
HANDLE = Regexp(
    rf"{MODEL_ID.pattern}\Z",
    error="Must be 1 to 255 of A-Z a-z 0-9 . _ : / @ + - beginning with a letter or digit, "
    "without empty, '.' or '..' segments.",
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
API_KEY = [
    # What can stand in a header.
    Regexp(r"[\x21-\x7e]{1,8192}\Z", error="Must be 1 to 8192 visible ASCII characters."),
    # What people paste back from pages that hide a key.
    Regexp(r"(?!.*(\*{2}|\.{3})|[*.xX]{3,}\Z)", error="This is a mask, not a key."),
]
NO_KEY: dict[str, Any] = {
    "required": "Required; for a server that wants none, any word such as none."
}
CURSOR = Regexp(r"[A-Za-z0-9_=-]{1,32}\Z", error="Must come from a Link header.")
_COUNT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def about(text: str, **more: Any) -> dict[str, Any]:
    """Return what the description of the API says of a field."""
    return {"description": text, **more}


ABOUT_PROVIDER = about("One of `/providers`, or any other with a `base_url`; in lower case.")
ABOUT_NAME = about("The provider's name for the model.")
ABOUT_ADDRESS = about("`https://host[:port][/path]`; the provider's own when null.")
ABOUT_KEY = about("Write-only: no answer holds it. For a server that wants none, any word.")


class Number(fields.Float):
    """A JSON number; text is none."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return (super()._deserialize(value, *args, **options) or 0.0) + 0.0  # no negative zero


class Count(fields.Integer):
    """A whole number in a query, in digits alone; Python reads more than these."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> int:
        if not _COUNT.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class Flag(fields.Boolean):
    """A JSON boolean; 1 and "yes" are none."""

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def distinct(items: list[str]) -> None:
    """Refuse a list that names something twice."""
    if len(set(items)) < len(items):
        raise ValidationError("Must not name anything twice.")


ABOUT_ABILITIES = about(
    "llm: any, such as chat; {}.".format(
        "; ".join(f"{name}: {', '.join(sorted(each))}" for name, each in ABILITIES.items())
    )
)


def only_for(field: str) -> dict[str, Any]:
    """Say which categories have a field at all."""
    return about(f"Only for {' and '.join(sorted(FIELD_CATEGORIES[field]))}.")
