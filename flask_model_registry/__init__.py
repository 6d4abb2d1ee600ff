"""A registry of AI models for the users of any Flask app."""

from . import signals
from .config import EncryptionKey
from .db.sqlite import configure_sqlite
from .errors import (
    AuthenticationError,
    BlockedAddressError,
    ConfigError,
    ConflictError,
    CredentialInUseError,
    CredentialNameTakenError,
    ForbiddenError,
    InactiveModelError,
    MissingUserError,
    ModelIdTakenError,
    NoAddressError,
    NotFoundError,
    RegistryError,
    UnavailableError,
    UnreadableCredentialError,
    UnsupportedClientError,
    UpstreamError,
    ValidationError,
)
from .extension import ModelRegistry
from .providers.apis import ListApi
from .providers.catalogue import Provider
from .schemas.filters import Filters
from .services.encryption import AesGcmBox
from .services.explanation import Explanation
from .services.resolved_model import ResolvedModel, Secret
from .services.secret_box import CannotOpenError, SecretBox
from .version import __version__ as __version__
from .web.problems import problem_response

__all__ = [
    "AesGcmBox",
    "AuthenticationError",
    "BlockedAddressError",
    "CannotOpenError",
    "ConfigError",
    "ConflictError",
    "CredentialInUseError",
    "CredentialNameTakenError",
    "EncryptionKey",
    "Explanation",
    "Filters",
    "ForbiddenError",
    "InactiveModelError",
    "ListApi",
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
    "UnsupportedClientError",
    "UpstreamError",
    "ValidationError",
    "configure_sqlite",
    "problem_response",
    "signals",
]
