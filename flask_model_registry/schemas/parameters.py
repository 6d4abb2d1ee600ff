"""Two JSON objects of a model: parameters for its calls, and facts about it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from marshmallow import ValidationError, fields

from ..text import LINES
from .fields import about

MAX_BYTES = 8192
MAX_LEVELS = 8
_TEXT = re.compile(LINES)
_MAX_INTEGER = 2**63
# Parameters with these names would replace what the caller sends.
CALLER_PARAMETERS = frozenset(("input", "messages", "model", "prompt", "stream"))
# A gateway behind the base URL, such as LiteLLM's, may read these: they say where and how to call.
CLIENT_PARAMETERS = frozenset(
    "api_base api_version aws_bedrock_runtime_endpoint aws_profile_name aws_role_name "
    "aws_sts_endpoint aws_web_identity_token azure_endpoint base_url custom_llm_provider "
    "default_headers deployment_url endpoint extra_body extra_headers extra_query headers "
    "http_client langfuse_host litellm_params model_list s3_endpoint_url sagemaker_base_url "
    "user_config vertex_ai_credentials".split()
)
# Parameters aren't encrypted, and every user of the model can read them.
SECRETS = frozenset(
    "access_token api_key api_token apikey auth_token authorization aws_secret_access_key "
    "aws_session_token azure_ad_token bearer_token client_secret password private_key "
    "proxy_authorization secret_access_key vertex_credentials x_api_key x_goog_api_key".split()
)
_NOT_JSON = "Must be an object of JSON values: numbers of up to 64 bits, and valid text."
_TOO_DEEP = f"Must have at most {MAX_LEVELS} levels of objects and lists."
_TOO_LONG = f"Must be at most {MAX_BYTES} bytes of JSON."
_SECRET = "Is not encrypted, so it can't hold API keys, passwords or tokens."  # noqa: S105


class JsonObject(fields.Field):  # type: ignore[type-arg]  # Marshmallow 3 has no arguments
    """A JSON object, loaded as a copy, or as ``None`` if it is empty, as the tables store it.

    Its errors quote neither its values nor unknown names.
    """

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> dict[str, Any] | None:
        try:
            if not isinstance(value, dict):
                raise ValidationError(_NOT_JSON)
            _check(value, 1)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            if len(text.encode()) > MAX_BYTES:
                raise ValidationError(_TOO_LONG)
            return json.loads(text) or None
        finally:
            del value


class ParametersObject(JsonObject):
    """Fields to add to the JSON body of each call."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> dict[str, Any] | None:
        parameters = super()._deserialize(value, *args, **options)
        # Servers written in Go ignore the case of a name.
        names = {_folded(name) for name in parameters or ()}
        refused = {name: ["The caller sends this."] for name in CALLER_PARAMETERS & names}
        for name in CLIENT_PARAMETERS & names:
            refused[name] = ["Says where or how to call, so it can't be a parameter."]
        if refused:
            raise ValidationError(refused)
        return parameters


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def _check(value: Any, level: int) -> None:
    """Check a value and everything in it."""
    if isinstance(value, (dict, list, tuple)):
        if level > MAX_LEVELS:
            raise ValidationError(_TOO_DEEP)
        if isinstance(value, dict):
            _check_names(value)
            value = value.values()
        for each in value:
            _check(each, level + 1)
    elif not _is_scalar(value):
        raise ValidationError(_NOT_JSON)


def _check_names(value: dict[Any, Any]) -> None:
    if not all(isinstance(name, str) and _TEXT.match(name) for name in value):
        raise ValidationError(_NOT_JSON)
    # Objects are allowed, because the schema of a tool may have one under such a name.
    secrets = (each for name, each in value.items() if _folded(name) in SECRETS)
    if any(isinstance(each, (str, list, tuple)) for each in secrets):
        raise ValidationError(_SECRET)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return _TEXT.match(value) is not None
    if isinstance(value, int):  # a boolean is an int, too
        return -_MAX_INTEGER <= value < _MAX_INTEGER
    return value is None or (isinstance(value, float) and math.isfinite(value))


def parameters_field(**options: Any) -> ParametersObject:
    """Return the field for the parameters of a model."""
    described = about(
        "Fields to add to the JSON body of each call, such as `max_tokens`. Not encrypted.",
        type="object",
    )
    return ParametersObject(metadata=described, **options)


def info_field(**options: Any) -> JsonObject:
    """Return the field for facts about a model."""
    described = about(
        "Facts about the model, such as prices or tags. Calls don't send them.",
        type="object",
    )
    return JsonObject(metadata=described, **options)
