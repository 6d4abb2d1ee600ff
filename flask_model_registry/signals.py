"""Signals (blinker) report what happened to which model, and who did it, but never a secret.

The sender is the app. Keywords are ``event`` (the signal's name), ``actor`` (the primary key of the
user who did it, or ``None`` for the host), and the model's ``id``, ``model_id`` and ``owner`` (the
owner's primary key) at that time. HTTP requests send signals after the commit. Python calls send
them immediately.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from blinker import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable

namespace = Namespace()
created = namespace.signal("created")
updated = namespace.signal("updated", "With ``changed``: the names of the changed fields.")
deleted = namespace.signal("deleted")
shared = namespace.signal("shared")
unshared = namespace.signal("unshared")
granted = namespace.signal(
    "granted", "With ``user`` (a primary key) or ``group``, ``can_edit`` and ``can_delete``."
)
revoked = namespace.signal("revoked", "With ``user`` (a primary key) or ``group``.")
transferred = namespace.signal("transferred", "With ``former_owner``: a user's primary key.")
default_changed = namespace.signal(
    "default_changed",
    "With ``config_type`` and ``scope`` (``user`` or ``app``). A cleared default has no model.",
)
credential_created = namespace.signal(
    "credential_created",
    "Signals about credentials have no model. Instead, they have ``credential`` (its id), ``name`` "
    "and ``owner`` (a user's primary key).",
)
credential_updated = namespace.signal(
    "credential_updated", "With ``changed``: the names of the changed fields, such as ``secret``."
)
credential_deleted = namespace.signal("credential_deleted")
resolved = namespace.signal("resolved", "The host's code got the API key.")

# Calls to receivers, which wait until a transaction is committed.
outbox: ContextVar[list[Callable[[], Any]] | None] = ContextVar("outbox", default=None)
