"""What each address does: parse, one call, return."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask import request, url_for

from ..errors import NotFoundError, ValidationError
from .schemas import ListQuery, NewModel, NoQuery, cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import marshmallow

    from ..config import Settings
    from ..core.access import Actor
    from ..core.queries import Filters
    from ..core.representation import Model
    from ..core.store import Store

_PAGE_SIZE = 50
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


@dataclass(frozen=True)
class Call:
    """One request, authenticated and parsed."""

    store: Store
    settings: Settings
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
class View:
    """A function of a call and the variables in its path, and the shapes that it takes."""

    function: Callable[..., Answer]
    query: marshmallow.Schema
    body: marshmallow.Schema | None


def view(
    *, query: type[marshmallow.Schema] = NoQuery, body: type[marshmallow.Schema] | None = None
) -> Callable[[Callable[..., Answer]], View]:
    """Make a view of a function; its schemas are built once, here."""
    return lambda function: View(function, query(), body() if body else None)


@view(body=NewModel)
def register(call: Call) -> Answer:
    """Register a model."""
    model = call.store.create(call.actor, call.body)
    return _shown(model, 201, Location=_address(".model", id=model.representation["id"]))


@view(query=ListQuery)
def list_models(call: Call) -> Answer:
    """List the models that the caller can see."""
    filters: Filters = call.query
    largest = call.settings.max_page_size
    size = filters.limit or min(_PAGE_SIZE, largest)
    if size > largest:
        raise ValidationError([("limit", f"Must be at most {largest}.")])
    models = call.store.list(call.actor, replace(filters, limit=size + 1))
    page = models[:size]
    return Answer(page, headers=_next_page(page, filters) if len(models) > size else {})


@view()
def get_model(call: Call, **path: str) -> Answer:
    """Return one model."""
    return _shown(call.store.get(call.actor, _reference(**path)))


_ONE_MODEL: Mapping[str, View] = {"GET": get_model}
# Every address below the prefix, each with the methods it answers.
ROUTES: Mapping[str, tuple[str, Mapping[str, View]]] = {
    "models": ("/", {"GET": list_models, "POST": register}),
    "register": ("/register", {"POST": register}),
    "model": ("/<id>", _ONE_MODEL),
    "model_by_handle": ("/by-id/<path:model_id>", _ONE_MODEL),
}


def _reference(id: str = "", model_id: str = "") -> int | str:  # noqa: A002
    if model_id:
        return model_id.removesuffix("/")
    if not _ID.fullmatch(id):
        raise NotFoundError
    return int(id)


def _shown(model: Model, status: int = 200, **headers: str) -> Answer:
    return Answer(model.representation, status, {"ETag": f'"{model.version}"', **headers})


def _next_page(page: list[dict[str, Any]], filters: Filters) -> dict[str, str]:
    after = cursor("-id" if filters.descending else "id", page[-1]["id"])
    # Not all of the query: the host's token may be in it.
    known = list_models.query.fields
    kept = {name: text for name, text in request.args.items() if name in known}
    return {"Link": f'<{_address(".models", **{**kept, "after": after})}>; rel="next"'}


def _address(endpoint: str, **values: Any) -> str:
    # With the variables of a parent blueprint's rule, if it has any.
    return url_for(endpoint, **{**(request.view_args or {}), **values})
