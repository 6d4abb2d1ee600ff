"""All models that a user can see: register one, list them, count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import request, url_for
from flask.globals import request_ctx

from ...errors import ValidationError
from ...schemas.requests import PAGE_SIZE, ListQuery, ModelFilter, NewModel, cursor
from ...schemas.responses import ModelRepresentation, Summary
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from ...policy import Actor
    from ...schemas.filters import Filters
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("models")
_LIST_QUERY = ListQuery()


@routes.get("/", endpoint="models", name="listModels")
@reads(query=_LIST_QUERY)
@returns({200: ModelRepresentation(many=True)})
def list_models(services: Services, actor: Actor, query: Filters) -> Returned:
    """List the models that the caller can see.

    While there are more, a ``Link`` header leads to the next page. Follow it unchanged: pages
    neither repeat nor miss a model, whatever is written meanwhile.
    """
    largest = services.settings.max_page_size
    size = query.limit or min(PAGE_SIZE, largest)
    if size > largest:
        raise ValidationError([("limit", f"Must be at most {largest}.")])
    models = services.models.list(actor, query, limit=size + 1)
    page = models[:size]
    return page, 200, _next_page(page, query) if len(models) > size else {}


@routes.post("/register", name="registerModel")
@routes.post("/", endpoint="models", name="createModel")
@reads(NewModel())
@returns({201: ModelRepresentation()}, errors=(403, 409))
def register(services: Services, actor: Actor, body: dict[str, Any]) -> Returned:
    """Register a model."""
    model = services.models.create(actor, body)
    location = _url(".model", id=model.representation["id"])
    return model.representation, 201, {"ETag": f'"{model.tag}"', "Location": location}


@routes.get("/summary", name="summarizeModels")
@reads(query=ModelFilter())
@returns({200: Summary()})
def summary(services: Services, actor: Actor, query: Filters) -> Returned:
    """Count the models that the caller can see: all that the list shows, on all pages."""
    return services.models.summary(actor, query)


def _next_page(page: list[Any], filters: Filters) -> dict[str, str]:
    after = cursor("-id" if filters.descending else "id", page[-1]["id"])
    # Not all of the query: the host's token may be in it.
    kept = {name: text for name, text in request.args.items() if name in _LIST_QUERY.fields}
    return {"Link": f'<{_url(".models")}?{urlencode({**kept, "after": after})}>; rel="next"'}


def _url(endpoint: str, **values: Any) -> str:
    """Return a URL with the variables of this request's, such as those of a parent blueprint.

    What ``url_defaults`` of the host add beyond these, such as a language, would be in the query,
    and no route here knows it.

    A ``url_value_preprocessor`` of the host may have taken them from ``request.view_args``.
    """
    variables = request.view_args or {}
    urls, rule = request_ctx.url_adapter, request.url_rule
    if urls is not None and rule is not None and not rule.arguments <= {*variables}:
        _rule, matched = urls.match(return_rule=True)
        variables = {**matched, **variables}
    path, _, _ = url_for(endpoint, **{**variables, **values}).partition("?")
    return path
