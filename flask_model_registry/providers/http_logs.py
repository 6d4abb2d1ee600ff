"""Keep what is sent and received out of the log: httpcore writes headers to it, at DEBUG."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HTTP_LOGS = ("httpcore2.connection", "httpcore2.http11")
_fetching: ContextVar[bool] = ContextVar("_fetching", default=False)


def filter_logs() -> None:
    """Have the loggers of httpcore heed ``without_log``."""
    for name in _HTTP_LOGS:
        logging.getLogger(name).addFilter(_is_not_ours)


@contextmanager
def without_log() -> Iterator[None]:
    """Keep what the block sends and receives out of the log."""
    token = _fetching.set(True)
    try:
        yield
    finally:
        _fetching.reset(token)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _fetching.get()
