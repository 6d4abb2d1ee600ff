"""Calls about credentials from the host app's code: methods of ModelRegistry."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from .db.representation import credential_to_dict
from .schemas import load
from .schemas.credentials import CredentialChange, NewCredential, NewModels
from .schemas.secrets import AccountSecretChange, NewSecret
from .services.rows import ResourceRef
from .unset import UNSET
from .users import User

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from . import types
    from .services.app_services import Services
    from .unset import Unset
    from .users import Proxied, Users

_NEW, _CHANGE = NewCredential(), CredentialChange(partial=True)
_SECRET, _SECRET_CHANGE, _MODELS = NewSecret(), AccountSecretChange(), NewModels()


class CredentialCalls(Generic[User]):
    """Calls about a user's credentials, which no other user sees."""

    _users: Users

    if TYPE_CHECKING:  # it is an attribute of Calls

        @property
        def _services(self) -> Services: ...

    def create_credential(
        self, *, user: Proxied[User] | Unset = UNSET, **fields: Unpack[types.NewCredential]
    ) -> types.Credential:
        """Create a credential that several of the user's models can use.

        Args:
            fields: ``name``, ``model_provider``, ``secret`` and, as needed, ``kind``, ``base_url``,
                ``settings`` and ``expires_at``. If your app keeps the secret, pass its name as
                ``reference`` instead of ``secret``. To move a model's API key to the credential,
                pass only ``name`` and ``from_model``, the model's id.

        Raises:
            ValidationError: A field isn't valid, or the ``secret_source`` returns no secret.
            CredentialNameTakenError: The user has a credential with this name.
            NotFoundError: The model of ``from_model`` isn't found.
            ForbiddenError: The user doesn't own the model of ``from_model``.
            ConflictError: The model of ``from_model`` already uses a credential.
            UnreadableCredentialError: The model of ``from_model`` has no API key that can be
                decrypted.

        Example:
            >>> credential = registry.create_credential(
            ...     name="research",
            ...     model_provider="openai",
            ...     secret={"api_key": "sk-your-key", "headers": {"X-Team": "research"}},
            ...     user=alice,
            ... )
            >>> credential["name"], credential["secrets"], credential["headers"]
            ('research', ['api_key'], ['X-Team'])
        """
        loaded, actor = load(_NEW, fields), self._users.actor(user)
        if "from_model" in loaded:
            return credential_to_dict(self._services.attachments.create_from(actor, loaded))
        return credential_to_dict(self._services.accounts.create(actor, loaded))

    def credentials(self, *, user: Proxied[User] | Unset = UNSET) -> Sequence[types.Credential]:
        """Return the user's credentials, ordered by id, without their secrets.

        Example:
            >>> [credential["name"] for credential in registry.credentials(user=alice)]
            ['team']
        """
        return self._services.accounts.list(self._users.actor(user))

    def credential(
        self, credential_id: int, *, user: Proxied[User] | Unset = UNSET
    ) -> types.Credential:
        """Return one of the user's credentials, without its secret.

        Raises:
            NotFoundError: The user has no credential with this id.

        Example:
            >>> registry.credential(1, user=alice)["name"]
            'team'
        """
        row = self._services.accounts.get(self._users.actor(user), credential_id)
        return credential_to_dict(row)

    def update_credential(
        self,
        credential_id: int,
        *,
        user: Proxied[User] | Unset = UNSET,
        **fields: Unpack[types.CredentialChanges],
    ) -> types.Credential:
        """Change fields of a credential. Omitted fields stay.

        A new provider or base URL also applies to models that use the credential at its old base
        URL.

        Raises:
            NotFoundError: The user has no credential with this id.
            ValidationError: A field isn't valid, or the ``secret_source`` returns no secret. Or the
                provider or origin changes, but the whole secret isn't passed with it.
            CredentialNameTakenError: The user has another credential with this name.
            CredentialInUseError: The provider or origin changes, but the base URL of a model that
                uses the credential has another path.
            ForbiddenError: A model that uses the credential is shared with everyone, and the user
                may not share.

        Example:
            >>> registry.update_credential(1, name="team of 2030", user=alice)["name"]
            'team of 2030'
        """
        loaded, actor = load(_CHANGE, fields), self._users.actor(user)
        row = self._services.accounts.update(actor, ResourceRef(credential_id), loaded)
        return credential_to_dict(row)

    def set_secret(
        self,
        credential_id: int,
        *,
        user: Proxied[User] | Unset = UNSET,
        **secret: Unpack[types.NewSecret],
    ) -> None:
        """Replace the whole secret of a credential: the API key, and all headers.

        Args:
            secret: Either ``api_key`` and ``headers``, or ``reference``, the name of a secret that
                your app keeps.

        Raises:
            NotFoundError: The user has no credential with this id.
            ValidationError: The secret isn't valid, or the ``secret_source`` returns no secret.
            ForbiddenError: A model that uses the credential is shared with everyone, and the user
                may not share.

        Example:
            >>> registry.set_secret(1, api_key="sk-your-new-key", user=alice)
        """
        loaded, actor = load(_SECRET, secret), self._users.actor(user)
        self._services.accounts.set_secret(actor, ResourceRef(credential_id), loaded)

    def update_secret(
        self,
        credential_id: int,
        *,
        user: Proxied[User] | Unset = UNSET,
        **change: Unpack[types.AccountSecretChange],
    ) -> None:
        """Change part of a secret: omitted fields stay, and ``None`` removes headers.

        Raises:
            NotFoundError: The user has no credential with this id.
            ValidationError: The change isn't valid.
            ConflictError: Your app keeps the secret, so only ``reference`` can change.
            UnreadableCredentialError: The stored secret can't be decrypted.
            ForbiddenError: A model that uses the credential is shared with everyone, and the user
                may not share.

        Example:
            >>> registry.update_secret(1, headers={"X-Team": "research"}, user=alice)
        """
        loaded, actor = load(_SECRET_CHANGE, change), self._users.actor(user)
        self._services.accounts.set_secret(actor, ResourceRef(credential_id), loaded, merge=True)

    def delete_credential(
        self, credential_id: int, *, user: Proxied[User] | Unset = UNSET, detach: bool = False
    ) -> None:
        """Delete a credential.

        Args:
            detach: Whether to delete the credential although models use it. These models are left
                without an API key.

        Raises:
            NotFoundError: The user has no credential with this id.
            CredentialInUseError: Models use the credential, and ``detach`` is not true.
            ForbiddenError: A model that uses the credential is shared with everyone, and the user
                may not share.

        Example:
            >>> registry.delete_credential(1, detach=True, user=alice)
        """
        accounts, actor = self._services.accounts, self._users.actor(user)
        accounts.delete(actor, ResourceRef(credential_id), detach=detach is True)

    def use_credential(
        self, ref: int | str, credential_id: int, *, user: Proxied[User] | Unset = UNSET
    ) -> None:
        """Make a model use one of its owner's credentials instead of an API key of its own.

        To give the model an API key of its own again, call ``registry.update(ref, api_key=...)``.

        Raises:
            NotFoundError: The model isn't found, or the user has no credential with this id.
            ForbiddenError: The user doesn't own the model, or the model is shared with everyone and
                the user may not share.
            ValidationError: The credential is for another provider or origin.

        Example:
            >>> registry.use_credential("gpt-4o", 1, user=alice)
        """
        attachments, actor = self._services.attachments, self._users.actor(user)
        attachments.attach(actor, ResourceRef(ref), credential_id)

    def create_models(
        self,
        credential_id: int,
        models: Sequence[types.NewModelOfAccount],
        *,
        user: Proxied[User] | Unset = UNSET,
    ) -> Sequence[types.ModelRepresentation]:
        """Register up to 100 models that use a credential. If one fails, none is registered.

        Args:
            models: Dicts of the fields of ``create``, without ``model_provider`` and ``api_key``.

        Raises:
            NotFoundError: The user has no credential with this id.
            ValidationError: A model isn't valid. The error names fields like ``models.3.model_id``.
            ForbiddenError: A model would be shared with everyone, but the user may not share.
            ModelIdTakenError: A ``model_id`` is already taken by another of the user's models, or
                by a model shared with everyone.

        Example:
            >>> large, small = registry.create_models(
            ...     1,
            ...     [
            ...         {"model_id": "large", "model_name": "gpt-4o"},
            ...         {"model_id": "small", "model_name": "gpt-4o-mini"},
            ...     ],
            ...     user=alice,
            ... )
            >>> large["model_provider"], small["model_id"]
            ('openai', 'small')
        """
        given: dict[str, Any] = {"models": models}
        with suppress(TypeError, ValueError):  # the schema refuses what isn't a list of dicts
            given["models"] = [dict(each) for each in models]
        del models  # users paste API keys into other fields, and a traceback would show them
        loaded, actor = load(_MODELS, given), self._users.actor(user)
        attachments = self._services.attachments
        return attachments.register(actor, ResourceRef(credential_id), loaded["models"])
