"""The API key of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...schemas.credentials import Credential
from ...schemas.responses import CredentialState
from ..request import model_ref, model_target
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("credentials")


@routes.get("/<id>/credential", endpoint="credential", name="getCredential")
@returns({200: CredentialState()})
def get_credential(services: Services, actor: Actor, id: str) -> Returned:
    """Return whether a model has an API key that can be decrypted, but not the key itself."""
    return services.models.credential(actor, model_ref(id))


@routes.put("/<id>/credential", endpoint="credential", name="setCredential")
@reads(Credential(), is_conditional=True)
@returns({204: None}, errors=(403, 409))
def set_credential(services: Services, actor: Actor, id: str, body: dict[str, Any]) -> Returned:
    """Give a model its own API key. Its owner can also make it use one of their credentials."""
    if "credential" in body:
        services.attachments.attach(actor, model_target(id), body["credential"])
    else:
        services.models.update(actor, model_target(id), body)
    return "", 204


@routes.delete("/<id>/credential", endpoint="credential", name="deleteCredential")
@reads(is_conditional=True)
@returns({204: None}, errors=(403, 409))
def clear_credential(services: Services, actor: Actor, id: str) -> Returned:
    """Remove a model's API key. If it used a credential, other models keep the credential."""
    services.models.update(actor, model_target(id), {"api_key": None})
    return "", 204
