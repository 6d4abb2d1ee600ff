"""Checks for safe text: all of it is visible, and databases and terminals keep it unchanged."""

from __future__ import annotations

import re
from typing import Any
from unicodedata import category, decomposition, is_normalized

# Control characters, lone surrogates, bidi overrides and other invisible characters, to put inside
# the brackets of a regular expression.
UNSAFE = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\uffa0"
    r"\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
# Patterns for re.match: a single line, and several lines.
LINE = rf"(?!\s)[^{UNSAFE}]*(?<!\s)\Z"
LINES = rf"([\n\r\t]|[^{UNSAFE}])*\Z"
# One line of up to 255 characters that can be a name.
NAME = re.compile(rf"(?!\s)[^{UNSAFE}]{{1,255}}(?<!\s)\Z")

# Letters, letters that are numbers (such as U+3007), marks and digits of all scripts.
_MARK_CATEGORIES = {"Mn", "Mc"}
_WORD_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd"} | _MARK_CATEGORIES
# The invisible characters among them (Unicode's Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Unicode's tags for a variant form of a letter. <compat> is left out, because it also tags letters
# that have no other form, such as Thai's U+0E33.
_STYLED = tuple(f"<{each}>" for each in "font wide narrow initial medial final isolated".split())


def is_name(text: Any) -> bool:
    """Return whether this is one line of up to 255 characters that can be a name."""
    return isinstance(text, str) and NAME.match(text) is not None


def problem_of_script(text: str) -> str | None:
    """Return why a name beyond ASCII could be mistaken for another, or ``None`` if it can't.

    Example:
        >>> problem_of_script("团队/模型")
        >>> problem_of_script("\uff27pt")
        'Must use letters and digits in their usual form, not full-width, half-width or styled.'
    """
    before = ""
    for each in text:
        kind = category(each)
        if not each.isascii() and (kind not in _WORD_CATEGORIES or _INVISIBLE.match(each)):
            return "Must have no characters beyond ASCII except letters, digits and their marks."
        if kind in _MARK_CATEGORIES and before not in _WORD_CATEGORIES:
            return "Must have accents and other marks only after a letter or digit."
        if decomposition(each).startswith(_STYLED):
            return (
                "Must use letters and digits in their usual form, not full-width, half-width or "
                "styled."
            )
        before = kind
    if not is_normalized("NFC", text):
        return "Must be in Unicode's normalization form C (NFC)."
    return None
