"""Keep requests and responses out of the log, because httpcore logs headers at DEBUG."""

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
    """Make the loggers of httpcore respect ``without_log``."""
    for name in _HTTP_LOGS:
        logging.getLogger(name).addFilter(_is_not_ours)


@contextmanager
def without_log() -> Iterator[None]:
    """Keep the block's requests and responses out of the log."""
    token = _fetching.set(True)
    try:
        yield
    finally:
        _fetching.reset(token)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _fetching.get()
