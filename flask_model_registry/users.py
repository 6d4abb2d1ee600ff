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
from .text import is_name
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
_ABSENT = object()


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
            AuthenticationError: There is no user.
            ConfigError: It is not a user of the host's, or a callback of the host's is wrong.
        """
        if user is not UNSET:
            hint = ", or leave 'user' out to act for the user of the request"
            user = self._given(user, "user", hint)
            key = self._key_of(user)
            # Whom the host's code acts for is its decision, but not what it means by is_active.
            with suppress(DetachedInstanceError, ObjectDeletedError):  # the key is known anyway
                _is_switched_on(user)
            return self._actor(user, key)
        try:
            user = self._requesting_user()
            key = self._key_of(user)
            if not _is_switched_on(user):
                raise AuthenticationError
            return self._actor(user, key)
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

    def _actor(self, user: Any, key: Any) -> Actor:
        groups = () if self._groups is None else _checked_groups(self._groups(user))
        return Actor(key, groups, lambda: self._may_share(user))

    def _may_share(self, user: Any) -> bool:
        if self._can_share is not None:
            return _is_true(self._can_share(user), "can_share's answer")
        return _flag(user, "is_admin", default=False, cure="; or pass can_share")

    def _requesting_user(self) -> Any:
        if not has_request_context():
            raise AuthenticationError("There is no request to take the user from; give 'user'.")
        user = _unwrapped(self._load_user())
        if user is None or user is False or self._is_anonymous(user):
            raise AuthenticationError
        return user

    def _given(self, user: Any, argument: str, hint: str = "") -> Any:
        user = _unwrapped(user)
        if user is None or self._is_anonymous(user):
            what = "None" if user is None else "a visitor who is not logged in"
            raise MissingUserError(f"The argument '{argument}' is {what}. Pass a user{hint}.")
        return user

    def _is_anonymous(self, user: Any) -> bool:
        """Return whether it stands for a visitor without a login, such as that of Flask-Login."""
        if isinstance(user, (self._user_model, type)):
            return False
        return not _flag(user, "is_authenticated", default=True)

    def _key_of(self, user: Any) -> Any:
        is_object = isinstance(user, self._user_model)
        state: Any = sa.inspect(user, raiseerr=False) if is_object else None
        if state is None:
            raise ConfigError(
                f"the user must be a {self._user_model.__name__} object, {_described(user)}"
            )
        self._check_mapper(state.mapper)
        if state.pending:
            self._session.flush()
        if state.identity is None:
            raise ConfigError("this user is not in the database yet; add it to the session first")
        return state.identity[0]

    @property
    def _user_key(self) -> Any:
        return sa.inspect(self._user_model).primary_key[0]

    def _check_mapper(self, mapper: sa.orm.Mapper[Any]) -> None:
        if not self._has_key(mapper):
            raise ConfigError(
                f"{mapper.class_.__name__} has keys of its own, {mapper.primary_key[0]}, that are "
                f"not those of the registry's users, {self._user_key}; "
                f"give a {self._user_model.__name__} that is stored with these"
            )

    def _has_key(self, mapper: sa.orm.Mapper[Any]) -> bool:
        """Return whether the registry refers to the primary key that identifies the objects."""
        return len(mapper.primary_key) == 1 and mapper.primary_key[0] is self._user_key

    def _active(self, key: Any) -> Any:
        user = self._found(key)
        if user is None or not _is_switched_on(user):
            raise NotFoundError("There is no such user.")
        return user

    def _found(self, key: Any) -> Any:
        mapper: sa.orm.Mapper[Any] = sa.inspect(self._user_model)
        if not any(each.concrete for each in mapper.self_and_descendants):
            return self._session.get(self._user_model, key)
        # Users of other tables may have this key too, and a polymorphic union finds them all. The
        # attribute, because SQLAlchemy 2.0 looks for the column beside the union and not in it.
        attribute = mapper.get_property_by_column(self._user_key).class_attribute
        statement: sa.Select[Any] = sa.select(self._user_model).where(attribute == key)
        users = self._session.scalars(statement).unique()
        return next((user for user in users if self._has_key(sa.inspect(user).mapper)), None)


def _unwrapped(user: Any) -> Any:
    """Return the object behind proxies such as Flask-Login's ``current_user``."""
    while hasattr(type(user), "_get_current_object"):
        user = user._get_current_object()
    return user


def _is_switched_on(user: Any) -> bool:
    flags = [_flag(user, name, default=True) for name in _FLAGS]  # each is checked
    return all(flags)


def _flag(user: Any, name: str, *, default: bool, cure: str = "") -> bool:
    """Return whether an attribute of a user is true; the default, if there is none."""
    attribute = f"{type(user).__name__}.{name}"
    try:
        value = getattr(user, name)
    except AttributeError:
        if inspect.getattr_static(user, name, _ABSENT) is _ABSENT:
            return default
        # Its own code failed. To take that for a missing attribute would let everyone in.
        raise ConfigError(f"{attribute} is there, but raised an AttributeError{cure}") from None
    return _is_true(value, attribute, cure)


def _is_true(value: Any, name: str, cure: str = "") -> bool:
    """Return whether a value is true as a database has it: a boolean, a number or NULL."""
    # A method that was not called, a coroutine, "false" and b"\0" are all true to Python.
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, (float, Decimal)) and not _is_nan(value):
        return bool(value)
    raise ConfigError(f"{name} must be a boolean, {_described(value)}{cure}")


def _is_nan(value: float | Decimal) -> bool:
    # Not math.isnan, which takes no signaling NaN.
    return value.is_nan() if isinstance(value, Decimal) else value != value  # noqa: PLR0124


def _described(value: Any) -> str:
    """Return what a value is instead, without the value."""
    if inspect.iscoroutine(value):
        value.close()  # Python would warn that it was never awaited
        return "not a coroutine; the registry calls no async functions"
    if isinstance(value, type):
        return f"not the class {value.__name__}"
    return f"not of type {type(value).__name__}"


def _checked_groups(groups: Any) -> tuple[str, ...]:
    is_iterable = hasattr(type(groups), "__iter__") and not isinstance(groups, (str, bytes))
    names = [*groups] if is_iterable else () if groups is None else (groups,)
    wrong = [name for name in names if not is_iterable or not isinstance(name, str)]
    if wrong:
        what = _described(wrong[0])
        raise ConfigError(f"groups must return the names of groups, as an iterable of text, {what}")
    # To names that databases do not all compare alike, nothing can be granted.
    return tuple(sorted({*filter(is_name, names)}))
