"""The host's users, and the checked results of its callbacks about them."""

from __future__ import annotations

import inspect
from contextlib import suppress
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import current_app, has_request_context
from flask_jwt_extended import get_current_user, verify_jwt_in_request
from flask_jwt_extended.config import config
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import PyJWTError
from sqlalchemy.orm.exc import DetachedInstanceError, ObjectDeletedError

from .db.failures import is_bad_lookup
from .errors import (
    AuthenticationError,
    ConfigError,
    MissingUserError,
    NotFoundError,
    describe_type,
)
from .logs import facts
from .policy import Actor
from .text import NAME
from .unset import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from typing_extensions import TypeVar
    from werkzeug.local import LocalProxy

    User = TypeVar("User", default=Any)  # Any, if a host's annotations don't name its user class
    Proxied: TypeAlias = User | LocalProxy[User]  # such as Flask-Login's current_user
else:
    from typing import TypeVar

    User = TypeVar("User")

# The flags of inactive users, and of visitors who are not logged in.
_FLAGS = ("is_active", "is_authenticated")
_ABSENT, _VISITOR = object(), object()
# What an invalid token raises. The last two come from user loaders, such as int(claims["sub"]), or
# a lookup of a number that is too large for SQLite.
_TOKEN_ERRORS = (JWTExtendedException, PyJWTError, ValueError, OverflowError)


def jwt_user() -> Any:
    """Return the user of the request's access token, as Flask-JWT-Extended finds it.

    This is the default user loader, with the host's own configuration and users.

    Raises:
        AuthenticationError: There is no valid token of a known user.
        ConfigError: The host app has no ``JWTManager`` or no ``user_lookup_loader``.
    """
    if "flask-jwt-extended" not in current_app.extensions:
        raise ConfigError("this app has no JWTManager; call jwt.init_app(app), or pass user_loader")
    locations = [*config.token_location]
    # To find a token in the body, the body would be parsed before authentication, and not strictly.
    while "json" in locations:
        locations.remove("json")
    if not locations:
        raise ConfigError("JWT_TOKEN_LOCATION must name more than 'json' for the model registry")
    try:
        verify_jwt_in_request(locations=locations)
    except NoAuthorizationError:
        raise AuthenticationError("Send an access token.") from None
    except _TOKEN_ERRORS as error:  # their messages may name the subject
        current_app.logger.info(
            "model registry: token refused: %s",
            type(error).__name__,
            extra=facts("token-refused"),
        )
        raise AuthenticationError(
            "The access token is not valid, or has expired.", token_was_sent=True
        ) from None
    try:
        return get_current_user()
    except RuntimeError:
        raise ConfigError(
            "Flask-JWT-Extended has no user loader; "
            "add '@jwt.user_lookup_loader', or pass ModelRegistry a user_loader"
        ) from None


