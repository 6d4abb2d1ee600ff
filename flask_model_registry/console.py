"""What the commands share: the app's services, transactions, files, progress, failures."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click
import sqlalchemy as sa
from flask import current_app

from .config import EXTENSION
from .db.failures import is_missing_table
from .db.session import NO_TABLES
from .errors import ConfigError, RegistryError
from .web.transactions import TRIES, retrying, send_signals, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .services.app_services import Services
    from .services.problems import Problems

T = TypeVar("T")
_MINUTE = 60.0
_ESTIMATE_AFTER = 10.0  # seconds before the time left is estimated


def find_services() -> Services:
    """Return the services of the app that the command runs for."""
    registry = current_app.extensions.get(EXTENSION)
    if registry is None:
        raise click.ClickException("this app has no model registry; call registry.init_app(app)")
    services: Services = registry._services
    return services


@contextmanager
def report_failures() -> Iterator[None]:
    """End the command with a message instead of a traceback."""
    try:
        yield
    except (ConfigError, RegistryError) as error:
        raise click.ClickException(str(error)) from None
    except sa.exc.SQLAlchemyError as error:
        raise click.ClickException(_description(error)) from None


@contextmanager
def connected(services: Services, *, autocommit: bool = True) -> Iterator[sa.Connection]:
    """Open a new connection, separate from the host's session.

    Args:
        autocommit: Whether each statement is its own transaction, so that no snapshot is kept for
            long. Has no effect on SQLite, because autocommit could commit another transaction
            there.
    """
    engine = services.rows.engine()
    autocommit = autocommit and engine.dialect.name != "sqlite"
    options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    with report_failures():
        try:
            with engine.connect() as connection:
                connection.execution_options(**options)
                yield connection
        # SQLAlchemy doesn't wrap the driver's errors when it sets or resets the isolation level.
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa.exc.OperationalError(None, None, error) from None


def write(services: Services, work: Callable[[], tuple[T, bool]]) -> tuple[T, bool]:
    """Do some work in one transaction, and retry it after a deadlock or a similar failure.

    Signals are sent after the commit.

    Args:
        work: Returns its result, and whether to commit.
    """
    session = services.rows.session
    with report_failures():
        # A retry could not repeat what the host wrote earlier in the transaction.
        for attempt in retrying(1 if session().in_transaction() else TRIES, math.inf):
            calls: list[Callable[[], Any]] = []  # to the receivers of signals
            with attempt, transaction(session, commit=False, calls=calls):
                result, is_kept = work()
                if is_kept:
                    session.commit()
                else:
                    session.rollback()
    if is_kept:
        send_signals(session, calls)
    return result, is_kept


@contextmanager
def output_file(output: str | None) -> Iterator[IO[str]]:
    """Open standard output, or a new file that stays empty until everything is written."""
    if output is None or output == "-":
        yield sys.stdout
        return
    created: list[Path] = []
    try:
        for path in (Path(f"{output}.part"), Path(output)):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            created.append(path)
        part, whole = created
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(whole)
    except BaseException as error:
        for path in created:
            path.unlink()
        if isinstance(error, OSError):
            raise click.FileError(str(error.filename or output), error.strerror) from None
        raise


@contextmanager
def show_progress(
    what: str, total: int, *, is_shown: bool = True, tenths: bool = True
) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the number of rows processed so far, and shows the progress.

    Progress goes to standard error, as a bar on a terminal, or else as a line every minute.

    Args:
        what: The kind of rows, in a word or two.
        total: How many rows there are.
        is_shown: Whether a terminal can show the bar.
        tenths: Whether to also print a line after every tenth of the rows.
    """
    start = time.monotonic()

    def speed(processed: int) -> float:
        """Return the number of rows per second."""
        return processed / max(time.monotonic() - start, 0.001)

    if is_shown and sys.stderr.isatty():
        bar: click._termui_impl.ProgressBar[int] = click.progressbar(
            length=total,
            label=what,
            show_pos=True,
            item_show_func=lambda processed: f"{speed(processed or 0):,.0f} a second",
            file=sys.stderr,
        )
        step = max(total // 1000, 1)

        def draw(processed: int) -> None:
            if processed >= min(bar.pos + step, total) > bar.pos:
                bar.update(processed - bar.pos, processed)

        with bar:
            yield draw
        return
    shown, tenth = start, 0

    def show(processed: int) -> None:
        nonlocal shown, tenth
        now, tenths_now = time.monotonic(), processed * 10 // max(total, 1)
        if now < shown + _MINUTE and not (tenths and tenths_now > tenth):
            return
        text = f"{processed} of {total} looked at"
        if now > start + _ESTIMATE_AFTER:
            rows_a_second = speed(processed)
            minutes = max(total - processed, 0) / rows_a_second / _MINUTE
            text += f", {rows_a_second:,.0f} a second, {math.ceil(minutes)} minutes left"
        click.echo(text, err=True)
        shown, tenth = now, max(tenths_now, tenth)

    yield show


def report(problems: Problems, *, err: bool = False) -> None:
    """Print the problems, and end the command with exit status 1 if there are any."""
    for line in problems.lines():
        click.echo(line, err=err)
    exit_if(problems.count > 0)


def exit_if(is_bad: bool) -> None:  # noqa: FBT001  # a condition
    """End the command with exit status 1 if the condition is true."""
    if is_bad:
        raise click.exceptions.Exit(1)


def _description(error: sa.exc.SQLAlchemyError) -> str:
    if isinstance(error, sa.exc.DBAPIError) and is_missing_table(error):
        return NO_TABLES
    return f"the database failed: {str(getattr(error, 'orig', error))[:500]!r}; nothing is lost"
