"""Every address below the prefix, each with the methods it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from . import views
from .answers import Description
from .calls import Answer, Call, view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .calls import View

_DESCRIPTION = "/openapi.json"


@view({200: Description()}, is_public=True)
def describe(_call: Call) -> Answer:
    """Describe this API, in OpenAPI 3.1."""
    path = request.script_root + request.path.rstrip("/")
    from .openapi import described  # few processes are ever asked for it

    return Answer(described(ROUTES, path.removesuffix(_DESCRIPTION)))


_ONE_MODEL: Mapping[str, View] = {
    "GET": views.get_model,
    "PATCH": views.change_model,
    "PUT": views.replace_model,
    "DELETE": views.delete_model,
}
ROUTES: Mapping[str, tuple[str, Mapping[str, View]]] = {
    "openapi": (_DESCRIPTION, {"GET": describe}),
    "models": ("/", {"GET": views.list_models, "POST": views.register}),
    "register": ("/register", {"POST": views.register}),
    "summary": ("/summary", {"GET": views.summary}),
    "openai_models": ("/v1/models", {"GET": views.list_for_openai}),
    "providers": ("/providers", {"GET": views.list_providers}),
    "provider_models": ("/providers/<provider>/models", {"POST": views.ask_provider}),
    "test_connection": ("/test-connection", {"POST": views.test_connection}),
    "test_model": ("/<id>/test", {"POST": views.test_model}),
    "model": ("/<id>", _ONE_MODEL),
    "model_by_handle": ("/by-id/<path:model_id>", _ONE_MODEL),
    "credential": (
        "/<id>/credential",
        {
            "GET": views.get_credential,
            "PUT": views.set_credential,
            "DELETE": views.clear_credential,
        },
    ),
    "grants": ("/<id>/grants", {"GET": views.list_grants}),
    "user_grant": (
        "/<id>/grants/users/<path:user>",
        {"PUT": views.put_user_grant, "DELETE": views.delete_grant},
    ),
    "group_grant": (
        "/<id>/grants/groups/<path:group>",
        {"PUT": views.put_group_grant, "DELETE": views.delete_grant},
    ),
    "transfer": ("/<id>/transfer", {"POST": views.transfer}),
    "defaults": ("/defaults", {"GET": views.list_defaults}),
    "default": (
        "/defaults/<config_type>",
        {"GET": views.get_default, "PUT": views.set_default, "DELETE": views.clear_default},
    ),
}
