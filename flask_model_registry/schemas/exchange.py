"""Schemas of the lines of an export."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Equal, Length, OneOf

from .credentials import CredentialChange
from .fields import ONE_LINE
from .limits import CREDENTIAL_KINDS
from .parameters import info_field, parameters_field
from .requests import ModelUpdate
from .secrets import AccountSecretFields

_CREDENTIAL_NAME = [Length(1, 100), ONE_LINE]


def _owner() -> fields.String:
    return fields.String(
        required=True,
        validate=Length(1, 255),
        error_messages={"invalid": 'Must be a primary key as a string, such as "1".'},
    )


def _type(value: str) -> fields.String:
    return fields.String(
        load_default=value,
        validate=Equal(value, error="Must be model or credential; without it, it is a model."),
    )


class ExchangedModel(ModelUpdate):
    """A whole model, its owner, and the name of the credential that it uses."""

    type = _type("model")
    owner = _owner()
    credential = fields.String(validate=_CREDENTIAL_NAME)
    parameters = parameters_field()
    info = info_field()

    @validates_schema(skip_on_field_errors=True)
    def _check_one_key(self, model: dict[str, Any], **_options: Any) -> None:
        if {"api_key", "credential"} <= {*model}:
            raise ValidationError("Send either this or api_key.", "credential")


class ExchangedCredential(CredentialChange):
    """A whole credential and its owner, with its secret if the export includes secrets."""

    type = _type("credential")
    owner = _owner()
    kind = fields.String(load_default="key", validate=OneOf(CREDENTIAL_KINDS))
    secret = fields.Nested(AccountSecretFields, load_only=True)
