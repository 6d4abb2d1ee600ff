"""Who acts: the host's users, and what its callbacks say of them, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import has_request_context

from .core.access import Actor
from .core.users import Person
from .errors import AuthenticationError, ConfigError, NotFoundError
from .text import is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Actors:
    """Makes actors of the host's users."""

    def __init__(
        self,
        session: Any,
        user_model: type,
        load_user: Callable[[], Any],
        *,
        can_share: Callable[[Any], bool] | None,
        groups: Callable[[Any], Iterable[str]] | None,
    ) -> None:
        self._session = session
        self._user_model = user_model
        self._load_user = load_user
        self._can_share = can_share or _is_admin
        self._groups = groups
        self.knows_who_shares = can_share is not None or hasattr(user_model, "is_admin")

    def actor(self, user: Any = None) -> Actor:
        """Return the actor for a user, or for the user of the request.

        Raises:
            AuthenticationError: There is no user.
            ConfigError: It is no user of the host's, or a callback of the host's is wrong.
        """
        user = self._requesting_user() if user is None else _unwrapped(user)
        key = self.key(user)
        groups = _checked_groups(self._groups(user)) if self._groups else ()
        return Actor(key, groups, lambda: _is_true(self._can_share(user)))

    def of_key(self, key: Any) -> Actor:
        """Return the actor for the user with this key.

        Raises:
            NotFoundError: There is no such user, or the user is not active.
        """
        return self.actor(self._active(key))

    def check_recipient(self, key: Any) -> None:
        """Check that a user who is to get something could come and use it.

        Raises:
            NotFoundError: The user is not active.
        """
        if hasattr(self._user_model, "is_active"):
            self._active(key)

    def person(self, user: Any) -> Person:
        """Return a user of the host's as the registry knows them."""
        return Person(key=self.key(user))

    def grantee(self, user: Any, group: str | None) -> Person | str:
        """Return whom a model is granted to: a user, or the group of this name."""
        if (user is None) is (group is None):
            raise TypeError("give either 'to', a user, or 'group', a name")
        return self.person(user) if group is None else group

    def key(self, user: Any) -> Any:
        """Return the value of a user's primary key."""
        user = _unwrapped(user)
        if not isinstance(user, self._user_model):
            raise ConfigError(
                f"the user must be a {self._user_model.__name__} object, "
                f"not of type {type(user).__name__}"
            )
        state = sa.inspect(user)
        if state.pending:
            self._session.flush()
        if state.identity is None:
            raise ConfigError("this user is not in the database yet; add it to the session first")
        return state.identity[0]

    def _requesting_user(self) -> Any:
        if not has_request_context():
            raise AuthenticationError("There is no request to take the user from; give 'user'.")
        user = _unwrapped(self._load_user())
        if user is None or user is False or _is_refused(user):
            raise AuthenticationError
        return user

    def _active(self, key: Any) -> Any:
        user = self._session.get(self._user_model, key)
        if user is None or _is_refused(user):
            raise NotFoundError("There is no such user.")
        return user


def _unwrapped(user: Any) -> Any:
    """Return the object behind a proxy such as Flask-Login's ``current_user``."""
    unwrap = getattr(user, "_get_current_object", None)
    return unwrap() if unwrap else user


def _is_refused(user: Any) -> bool:
    return any(getattr(user, name, True) is False for name in ("is_authenticated", "is_active"))


def _is_admin(user: Any) -> Any:
    return getattr(user, "is_admin", False)


def _is_true(answer: Any) -> bool:
    # A method that nobody called, a coroutine and "false" are all true to Python.
    if answer is not None and not isinstance(answer, (bool, int)):
        raise ConfigError("can_share, or is_admin of your users, must be a boolean; pass can_share")
    return bool(answer)


def _checked_groups(groups: Any) -> tuple[str, ...]:
    names = () if isinstance(groups, str) else set(groups or ())
    if isinstance(groups, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError("groups must return the names of groups, as an iterable of text")
    # To names that databases do not all compare alike, nothing can be granted.
    return tuple(sorted(filter(is_name, names))) if names else ()
