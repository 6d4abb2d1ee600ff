"""Makes a database file with today's schema, and beside it what the registry says of it.

``python -m tests.upgrade.make tests/upgrade/VERSION-WORD.sqlite`` makes one for ``test_upgrade.py``.
Nothing in it is secret.
"""

import base64
import contextlib
import json
import sqlite3
import sys
from pathlib import Path

from flask_model_registry import InactiveModelError, UnreadableCredentialError
from tests.hosts import make_host

RETIRED = "retired:" + base64.b64encode(b"no secret: the retired test key.").decode()
NEWEST = "newest:" + base64.b64encode(b"no secret: the newest test key..").decode()
OPENING = {"MODEL_REGISTRY_ENCRYPTION_KEYS": [NEWEST, RETIRED]}
USERS = "alice", "bob", "root"
GROUP = "研究 исследование"
# Each owner's models: those before the encryption keys were rotated, and those after.
BEFORE = {
    "alice": [
        {"model_id": "plain", "model_provider": "openai", "model_name": "gpt-4o"},
        {
            "model_id": "vectors",
            "model_provider": "openai",
            "model_name": "text-embedding-3-small",
            "category": "embedding",
            "dimension": 1536,
        },
        {"model_id": "without-key", "model_provider": "openai", "model_name": "gpt-4o"},
    ],
    "bob": [{"model_id": "plain", "model_provider": "anthropic", "model_name": "claude"}],
}
AFTER = {
    "alice": [
        {
            "model_id": "scripts",
            "model_provider": "openai",
            "model_name": "模型 μοντέλο",
            "base_url": "https://llm.example.com:8443/v1",
            "temperature": 0.1,
            "abilities": ["function_calling", "vision"],
            "description": "Grün, ελληνικά, русский, 日本語, العربية, हिन्दी, עברית, 🦊",
        },
        {"model_id": "off", "model_provider": "openai", "model_name": "gpt-4o"},
    ],
    "root": [
        {
            "model_id": "for-all",
            "model_provider": "openai",
            "model_name": "gpt-4o",
            "share_with_users": True,
        },
        {"model_id": "gone", "model_provider": "openai", "model_name": "gpt-4o"},
    ],
}


def api_key(owner, model_id):
    return f"sk-no-secret-{owner}-{model_id}"


def make(file):
    """Make the database with the code that is imported, by way of the host's Python."""
    url = f"sqlite:///{file.resolve()}"
    groups = {"groups": groups_of}
    first = make_host(url, config={"MODEL_REGISTRY_ENCRYPTION_KEYS": [RETIRED]}, **groups)
    later = first.again(**OPENING)
    for host, models in (first, BEFORE), (later, AFTER):
        with committing(host):
            register(host, models)
    with committing(later):
        share(later)
    with later.app.app_context():
        said = told(later)
    first.close()
    later.close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("PRAGMA page_size = 512; VACUUM")
    return said


def groups_of(user):
    return [GROUP] if user.name == "bob" else []


@contextlib.contextmanager
def committing(host):
    for name in USERS:
        host.user(name, is_admin=name == "root")
    with host.app.app_context():
        yield
        host.db.session.commit()


def register(host, models):
    for owner, theirs in models.items():
        for each in theirs:
            key = api_key(owner, each["model_id"])
            host.registry.create(user=host.load(owner), api_key=key, **each)


def share(host):
    registry, (alice, bob, root) = host.registry, map(host.load, USERS)
    registry.update("without-key", user=alice, api_key=None)
    registry.update("off", user=alice, is_active=False)
    registry.delete("gone", user=root)  # its id is not used again
    registry.grant("vectors", to=bob, can_edit=True, user=alice)
    registry.grant("scripts", group=GROUP, can_delete=True, user=alice)
    registry.set_default("general", "scripts", user=bob)
    registry.set_default("embedding", "vectors", user=alice)
    registry.set_default("general", "for-all", user=root, scope="app")


def told(host):
    """Return what the registry tells each user."""
    return {name: told_to(host.registry, host.load(name)) for name in USERS}


def told_to(registry, user):
    models = {str(each["id"]): each for each in registry.list(user=user, is_active=None)}
    owned = registry.list(user=user, is_active=None, owned=True)
    return {
        "models": models,
        "keys": {each: opened(registry, int(each), user) for each in models},
        "grants": {str(each["id"]): registry.grants(each["id"], user=user) for each in owned},
        "default": registry.default("general", user=user).id,
    }


def opened(registry, ref, user):
    try:
        return registry.resolve(ref, user=user).api_key.reveal()
    except (InactiveModelError, UnreadableCredentialError) as error:
        return type(error).__name__


if __name__ == "__main__":
    path = Path(sys.argv[1])
    if path.exists():
        sys.exit(f"{path} is there already")
    path.with_suffix(".json").write_text(
        json.dumps(make(path), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
