"""Providers, and tests of connections to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import NotFoundError
from ...schemas.fields import PROVIDER_ID
from ...schemas.requests import ConnectionTest, ModelTest, NoFields, ProviderCredentials
from ...schemas.responses import ProbeResult, ProviderEntry, ServedModels
from ..request import model_ref
from ..routes import Routes, after_commit, reads, returns

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("providers")


@routes.get("/providers", endpoint="providers", name="listProviders")
@returns({200: ProviderEntry(many=True)})
def list_providers(services: Services, _actor: Actor) -> Returned:
    """List the known providers."""
    return services.providers.to_dicts()


@routes.post("/providers/<provider>/models", endpoint="provider_models", name="listProviderModels")
@reads(ProviderCredentials())
@returns({200: ServedModels()}, errors=(429, 502, 504))
def ask_provider(services: Services, actor: Actor, provider: str, body: dict[str, Any]) -> Returned:
    """List the models that a provider serves, with the API key in the request."""
    if not PROVIDER_ID.fullmatch(provider):
        raise NotFoundError
    return after_commit(services.connections.names(actor, {**body, "model_provider": provider}))


@routes.post("/test-connection", name="testConnection")
@reads(ConnectionTest())
@returns({200: ProbeResult()}, errors=(429,))
def test_connection(services: Services, actor: Actor, body: dict[str, Any]) -> Returned:
    """Test a model, registered or not, with the API key in the request."""
    return after_commit(services.connections.submitted_test(actor, body))


@routes.post("/<id>/test", name="testModel")
@reads(ModelTest(), may_omit_body=True)
@returns({200: ProbeResult()}, errors=(403, 409, 429))
def test_model(services: Services, actor: Actor, id: str, body: dict[str, Any]) -> Returned:
    """Test an active model with its stored API key, at its stored base URL.

    Only users who may edit the model can test another ``model_name``, or request a
    ``billed_call``. The result is stored with the model, unless another ``model_name`` was tested.
    """
    test = services.connections.saved_test(
        actor, model_ref(id), model_name=body.get("model_name"), billed=body["billed_call"]
    )
    return after_commit(test.run, test.keep)


@routes.post("/<id>/served-models", endpoint="served_models", name="listModelsServedToModel")
@reads(NoFields(), may_omit_body=True)
@returns({200: ServedModels()}, errors=(403, 409, 429, 502, 504))
def served_models(
    services: Services,
    actor: Actor,
    id: str,
    body: dict[str, Any],  # noqa: ARG001  # always empty
) -> Returned:
    """List the models that a model's provider serves. You must be able to edit the model."""
    return after_commit(services.connections.names_for_model(actor, model_ref(id)))
