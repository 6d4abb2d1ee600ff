"""All models that a user can see: register one, list them, count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import request
from flask.globals import request_ctx

from ...errors import ValidationError
from ...schemas.details import ModelDetails
from ...schemas.filters import PAGE_SIZE, ListQuery, ModelFilter
from ...schemas.requests import NewModel
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

    If there are more models, the ``Link`` header has the URL of the next page. Follow it unchanged.
    A model that doesn't change while you read the pages is on exactly one page, even if other
    models change.
    """
    models, after = services.models.page(actor, query, page_size(services, query.limit))
    return models, 200, _next_page("models", after) if after else {}


@routes.get("/details", endpoint="details", name="listDetails")
@reads(query=_LIST_QUERY)
@returns({200: ModelDetails(many=True)})
def list_details(services: Services, actor: Actor, query: Filters) -> Returned:
    """List the models that the caller can see, with details beyond their 17 fields.

    This operation takes the same query parameters as the list of models, and returns pages in the
    same way.
    """
    details, after = services.details.page(actor, query, page_size(services, query.limit))
    return details, 200, _next_page("details", after) if after else {}


@routes.post("/register", name="registerModel")
@routes.post("/", endpoint="models", name="createModel")
@reads(NewModel())
@returns({201: ModelRepresentation()}, errors=(403, 409))
def register(services: Services, actor: Actor, body: dict[str, Any]) -> Returned:
    """Register a model."""
    model = services.models.create(actor, body)
    location = url_of("model", id=model.representation["id"])
    return model.representation, 201, {"ETag": f'"{model.tag}"', "Location": location}


@routes.get("/summary", name="summarizeModels")
@reads(query=ModelFilter())
@returns({200: Summary()})
def summary(services: Services, actor: Actor, query: Filters) -> Returned:
    """Count the models on all pages of the list."""
    return services.models.summary(actor, query)


def page_size(services: Services, limit: int | None) -> int:
    """Return how many rows a page of a list has.

    Raises:
        ValidationError: The limit is larger than the app allows.
    """
    largest = services.settings.max_page_size
    size = limit or min(PAGE_SIZE, largest)
    if size > largest:
        raise ValidationError([("limit", f"Must be at most {largest}.")])
    return size


def _next_page(endpoint: str, after: str) -> dict[str, str]:
    # Not the whole query, because the host's token may be in it.
    kept = {name: text for name, text in request.args.items() if name in _LIST_QUERY.fields}
    return {"Link": f'<{url_of(endpoint)}?{urlencode({**kept, "after": after})}>; rel="next"'}


def url_of(endpoint: str, **values: Any) -> str:
    """Return a URL with this request's variables, such as those of a parent blueprint.

    A ``url_value_preprocessor`` of the host may have removed them from ``request.view_args``. This
    doesn't use ``url_for``, because that would add the host's ``url_defaults``, such as a language,
    to the query, and our routes refuse unknown parameters.
    """
    variables = request.view_args or {}
    urls: Any = request_ctx.url_adapter
    rule = request.url_rule
    if rule is not None and not rule.arguments <= {*variables}:
        _rule, matched = urls.match(return_rule=True)
        variables = {**matched, **variables}
    url: str = urls.build(f"{request.blueprint}.{endpoint}", {**variables, **values})
    return url.partition("?")[0]
