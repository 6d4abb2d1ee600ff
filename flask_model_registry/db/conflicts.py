"""Errors for users when the database enforces a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConflictError, CredentialNameTakenError, ModelIdTakenError
from .failures import violated_constraint

if TYPE_CHECKING:
    import sqlalchemy as sa

    from .declare import Tables

_CREDENTIAL_NAME = "model_registry_uq_credentials_owner_name"
REFUSED_BY_DATABASE = "The database refused the model; its owner may be gone."


def conflict_of(error: sa.exc.DBAPIError, tables: Tables) -> ConflictError:
    """Return the error to raise for a broken constraint."""
    constraint = violated_constraint(error, tables.models) or ""
    if constraint.endswith("owner_model_id"):
        return ModelIdTakenError("The owner already has a model with this model_id.")
    if constraint.endswith("shared_model_id"):
        return ModelIdTakenError("A model with this model_id is already shared with everyone.")
    if violated_constraint(error, tables.credentials) == _CREDENTIAL_NAME:
        return CredentialNameTakenError("The owner already has a credential with this name.")
    return ConflictError(REFUSED_BY_DATABASE)
