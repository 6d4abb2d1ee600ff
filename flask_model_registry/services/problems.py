"""Problems found in a pass over all rows, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LISTED = 1000


@dataclass
class Problems:
    """The number of problems, and the texts of the first thousand.

    Example:
        >>> problems = Problems()
        >>> problems.add("model 1: it was changed")
        >>> problems.count, [*problems.lines()]
        (1, ['model 1: it was changed'])
    """

    count: int = 0
    _first: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Count a problem, and keep its text if it is one of the first."""
        self.count += 1
        if self.count <= _MAX_LISTED:
            self._first.append(problem)

    def clear(self) -> None:
        """Forget all problems."""
        self.count = 0
        self._first.clear()

    def lines(self) -> Iterator[str]:
        """Yield the first problems, and how many more there are."""
        yield from self._first
        if more := self.count - len(self._first):
            yield f"{more} more are not listed"
