"""Every way to send an API key, and every way to ask for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scene import Registered, Scene

_STALE = {"If-Match": '"0"'}
_MOVED = {"base_url": "https://moved.example.com/v1"}  # never called
_ELSEWHERE = {"base_url": "https://elsewhere.example.com/v1"}


def exercise(scene: Scene) -> None:
    """Send an API key in every request that takes one, well or badly, and ask for it everywhere.

    Other tests check what the other user gets.
    """
    model = scene.register(scene.first, "exercised")
    other = scene.register(scene.second, "other")
    for act in (_register, _read, _change, _share, _choose, _ask_providers, _give_away):
        act(scene, model, other)


def _register(scene: Scene, model: Registered, _other: Registered) -> None:
    """Register what is refused."""
    path, key, body = scene.host.path("register"), scene.canary.api_key, scene.body("refused")
    first = scene.first
    first.expect(409, "POST", path, json={**body, "model_id": model.model_id})
    for fault in (
        {"temperature": 9},
        {"api_key": f"{key} "},
        {"api_key": [key]},
        {"unknown": key},
        {key: "unknown"},
        {"base_url": f"https://{key}@models.example.com"},
        {"description": f"{key}\x1b"},
        {"category": key},
    ):
        first.expect(422, "POST", path, json={**body, **fault})
    first.expect(400, "POST", path, data=f'{{"api_key": "{key}"', content_type="application/json")
    first.expect(415, "POST", path, data=json.dumps(body), content_type="text/plain")
    too_long = json.dumps(body) + " " * scene.host.services.settings.max_body_bytes
    first.expect(413, "POST", path, data=too_long, content_type="application/json")


def _read(scene: Scene, model: Registered, _other: Registered) -> None:
    """Ask for the model, and for all lists."""
    path = scene.host.path
    for address in (
        *_addresses_of(scene, model),
        path("openai_model", model_id=model.model_id),
        path("credential", id=model.id),
        path("grants", id=model.id),
        *(path(name) for name in ("models", "summary", "openai_models", "defaults", "providers")),
        f"{path('models')}?q={scene.prefix}&is_active=all&limit=1",
        path("openapi"),
    ):
        scene.first.expect(200, "GET", address)
        scene.first.expect(200, "HEAD", address)


def _change(scene: Scene, model: Registered, _other: Registered) -> None:
    """Give the model new keys, by each of its addresses."""
    key = {"api_key": scene.canary.api_key}
    first, credential = scene.first, scene.host.path("credential", id=model.id)
    another = scene.register(first, "another")
    for address in _addresses_of(scene, model):
        first.expect(200, "PATCH", address, json=key)
        first.expect(200, "PUT", address, json=scene.body("exercised", description="put"))
        first.expect(200, "PATCH", address, json={**key, **_MOVED})
        first.expect(422, "PATCH", address, json={**key, "temperature": "warm"})
        first.expect(412, "PATCH", address, json=key, headers=_STALE)
        first.expect(409, "PATCH", address, json={**key, "model_id": another.model_id})
    first.expect(204, "PUT", credential, json=key)
    first.expect(412, "PUT", credential, json=key, headers=_STALE)
    first.expect(422, "PUT", credential, json={"api_key": f"\n{scene.canary.api_key}"})


def _share(scene: Scene, model: Registered, other: Registered) -> None:
    """Grant the model, have the other user try what that allows and more, and revoke it."""
    path, first, second = scene.host.path, scene.first, scene.second
    address, key = path("model", id=model.id), {"api_key": scene.canary.api_key}
    credential = path("credential", id=model.id)
    to_user = path("user_grant", id=model.id, user=str(other.owner))
    to_group = path("group_grant", id=model.id, group=scene.prefix)
    for rights in (None, {}, {"can_edit": True}):
        if rights is not None:
            first.ask("PUT", to_user, json=rights)
            first.ask("PUT", to_group, json=rights)
        first.expect(200, "GET", path("grants", id=model.id))
        for each in (*_addresses_of(scene, model), credential):
            second.ask("GET", each)
        second.ask("PATCH", address, json=key)
        second.ask("PATCH", address, json={**key, **_ELSEWHERE})
        second.ask("PUT", credential, json=key)
    for grant in (to_user, to_group):
        first.ask("DELETE", grant)


def _choose(scene: Scene, model: Registered, other: Registered) -> None:
    """Make a model a default, ask for it, try to delete it, and clear the default."""
    address = scene.choose(scene.first, model.owner, other.owner)
    if address is not None:
        chosen: Any = scene.first.expect(200, "GET", address).json
        scene.first.expect(200, "GET", scene.host.path("defaults"))
        scene.first.expect(409, "DELETE", scene.host.path("model", id=chosen["model"]["id"]))
        scene.first.expect(204, "DELETE", address)


def _ask_providers(scene: Scene, model: Registered, _other: Registered) -> None:
    """Ask for tests that are refused before anything is called."""
    path, key = scene.host.path, {"api_key": scene.canary.api_key}
    scene.first.expect(422, "POST", path("test_connection"), json=key)
    served = path("provider_models", provider="openai")
    scene.first.expect(422, "POST", served, json={**key, "base_url": 1})
    scene.first.expect(204, "DELETE", path("credential", id=model.id))
    scene.first.expect(409, "POST", path("test_model", id=model.id))


def _give_away(scene: Scene, model: Registered, other: Registered) -> None:
    """Give the model to the other user, who deletes it."""
    path = scene.host.path
    key, address = {"api_key": scene.canary.api_key}, path("model", id=model.id)
    transfer = path("transfer", id=model.id)
    scene.first.expect(204, "PUT", path("credential", id=model.id), json=key)
    scene.first.expect(404, "POST", transfer, json={"user": scene.prefix})
    scene.first.expect(204, "POST", transfer, json={"user": str(other.owner)})
    scene.second.ask("GET", address)
    scene.second.ask("DELETE", address)


def _addresses_of(scene: Scene, model: Registered) -> tuple[str, str]:
    by_handle = scene.host.path("model_by_handle", model_id=model.model_id)
    return scene.host.path("model", id=model.id), by_handle
