"""Examples of the bodies of requests and responses, by the names of their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODEL = {
    "model_id": "gpt-4o",
    "model_provider": "openai",
    "model_name": "gpt-4o",
    "category": "llm",
    "base_url": None,
    "temperature": 0.7,
    "dimension": None,
    "abilities": ["chat", "vision"],
    "description": "For everyday questions",
}
_KEY = {"api_key": "sk-your-key"}
_SECRET = {**_KEY, "headers": {"X-Team": "research"}}
_NAMES_OF_SECRET = {"secrets": ["api_key"], "headers": ["X-Team"]}
_CREATED = "2026-01-02T03:04:05.000006Z"
_REPRESENTATION = {
    "id": 5,
    **_MODEL,
    "created_at": _CREATED,
    "updated_at": None,
    "is_active": True,
    "is_owner": True,
    "can_edit": True,
    "can_delete": True,
    "is_shared": False,
}
_PARAMETERS = {"parameters": {"max_tokens": 1024, "top_p": 0.9}, "info": {"tags": ["eu"]}}
_TO_USER = {"user": "7", "can_edit": True, "can_delete": False}
_TO_GROUP = {"group": "research", "can_edit": True, "can_delete": False}
_USED = {"id": 1, "name": "team"}
_LISTED = {
    "id": "gpt-4o",
    "object": "model",
    "created": 1767323045,
    "owned_by": "openai",
    "category": "llm",
}
_FIELD_OF_KEY = {"name": "api_key", "required": True}
_CREDENTIAL = {"name": "team", "model_provider": "openai", "settings": {"organization": "org-1"}}

REQUESTS: Mapping[str, Any] = {
    "NewModel": {**_MODEL, **_KEY, "share_with_users": False},
    "ModelUpdate": {**_MODEL, "is_active": True, "share_with_users": False},
    "ModelUpdateChanges": {"temperature": 0.2, "description": None},
    "ModelParameters": _PARAMETERS,
    "ProviderCredentials": {**_KEY, "base_url": "https://api.example.com/v1"},
    "ConnectionTest": {**_KEY, "model_provider": "openai", "model_name": "gpt-4o"},
    "ModelTest": {"model_name": "gpt-4o-mini", "billed_call": False},
    "TestedModel": {"model_name": "gpt-4o", "category": "llm", "billed_call": False},
    "NoFields": {},
    "Credential": _KEY,
    "NewCredential": {**_CREDENTIAL, "secret": _SECRET, "expires_at": "2030-01-01T00:00:00Z"},
    "CredentialChangeChanges": {"name": "team of 2030"},
    "NewSecret": _SECRET,
    "AccountSecretChange": {"headers": {"X-Team": None}},
    "NewModels": {
        "models": [
            {"model_id": "large", "model_name": "gpt-4o"},
            {"model_id": "small", "model_name": "gpt-4o-mini"},
        ]
    },
    "Rights": {"can_edit": True, "can_delete": False},
    "TransferRequest": {"user": "7"},
    "DefaultChoice": {"id": 5},
}
RESPONSES: Mapping[str, Any] = {
    "ModelRepresentation": _REPRESENTATION,
    "ModelDetails": {
        "model": _REPRESENTATION,
        "owner": "1",
        "relations": ["owner"],
        "groups": [],
        "address": "https://api.openai.com/v1",
        "is_provider_address": True,
        "key": {
            "is_set": True,
            "updated_at": _CREATED,
            "expires_at": "2030-01-01T00:00:00.000000Z",
            "credential": _USED,
        },
        "test": {"result": "ok", "latency_ms": 210, "at": "2026-01-03T03:04:05.000006Z"},
        "grants": {"users": 1, "groups": 1},
        **_PARAMETERS,
    },
    "Summary": {
        "total": 5,
        "by_category": {"llm": 4, "embedding": 1},
        "by_provider": {"openai": 5},
        "by_ability": {"chat": 4, "vision": 2},
    },
    "Parameters": _PARAMETERS,
    "OpenAIModel": _LISTED,
    "OpenAIModels": {"object": "list", "data": [_LISTED]},
    "ProviderEntry": {
        "id": "anthropic",
        "name": "Anthropic",
        "aliases": ["claude"],
        "base_url": "https://api.anthropic.com/v1",
        "needs_base_url": False,
        "needs_key": True,
        "can_be_tested": True,
        "categories": ["llm"],
        "keys_url": "https://platform.claude.com/settings/keys",
        "kinds": [{"kind": "key", "secret": [_FIELD_OF_KEY], "settings": []}],
    },
    "ServedModels": {"models": ["gpt-4o", "gpt-4o-mini"]},
    "ProbeResult": {"result": "ok", "latency_ms": 210, "key_checked": True, "billed": False},
    "CredentialState": {
        "is_set": True,
        "status": "readable",
        "updated_at": _CREATED,
        "credential": 1,
        "expires_at": "2030-01-01T00:00:00.000000Z",
    },
    "CredentialRepresentation": {
        "id": 1,
        **_CREDENTIAL,
        "base_url": None,
        "kind": "key",
        **_NAMES_OF_SECRET,
        "reference": None,
        "expires_at": "2030-01-01T00:00:00.000000Z",
        "created_at": _CREATED,
        "updated_at": None,
        "secret_updated_at": _CREATED,
    },
    "AccountSecretState": {
        "is_set": True,
        "status": "readable",
        **_NAMES_OF_SECRET,
        "updated_at": _CREATED,
    },
    "UserGrant": _TO_USER,
    "GroupGrant": _TO_GROUP,
    "Grants": {"users": [_TO_USER], "groups": [_TO_GROUP]},
    "DefaultModel": {"config_type": "general", "source": "user", "model": _REPRESENTATION},
}
EXAMPLES = {**REQUESTS, **RESPONSES}
