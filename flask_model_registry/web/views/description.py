"""The description of this API."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flask import current_app, request

from ...schemas.responses import OpenAPIDocument
from ..login_schemes import login_of
from ..routes import Routes, reads, returns

if TYPE_CHECKING:
    from ...services.app_services import Services
    from ..routes import Returned

_PATH = "/openapi.json"
routes = Routes("description")


@routes.get(_PATH, endpoint="openapi", name="getDescription")
@reads(is_public=True)
@returns({200: OpenAPIDocument()})
def describe(services: Services, _actor: None) -> Returned:
    """Describe this API in OpenAPI 3.1."""
    path = request.script_root + request.path.rstrip("/")
    return description_of(services, path.removesuffix(_PATH))


def description_of(services: Services, prefix: str) -> dict[str, Any]:
    """Return the description of the current app's API, mounted at a path."""
    settings, load_user = services.settings, services.users.load_user
    login = login_of(current_app, load_user, settings.security_schemes)
    description = _description(json.dumps(login), settings.max_page_size)
    return {**description, "servers": [{"url": prefix}]}


@lru_cache(maxsize=8)
def _description(login: str, largest_page: int) -> dict[str, Any]:
    """Return the description without its base path; cached, because building it is slow."""
    from ..openapi import openapi_document  # imported late, because few processes need it
    from . import ROUTES

    return openapi_document(ROUTES, "", json.loads(login), largest_page=largest_page)
