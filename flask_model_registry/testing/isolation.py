"""Checks that a user learns nothing about another user's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..schemas.limits import MAX_ID
from ..web.views import ROUTES
from .user_client import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from werkzeug.test import TestResponse

    from .fixture import Fixture, Registered
    from .user_client import UserClient

_LISTS = {
    # The newest first, because a new model could otherwise be on a later page.
    "models": (
        "?sort=-id",
        "?sort=-id&is_active=all",
        "?sort=-id&owned=false",
        "?sort=-id&ability=chat",
        "?sort=model_id",
        "?sort=-tested_at",
    ),
    "details": ("?sort=-id", "?sort=-id&is_active=all"),
    "summary": ("", "?is_active=all", "?owned=false", "?ability=chat"),
    "openai_models": ("",),
    "defaults": ("", "?scope=app"),
    "account_credentials": ("",),
}


def distinguishable(
    fixture: Fixture,
    requester: UserClient,
    model: Registered,
    own: Registered,
    *,
    account: int,
) -> Iterator[str]:
    """Yield where the requester can tell another user's model from a missing one.

    Args:
        model: The other user's model.
        own: The requester's own model.
        account: The other user's credential.
    """
    absent = ((MAX_ID, f"{fixture.prefix}/absent"), (MAX_ID - 1, f"{fixture.prefix}/nowhere"))
    for name, method in _item_operations():
        there = (account, "") if name.startswith("account_") else (model.id, model.model_id)
        before, response, after = (
            requester.ask(
                method, _path(fixture, name, ref, own), **_options(name, method, ref, fixture)
            )
            for ref in (absent[0], there, absent[1])
        )
        what = f"{method} {_path(fixture, name, there, own)}"
        if before.status_code != 404:
            yield f"{what} must return 404 if nothing is there, but returned {describe(before)}"
        elif differences := _differences(response, before, after):
            names = ", ".join(differences)
            missing = describe(before)
            yield f"{what} returned {describe(response)}, but {missing} if missing: {names}"


def lists_of(fixture: Fixture, requester: UserClient) -> dict[str, str]:
    """Return the response of each list and count to the requester."""
    addresses = [
        fixture.host.path(name) + query for name, queries in _LISTS.items() for query in queries
    ]
    addresses += [f"{fixture.host.path(name)}?q={fixture.prefix}" for name in ("models", "summary")]
    return {address: requester.expect(200, "GET", address).text for address in addresses}


def _item_operations() -> Iterator[tuple[str, str]]:
    """Yield each endpoint's name and method of the routes to a single model or credential."""
    for name, (rule, operations) in ROUTES.items():
        if any(each in rule for each in ("<id>", "model_id>", "<credential>")):
            for method in ("HEAD", *operations) if "GET" in operations else operations:
                yield name, method
    yield "default", "PUT"


def _path(fixture: Fixture, name: str, ref: tuple[int, str], own: Registered) -> str:
    return fixture.host.path(
        name,
        id=ref[0],
        credential=ref[0],
        model_id=ref[1],
        user=str(own.owner),
        group=fixture.prefix,
        config_type="embedding",  # the category of no model here, so this can't choose one
    )


def _options(name: str, method: str, ref: tuple[int, str], fixture: Fixture) -> dict[str, Any]:
    """Return a body that the owner could send."""
    bodies: dict[tuple[str, str], Any] = {
        ("model", "PATCH"): {"description": "changed"},
        ("model", "PUT"): fixture.body("changed"),
        ("credential", "PUT"): {"api_key": fixture.canary.api_key},
        ("account_credential", "PATCH"): {"name": f"{fixture.prefix}/changed"},
        ("account_secret", "PUT"): {"api_key": fixture.canary.api_key},
        ("account_secret", "PATCH"): {"api_key": fixture.canary.api_key},
        ("account_test", "POST"): {"model_name": "gpt-4o"},
        ("test_model", "POST"): {"billed_call": True},
        ("account_models", "POST"): {
            "models": [{"model_id": f"{fixture.prefix}/changed", "model_name": "changed"}]
        },
        ("parameters", "PUT"): {"parameters": {"seed": 1}, "info": {}},
        ("user_grant", "PUT"): {"can_edit": True},
        ("group_grant", "PUT"): {"can_edit": True},
        ("transfer", "POST"): {"user": fixture.prefix},
        ("default", "PUT"): {"id": ref[0]},
    }
    return {"json": bodies.get((name.removesuffix("_by_handle"), method))}


def _differences(response: TestResponse, before: TestResponse, after: TestResponse) -> list[str]:
    """Return the parts in which a response differs from two others that agree."""
    names = sorted({*response.headers.keys(), *before.headers.keys()})
    parts: dict[str, Callable[[TestResponse], Any]] = {
        "the status": lambda each: each.status_code,
        "the body": lambda each: each.data,
        **{f"the header {name}": _header(name) for name in names},
    }
    return [
        what for what, value in parts.items() if value(before) == value(after) != value(response)
    ]


def _header(name: str) -> Callable[[TestResponse], Any]:
    return lambda each: each.headers.getlist(name)
