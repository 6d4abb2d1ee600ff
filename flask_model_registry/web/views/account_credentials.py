"""The caller's credentials, which several models use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import request

from ...db.representation import credential_tag, credential_to_dict
from ...providers.calls import CalledModel
from ...schemas.credentials import CredentialChange, NewCredential, NewModels, TestedModel
from ...schemas.filters import CredentialPage, Deletion, cursor
from ...schemas.requests import NoFields
from ...schemas.responses import (
    AccountSecretState,
    CredentialRepresentation,
    ModelRepresentation,
    ProbeResult,
    ServedModels,
)
from ...schemas.secrets import AccountSecretChange, NewSecret
from ..request import model_ref, model_target
from ..routes import Routes, after_commit, reads, returns
from ..tags import lists
from .model_list import page_size, url_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...policy import Actor
    from ...services.app_services import Services
    from ..routes import Returned

routes = Routes("credentials")


@routes.get("/credentials", endpoint="account_credentials", name="listCredentials")
@reads(query=CredentialPage())
@returns({200: CredentialRepresentation(many=True)})
def list_credentials(services: Services, actor: Actor, query: dict[str, Any]) -> Returned:
    """List the caller's credentials by id. The ``Link`` header has the next page's URL."""
    size = page_size(services, query.get("limit"))
    found = services.accounts.list(actor, after=query.get("after", 0), limit=size + 1)
    page = [*found[:size]]
    if len(found) <= size:
        return page
    after = urlencode({"limit": size, "after": cursor("id", page[-1]["id"])})
    return page, 200, {"Link": f'<{url_of("account_credentials")}?{after}>; rel="next"'}


@routes.post("/credentials", endpoint="account_credentials", name="createCredential")
@reads(NewCredential())
@returns({201: CredentialRepresentation()}, errors=(403, 404, 409))
def create_credential(services: Services, actor: Actor, body: dict[str, Any]) -> Returned:
    """Create a credential, from a new secret or from the API key of one of the caller's models."""
    create = services.attachments.create_from if "from_model" in body else services.accounts.create
    row = create(actor, body)
    location = url_of("account_credential", credential=row["id"])
    return credential_to_dict(row), 201, {**_tagged(row), "Location": location}


@routes.get("/credentials/<credential>", endpoint="account_credential", name="getAccountCredential")
@returns({200: CredentialRepresentation(), 304: None})
def get_credential(services: Services, actor: Actor, credential: str) -> Returned:
    """Return one of the caller's credentials, without its secret."""
    row = services.accounts.get(actor, model_ref(credential))
    known = request.headers.get("If-None-Match")
    if known is not None and lists(known, credential_tag(row)):
        return "", 304, _tagged(row)
    return credential_to_dict(row), 200, _tagged(row)


@routes.patch("/credentials/<credential>", endpoint="account_credential", name="updateCredential")
@reads(CredentialChange(partial=True), is_conditional=True)
@returns({200: CredentialRepresentation()}, errors=(403, 409))
def change_credential(
    services: Services, actor: Actor, credential: str, body: dict[str, Any]
) -> Returned:
    """Change fields of a credential.

    If you change the provider, or the scheme, host or port of the ``base_url``, send the whole
    ``secret`` in the same request. The change also applies to models that use the credential.
    """
    row = services.accounts.update(actor, model_target(credential), body)
    return credential_to_dict(row), 200, _tagged(row)


@routes.delete(
    "/credentials/<credential>", endpoint="account_credential", name="deleteAccountCredential"
)
@reads(query=Deletion(), is_conditional=True)
@returns({204: None}, errors=(403, 409))
def delete_credential(
    services: Services, actor: Actor, credential: str, query: dict[str, str]
) -> Returned:
    """Delete a credential. If models use it, the request needs ``detach=true``."""
    detach = query["detach"] == "true"
    services.accounts.delete(actor, model_target(credential), detach=detach)
    return "", 204


@routes.get("/credentials/<credential>/secret", endpoint="account_secret", name="getSecret")
@returns({200: AccountSecretState()})
def get_secret(services: Services, actor: Actor, credential: str) -> Returned:
    """Return whether the secret of a credential can be decrypted.

    The response never contains the secret.
    """
    return services.accounts.secret_state(actor, model_ref(credential))


@routes.put("/credentials/<credential>/secret", endpoint="account_secret", name="setSecret")
@reads(NewSecret(), is_conditional=True)
@returns({204: None}, errors=(403, 409))
def set_secret(services: Services, actor: Actor, credential: str, body: dict[str, Any]) -> Returned:
    """Replace a credential's whole secret and headers, or refer to a secret kept elsewhere."""
    services.accounts.set_secret(actor, model_target(credential), body)
    return "", 204


@routes.patch("/credentials/<credential>/secret", endpoint="account_secret", name="updateSecret")
@reads(AccountSecretChange(), is_conditional=True)
@returns({204: None}, errors=(403, 409))
def change_secret(
    services: Services, actor: Actor, credential: str, body: dict[str, Any]
) -> Returned:
    """Change part of a secret. Omitted fields stay unchanged, and null removes a header."""
    services.accounts.set_secret(actor, model_target(credential), body, merge=True)
    return "", 204


@routes.post("/credentials/<credential>/models", endpoint="account_models", name="registerModels")
@reads(NewModels(), is_conditional=True)
@returns({201: ModelRepresentation(many=True)}, errors=(403, 409))
def register_models(
    services: Services, actor: Actor, credential: str, body: dict[str, Any]
) -> Returned:
    """Register up to 100 models that use a credential. If one fails, none is registered."""
    return services.attachments.register(actor, model_target(credential), body["models"]), 201


@routes.post("/credentials/<credential>/test", endpoint="account_test", name="testCredential")
@reads(TestedModel())
@returns({200: ProbeResult()}, errors=(409, 429))
def test_credential(
    services: Services, actor: Actor, credential: str, body: dict[str, Any]
) -> Returned:
    """Test, with a credential's stored secret, whether its provider lists or serves a model."""
    called = CalledModel(body["model_name"], body["category"])
    test = services.connections.credential_test(
        actor, model_ref(credential), called, billed=body["billed_call"]
    )
    return after_commit(test)


@routes.post(
    "/credentials/<credential>/served-models",
    endpoint="account_served_models",
    name="listModelsServedToCredential",
)
@reads(NoFields(), may_omit_body=True)
@returns({200: ServedModels()}, errors=(409, 429, 502, 504))
def served_to_credential(
    services: Services,
    actor: Actor,
    credential: str,
    body: dict[str, Any],  # noqa: ARG001  # always empty
) -> Returned:
    """List the models that a credential's provider serves, with the credential's secret."""
    return after_commit(services.connections.names_for_credential(actor, model_ref(credential)))


def _tagged(row: Mapping[Any, Any]) -> dict[str, str]:
    return {"ETag": f'"{credential_tag(row)}"'}
