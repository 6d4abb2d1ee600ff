"""The default user loader: Flask-JWT-Extended, with the host's own configuration and users."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_jwt_extended import get_current_user, verify_jwt_in_request
from flask_jwt_extended.config import config
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import PyJWTError

from ..errors import AuthenticationError, ConfigError
from .logs import facts


def jwt_user() -> Any:
    """Return the user of the request's access token.

    Raises:
        AuthenticationError: There is no token, or not a valid one of a known user.
        ConfigError: The host app has no ``JWTManager`` or no ``user_lookup_loader``.
    """
    if "flask-jwt-extended" not in current_app.extensions:
        raise ConfigError("this app has no JWTManager; call jwt.init_app(app), or give user_loader")
    locations = [*config.token_location]
    # A token within the body would be parsed before authentication, and not strictly.
    while "json" in locations:
        locations.remove("json")
    if not locations:
        raise ConfigError("JWT_TOKEN_LOCATION must name more than 'json' for the model registry")
    try:
        verify_jwt_in_request(locations=locations)
    except NoAuthorizationError:
        raise AuthenticationError("Send an access token.") from None
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        # ValueError: a user loader that does int(claims["sub"]). Messages may name the subject.
        current_app.logger.info(
            "model registry: token refused: %s",
            type(error).__name__,
            extra=facts("token-refused"),
        )
        raise AuthenticationError("The access token is not valid.", token_was_sent=True) from None
    try:
        return get_current_user()
    except RuntimeError:
        raise ConfigError(
            "Flask-JWT-Extended has no user loader; "
            "add '@jwt.user_lookup_loader', or give ModelRegistry a user_loader"
        ) from None
