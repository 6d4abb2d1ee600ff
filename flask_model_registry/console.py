"""What the commands share: the app's services, connections, files, progress, failures."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import sqlalchemy as sa
from flask import current_app

from .config import EXTENSION
from .db.failures import misses_a_table
from .db.session import NO_TABLES
from .errors import ConfigError, RegistryError
from .services.rotation import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .services.app_services import Services


def find_services() -> Services:
    """Return the services of the app that the command runs for."""
    registry = current_app.extensions.get(EXTENSION)
    if registry is None:
        raise click.ClickException("this app has no model registry; call registry.init_app(app)")
    services: Services = registry._services
    return services


@contextmanager
def report_failures() -> Iterator[None]:
    """End the command with a message, and not with a traceback."""
    try:
        yield
    except (ConfigError, RegistryError) as error:
        raise click.ClickException(str(error)) from None
    except sa.exc.SQLAlchemyError as error:
        raise click.ClickException(_description(error)) from None


@contextmanager
def connected(services: Services) -> Iterator[sa.Connection]:
    """Connect apart from the host's session, for many short transactions."""
    engine = services.rows.engine()
    # Saves two round trips for each row; SQLite has none, and would commit what others have begun.
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    with report_failures(), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def output_file(output: str | None) -> Iterator[IO[str]]:
    """Open a new file, which stays empty until all is written, or standard output."""
    if output is None or output == "-":
        yield sys.stdout
        return
    made: list[Path] = []
    try:
        for path in (Path(f"{output}.part"), Path(output)):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            made.append(path)
        part, whole = made
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(whole)
    except BaseException as error:
        for path in made:
            path.unlink()
        if isinstance(error, OSError):
            raise click.FileError(str(error.filename or output), error.strerror) from None
        raise


def show_progress(progresses: Iterable[Progress], total: int) -> Progress:
    """Show progress on standard error: a bar on a terminal, or else a line for each tenth."""
    progress, tenths = Progress(), 0
    if sys.stderr.isatty():
        with click.progressbar(
            length=total, label="API keys", show_pos=True, file=sys.stderr
        ) as bar:
            for progress in progresses:
                bar.update(max(progress.processed - bar.pos, 0))
        return progress
    for progress in progresses:
        if progress.processed * 10 // max(total, 1) > tenths:
            tenths = progress.processed * 10 // max(total, 1)
            click.echo(f"{progress.processed} of {total} looked at", err=True)
    return progress


def exit_if(is_bad: bool) -> None:  # noqa: FBT001  # a condition
    """End the command with exit status 1."""
    if is_bad:
        raise click.exceptions.Exit(1)


def _description(error: sa.exc.SQLAlchemyError) -> str:
    if isinstance(error, sa.exc.DBAPIError) and misses_a_table(error):
        return NO_TABLES
    return f"the database failed: {str(getattr(error, 'orig', error))[:500]!r}; nothing is lost"
