"""Secrets that the host app keeps: credentials refer to them by name, and calls ask for them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..errors import (
    UnavailableError,
    UnreadableCredentialError,
    ValidationError,
    describe_type,
)
from ..schemas import load
from ..schemas.secrets import AccountSecretFields
from ..secret import Hidden, clear_frames
from .account_secrets import AccountSecret

if TYPE_CHECKING:
    from types import TracebackType

    from .. import types
    from ..providers.app_providers import Providers
    from ..users import Users

_log = logging.getLogger("flask_model_registry")
_SCHEMA = AccountSecretFields()
_NO_SOURCE = "This app keeps no secrets elsewhere. Send the secret instead."
# The same message for an unknown name and for another user's.
_REFUSED = "Must name a secret that you may use with this provider and base URL."
# A failure of the database is passed on, because the rest of the transaction would fail too. Other
# errors of SQLAlchemy's, such as NoResultFound, mean that the name is unknown.
_RERAISED = (UnavailableError, DBAPIError, PoolTimeoutError, PendingRollbackError)


class SecretSource:
    """The ``secret_source`` of a host app, if there is one.

    Args:
        source: The host's function, which is called each time a secret is needed.
    """

    def __init__(
        self, source: types.SecretSource | None, users: Users, providers: Providers
    ) -> None:
        self._source = source
        self._users = users
        self._providers = providers

    @property
    def is_set(self) -> bool:
        """Whether there is a source, without which no credential may have a reference."""
        return self._source is not None

    def check(self, credential: Mapping[Any, Any], reference: str) -> None:
        """Check that the owner of a credential may refer to a secret.

        Raises:
            ValidationError: The app has no source, or the source returns no valid secret.
        """
        if self._source is None:
            raise ValidationError([("reference", _NO_SOURCE)])
        try:
            row = {**credential, "reference": reference}
            self.secret(row, {**row, "credential": row})
        except UnreadableCredentialError:
            pass
        else:
            return
        raise ValidationError([("reference", _REFUSED)])

    def secret(
        self, credential: Mapping[Any, Any], destination: Mapping[Any, Any]
    ) -> AccountSecret:
        """Return the secret that a credential refers to.

        Args:
            destination: The row that decides where the secret is sent: the model's, or else the
                credential's own.

        Raises:
            UnreadableCredentialError: There is no source, or it returns no valid secret.
        """
        fetched = self._fetch(credential, destination)
        try:
            return AccountSecret.from_fields(credential["kind"], load(_SCHEMA, fetched.reveal()))
        except ValidationError as error:
            # The name of an unknown field could be a secret in the wrong place.
            known = [each for each in error.errors if each[0].partition(".")[0] in _SCHEMA.fields]
            problem = str(ValidationError(known)) if known else "it has unknown members"
        raise self._log_failure(f"returned a secret that isn't valid: {problem.rstrip('.')}")

    def _fetch(
        self, credential: Mapping[Any, Any], destination: Mapping[Any, Any]
    ) -> Hidden[dict[str, Any]]:
        """Ask the source for the secret, and return it as a dict that loading may empty."""
        if self._source is None:
            raise UnreadableCredentialError(
                "The credential has a reference, but ModelRegistry has no secret_source."
            )
        owner = self._users.find(credential["owner_id"])
        if owner is None:
            raise UnreadableCredentialError("The owner of the credential is gone.")
        arguments = {
            "owner": owner,
            "provider": destination["model_provider"],
            "origin": self._providers.call_origin(destination),
        }
        outer = sys.exc_info()[1]
        try:
            return _as_dict(self._source(credential["reference"], **arguments))
        except _RefusedError as error:
            problem = str(error)
        except BaseException as error:
            location = _location(error.__traceback__)
            clear_frames(error, outer)  # the host's frames may hold the secret
            if not isinstance(error, Exception) or isinstance(error, _RERAISED):
                raise
            problem = f"raised {type(error).__name__}{location}"
        if not problem:
            raise UnreadableCredentialError(
                "The secret_source returned no secret for this reference, owner, provider and "
                "origin."
            )
        raise self._log_failure(problem)

    @staticmethod
    def _log_failure(problem: str) -> UnreadableCredentialError:
        """Log why a source failed, for its developer, and return the error."""
        _log.warning(
            "model registry: the secret_source %s",
            problem,
            extra={"model_registry_kind": "secret-source"},
        )
        return UnreadableCredentialError(f"The secret_source {problem}.")


class _RefusedError(Exception):
    """The source returned nothing, or not a secret. The text says which."""


def _as_dict(given: Any) -> Hidden[dict[str, Any]]:
    try:
        if isinstance(given, str):
            return Hidden({"api_key": given})
        if isinstance(given, Mapping):
            # A copy, because loading empties it, and the host may keep its own.
            return Hidden(dict(given))
        expected = f"must return a string, a dict or None, {describe_type(given)}"
        problem = "" if given is None else expected
    finally:
        del given  # or a traceback would show it
    raise _RefusedError(problem)


def _location(tb: TracebackType | None) -> str:
    """Return where in the source an exception was raised; its message may hold a secret."""
    if tb is None or tb.tb_next is None:
        return ""
    name = Path(tb.tb_next.tb_frame.f_code.co_filename).name
    return f" at {name}:{tb.tb_next.tb_lineno}"
