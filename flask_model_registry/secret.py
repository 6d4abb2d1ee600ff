"""Values that hide themselves, even in tracebacks."""

from __future__ import annotations

import hmac
import sys
import traceback
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

T = TypeVar("T")


class Hidden(Generic[T]):
    """A wrapper that hides a value. None of its attributes holds the value."""

    __slots__ = ("_reveal",)

    def __init__(self, value: T) -> None:
        # Serializers read attributes and slots, but not the closure of a function.
        self._reveal: Callable[[], T] = lambda: value

    def reveal(self) -> T:
        """Return the value itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return f"{type(self).__name__}('**********')"

    def __str__(self) -> str:
        return "**********"

    def __copy__(self) -> Hidden[T]:
        return self

    def __deepcopy__(self, memo: object) -> Hidden[T]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled; read it again where it is needed")


class Secret(Hidden[str]):
    """A string that ``repr``, ``str``, formatting and serializers hide.

    Two secrets are equal if their strings are equal. The time of a comparison doesn't depend on
    where the strings differ.

    Example:
        >>> secret = Secret("sk-your-key")
        >>> secret, f"{secret}", secret.reveal()
        (Secret('**********'), '**********', 'sk-your-key')
    """

    __slots__ = ()

    def reveal(self) -> str:
        """Return the string itself."""
        return self._reveal()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_encoded(self), _encoded(other))

    def __hash__(self) -> int:
        return hash(self.reveal())


class NoSecret(Secret):
    """A secret that doesn't exist.

    Revealing it raises an exception, so that nothing else is sent instead of a secret.

    Args:
        make_error: Returns the exception to raise.
    """

    __slots__ = ()

    def __init__(self, make_error: Callable[[], Exception]) -> None:
        def refuse() -> NoReturn:
            raise make_error()

        self._reveal = refuse

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoSecret)

    def __hash__(self) -> int:
        return hash(NoSecret)


class ClearedFrames:
    """A context manager that clears the local variables in the traceback of an exception.

    Error reports show local variables. Use this class around third-party code that gets an API key,
    such as an HTTP client. Frames outside the ``with`` block stay unchanged.
    """

    def __enter__(self) -> None:
        # The host may be handling another exception, whose frames must stay unchanged.
        self._outer = sys.exc_info()[1]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is not None:
            clear_frames(error, self._outer)


def clear_frames(error: BaseException, outer: BaseException | None) -> None:
    """Clear frames as :class:`ClearedFrames` does, but in an ``except`` block.

    Unlike a ``with`` block, this costs nothing if there is no exception.

    Args:
        outer: The value of ``sys.exc_info()[1]`` before the ``try``.
    """
    for each in _chain(error, {id(outer)}):
        traceback.clear_frames(each.__traceback__)


def _chain(error: BaseException, passed: set[int]) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in passed:
            passed.add(id(each))
            yield each
            # Exception groups hold other exceptions.
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def _encoded(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")
