"""The keyword arguments of SDKs for cloud credentials, which have no API key."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm

from ..errors import ConfigError, UnreadableCredentialError
from ..secret import clear_frames

if TYPE_CHECKING:
    from .resolved_model import ResolvedModel

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
# LiteLLM prefers these to the access key that it is given, and no argument prevents that.
_OVERRIDING = ("AWS_PROFILE_NAME", "AWS_ROLE_NAME", "AWS_WEB_IDENTITY_TOKEN")


def for_boto3(model: ResolvedModel, config: Any) -> dict[str, Any]:
    """Return the keyword arguments of ``boto3.client``."""
    own = _imported("botocore.config", "boto3").Config(
        # Otherwise an AWS_BEARER_TOKEN_BEDROCK in the environment replaces the access key.
        signature_version="v4",
        ignore_configured_endpoint_urls=True,
    )
    token = model.secrets.get("session_token")
    return {
        "service_name": "bedrock-runtime",
        "region_name": model.settings["region"],
        "endpoint_url": model.base_url,
        "aws_access_key_id": model.secrets["access_key_id"].reveal(),
        "aws_secret_access_key": model.secrets["secret_access_key"].reveal(),
        "aws_session_token": None if token is None else token.reveal(),
        "config": own if config is None else config.merge(own),
    }


def for_google(model: ResolvedModel) -> dict[str, Any]:
    """Return the keyword arguments of ``google.genai.Client``."""
    service_account = _imported("google.oauth2.service_account", "google-genai")
    outer = sys.exc_info()[1]
    try:
        credentials = service_account.Credentials.from_service_account_info(
            json.loads(model.secrets["service_account"].reveal()), scopes=_SCOPES
        )
    except (ValueError, UnsupportedAlgorithm) as error:  # the private key isn't valid
        clear_frames(error, outer)
    else:
        return {
            "vertexai": True,
            "project": model.settings["project"],
            "location": model.settings["location"],
            "credentials": credentials,
            # Explicit, because the environment may name another server and version.
            "http_options": {"base_url": model.base_url, "api_version": "v1"},
        }
    raise UnreadableCredentialError("The private_key of the service account isn't valid.")


def for_litellm(model: ResolvedModel) -> dict[str, Any]:
    """Return the keyword arguments of LiteLLM's functions."""
    if model.kind == "google":
        return {
            "model": f"vertex_ai/{model.model_name}",
            "vertex_project": model.settings["project"],
            "vertex_location": model.settings["location"],
            "vertex_credentials": model.secrets["service_account"].reveal(),
            "api_base": model.base_url,
        }
    if overriding := [name for name in _OVERRIDING if name in os.environ]:
        raise ConfigError(
            f"LiteLLM would use {overriding[0]} from the environment instead of the stored access "
            "key; unset it, or call the model with boto3_kwargs()"
        )
    # For chats, name the route too, because LiteLLM would choose another route for some models.
    route = "bedrock/converse" if model.category == "llm" else "bedrock"
    token = model.secrets.get("session_token")
    return {
        "model": f"{route}/{model.model_name}",
        "aws_region_name": model.settings["region"],
        "aws_access_key_id": model.secrets["access_key_id"].reveal(),
        "aws_secret_access_key": model.secrets["secret_access_key"].reveal(),
        # All three are passed, even if empty, because LiteLLM takes missing ones from the
        # environment.
        "aws_session_token": "" if token is None else token.reveal(),
        "api_key": "",
        "aws_bedrock_runtime_endpoint": model.base_url,
    }


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            f"this needs {package}, which isn't installed: pip install {package}"
        ) from None
