"""Errors in the format of OpenAI's API, for URLs below ``/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The error for paths of OpenAI's API that the registry doesn't serve.
NO_PROXY = (
    "This registry lists models but doesn't forward calls, so call the model at its own provider "
    "with what registry.resolve(model_id) returns."
)
# OpenAI's codes. Other errors have our codes.
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_MODEL_NOT_FOUND = {"code": "model_not_found", "param": "model"}


def error_object(problem: Mapping[str, Any], *, is_of_model: bool) -> dict[str, Any]:
    """Return a problem as OpenAI's ``error``.

    Args:
        is_of_model: Whether a 404 means that the model doesn't exist.
    """
    status = problem["status"]
    problems = problem.get("errors") or [{}]
    error = {
        "message": problem.get("detail", problem["title"]),
        "type": _type(status),
        "param": problems[0].get("field") or None,
        "code": _CODES.get(status) or _code(problem),
    }
    return error | _MODEL_NOT_FOUND if is_of_model and status == 404 else error


def _type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return "rate_limit_error" if status == 429 else "invalid_request_error"


def _code(problem: Mapping[str, Any]) -> str:
    _, _, name = problem["type"].rpartition("urn:problem-type:model-registry:")
    is_ours = name != "about:blank"
    return str(name if is_ours else problem["title"]).lower().replace("-", "_").replace(" ", "_")
