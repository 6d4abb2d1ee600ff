"""The views. Each reads the request, makes one call and returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    account_credentials,
    connections,
    credentials,
    defaults,
    description,
    model,
    model_list,
    openai,
    parameters,
    sharing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..routes import Route

#: Every route by its endpoint, in the order of the OpenAPI document.
ROUTES: Mapping[str, Route] = {
    **description.routes.by_endpoint,
    **model_list.routes.by_endpoint,
    **openai.routes.by_endpoint,
    **connections.routes.by_endpoint,
    **account_credentials.routes.by_endpoint,
    **model.routes.by_endpoint,
    **parameters.routes.by_endpoint,
    **credentials.routes.by_endpoint,
    **sharing.routes.by_endpoint,
    **defaults.routes.by_endpoint,
}
