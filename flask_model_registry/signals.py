"""Signals (blinker): what happened to which model, and who did it; never a secret.

Each is sent with the app as sender and, as keywords, ``event`` (the signal's name), ``actor`` (the
key of the user who did it, or ``None`` for the host), and the model's ``id``, ``model_id`` and
``owner`` (its owner's key), as they are then. Over HTTP they are sent after the commit, from Python
calls at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from blinker import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blinker import NamedSignal

namespace = Namespace()
created = namespace.signal("created")
updated = namespace.signal("updated", "With ``changed``: the names of the fields.")
deleted = namespace.signal("deleted")
shared = namespace.signal("shared")
unshared = namespace.signal("unshared")
granted = namespace.signal(
    "granted", "With ``user`` (a key) or ``group``, ``can_edit`` and ``can_delete``."
)
revoked = namespace.signal("revoked", "With ``user`` (a key) or ``group``.")
transferred = namespace.signal("transferred", "With ``former_owner``: a user's key.")
default_changed = namespace.signal(
    "default_changed",
    "With ``config_type`` and ``scope`` (``user`` or ``app``); without a model if it was cleared.",
)
resolved = namespace.signal("resolved", "The host's code has the key in hand.")

_outbox: ContextVar[list[Callable[[], Any]] | None] = ContextVar("_outbox", default=None)


def send_signal(signal: NamedSignal, sender: Any, **facts: Any) -> None:
    """Send a signal, or keep it while signals are collected."""
    outbox = _outbox.get()
    if outbox is None:
        signal.send(sender, event=signal.name, **facts)
        return
    # One by one, so that a receiver that fails does not keep it from the others.
    for receiver in signal.receivers_for(sender):
        outbox.append(partial(receiver, sender, event=signal.name, **facts))


@contextmanager
def collect_signals() -> Iterator[list[Callable[[], Any]]]:
    """Collect the calls of receivers for what the block announces, to be made later."""
    outbox: list[Callable[[], Any]] = []
    token = _outbox.set(outbox)
    try:
        yield outbox
    finally:
        _outbox.reset(token)
