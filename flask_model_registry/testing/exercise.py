"""Requests that send an API key in every way, and ask for it in every way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fixture import Fixture, Registered

_WRONG_TAG = {"If-Match": '"0"'}
_NEW_URL = {"base_url": "https://moved.example.com/v1"}  # never called
_OTHER_URL = {"base_url": "https://elsewhere.example.com/v1"}


def exercise(fixture: Fixture) -> None:
    """Send an API key in every request that takes one, valid or not, and ask for it everywhere.

    Other tests check the responses to the other user.
    """
    model = fixture.register(fixture.first, "exercised")
    other = fixture.register(fixture.second, "other")
    for step in (
        _register,
        _read,
        _change,
        _use_account,
        _share,
        _choose,
        _ask_providers,
        _give_away,
    ):
        step(fixture, model, other)


def _register(fixture: Fixture, model: Registered, _other: Registered) -> None:
    """Send registrations that are refused."""
    path, key, body = fixture.host.path("register"), fixture.canary.api_key, fixture.body("refused")
    first = fixture.first
    first.expect(409, "POST", path, json={**body, "model_id": model.model_id})
    for wrong in (
        {"temperature": 9},
        {"api_key": f"{key} "},
        {"api_key": [key]},
        {"unknown": key},
        {key: "unknown"},
        {"base_url": f"https://{key}@models.example.com"},
        {"description": f"{key}\x1b"},
        {"category": key},
    ):
        first.expect(422, "POST", path, json={**body, **wrong})
    first.expect(400, "POST", path, data=f'{{"api_key": "{key}"', content_type="application/json")
    first.expect(415, "POST", path, data=json.dumps(body), content_type="text/plain")
    too_long = json.dumps(body) + " " * fixture.host.services.settings.max_body_bytes
    first.expect(413, "POST", path, data=too_long, content_type="application/json")


def _read(fixture: Fixture, model: Registered, _other: Registered) -> None:
    """Ask for the model, and for all lists."""
    path = fixture.host.path
    for address in (
        *_addresses_of(fixture, model),
        path("openai_model", model_id=model.model_id),
        path("credential", id=model.id),
        path("grants", id=model.id),
        path("parameters", id=model.id),
        path("model_details", id=model.id),
        *(
            path(name)
            for name in ("models", "details", "summary", "openai_models", "defaults", "providers")
        ),
        f"{path('models')}?q={fixture.prefix}&is_active=all&limit=1",
        path("openapi"),
    ):
        fixture.first.expect(200, "GET", address)
        fixture.first.expect(200, "HEAD", address)


def _change(fixture: Fixture, model: Registered, _other: Registered) -> None:
    """Give the model new API keys, by each of its URLs."""
    key = {"api_key": fixture.canary.api_key}
    first, credential = fixture.first, fixture.host.path("credential", id=model.id)
    another = fixture.register(first, "another")
    for address in _addresses_of(fixture, model):
        first.expect(200, "PATCH", address, json=key)
        first.expect(200, "PUT", address, json=fixture.body("exercised", description="put"))
        first.expect(200, "PATCH", address, json={**key, **_NEW_URL})
        first.expect(422, "PATCH", address, json={**key, "temperature": "warm"})
        first.expect(412, "PATCH", address, json=key, headers=_WRONG_TAG)
        first.expect(409, "PATCH", address, json={**key, "model_id": another.model_id})
    first.expect(204, "PUT", credential, json=key)
    first.expect(412, "PUT", credential, json=key, headers=_WRONG_TAG)
    first.expect(422, "PUT", credential, json={"api_key": f"\n{fixture.canary.api_key}"})
    parameters = fixture.host.path("parameters", id=model.id)
    both: dict[str, Any] = {"parameters": {}, "info": {}}
    first.expect(200, "PUT", parameters, json={**both, "parameters": {"seed": 1}})
    first.expect(412, "PUT", parameters, json=both, headers=_WRONG_TAG)
    first.expect(422, "PUT", parameters, json={**both, "info": {"password": key["api_key"]}})
    first.expect(422, "PUT", parameters, json={**both, "parameters": {key["api_key"]: "\0"}})


def _use_account(fixture: Fixture, _model: Registered, _other: Registered) -> None:
    """Make a credential, use it, and send valid and invalid secrets."""
    path, first, key = fixture.host.path, fixture.first, fixture.canary.api_key
    all_of_them, body = path("account_credentials"), fixture.account_body("exercised")
    account = fixture.account(first, "exercised")
    address, secret = (
        path(name, credential=account) for name in ("account_credential", "account_secret")
    )
    first.expect(409, "POST", all_of_them, json=body)
    for wrong in (
        {"api_key": f"{key} "},
        {"api_key": key, key: "unknown"},
        {"api_key": key, "headers": {key: "\n"}},
        {"api_key": key, "headers": {"X-Canary": f"{key}\n"}},
        {"api_key": key, "headers": {"Authorization": key}},
        key,
    ):
        first.expect(422, "POST", all_of_them, json={**body, "secret": wrong})
    models = [{"model_id": f"{fixture.prefix}/on-account", "model_name": "on-account"}]
    created: Any = first.expect(
        201, "POST", path("account_models", credential=account), json={"models": models}
    ).json
    credential = path("credential", id=created[0]["id"])
    first.expect(204, "PUT", credential, json={"api_key": key})
    first.expect(204, "PUT", credential, json={"credential": account})
    first.expect(204, "PUT", secret, json=body["secret"])
    # This decrypts the stored key; another test checks that.
    first.ask("PATCH", secret, json={"headers": {"X-Other": key}})
    first.expect(412, "PUT", secret, json={"api_key": key}, headers=_WRONG_TAG)
    first.expect(422, "PATCH", address, json=_NEW_URL)
    first.expect(200, "PATCH", address, json={**_NEW_URL, "secret": body["secret"]})
    for each in (all_of_them, address, secret, credential):
        first.expect(200, "GET", each)
    first.expect(409, "DELETE", address)
    first.expect(204, "DELETE", f"{address}?detach=true")


def _share(fixture: Fixture, model: Registered, other: Registered) -> None:
    """Grant the model, have the other user try allowed and forbidden actions, and revoke it."""
    path, first, second = fixture.host.path, fixture.first, fixture.second
    address, key = path("model", id=model.id), {"api_key": fixture.canary.api_key}
    credential = path("credential", id=model.id)
    to_user = path("user_grant", id=model.id, user=str(other.owner))
    to_group = path("group_grant", id=model.id, group=fixture.prefix)
    for rights in (None, {}, {"can_edit": True}):
        if rights is not None:
            first.ask("PUT", to_user, json=rights)
            first.ask("PUT", to_group, json=rights)
        first.expect(200, "GET", path("grants", id=model.id))
        for each in (*_addresses_of(fixture, model), credential):
            second.ask("GET", each)
        second.ask("PATCH", address, json=key)
        second.ask("PATCH", address, json={**key, **_OTHER_URL})
        second.ask("PUT", credential, json=key)
    for grant in (to_user, to_group):
        first.ask("DELETE", grant)


def _choose(fixture: Fixture, model: Registered, other: Registered) -> None:
    """Make a model a default, ask for it, try to delete it, and clear the default."""
    address = fixture.choose(fixture.first, model.owner, other.owner)
    if address is not None:
        chosen: Any = fixture.first.expect(200, "GET", address).json
        fixture.first.expect(200, "GET", fixture.host.path("defaults"))
        fixture.first.expect(409, "DELETE", fixture.host.path("model", id=chosen["model"]["id"]))
        fixture.first.expect(204, "DELETE", address)


def _ask_providers(fixture: Fixture, model: Registered, _other: Registered) -> None:
    """Ask for tests that are refused before anything is called."""
    path, key = fixture.host.path, {"api_key": fixture.canary.api_key}
    fixture.first.expect(422, "POST", path("test_connection"), json=key)
    served = path("provider_models", provider="openai")
    fixture.first.expect(422, "POST", served, json={**key, "base_url": 1})
    fixture.first.expect(204, "DELETE", path("credential", id=model.id))
    fixture.first.expect(409, "POST", path("test_model", id=model.id))


def _give_away(fixture: Fixture, model: Registered, other: Registered) -> None:
    """Give the model to the other user, who deletes it."""
    path = fixture.host.path
    key, address = {"api_key": fixture.canary.api_key}, path("model", id=model.id)
    transfer = path("transfer", id=model.id)
    fixture.first.expect(204, "PUT", path("credential", id=model.id), json=key)
    fixture.first.expect(404, "POST", transfer, json={"user": fixture.prefix})
    fixture.first.expect(204, "POST", transfer, json={"user": str(other.owner)})
    fixture.second.ask("GET", address)
    fixture.second.ask("DELETE", address)


def _addresses_of(fixture: Fixture, model: Registered) -> tuple[str, str]:
    by_handle = fixture.host.path("model_by_handle", model_id=model.model_id)
    return fixture.host.path("model", id=model.id), by_handle
