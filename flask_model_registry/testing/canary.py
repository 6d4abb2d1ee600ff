"""An API key that is recognized wherever it leaks, and a listener for all logs."""

from __future__ import annotations

import base64
import logging
import secrets
import string
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The characters that URLs, JSON and HTML leave unchanged, so that the key is found in each.
_CHARACTERS = string.ascii_letters + string.digits
_PIECE_LENGTH = 8


class Canary:
    """An API key that no provider has issued.

    It is found unchanged, in base64, and in upper-case or lower-case hexadecimal. A piece of eight
    characters is enough.
    """

    def __init__(self) -> None:
        self._random = "".join(secrets.choice(_CHARACTERS) for _ in range(48))
        self.api_key = f"sk-conformance-{self._random}"
        self._pieces = {*self._plain(), *self._in_hexadecimal(), *self._in_base64()}

    def __repr__(self) -> str:
        return "Canary()"

    def is_in(self, text: str) -> bool:
        """Return whether the key, or a piece of it, is in the text."""
        lower = text.lower()
        return any(piece in lower for piece in self._pieces)

    def _plain(self) -> Iterator[str]:
        for start in range(len(self._random) - _PIECE_LENGTH + 1):
            yield self._random[start : start + _PIECE_LENGTH].lower()

    def _in_hexadecimal(self) -> Iterator[str]:
        for start in range(len(self._random) - _PIECE_LENGTH + 1):
            yield self._random[start : start + _PIECE_LENGTH].encode().hex()

    def _in_base64(self) -> Iterator[str]:
        for offset in range(3):  # at each offset, base64 looks different
            encoded = base64.b64encode(b"-" * offset + self._random.encode()).decode().lower()
            # Without the ends, which depend on the text next to the key.
            inner = encoded[4 : len(encoded) // 4 * 4 - 4]
            for start in range(len(inner) - 11 + 1):
                yield inner[start : start + 11]


class _LogCapture(logging.Handler):
    """Keeps every record as text, with tracebacks and extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.captured: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        texts = [repr(vars(record))]
        with suppress(Exception):  # the host's handlers report wrong arguments
            texts.append(logging.Formatter().format(record))
        where = f"a record of the logger {record.name!r} at level {record.levelname}"
        self.captured.append((where, " ".join(texts)))


@contextmanager
def captured_output() -> Iterator[list[tuple[str, str]]]:
    """Collect everything that is logged or printed, at every level: the place and the text."""
    capture, outputs = _LogCapture(), {"standard output": StringIO(), "standard error": StringIO()}
    root = logging.getLogger()
    level = root.level
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(outputs["standard output"]))
        stack.enter_context(redirect_stderr(outputs["standard error"]))
        for logger in _outermost_loggers():
            logger.addHandler(capture)
            stack.callback(logger.removeHandler, capture)
        root.setLevel(logging.DEBUG)
        stack.callback(root.setLevel, level)
        yield capture.captured
    capture.captured += [(where, output.getvalue()) for where, output in outputs.items()]


def _outermost_loggers() -> Iterator[logging.Logger]:
    """Yield the root, and the loggers that do not pass their records on to it."""
    yield logging.getLogger()
    for logger in [*logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger) and not logger.propagate:
            yield logger
