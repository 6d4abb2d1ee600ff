"""One model: read it, change it, delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

from ...schemas.requests import ModelUpdate
from ...schemas.responses import ModelRepresentation
from ..request import model_ref, model_target
from ..routes import Routes, reads, returns
from ..tags import lists

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("models")


@routes.get("/by-id/<path:model_id>", endpoint="model_by_handle", name="getModelByModelId")
@routes.get("/<id>", endpoint="model", name="getModel")
@returns({200: ModelRepresentation(), 304: None})
def get_model(services: Services, actor: Actor, **path: str) -> Returned:
    """Return one model."""
    model = services.models.get(actor, model_ref(**path))
    headers = {"ETag": f'"{model.tag}"'}
    known = request.headers.get("If-None-Match")
    if known is not None and lists(known, model.tag):
        return "", 304, headers
    return model.representation, 200, headers


@routes.patch("/by-id/<path:model_id>", endpoint="model_by_handle", name="updateModelByModelId")
@routes.patch("/<id>", endpoint="model", name="updateModel")
@reads(ModelUpdate(partial=True), is_conditional=True)
@returns({200: ModelRepresentation()}, errors=(403, 409))
def change_model(services: Services, actor: Actor, body: dict[str, Any], **path: str) -> Returned:
    """Change some fields of a model.

    Omitted fields stay, and null clears a field. If you change the provider, or the scheme, host
    or port of the ``base_url``, send the ``api_key`` in the same request. The registry never sends
    a stored API key to a new destination.
    """
    model = services.models.update(actor, model_target(**path), body)
    return model.representation, 200, {"ETag": f'"{model.tag}"'}


@routes.put("/by-id/<path:model_id>", endpoint="model_by_handle", name="replaceModelByModelId")
@routes.put("/<id>", endpoint="model", name="replaceModel")
@reads(ModelUpdate(), is_conditional=True)
@returns({200: ModelRepresentation()}, errors=(403, 409))
def replace_model(services: Services, actor: Actor, body: dict[str, Any], **path: str) -> Returned:
    """Replace all fields of a model. Without ``api_key``, the stored API key stays.

    An optional field that you leave out gets its default. So without ``is_active`` the model
    becomes active, and without ``share_with_users`` it is not shared. As with PATCH, send the
    ``api_key`` if you change the provider, scheme, host or port.
    """
    model = services.models.update(actor, model_target(**path), body)
    return model.representation, 200, {"ETag": f'"{model.tag}"'}


@routes.delete("/by-id/<path:model_id>", endpoint="model_by_handle", name="deleteModelByModelId")
@routes.delete("/<id>", endpoint="model", name="deleteModel")
@reads(is_conditional=True)
@returns({204: None}, errors=(403, 409))
def delete_model(services: Services, actor: Actor, **path: str) -> Returned:
    """Delete one model, with its API key, grants and defaults."""
    services.models.delete(actor, model_target(**path))
    return "", 204
