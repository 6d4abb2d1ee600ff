"""Calls about the parameters and details of models: methods of ModelRegistry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from .schemas import load
from .schemas.requests import ModelParameters
from .services.rows import ResourceRef
from .unset import UNSET
from .users import User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import types
    from .services.app_services import Services
    from .unset import Unset
    from .users import Proxied, Users

_PARAMETERS = ModelParameters(partial=True)


class DetailCalls(Generic[User]):
    """Calls about details beyond a model's representation."""

    _users: Users

    if TYPE_CHECKING:  # it is an attribute of Calls

        @property
        def _services(self) -> Services: ...

    def details(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> types.ModelDetails:
        """Return a model with its owner, base URL, last connection test, grants and parameters.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.

        Example:
            >>> details = registry.details("gpt-4o", user=alice)
            >>> details["address"], details["key"]["is_set"], details["grants"]
            ('https://api.openai.com/v1', True, {'users': 0, 'groups': 0})
        """
        return self._services.details.get(self._users.actor(user), ref)

    def parameters(
        self, ref: int | str, *, user: Proxied[User] | Unset = UNSET
    ) -> types.Parameters:
        """Return the parameters sent with each call to a model, and facts about the model.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.

        Example:
            >>> registry.parameters("gpt-4o", user=alice)
            {'parameters': {}, 'info': {}}
        """
        return self._services.details.parameters(self._users.actor(user), ref)[0]

    def set_parameters(
        self,
        ref: int | str,
        *,
        parameters: Mapping[str, Any] | Unset = UNSET,
        info: Mapping[str, Any] | Unset = UNSET,
        user: Proxied[User] | Unset = UNSET,
    ) -> types.Parameters:
        """Replace the parameters of a model's calls, the facts about the model, or both.

        Args:
            parameters: Fields to add to the JSON body of each call, such as
                ``{"max_tokens": 1024}``; up to 8192 bytes of JSON. If you omit this argument, the
                parameters stay unchanged.
            info: Facts such as prices or tags, up to 8192 bytes of JSON. Calls never send these
                facts. If you omit this argument, the facts stay unchanged.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.
            ForbiddenError: The user may not change the model, or the model is shared with everyone
                and the user may not share.
            ValidationError: A value is too long, isn't JSON, or contains a name that isn't allowed.

        Example:
            >>> registry.set_parameters("gpt-4o", parameters={"max_tokens": 1024}, user=alice)
            {'parameters': {'max_tokens': 1024}, 'info': {}}
        """
        given = {"parameters": parameters, "info": info}
        given = {name: value for name, value in given.items() if value is not UNSET}
        loaded, actor = load(_PARAMETERS, given), self._users.actor(user)
        self._services.models.update(actor, ResourceRef(ref), loaded)
        return self._services.details.parameters(actor, ref)[0]
