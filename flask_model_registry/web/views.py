"""What each address does: parse, one call, return."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask import request, url_for

from flask_model_registry.errors import NotFoundError, ValidationError
from flask_model_registry.web.schemas import ListQuery, NewModel, NoQuery, cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import marshmallow

    from flask_model_registry.config import Settings
    from flask_model_registry.core.access import Actor
    from flask_model_registry.core.queries import Filters
    from flask_model_registry.core.representation import Model
    from flask_model_registry.core.store import Store

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
    location = url_for(".model", ref=model.representation["id"])
    return _shown(model, 201, Location=location)


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
def get_model(call: Call, ref: str) -> Answer:
    """Return the model with this id."""
    if not _ID.fullmatch(ref):
        raise NotFoundError
    return _shown(call.store.get(call.actor, int(ref)))


@view()
def get_model_by_handle(call: Call, model_id: str) -> Answer:
    """Return the model with this ``model_id``, the caller's own before one shared with them."""
    return _shown(call.store.get(call.actor, model_id.removesuffix("/")))


# Every address below the prefix, each with the methods it answers.
ROUTES: Mapping[str, tuple[str, Mapping[str, View]]] = {
    "models": ("/", {"GET": list_models, "POST": register}),
    "register": ("/register", {"POST": register}),
    "model": ("/<ref>", {"GET": get_model}),
    "model_by_handle": ("/by-id/<path:model_id>", {"GET": get_model_by_handle}),
}


def _shown(model: Model, status: int = 200, **headers: str) -> Answer:
    return Answer(model.representation, status, {"ETag": f'"{model.version}"', **headers})


def _next_page(page: list[dict[str, Any]], filters: Filters) -> dict[str, str]:
    after = cursor("-id" if filters.descending else "id", page[-1]["id"])
    # Not all of the query: the host's token may be in it.
    known = list_models.query.fields
    kept: Any = {name: text for name, text in request.args.items() if name in known}
    return {"Link": f'<{url_for(".models", **{**kept, "after": after})}>; rel="next"'}
