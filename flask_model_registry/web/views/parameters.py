"""Details beyond a model's 17 fields, such as its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from ...schemas.details import ModelDetails, Parameters
from ...schemas.requests import ModelParameters
from ...services.details import parameters_to_dict
from ..request import model_ref, model_target
from ..routes import Routes, reads, returns
from ..tags import lists

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("models")


@routes.get("/<id>/details", endpoint="model_details", name="getDetails")
@returns({200: ModelDetails()})
def get_details(services: Services, actor: Actor, id: str) -> Returned:
    """Return one model with details beyond its 17 fields."""
    return services.details.get(actor, model_ref(id))


@routes.get("/<id>/parameters", endpoint="parameters", name="getParameters")
@returns({200: Parameters(), 304: None})
def get_parameters(services: Services, actor: Actor, id: str) -> Returned:
    """Return the parameters that each call to a model sends, and facts about the model."""
    parameters, model = services.details.parameters(actor, model_ref(id))
    headers = {"ETag": f'"{model.tag}"'}
    known = request.headers.get("If-None-Match")
    if known is not None and lists(known, model.tag):
        return "", 304, headers
    return parameters, 200, headers


@routes.put("/<id>/parameters", endpoint="parameters", name="setParameters")
@reads(ModelParameters(), is_conditional=True)
@returns({200: Parameters()}, errors=(403, 409))
def set_parameters(services: Services, actor: Actor, id: str, body: dict[str, Any]) -> Returned:
    """Replace the parameters that each call to a model sends, and facts about the model."""
    parameters = parameters_to_dict(body)
    model = services.models.update(actor, model_target(id), body)
    return parameters, 200, {"ETag": f'"{model.tag}"'}
