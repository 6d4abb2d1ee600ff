"""Who acts: the host's users, and what its callbacks say of them, checked."""

from __future__ import annotations

import inspect
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import has_request_context
from sqlalchemy.orm.exc import DetachedInstanceError, ObjectDeletedError

from .errors import AuthenticationError, ConfigError, MissingUserError, NotFoundError
from .policy import Actor
from .text import NAME
from .unset import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from typing_extensions import TypeVar
    from werkzeug.local import LocalProxy

    User = TypeVar("User", default=Any)  # any, where a host names no class of its users
    Proxied: TypeAlias = User | LocalProxy[User]  # such as that of Flask-Login
else:
    from typing import TypeVar

    User = TypeVar("User")

# What a user has that is switched off, or a visitor who is not logged in.
_FLAGS = ("is_active", "is_authenticated")
_ABSENT, _VISITOR = object(), object()


class Users:
    """Makes actors of the host's users."""

    def __init__(
        self,
        session: Any,
        user_model: type,
        load_user: Callable[[], Any],
        *,
        can_share: Callable[[Any], bool] | None,
        groups: Callable[[Any], Iterable[str]] | None,
        can_grant: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self._session = session
        self._user_model = user_model
        self._load_user = load_user
        self._can_share = can_share
        self._groups = groups
        self._can_grant = can_grant
        self.knows_who_shares = can_share is not None or hasattr(user_model, "is_admin")

    @property
    def load_user(self) -> Callable[[], Any]:
        """What returns the user of the request."""
        return self._load_user

    def actor(self, user: Any = UNSET) -> Actor:
        """Return the actor for a user, or for the user of the request.

        Raises:
            MissingUserError: The user is ``None``.
            AuthenticationError: No user was found.
            ConfigError: It is not a user of the host app, or a callback of the host app is wrong.
        """
        if user is not UNSET:
            hint = ", or leave 'user' out to act for the user of the request"
            user = self._given(user, "user", hint)
            key = self._key_of(user)
            # Whom the host's code acts for is its decision, but not what it means by is_active.
            with suppress(DetachedInstanceError, ObjectDeletedError):  # the key is known anyway
                _all_true(user, *_FLAGS)
            return Actor(key, self._groups_of(user), lambda: self._may_share(user))
        if not has_request_context():
            raise AuthenticationError("There is no request to take the user from; give 'user'.")
        try:
            user = self._unwrapped(self._load_user())
            if user is None or user is False or user is _VISITOR:
                raise AuthenticationError
            key = self._key_of(user)
            if not _all_true(user, *_FLAGS):
                raise AuthenticationError
            return Actor(key, self._groups_of(user), lambda: self._may_share(user))
        except ObjectDeletedError:  # since the login was read
            raise AuthenticationError from None

    def from_key(self, key: Any) -> Actor:
        """Return the actor for the user with this key.

        Raises:
            NotFoundError: There is no such user, or the user is not active.
        """
        return self.actor(self._active(key))

    def check_recipient(self, key: Any, owner: Any) -> None:
        """Check that a user who is to get something could log in and use it.

        Args:
            owner: The primary key of the user who gives it.

        Raises:
            NotFoundError: There is no such user, the user is not active, or ``can_grant`` refuses.
        """
        # The same error for all three, so that no caller learns which users exist.
        self._check_may_grant(owner, self._active(key), "There is no such user.")

    def check_group(self, name: str, owner: Any) -> None:
        """Check that a group may be granted something by a user.

        Raises:
            NotFoundError: ``can_grant`` refuses.
        """
        self._check_may_grant(owner, name, "There is no such group.")

    def _check_may_grant(self, owner: Any, grantee: Any, refusal: str) -> None:
        if self._can_grant is None:
            return
        giver = self._found(owner)
        if giver is None or not _is_true(self._can_grant(giver, grantee), "can_grant's answer"):
            raise NotFoundError(refusal)

    def key(self, user: Any, argument: str, hint: str = "") -> Any:
        """Return the value of a user's primary key.

        Args:
            argument: What the parameter is called that the user was given for.
            hint: What else may be done than to pass a user.

        Raises:
            MissingUserError: The user is ``None``, or a visitor who is not logged in.
            ConfigError: It is not a user of the host's.
        """
        return self._key_of(self._given(user, argument, hint))

    def _groups_of(self, user: Any) -> tuple[str, ...]:
        groups = None if self._groups is None else self._groups(user)
        if groups is None:
            return ()
        is_iterable = hasattr(type(groups), "__iter__") and not isinstance(groups, (str, bytes))
        names = set()
        for name in groups if is_iterable else [groups]:
            if not is_iterable or not isinstance(name, str):
                raise ConfigError(
                    "groups must return the names of groups, as an iterable of strings, "
                    + _describe(name)
                )
            # To names that databases do not all compare alike, nothing can be granted.
            if NAME.match(name):
                names.add(name)
        return tuple(sorted(names))

    def _may_share(self, user: Any) -> bool:
        if self._can_share is not None:
            return _is_true(self._can_share(user), "can_share's answer")
        return _all_true(user, "is_admin", default=False, fix="; or pass can_share")

    def _given(self, user: Any, argument: str, hint: str = "") -> Any:
        user = self._unwrapped(user)
        if user is None or user is _VISITOR:
            what = "None" if user is None else "a visitor who is not logged in"
            raise MissingUserError(f"The argument '{argument}' is {what}. Pass a user{hint}.")
        return user

    def _unwrapped(self, user: Any) -> Any:
        """Return the object behind proxies such as Flask-Login's ``current_user``.

        For an object that stands for a visitor without a login, return ``_VISITOR``.
        """
        while hasattr(type(user), "_get_current_object"):
            user = user._get_current_object()
        if isinstance(user, (self._user_model, type)) or _all_true(user, "is_authenticated"):
            return user
        return _VISITOR

    def _key_of(self, user: Any) -> Any:
        is_object = isinstance(user, self._user_model)
        state: Any = sa.inspect(user, raiseerr=False) if is_object else None
        if state is None:
            raise ConfigError(
                f"the user must be a {self._user_model.__name__} object, {_describe(user)}"
            )
        mapper = state.mapper
        if mapper.class_ is not self._user_model and not self._has_key(mapper):
            user_key: Any = sa.inspect(self._user_model).primary_key[0]
            raise ConfigError(
                f"{mapper.class_.__name__} has keys of its own, {mapper.primary_key[0]}, that are "
                f"not those of the registry's users, {user_key}; "
                f"give a {self._user_model.__name__} that is stored with these"
            )
        if state.pending:
            self._session.flush()
        if state.identity is None:
            raise ConfigError("this user is not in the database yet; add it to the session first")
        return state.identity[0]

    def _has_key(self, mapper: sa.orm.Mapper[Any]) -> bool:
        """Return whether the registry refers to the primary key that identifies the objects."""
        user_key: Any = sa.inspect(self._user_model).primary_key[0]
        return len(mapper.primary_key) == 1 and mapper.primary_key[0] is user_key

    def _active(self, key: Any) -> Any:
        user = self._found(key)
        if user is None or not _all_true(user, *_FLAGS):
            raise NotFoundError("There is no such user.")
        return user

    def _found(self, key: Any) -> Any:
        mapper: sa.orm.Mapper[Any] = sa.inspect(self._user_model)
        if not any(each.concrete for each in mapper.self_and_descendants):
            return self._session.get(self._user_model, key)
        # Users of other tables may have this key too, and a polymorphic union finds them all. The
        # attribute, because SQLAlchemy 2.0 looks for the column beside the union and not in it.
        attribute = mapper.get_property_by_column(mapper.primary_key[0]).class_attribute
        statement: sa.Select[Any] = sa.select(self._user_model).where(attribute == key)
        for user in self._session.scalars(statement).unique():
            if self._has_key(sa.inspect(user).mapper):
                return user
        return None


def _all_true(user: Any, *names: str, default: bool = True, fix: str = "") -> bool:
    """Return whether all these attributes of a user are true; a missing one is the default.

    Check each, because an attribute that is not a boolean is an error even if another is false.
    """
    result = True
    for name in names:
        try:
            value = getattr(user, name)
        except AttributeError:
            if inspect.getattr_static(user, name, _ABSENT) is not _ABSENT:
                # Its own code failed. To take that for a missing attribute would let everyone in.
                raise ConfigError(
                    f"{type(user).__name__}.{name} is there, but raised an AttributeError{fix}"
                ) from None
            value = default
        if value is not True and not _is_true(value, f"{type(user).__name__}.{name}", fix):
            result = False
    return result


def _is_true(value: Any, name: str, fix: str = "") -> bool:
    """Return whether a value is true as a database has it: a boolean, a number or NULL."""
    # A method that was not called, a coroutine, "false" and b"\0" are all true to Python.
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, (float, Decimal)) and not _is_nan(value):
        return bool(value)
    raise ConfigError(f"{name} must be a boolean, {_describe(value)}{fix}")


def _is_nan(value: float | Decimal) -> bool:
    # Not math.isnan, which takes no signaling NaN.
    return value.is_nan() if isinstance(value, Decimal) else value != value  # noqa: PLR0124


def _describe(value: Any) -> str:
    """Describe the type of a value, without the value."""
    if inspect.iscoroutine(value):
        value.close()  # Python would warn that it was never awaited
        return "not a coroutine; the registry calls no async functions"
    if isinstance(value, type):
        return f"not the class {value.__name__}"
    return f"not of type {type(value).__name__}"