class Users:
    """Returns actors for the host's users."""

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
        #: The function that returns the user of the request.
        self.load_user = load_user
        self._can_share = can_share
        self._groups = groups
        self._can_grant = can_grant
        self.knows_who_shares = can_share is not None or hasattr(user_model, "is_admin")

    def actor(self, user: Any = UNSET) -> Actor:
        """Return the actor for a user, or for the user of the request.

        Raises:
            MissingUserError: The user is ``None``.
            AuthenticationError: No user was found.
            ConfigError: ``user`` isn't one of the host's users, or a callback's result is invalid.
        """
        if user is not UNSET:
            hint = ", or leave 'user' out to act for the user of the request"
            user = self._require_user(user, "user", hint)
            key = self._key_of(user)
            # The host's code may act for any user, but is_active must still be a boolean.
            with suppress(DetachedInstanceError, ObjectDeletedError):  # the key is known anyway
                _all_true(user, *_FLAGS)
            return Actor(key, self._groups_of(user), lambda: self._may_share(user))
        if not has_request_context():
            raise AuthenticationError("There is no request to take the user from; pass 'user'.")
        try:
            try:
                user = self._unwrapped(self.load_user())
            except (sa.exc.DBAPIError, OverflowError) as error:
                if is_bad_lookup(error):  # no user has such a key, e.g. a NUL in PostgreSQL
                    raise AuthenticationError(token_was_sent=True) from error
                raise
            if user is None or user is False or user is _VISITOR:
                raise AuthenticationError
            key = self._key_of(user)
            if not _all_true(user, *_FLAGS):
                raise AuthenticationError
            return Actor(key, self._groups_of(user), lambda: self._may_share(user))
        except ObjectDeletedError:  # the user was deleted after the login was read
            raise AuthenticationError from None

    def from_key(self, key: Any) -> Actor:
        """Return the actor for the user with this primary key.

        Raises:
            NotFoundError: There is no such user, or the user is not active.
        """
        user = self.find(key)
        if user is None or not _all_true(user, *_FLAGS):
            raise NotFoundError("There is no such user.")
        return self.actor(user)

    def check_recipient(self, key: Any, owner: Any) -> None:
        """Check that a recipient could log in and use the model.

        Args:
            owner: The primary key of the user who gives the model.

        Raises:
            NotFoundError: There is no such user, the user is not active, or ``can_grant`` refuses.
        """
        # The same error for all three, so that no caller learns which users exist.
        user = self.find(key)
        if user is None or not _all_true(user, *_FLAGS) or not self._may_grant(owner, user):
            raise NotFoundError("There is no such user.")

    def check_group(self, name: str, owner: Any) -> None:
        """Check that a user may grant a model to a group.

        Raises:
            NotFoundError: ``can_grant`` refuses.
        """
        if not self._may_grant(owner, name):
            raise NotFoundError("There is no such group.")

    def _may_grant(self, owner: Any, grantee: Any) -> bool:
        if self._can_grant is None:
            return True
        giver = self.find(owner)
        return giver is not None and _is_true(
            self._can_grant(giver, grantee), "the result of can_grant"
        )

    def key(self, user: Any, argument: str, hint: str = "") -> Any:
        """Return the value of a user's primary key.

        Args:
            argument: The name of the parameter that got the user.
            hint: What the caller can do instead of passing a user.

        Raises:
            MissingUserError: The user is ``None``, or a visitor who is not logged in.
            ConfigError: The object is not one of the host's users.
        """
        return self._key_of(self._require_user(user, argument, hint))

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
                    + describe_type(name)
                )
            # Databases disagree about when other names are equal, so such groups can't get grants.
            if NAME.match(name):
                names.add(name)
        return tuple(sorted(names))

    def _may_share(self, user: Any) -> bool:
        if self._can_share is not None:
            return _is_true(self._can_share(user), "the result of can_share")
        return _all_true(user, "is_admin", default=False, fix="; or pass can_share")

    def _require_user(self, user: Any, argument: str, hint: str = "") -> Any:
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
                f"the user must be a {self._user_model.__name__} object, {describe_type(user)}"
            )
        mapper = state.mapper
        if mapper.class_ is not self._user_model and not self._has_key(mapper):
            user_key: Any = sa.inspect(self._user_model).primary_key[0]
            raise ConfigError(
                f"{mapper.class_.__name__} has its own primary key, {mapper.primary_key[0]}, but "
                f"the registry identifies users by {user_key}; "
                f"pass a {self._user_model.__name__} whose primary key is {user_key}"
            )
        if state.pending:
            self._session.flush()
        identity = state.identity
        if identity is None:
            raise ConfigError("this user is not in the database yet; add it to the session first")
        return identity[0]

    def _has_key(self, mapper: sa.orm.Mapper[Any]) -> bool:
        """Return whether the mapper's primary key is the one that the registry refers to."""
        user_key: Any = sa.inspect(self._user_model).primary_key[0]
        return len(mapper.primary_key) == 1 and mapper.primary_key[0] is user_key

    def find(self, key: Any) -> Any:
        """Return the user with this primary key, or ``None``."""
        mapper: sa.orm.Mapper[Any] = sa.inspect(self._user_model)
        if not any(map(attrgetter("concrete"), mapper.self_and_descendants)):
            return self._session.get(self._user_model, key)
        # With concrete tables, users in other tables may have this key too, and a polymorphic union
        # finds them all. This compares the attribute, because SQLAlchemy 2.0 would not look for the
        # column in the union, but add its table to the query.
        attribute = mapper.get_property_by_column(mapper.primary_key[0]).class_attribute
        statement: sa.Select[Any] = sa.select(self._user_model).where(attribute == key)
        for user in self._session.scalars(statement).unique():
            if self._has_key(sa.inspect(user).mapper):
                return user
        return None


def _all_true(user: Any, *names: str, default: bool = True, fix: str = "") -> bool:
    """Return whether all these attributes of a user are true. A missing one counts as ``default``.

    All attributes are checked, because one that is not a boolean is an error, even if another one
    is false.
    """
    result = True
    for name in names:
        value = getattr(user, name, _ABSENT)
        if value is _ABSENT:
            # Most users have none of the flags, and getattr_static takes ten times as long as
            # looking at the classes. getattr_static only finds more if the class has a
            # __getattribute__ of its own.
            is_defined = False
            for each in type(user).__mro__:
                is_defined = is_defined or name in each.__dict__
            own: Any = type(user).__getattribute__
            if not is_defined and own is not object.__getattribute__:
                is_defined = inspect.getattr_static(user, name, _ABSENT) is not _ABSENT
            if is_defined:
                # The property's own code failed. Treating that as a missing attribute would let
                # everyone in.
                raise ConfigError(
                    f"{type(user).__name__}.{name} exists, but raised an AttributeError{fix}"
                )
            value = default
        if value is not True and not _is_true(value, f"{type(user).__name__}.{name}", fix):
            result = False
    return result


def _is_true(value: Any, name: str, fix: str = "") -> bool:
    """Return whether a value is true in a database: a boolean, a number or NULL."""
    # Python treats a method that was not called, a coroutine, "false" and b"\0" as true.
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, (float, Decimal)) and not _is_nan(value):
        return bool(value)
    raise ConfigError(f"{name} must be a boolean, {describe_type(value)}{fix}")


def _is_nan(value: float | Decimal) -> bool:
    # Not math.isnan, which refuses a signaling NaN.
    return value.is_nan() if isinstance(value, Decimal) else value != value  # noqa: PLR0124
