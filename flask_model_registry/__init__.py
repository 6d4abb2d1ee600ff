"""A registry of AI models for the users of any Flask app."""

from . import signals
from .config import EncryptionKey
from .db.sqlite import configure_sqlite
from .errors import (
    AuthenticationError,
    BlockedAddressError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    InactiveModelError,
    MissingUserError,
    ModelIdTakenError,
    NoAddressError,
    NotFoundError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
    UpstreamError,
    ValidationError,
)
from .extension import ModelRegistry
from .providers.catalogue import Provider
from .schemas.filters import Filters
from .services.encryption import AesGcmBox, CannotOpenError, SecretBox
from .services.explanation import Explanation
from .services.resolved_model import ResolvedModel, Secret
from .version import __version__ as __version__
from .web.problems import problem_response

__all__ = [
    "AesGcmBox",
    "AuthenticationError",
    "BlockedAddressError",
    "CannotOpenError",
    "ConfigError",
    "ConflictError",
    "EncryptionKey",
    "Explanation",
    "Filters",
    "ForbiddenError",
    "InactiveModelError",
    "MissingUserError",
    "ModelIdTakenError",
    "ModelRegistry",
    "NoAddressError",
    "NotFoundError",
    "Provider",
    "RegistryError",
    "ResolvedModel",
    "Secret",
    "SecretBox",
    "UnavailableError",
    "UnreadableCredentialError",
    "UpstreamError",
    "ValidationError",
    "configure_sqlite",
    "problem_response",
    "signals",
]
