"""Grants of a model, and its transfer to another user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...db.users import Person
from ...schemas.requests import Rights, TransferRequest
from ...schemas.responses import Grants, GroupGrant, UserGrant
from ..request import grantee, model_ref, model_target
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

_RIGHTS = Rights()
routes = Routes("sharing")


@routes.get("/<id>/grants", endpoint="grants", name="listGrants")
@returns({200: Grants()}, errors=(403,))
def list_grants(services: Services, actor: Actor, id: str) -> Returned:
    """List the grants of a model, as its owner."""
    return services.grants.list(actor, model_ref(id))


@routes.put("/<id>/grants/users/<path:user>", endpoint="user_grant", name="setUserGrant")
@reads(_RIGHTS, is_conditional=True)
@returns({200: UserGrant(), 201: UserGrant()}, errors=(403, 409))
def put_user_grant(
    services: Services, actor: Actor, id: str, *, user: str, body: dict[str, Any]
) -> Returned:
    """Grant a model to a user."""
    grant, is_new = services.grants.set_grant(actor, model_target(id), grantee(id, user=user), body)
    return grant, 201 if is_new else 200


@routes.put("/<id>/grants/groups/<path:group>", endpoint="group_grant", name="setGroupGrant")
@reads(_RIGHTS, is_conditional=True)
@returns({200: GroupGrant(), 201: GroupGrant()}, errors=(403, 409))
def put_group_grant(
    services: Services, actor: Actor, id: str, *, group: str, body: dict[str, Any]
) -> Returned:
    """Grant a model to a group."""
    to = grantee(id, group=group)
    grant, is_new = services.grants.set_grant(actor, model_target(id), to, body)
    return grant, 201 if is_new else 200


@routes.delete("/<id>/grants/users/<path:user>", endpoint="user_grant", name="deleteUserGrant")
@routes.delete("/<id>/grants/groups/<path:group>", endpoint="group_grant", name="deleteGroupGrant")
@reads(is_conditional=True)
@returns({204: None}, errors=(403, 409))
def delete_grant(services: Services, actor: Actor, id: str, **name: str) -> Returned:
    """Revoke a grant, as the owner of the model. Users may also decline a grant to themselves."""
    services.grants.revoke(actor, model_target(id), grantee(id, **name))
    return "", 204


@routes.post("/<id>/transfer", name="transferModel")
@reads(TransferRequest(), is_conditional=True)
@returns({204: None}, errors=(403, 409))
def transfer(services: Services, actor: Actor, id: str, body: dict[str, Any]) -> Returned:
    """Give a model to another user.

    The model loses its grants and arrives switched off. The new owner accepts it by switching it
    on. A model that is shared with everyone stays shared. The new owner also gets the API key,
    unless ``without_key`` is true. If the model uses a credential, ``without_key`` must be true,
    because the credential stays with its owner.
    """
    to, without_key = Person(body["user"]), body["without_key"]
    services.ownership.transfer(actor, model_target(id), to, without_key=without_key)
    return "", 204
