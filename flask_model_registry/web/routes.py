"""Routes, and the two decorators that declare what a view reads and what it returns.

A view is a function that gets the services, the actor and the variables in its path. Like a Flask
view, it returns a body, or a body with a status and headers. It raises errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    import marshmallow
    from flask.typing import ResponseReturnValue

    Returned: TypeAlias = "ResponseReturnValue | after_commit"

    class _Decorator(Protocol):
        def __call__(self, view: _View, /) -> _View: ...


_View = TypeVar("_View", bound="Callable[..., Returned]")


@dataclass(frozen=True)
class Operation:
    """A view at a path, with what its decorators declare.

    Attributes:
        name: Its name in generated clients.
        tag: The subject that the OpenAPI document lists it under.
    """

    view: Callable[..., Returned]
    name: str
    tag: str
    responses: Mapping[int, marshmallow.Schema | None]
    errors: tuple[int, ...] = ()
    body: marshmallow.Schema | None = None
    query: marshmallow.Schema | None = None
    may_omit_body: bool = False
    is_conditional: bool = False
    is_public: bool = False
    is_for_openai: bool = False


class Route(NamedTuple):
    """A path under the prefix, and its operations by method."""

    rule: str
    operations: dict[str, Operation]


class Routes:
    """The routes of one subject, by endpoint.

    Views are added like those of a Flask blueprint, with ``@routes.get("/summary",
    name=...)``. The views are kept here because each app gets its own blueprint.
    """

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self.by_endpoint: dict[str, Route] = {}

    def get(self, rule: str, *, name: str, endpoint: str | None = None) -> _Decorator:
        """Add a view for GET."""
        return self._add("GET", rule, name, endpoint)

    def post(self, rule: str, *, name: str, endpoint: str | None = None) -> _Decorator:
        """Add a view for POST."""
        return self._add("POST", rule, name, endpoint)

    def put(self, rule: str, *, name: str, endpoint: str | None = None) -> _Decorator:
        """Add a view for PUT."""
        return self._add("PUT", rule, name, endpoint)

    def patch(self, rule: str, *, name: str, endpoint: str | None = None) -> _Decorator:
        """Add a view for PATCH."""
        return self._add("PATCH", rule, name, endpoint)

    def delete(self, rule: str, *, name: str, endpoint: str | None = None) -> _Decorator:
        """Add a view for DELETE."""
        return self._add("DELETE", rule, name, endpoint)

    def _add(self, method: str, rule: str, name: str, endpoint: str | None) -> _Decorator:
        def add(view: _View) -> _View:
            route = self.by_endpoint.setdefault(endpoint or view.__name__, Route(rule, {}))
            if route.rule != rule:
                raise ValueError(f"another rule has this endpoint: {route.rule}")
            route.operations[method] = Operation(view, name, self._tag, **vars(view))
            return view

        return add


def reads(
    body: marshmallow.Schema | None = None,
    query: marshmallow.Schema | None = None,
    *,
    may_omit_body: bool = False,
    is_conditional: bool = False,
    is_public: bool = False,
    is_for_openai: bool = False,
) -> _Decorator:
    """Declare what a view reads. The view gets the loaded ``body`` and ``query`` by these names.

    Args:
        may_omit_body: Whether an empty body means the same as an empty object.
        is_conditional: Whether the view checks ``If-Match`` and ``If-None-Match``.
        is_public: Whether the view needs no user.
        is_for_openai: Whether the view ignores query parameters, as OpenAI clients may send any.
    """
    return _with(
        body=body,
        query=query,
        may_omit_body=may_omit_body,
        is_conditional=is_conditional,
        is_public=is_public,
        is_for_openai=is_for_openai,
    )


def returns(
    responses: Mapping[int, marshmallow.Schema | None], errors: tuple[int, ...] = ()
) -> _Decorator:
    """Declare what a view returns.

    Args:
        responses: The schema of the body for each status, or ``None`` if there is no body.
        errors: The view's own error statuses, besides those that all views have.
    """
    return _with(responses=responses, errors=errors)


def _with(**traits: Any) -> _Decorator:
    def decorate(view: _View) -> _View:
        vars(view).update(traits)
        return view

    return decorate


@dataclass(frozen=True)
class after_commit:  # noqa: N801  # views call it as they do Flask's after_this_request
    """A body that is made after the commit, without a connection to the database.

    Attributes:
        keep: Stores something about the body, in a transaction of its own. If this transaction
            fails, the response stays the same.
    """

    make_body: Callable[[], Any]
    keep: Callable[[Any], None] | None = None
