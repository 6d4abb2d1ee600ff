"""Which text is safe: it shows itself, and databases and terminals take it unchanged."""

from __future__ import annotations

import re
from typing import Any

# Control characters, lone surrogates, bidi overrides and what else does not show, as the inside of
# a class of a regular expression.
UNSAFE = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\uffa0"
    r"\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
# To be matched from the beginning: one line, and several.
LINE = rf"(?!\s)[^{UNSAFE}]*(?<!\s)\Z"
LINES = rf"([\n\r\t]|[^{UNSAFE}])*\Z"
# One line of up to 255 characters that can be a name.
NAME = re.compile(rf"(?!\s)[^{UNSAFE}]{{1,255}}(?<!\s)\Z")


def is_name(text: Any) -> bool:
    """Return whether this is one line of up to 255 characters that can be a name."""
    return isinstance(text, str) and NAME.match(text) is not None
