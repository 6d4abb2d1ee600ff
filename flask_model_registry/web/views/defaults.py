"""Which model is used for each kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...schemas.requests import DefaultChoice, Scope
from ...schemas.responses import DefaultModel
from ...services.rows import ResourceRef
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

_SCOPE = Scope()
routes = Routes("defaults")


@routes.get("/defaults", endpoint="defaults", name="listDefaults")
@reads(query=_SCOPE)
@returns({200: DefaultModel(many=True)})
def list_defaults(services: Services, actor: Actor, query: dict[str, str]) -> Returned:
    """List the defaults that apply to the caller, except defaults whose model can't be called."""
    return services.defaults.list(actor, **query)


@routes.get("/defaults/<config_type>", endpoint="default", name="getDefault")
@reads(query=_SCOPE)
@returns({200: DefaultModel()})
def get_default(
    services: Services, actor: Actor, config_type: str, query: dict[str, str]
) -> Returned:
    """Return the caller's own default, or else the default of all users."""
    return services.defaults.get(actor, config_type, **query)


@routes.put("/defaults/<config_type>", endpoint="default", name="setDefault")
@reads(DefaultChoice(), _SCOPE)
@returns({200: DefaultModel()}, errors=(403, 409))
def set_default(
    services: Services,
    actor: Actor,
    config_type: str,
    *,
    body: dict[str, Any],
    query: dict[str, str],
) -> Returned:
    """Choose a default.

    ``scope=app`` sets the default for all users. The model must be shared with everyone.
    """
    return services.defaults.set(actor, config_type, ResourceRef(body["id"]), **query)


@routes.delete("/defaults/<config_type>", endpoint="default", name="deleteDefault")
@reads(query=_SCOPE)
@returns({204: None}, errors=(403, 409))
def clear_default(
    services: Services, actor: Actor, config_type: str, query: dict[str, str]
) -> Returned:
    """Clear a default."""
    services.defaults.clear(actor, config_type, **query)
    return "", 204
