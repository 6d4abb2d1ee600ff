"""Examples of the bodies that are about credentials, by the names of their shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET = {"api_key": "sk-your-key", "headers": {"X-Team": "research"}}
CREDENTIAL_EXAMPLES: Mapping[str, Any] = {
    "NewCredential": {
        "name": "team",
        "model_provider": "openai",
        "secret": _SECRET,
        "settings": {"organization": "org-1"},
        "expires_at": "2030-01-01T00:00:00Z",
    },
    "CredentialChangeChanges": {"name": "team of 2030"},
    "NewSecret": _SECRET,
    "AccountSecretChange": {"headers": {"X-Team": None}},
    "ModelParameters": {"parameters": {"max_tokens": 1024, "top_p": 0.9}, "info": {"tags": ["eu"]}},
    "TestedModel": {"model_name": "gpt-4o", "category": "llm", "billed_call": False},
    "ModelTest": {"model_name": "gpt-4o-mini", "billed_call": False},
    "NewModels": {
        "models": [
            {"model_id": "large", "model_name": "gpt-4o"},
            {"model_id": "small", "model_name": "gpt-4o-mini"},
        ]
    },
}
