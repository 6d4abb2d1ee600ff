"""The value of a parameter that was not given, where ``None`` would be a mistake."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Unset(Enum):
    """The type of :data:`UNSET`; type checkers narrow an enumeration with one member."""

    UNSET = "not given"

    def __repr__(self) -> str:  # how signatures in the documentation show it
        return self.name


UNSET: Final = Unset.UNSET
