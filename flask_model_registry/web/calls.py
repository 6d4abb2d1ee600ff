"""What views get, and what they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .schemas import NoQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import marshmallow

    from ..core.access import Actor
    from ..core.registry import Registry


_NO_QUERY = NoQuery()


@dataclass(frozen=True)
class Call:
    """One request, authenticated and parsed."""

    registry: Registry
    actor: Actor
    query: Any
    body: Any


@dataclass(frozen=True)
class Answer:
    """Plain data for the body, a status and headers."""

    payload: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Later:
    """What makes the payload when the transaction is over, and its connection given back."""

    payload: Callable[[], Any]


@dataclass(frozen=True)
class View:
    """A function of a call and of what is in its path, and the shapes that it takes and gives.

    Attributes:
        answers: The shape of the answer for each status, or ``None`` if it is empty.
        errors: The statuses of errors that others do not have.
        is_conditional: Whether it heeds ``If-Match`` and ``If-None-Match``.
        is_public: Whether it needs no user.
    """

    function: Callable[..., Answer | Later]
    query: marshmallow.Schema
    body: marshmallow.Schema | None
    answers: Mapping[int, marshmallow.Schema | None]
    errors: tuple[int, ...] = ()
    is_conditional: bool = False
    is_public: bool = False


def view(
    answers: Mapping[int, marshmallow.Schema | None],
    *,
    query: marshmallow.Schema | None = None,
    body: marshmallow.Schema | None = None,
    **traits: Any,
) -> Callable[[Callable[..., Answer | Later]], View]:
    """Make a view of a function."""
    return lambda function: View(function, query or _NO_QUERY, body, answers, **traits)
