"""The commands of ``flask model-registry``."""

from __future__ import annotations

import base64
import secrets
import sys
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
from flask import current_app
from flask.cli import with_appcontext

from .config import EXTENSION, KEY_BYTES, KEY_ID
from .core.diagnosis import findings
from .core.rotation import Rotation, Tally
from .core.writing import NO_TABLES, misses_a_table
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .core.registry import Registry

_batch_size = click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="How many rows to read at a time.",
)


@click.group("model-registry")
def model_registry() -> None:
    """Look after the model registry."""


@model_registry.command()
@click.option("--id", "key_id", help="The key's name; today's date and a random end by default.")
def generate_key(key_id: str | None) -> None:
    """Print a new entry for MODEL_REGISTRY_ENCRYPTION_KEYS.

    Needs no app: it is there before the first key is.
    """
    if key_id is not None and not KEY_ID.fullmatch(key_id):
        raise click.BadParameter("use 1 to 32 of A-Z a-z 0-9 . _ -", param_hint="--id")
    click.echo(new_key(key_id))


def new_key(key_id: str | None = None) -> str:
    """Return a random encryption key as ``id:base64``."""
    made = datetime.now(timezone.utc).strftime("%Y%m%d")
    name = key_id or f"k{made}-{secrets.token_hex(2)}"
    return f"{name}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


@model_registry.command()
@with_appcontext
def list_keys() -> None:
    """List the encryption keys, and how many API keys are sealed with each.

    Fails if one of them is not configured.
    """
    registry = _registry()
    with _connected(registry) as connection, connection.begin():
        counts = registry.keys.counts(connection)
    for key in counts:
        click.echo(f"{key.count:>8}  {key.state:<7}  {key.key_id!r}")
    _fail_if(any(key.fault for key in counts))


@model_registry.command()
@_batch_size
@with_appcontext
def verify_keys(batch_size: int) -> None:
    """Open every stored API key, and list those that do not open. Changes nothing.

    Fails if there are any.
    """
    registry = _registry()
    with _connected(registry) as connection:
        total = _count(registry, connection)
        tally = _watched(Rotation(connection, registry.keys, batch_size).verify(), total)
    click.echo(f"{tally.seen - len(tally.unreadable)} of {tally.seen} API keys open.")
    _report(tally)


@model_registry.command()
@_batch_size
@click.option("--dry-run", is_flag=True, help="Open what would be sealed again; change nothing.")
@with_appcontext
def rotate_keys(batch_size: int, *, dry_run: bool) -> None:
    """Seal again, with the newest encryption key, what is sealed with others.

    May run while the app does, be killed, be repeated, and run twice at once. Goes on until nothing
    is left on other keys, but for what does not open: that stays as it is and is listed, and then
    the command fails.
    """
    registry = _registry()
    newest = registry.keys.vault.key_id
    with _connected(registry) as connection:
        total = _count(registry, connection, only_old=True)
        rotation = Rotation(connection, registry.keys, batch_size)
        tally = _watched(rotation.verify(only_old=True) if dry_run else rotation.rotate(), total)
    if dry_run:
        click.echo(f"{tally.seen - len(tally.unreadable)} API keys would be sealed with {newest}.")
    else:
        click.echo(f"{tally.sealed} API keys were sealed again, with {newest}.")
    _report(tally)


@model_registry.command()
@with_appcontext
def doctor() -> None:
    """Look at settings, tables and keys, and say what to do.

    Fails if something must be done.
    """
    registry = _registry()
    for each in fields(registry.settings):
        if each.repr:
            click.echo(f"setting  {each.name.upper()} = {getattr(registry.settings, each.name)}")
    with _connected(registry) as connection, connection.begin():
        found = [*findings(connection, registry.keys)]
    for finding in found:
        click.echo(f"{finding.level:<7}  {finding.text}")
    _fail_if(any(finding.level == "error" for finding in found))


def _registry() -> Registry:
    registry: Registry | None = current_app.extensions.get(EXTENSION)
    if registry is None:
        raise click.ClickException("this app has no model registry; call registry.init_app(app)")
    return registry


@contextmanager
def _connected(registry: Registry) -> Iterator[sa.Connection]:
    """Connect apart from the host's session, for many short transactions."""
    engine = registry.rows.engine()
    # Saves two round trips for each row; SQLite has none, and would commit what others have begun.
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
    try:
        with engine.connect().execution_options(**options) as connection:
            yield connection
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except sa.exc.SQLAlchemyError as error:
        raise click.ClickException(_told(error)) from None


def _told(error: sa.exc.SQLAlchemyError) -> str:
    if isinstance(error, sa.exc.DBAPIError) and misses_a_table(error):
        return NO_TABLES
    return f"the database failed: {str(getattr(error, 'orig', error))[:500]!r}; nothing is lost"


def _count(registry: Registry, connection: sa.Connection, *, only_old: bool = False) -> int:
    with connection.begin():
        counts = registry.keys.counts(connection)
    return sum(key.count for key in counts if not (only_old and key.state == "seals"))


def _watched(tallies: Iterable[Tally], total: int) -> Tally:
    """Show progress on standard error: a bar on a terminal, or else a line for each tenth."""
    tally, tenths = Tally(), 0
    if sys.stderr.isatty():
        with click.progressbar(
            length=total, label="API keys", show_pos=True, file=sys.stderr
        ) as bar:
            for tally in tallies:
                bar.update(max(tally.seen - bar.pos, 0))
        return tally
    for tally in tallies:
        if tally.seen * 10 // max(total, 1) > tenths:
            tenths = tally.seen * 10 // max(total, 1)
            click.echo(f"{tally.seen} of {total} looked at", err=True)
    return tally


def _report(tally: Tally) -> None:
    for each in tally.unreadable:
        click.echo(each)
    _fail_if(bool(tally.unreadable))


def _fail_if(is_bad: bool) -> None:  # noqa: FBT001  # a condition
    if is_bad:
        raise click.exceptions.Exit(1)
