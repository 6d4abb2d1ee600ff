"""The default user loader: Flask-JWT-Extended, with the host's own configuration and users."""

from __future__ import annotations

from typing import Any

from flask_jwt_extended import get_current_user, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import PyJWTError

from flask_model_registry.errors import AuthenticationError, ConfigError


def jwt_user() -> Any:
    """Return the user of the request's access token.

    Raises:
        AuthenticationError: There is no token, or not a valid one of a known user.
        ConfigError: The host app has no ``user_lookup_loader``.
    """
    try:
        verify_jwt_in_request()
    except NoAuthorizationError:
        raise AuthenticationError("Send an access token.") from None
    except (JWTExtendedException, PyJWTError):
        # The cause names the subject and what exactly was wrong with the token.
        raise AuthenticationError("The access token is not valid.", token_was_sent=True) from None
    try:
        return get_current_user()
    except RuntimeError:
        raise ConfigError(
            "Flask-JWT-Extended has no user loader; "
            "add '@jwt.user_lookup_loader', or give ModelRegistry a user_loader"
        ) from None
