"""Lists of models for OpenAI clients."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

from ...schemas.responses import OpenAIModel, OpenAIModels
from ..request import sent_model_id
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("openai")


@routes.get("/v1/models", endpoint="openai_models", name="listOpenAIModels")
@reads(is_for_openai=True)
@returns({200: OpenAIModels()})
def list_for_openai(services: Services, actor: Actor) -> Returned:
    """List the models that the caller may use, on one page, in the format of OpenAI's API.

    Query parameters are ignored.
    """
    models = services.models.reachable(actor)
    return {"object": "list", "data": [_to_openai(row) for row in models]}


@routes.get("/v1/models/<path:model_id>", endpoint="openai_model", name="getOpenAIModel")
@reads(is_for_openai=True)
@returns({200: OpenAIModel()})
def get_for_openai(services: Services, actor: Actor, model_id: str) -> Returned:
    """Return one model of ``/v1/models``. Query parameters are ignored."""
    return _to_openai(services.models.get_reachable(actor, sent_model_id(model_id, "/v1/models/")))


def _to_openai(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "id": row["model_id"],
        "object": "model",
        "created": int(row["created_at"].replace(tzinfo=timezone.utc).timestamp()),
        "owned_by": row["model_provider"],
        "category": row["category"],
    }
