"""A registry of AI models for the users of any Flask app."""

from .config import EncryptionKey
from .core import signals
from .core.explanation import Explanation
from .core.filters import Filters
from .core.resolver import ResolvedModel, Secret
from .core.secretbox import AesGcmBox, CannotOpenError, SecretBox
from .errors import (
    AuthenticationError,
    BlockedAddressError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    InactiveModelError,
    ModelIdTakenError,
    NoAddressError,
    NotFoundError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
    ValidationError,
)
from .extension import ModelRegistry
from .providers.catalogue import Provider
from .sqlite import configure_sqlite

__version__ = "0.1.0"

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
    "ValidationError",
    "configure_sqlite",
    "signals",
]
