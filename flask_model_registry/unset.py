"""The default of parameters that callers may omit, but must not set to ``None``."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Unset(Enum):
    """The type of :data:`UNSET`. It is an enum so that type checkers can narrow it."""

    UNSET = "not given"

    def __repr__(self) -> str:  # how signatures in the documentation show it
        return self.name


UNSET: Final = Unset.UNSET
