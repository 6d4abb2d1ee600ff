"""What each address does: parse, one call, return."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import request, url_for

from ..core.rows import Target
from ..core.users import Person
from ..errors import NotFoundError, ValidationError
from .answers import (
    CredentialState,
    DefaultModel,
    Grants,
    GroupGrant,
    ModelRepresentation,
    OpenAIModels,
    ProbeResult,
    ProviderEntry,
    ServedModels,
    Summary,
    UserGrant,
)
from .calls import Answer, Call, Later, view
from .schemas import (
    PAGE_SIZE,
    Address,
    Choice,
    Connection,
    Credential,
    ListQuery,
    NewModel,
    Recipient,
    Rights,
    Scope,
    Selection,
    WholeModel,
    cursor,
)
from .values import PROVIDER_ID

if TYPE_CHECKING:
    from ..core.filters import Filters
    from ..core.representation import Model

_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


@view({201: ModelRepresentation()}, body=NewModel(), errors=(403, 409))
def register(call: Call) -> Answer:
    """Register a model."""
    model = call.registry.models.create(call.actor, call.body)
    return _shown(model, 201, Location=_address(".model", id=model.representation["id"]))


@view({200: ModelRepresentation(many=True)}, query=ListQuery())
def list_models(call: Call) -> Answer:
    """List the models that the caller can see.

    While there are more, a ``Link`` header leads to the next page. Follow it as it is: pages
    neither repeat nor miss a model, whatever is written meanwhile.
    """
    filters: Filters = call.query
    largest = call.registry.settings.max_page_size
    size = filters.limit or min(PAGE_SIZE, largest)
    if size > largest:
        raise ValidationError([("limit", f"Must be at most {largest}.")])
    models = call.registry.models.list(call.actor, replace(filters, limit=size + 1))
    page = models[:size]
    return Answer(page, headers=_next_page(page, filters) if len(models) > size else {})


@view({200: Summary()}, query=Selection())
def summary(call: Call) -> Answer:
    """Count the models that the caller can see: all that the list shows, on all pages."""
    return Answer(call.registry.models.summary(call.actor, call.query))


@view({200: OpenAIModels()})
def list_for_openai(call: Call) -> Answer:
    """List the models that the caller may use, as OpenAI's API lists its own, on one page."""
    models = [
        {
            "id": row["model_id"],
            "object": "model",
            "created": int(row["created_at"].replace(tzinfo=timezone.utc).timestamp()),
            "owned_by": row["model_provider"],
        }
        for row in call.registry.models.reachable(call.actor)
    ]
    return Answer({"object": "list", "data": models})


@view({200: ModelRepresentation(), 304: None})
def get_model(call: Call, **path: str) -> Answer:
    """Return one model."""
    model = call.registry.models.get(call.actor, _reference(**path))
    if request.if_none_match.contains_weak(model.tag):
        return Answer(None, 304, {"ETag": f'"{model.tag}"'})
    return _shown(model)


def _update(call: Call, **path: str) -> Answer:
    return _shown(call.registry.models.update(call.actor, _target(**path), call.body))


_changed = partial(view, {200: ModelRepresentation()}, errors=(403, 409), is_conditional=True)


@_changed(body=WholeModel(partial=True))
def change_model(call: Call, **path: str) -> Answer:
    """Change some of a model.

    What is left out stays, and null clears. Another provider, or another scheme, host or port of
    the ``base_url``, needs ``api_key`` in the same request: a stored key goes to no new address.
    """
    return _update(call, **path)


@_changed(body=WholeModel())
def replace_model(call: Call, **path: str) -> Answer:
    """Replace all of a model but, if it is left out, the API key.

    All else that is left out gets its default: the model becomes active, and is not shared. As
    for PATCH, another provider or host needs ``api_key``.
    """
    return _update(call, **path)


@view({204: None}, errors=(403, 409), is_conditional=True)
def delete_model(call: Call, **path: str) -> Answer:
    """Delete one model, with its key, grants and defaults."""
    call.registry.models.delete(call.actor, _target(**path))
    return Answer(None, 204)


@view({200: CredentialState()})
def get_credential(call: Call, id: str) -> Answer:
    """Tell whether a model has a key that can be read; the key is never told."""
    return Answer(call.registry.models.credential(call.actor, _reference(id)))


@view({204: None}, body=Credential(), errors=(403, 409), is_conditional=True)
def set_credential(call: Call, id: str) -> Answer:
    """Give a model a new key."""
    call.registry.models.update(call.actor, _target(id), call.body)
    return Answer(None, 204)


@view({204: None}, errors=(403, 409), is_conditional=True)
def clear_credential(call: Call, id: str) -> Answer:
    """Take a model's key away."""
    call.registry.models.update(call.actor, _target(id), {"api_key": None})
    return Answer(None, 204)


@view({200: Grants()}, errors=(403,))
def list_grants(call: Call, id: str) -> Answer:
    """List whom a model is granted to, for its owner."""
    return Answer(call.registry.grants.list(call.actor, _reference(id)))


