"""A registry of AI models for the users of any Flask app."""

from flask_model_registry.core.queries import Filters
from flask_model_registry.core.resolver import ResolvedModel, Secret
from flask_model_registry.core.secretbox import CannotOpenError, SecretBox
from flask_model_registry.errors import (
    AuthenticationError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    InactiveModelError,
    ModelIdTakenError,
    NoAddressError,
    NotFoundError,
    RegistryError,
    UnreadableCredentialError,
    ValidationError,
)
from flask_model_registry.extension import ModelRegistry
from flask_model_registry.providers.catalogue import Provider

__version__ = "0.1.0.dev0"

__all__ = [
    "AuthenticationError",
    "CannotOpenError",
    "ConfigError",
    "ConflictError",
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
    "UnreadableCredentialError",
    "ValidationError",
]
