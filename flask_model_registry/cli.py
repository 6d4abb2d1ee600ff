"""The commands of ``flask model-registry``."""

from __future__ import annotations

import base64
import secrets
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa
from flask import current_app
from flask.cli import with_appcontext

from .config import EXTENSION, KEY_BYTES, KEY_ID
from .core.diagnosis import findings
from .core.rotation import Rotation, Tally
from .core.writing import misses_a_table
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
    with _connected() as (registry, connection), connection.begin():
        in_use = registry.keys.in_use(connection)
    for key in in_use:
        click.echo(f"{key.count:>8}  {key.state:<7}  {key.name or '(no name)'}")
    _exit(is_good=all(key.state != "missing" or not key.count for key in in_use))


@model_registry.command()
@_batch_size
@with_appcontext
def verify_keys(batch_size: int) -> None:
    """Open every stored API key, and list those that do not open. Changes nothing.

    Fails if there are any.
    """
    with _connected() as (registry, connection):
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
    with _connected() as (registry, connection):
        newest, total = registry.keys.vault.key_id, _count(registry, connection, only_old=True)
        rotation = Rotation(connection, registry.keys, batch_size)
        tally = _watched(rotation.verify(only_old=True) if dry_run else rotation.rotate(), total)
    if dry_run:
        click.echo(f"{tally.seen - len(tally.unreadable)} API keys would be sealed with {newest}.")
    else:
        click.echo(f"{tally.sealed} API keys are sealed with {newest} now.")
    _report(tally)


@model_registry.command()
@with_appcontext
def doctor() -> None:
    """Look at settings, tables and keys, and say what to do.

    Fails if something must be done.
    """
    with _connected() as (registry, connection):
        for name, value in _settings(registry):
            click.echo(f"setting  {name} = {value}")
        with connection.begin():
            found = [*findings(connection, registry.keys)]
    for finding in found:
        click.echo(f"{finding.level:<7}  {finding.text}")
    _exit(is_good=all(finding.level != "error" for finding in found))


def _settings(registry: Registry) -> Iterator[tuple[str, Any]]:
    settings = registry.settings
    yield "ENCRYPTION_KEYS", ", ".join(registry.keys.vault.key_ids or ("in the secret_box",))
    yield "KEY_CHECK", settings.key_check
    yield "URL_PREFIX", settings.url_prefix
    hosts = [*settings.allowed_hosts, *map(str, settings.allowed_networks)]
    yield "ALLOWED_HOSTS", ", ".join(sorted(hosts)) or "none"
    yield "MAX_BODY_BYTES", settings.max_body_bytes
    yield "MAX_PAGE_SIZE", settings.max_page_size


@contextmanager
def _connected() -> Iterator[tuple[Registry, sa.Connection]]:
    """Connect apart from the host's session; each statement is a transaction of its own."""
    registry: Registry | None = current_app.extensions.get(EXTENSION)
    if registry is None:
        raise click.ClickException("this app has no model registry; call registry.init_app(app)")
    bind = registry.rows.session.get_bind(clause=registry.keys.tables.models)
    try:
        with bind.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield registry, connection
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except sa.exc.DBAPIError as error:
        raise click.ClickException(_told(error)) from None


def _told(error: sa.exc.DBAPIError) -> str:
    if misses_a_table(error):
        return "the registry's tables are missing; run db.create_all() or 'flask db upgrade'"
    return f"the database failed: {str(error.orig)[:500]}; nothing is lost, run the command again"


def _count(registry: Registry, connection: sa.Connection, *, only_old: bool = False) -> int:
    with connection.begin():
        in_use = registry.keys.in_use(connection)
    return sum(key.count for key in in_use if not (only_old and key.state == "newest"))


def _watched(tallies: Iterable[Tally], total: int) -> Tally:
    """Show progress on standard error: a bar on a terminal, or else a line for each tenth."""
    tally, tenths = Tally(), 0
    if sys.stderr.isatty():
        with click.progressbar(length=total, file=sys.stderr) as bar:
            for tally in tallies:
                bar.update(tally.seen - bar.pos)
        return tally
    for tally in tallies:
        if tally.seen * 10 // max(total, 1) > tenths:
            tenths = tally.seen * 10 // max(total, 1)
            click.echo(f"{tally.seen} of {total} looked at", err=True)
    return tally


def _report(tally: Tally) -> None:
    for each in tally.unreadable:
        where = f"model {each.id} {each.model_id!r} on {each.key_id}"
        click.echo(f"{where}: {each.reason}")
    _exit(is_good=not tally.unreadable)


def _exit(*, is_good: bool) -> None:
    if not is_good:
        raise click.exceptions.Exit(1)