_granted = partial(view, body=Rights(), errors=(403, 409), is_conditional=True)


def _put_grant(call: Call, id: str, **grantee: str) -> Answer:
    grant, is_new = call.registry.grants.put(
        call.actor, _target(id), _grantee(**grantee), call.body
    )
    return Answer(grant, 201 if is_new else 200)


@_granted({200: UserGrant(), 201: UserGrant()})
def put_user_grant(call: Call, id: str, user: str) -> Answer:
    """Grant a model to a user."""
    return _put_grant(call, id, user=user)


@_granted({200: GroupGrant(), 201: GroupGrant()})
def put_group_grant(call: Call, id: str, group: str) -> Answer:
    """Grant a model to a group."""
    return _put_grant(call, id, group=group)


@view({204: None}, errors=(403, 409), is_conditional=True)
def delete_grant(call: Call, id: str, **grantee: str) -> Answer:
    """Take a grant back."""
    call.registry.grants.remove(call.actor, _target(id), _grantee(**grantee))
    return Answer(None, 204)


@view({204: None}, body=Recipient(), errors=(403, 409), is_conditional=True)
def transfer(call: Call, id: str) -> Answer:
    """Give a model to another user; its grants stay, and so does its being shared."""
    call.registry.ownership.transfer(call.actor, _target(id), Person(call.body["user"]))
    return Answer(None, 204)


@view({200: DefaultModel(many=True)}, query=Scope())
def list_defaults(call: Call) -> Answer:
    """List the defaults that hold for the caller, without those that cannot be called."""
    return Answer(call.registry.defaults.list(call.actor, **call.query))


@view({200: DefaultModel()}, query=Scope())
def get_default(call: Call, config_type: str) -> Answer:
    """Return the default that holds for the caller: their own or, without, that of all users."""
    return Answer(call.registry.defaults.get(call.actor, config_type, **call.query))


@view({200: DefaultModel()}, query=Scope(), body=Choice(), errors=(403, 409))
def set_default(call: Call, config_type: str) -> Answer:
    """Choose a default.

    With ``scope=app`` it is that of all users, and must be a model shared with everybody.
    """
    target = Target(call.body["id"])
    return Answer(call.registry.defaults.set(call.actor, config_type, target, **call.query))


@view({204: None}, query=Scope(), errors=(403, 409))
def clear_default(call: Call, config_type: str) -> Answer:
    """Take the choice of a default back."""
    call.registry.defaults.clear(call.actor, config_type, **call.query)
    return Answer(None, 204)


@view({200: ProviderEntry(many=True)})
def list_providers(call: Call) -> Answer:
    """List the known providers."""
    return Answer(call.registry.endpoints.providers())


@view({200: ServedModels()}, body=Address(), errors=(429, 502, 504))
def ask_provider(call: Call, provider: str) -> Later:
    """Ask a provider which models it serves, with the key of the request."""
    if not PROVIDER_ID.fullmatch(provider):
        raise NotFoundError
    fields = {**call.body, "model_provider": provider}
    return Later(call.registry.probes.names(call.actor, fields))


@view({200: ProbeResult()}, body=Connection(), errors=(429,))
def test_connection(call: Call) -> Later:
    """Test a model that need not be saved, with the key of the request."""
    return Later(call.registry.probes.of_submitted(call.actor, call.body))


@view({200: ProbeResult()}, errors=(409, 429))
def test_model(call: Call, id: str) -> Later:
    """Test a model with its stored key, at its stored address."""
    return Later(call.registry.probes.of_saved(call.actor, _reference(id)))


def _target(id: str = "", model_id: str = "") -> Target:
    """Return the model that is meant, on the conditions of RFC 9110, section 13.1."""
    return Target(_reference(id, model_id), _is_expected)


def _is_expected(tag: str) -> bool:
    is_wanted = "If-Match" not in request.headers or tag in request.if_match
    return is_wanted and not request.if_none_match.contains_weak(tag)


def _grantee(user: str = "", group: str | None = None) -> Person | str:
    # As for `_reference`: the slash that all addresses may end with is not part of it.
    return Person(user.removesuffix("/")) if group is None else group.removesuffix("/")


def _reference(id: str = "", model_id: str = "") -> int | str:
    if model_id:
        return model_id.removesuffix("/")
    if not _ID.fullmatch(id):
        raise NotFoundError
    return int(id)


def _shown(model: Model, status: int = 200, **headers: str) -> Answer:
    return Answer(model.representation, status, {"ETag": f'"{model.tag}"', **headers})


def _next_page(page: list[dict[str, Any]], filters: Filters) -> dict[str, str]:
    after = cursor("-id" if filters.descending else "id", page[-1]["id"])
    # Not all of the query: the host's token may be in it.
    known = list_models.query.fields
    kept = {name: text for name, text in request.args.items() if name in known}
    return {"Link": f'<{_address(".models", **{**kept, "after": after})}>; rel="next"'}


def _address(endpoint: str, **values: Any) -> str:
    # With the variables of a parent blueprint's rule, if it has any.
    return url_for(endpoint, **{**(request.view_args or {}), **values})
