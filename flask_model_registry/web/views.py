"""What each address does: parse, one call, return."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING, Any

from flask import request, url_for

from ..core.rows import Target
from ..core.users import Person
from ..errors import NotFoundError, ValidationError
from .calls import Answer, Call, Later, View, view
from .schemas import (
    PROVIDER,
    Address,
    Choice,
    Connection,
    Credential,
    ListQuery,
    NewModel,
    NoQuery,
    Recipient,
    Rights,
    Scope,
    Selection,
    WholeModel,
    cursor,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.filters import Filters
    from ..core.representation import Model

_PAGE_SIZE = 50
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


@view(body=NewModel())
def register(call: Call) -> Answer:
    """Register a model."""
    model = call.registry.models.create(call.actor, call.body)
    return _shown(model, 201, Location=_address(".model", id=model.representation["id"]))


@view(query=ListQuery())
def list_models(call: Call) -> Answer:
    """List the models that the caller can see."""
    filters: Filters = call.query
    largest = call.registry.settings.max_page_size
    size = filters.limit or min(_PAGE_SIZE, largest)
    if size > largest:
        raise ValidationError([("limit", f"Must be at most {largest}.")])
    models = call.registry.models.list(call.actor, replace(filters, limit=size + 1))
    page = models[:size]
    return Answer(page, headers=_next_page(page, filters) if len(models) > size else {})


@view(query=Selection())
def summary(call: Call) -> Answer:
    """Count the models that the caller can see."""
    return Answer(call.registry.models.summary(call.actor, call.query))


@view()
def list_for_openai(call: Call) -> Answer:
    """List the models that the caller may use, as OpenAI's API lists its own."""
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


@view()
def get_model(call: Call, **path: str) -> Answer:
    """Return one model."""
    model = call.registry.models.get(call.actor, _reference(**path))
    if request.if_none_match.contains_weak(model.tag):
        return Answer(None, 304, {"ETag": f'"{model.tag}"'})
    return _shown(model)


def _update(call: Call, **path: str) -> Answer:
    return _shown(call.registry.models.update(call.actor, _target(**path), call.body))


change_model = View(_update, NoQuery(), WholeModel(partial=True))
replace_model = View(_update, NoQuery(), WholeModel())


@view()
def delete_model(call: Call, **path: str) -> Answer:
    """Delete one model."""
    call.registry.models.delete(call.actor, _target(**path))
    return Answer(None, 204)


@view()
def get_credential(call: Call, id: str) -> Answer:
    """Tell whether a model has a key that can be read."""
    return Answer(call.registry.models.credential(call.actor, _reference(id)))


@view(body=Credential())
def set_credential(call: Call, id: str) -> Answer:
    """Give a model a new key."""
    call.registry.models.update(call.actor, _target(id), call.body)
    return Answer(None, 204)


@view()
def clear_credential(call: Call, id: str) -> Answer:
    """Take a model's key away."""
    call.registry.models.update(call.actor, _target(id), {"api_key": None})
    return Answer(None, 204)


@view()
def list_grants(call: Call, id: str) -> Answer:
    """List whom a model is granted to."""
    return Answer(call.registry.grants.list(call.actor, _reference(id)))


@view(body=Rights())
def put_grant(call: Call, id: str, **grantee: str) -> Answer:
    """Grant a model to a user or a group."""
    grant, is_new = call.registry.grants.put(
        call.actor, _target(id), _grantee(**grantee), call.body
    )
    return Answer(grant, 201 if is_new else 200)


@view()
def delete_grant(call: Call, id: str, **grantee: str) -> Answer:
    """Take a grant back."""
    call.registry.grants.remove(call.actor, _target(id), _grantee(**grantee))
    return Answer(None, 204)


@view(body=Recipient())
def transfer(call: Call, id: str) -> Answer:
    """Give a model to another user."""
    call.registry.ownership.transfer(call.actor, _target(id), Person(call.body["user"]))
    return Answer(None, 204)


@view(query=Scope())
def list_defaults(call: Call) -> Answer:
    """List the defaults that hold for the caller."""
    return Answer(call.registry.defaults.list(call.actor, **call.query))


@view(query=Scope())
def get_default(call: Call, config_type: str) -> Answer:
    """Return the default that holds for the caller."""
    return Answer(call.registry.defaults.get(call.actor, config_type, **call.query))


@view(query=Scope(), body=Choice())
def set_default(call: Call, config_type: str) -> Answer:
    """Choose a default."""
    target = Target(call.body["id"])
    return Answer(call.registry.defaults.set(call.actor, config_type, target, **call.query))


@view(query=Scope())
def clear_default(call: Call, config_type: str) -> Answer:
    """Take the choice of a default back."""
    call.registry.defaults.clear(call.actor, config_type, **call.query)
    return Answer(None, 204)


@view()
def list_providers(call: Call) -> Answer:
    """List the known providers."""
    return Answer(call.registry.endpoints.providers())


@view(body=Address())
def ask_provider(call: Call, provider: str) -> Later:
    """Ask a provider which models it serves."""
    if not PROVIDER.fullmatch(provider):
        raise NotFoundError
    fields = {**call.body, "model_provider": provider}
    return Later(call.registry.probes.names(call.actor, fields))


@view(body=Connection())
def test_connection(call: Call) -> Later:
    """Test a model that need not be saved."""
    return Later(call.registry.probes.of_submitted(call.actor, call.body))


@view()
def test_model(call: Call, id: str) -> Later:
    """Test a model with its stored key, at its stored address."""
    return Later(call.registry.probes.of_saved(call.actor, _reference(id)))


_ONE_MODEL: Mapping[str, View] = {
    "GET": get_model,
    "PATCH": change_model,
    "PUT": replace_model,
    "DELETE": delete_model,
}
_GRANT: Mapping[str, View] = {"PUT": put_grant, "DELETE": delete_grant}
# Every address below the prefix, each with the methods it answers.
ROUTES: Mapping[str, tuple[str, Mapping[str, View]]] = {
    "models": ("/", {"GET": list_models, "POST": register}),
    "register": ("/register", {"POST": register}),
    "summary": ("/summary", {"GET": summary}),
    "openai_models": ("/v1/models", {"GET": list_for_openai}),
    "providers": ("/providers", {"GET": list_providers}),
    "provider_models": ("/providers/<provider>/models", {"POST": ask_provider}),
    "test_connection": ("/test-connection", {"POST": test_connection}),
    "test_model": ("/<id>/test", {"POST": test_model}),
    "model": ("/<id>", _ONE_MODEL),
    "model_by_handle": ("/by-id/<path:model_id>", _ONE_MODEL),
    "credential": (
        "/<id>/credential",
        {"GET": get_credential, "PUT": set_credential, "DELETE": clear_credential},
    ),
    "grants": ("/<id>/grants", {"GET": list_grants}),
    "user_grant": ("/<id>/grants/users/<path:user>", _GRANT),
    "group_grant": ("/<id>/grants/groups/<path:group>", _GRANT),
    "transfer": ("/<id>/transfer", {"POST": transfer}),
    "defaults": ("/defaults", {"GET": list_defaults}),
    "default": (
        "/defaults/<config_type>",
        {"GET": get_default, "PUT": set_default, "DELETE": clear_default},
    ),
}


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
