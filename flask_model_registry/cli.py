"""The commands of ``flask model-registry``."""

from __future__ import annotations

import base64
import json
import math
import secrets
import sys
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, BinaryIO

import click
from flask import current_app
from flask.cli import with_appcontext

from .config import KEY_BYTES, KEY_ID
from .console import connected, fail_if, failures_told, find_registry, opened, watched
from .core.diagnosis import findings
from .core.rotation import Rotation, Tally
from .core.signals import held_back
from .exchange import CONFLICTS, Export, Import
from .web.openapi import described
from .web.routes import ROUTES
from .web.transactions import TRIES, attempts, send_all, transaction

if TYPE_CHECKING:
    import sqlalchemy as sa

    from .core.registry import Registry

_DESCRIPTION = "model_registry.openapi"
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
    registry = find_registry()
    with connected(registry) as connection, connection.begin():
        counts = registry.keys.counts(connection)
    for key in counts:
        click.echo(f"{key.count:>8}  {key.state:<7}  {key.key_id!r}")
    fail_if(any(key.fault for key in counts))


@model_registry.command()
@_batch_size
@with_appcontext
def verify_keys(batch_size: int) -> None:
    """Open every stored API key, and list those that do not open. Changes nothing.

    Fails if there are any.
    """
    registry = find_registry()
    with connected(registry) as connection:
        rotation = _rotation(registry, connection, batch_size)
        tally = watched(rotation.verify(), rotation.count())
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
    registry = find_registry()
    newest = registry.keys.vault.key_id
    with connected(registry) as connection:
        rotation = _rotation(registry, connection, batch_size)
        total = rotation.count(only_old=True)
        tally = watched(rotation.verify(only_old=True) if dry_run else rotation.rotate(), total)
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
    registry = find_registry()
    for name, value in registry.settings.shown().items():
        click.echo(f"setting  {name} = {value}")
    with connected(registry) as connection, connection.begin():
        actors, endpoints = registry.actors, registry.endpoints
        found = [*findings(connection, registry.keys, actors=actors, endpoints=endpoints)]
    for finding in found:
        click.echo(f"{finding.level:<7}  {finding.text}")
    fail_if(any(finding.level == "error" for finding in found))


@model_registry.command()
@with_appcontext
def openapi() -> None:
    """Print the description of the HTTP API (OpenAPI 3.1)."""
    find_registry()
    rules = [r.rule for r in current_app.url_map.iter_rules() if r.endpoint.endswith(_DESCRIPTION)]
    prefix = rules[0].removesuffix("/openapi.json")
    click.echo(json.dumps(described(ROUTES, prefix), ensure_ascii=False, indent=2))


@model_registry.command("export")
@click.option("--owner", help="Only the models of the user with this key.")
@click.option("--with-secrets", is_flag=True, help="With the API keys, in the clear.")
@click.option("--output", type=click.Path(), help="A new file, which only you may read.")
@with_appcontext
def export_models(owner: str | None, output: str | None, *, with_secrets: bool) -> None:
    """Write all models as lines of JSON; without grants, defaults and, unless asked, API keys.

    Fails if an API key does not open; its model is written without.
    """
    if with_secrets and output is None and sys.stdout.isatty():
        raise click.UsageError("a terminal would show the API keys; give --output, or a pipe")
    faults = []
    registry = find_registry()
    with connected(registry) as connection, opened(output) as file:
        for line in Export(registry, connection, owner).lines(with_secrets=with_secrets):
            click.echo(line.text, file)
            faults += [line.fault] if line.fault else []
    for fault in faults:
        click.echo(fault, err=True)
    fail_if(bool(faults))


@model_registry.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--owner", help="The key of the user who gets them all, whatever the lines say.")
@click.option(
    "--on-conflict",
    type=click.Choice(CONFLICTS),
    default="error",
    show_default=True,
    help="What to do if the owner has a model with this model_id.",
)
@click.option("--dry-run", is_flag=True, help="Do all of it, and undo it.")
@with_appcontext
def import_models(file: BinaryIO, owner: str | None, on_conflict: str, *, dry_run: bool) -> None:
    """Register the models in lines of JSON, as export writes them, for their owners.

    All or nothing: if a line fails, nothing is changed, and the command fails.
    """
    registry = find_registry()
    session = registry.rows.session
    # All lines first: who waits for input must not keep others from writing.
    lines = file.readlines()
    with failures_told():
        # What the host has written before could not be done again.
        for attempt in attempts(1 if session().in_transaction() else TRIES, math.inf):
            with attempt, held_back() as sendings, transaction(session, commit=False):
                importing = Import(registry, owner=owner, on_conflict=on_conflict)
                outcomes = [*importing.outcomes(lines)]
                counts = Counter(outcome.act for outcome in outcomes)
                is_undone = bool(counts["fail"]) or dry_run
                (session.rollback if is_undone else session.commit)()
    for outcome in outcomes:
        click.echo(outcome)
    told = ", ".join(f"{count} {act}" for act, count in sorted(counts.items())) or "no models"
    click.echo(told + ("; nothing was changed" if is_undone else ""))
    if not is_undone:
        send_all(session, sendings)
    fail_if(bool(counts["fail"]))


def _rotation(registry: Registry, connection: sa.Connection, batch_size: int) -> Rotation:
    tries = attempts(TRIES, math.inf)  # nobody waits, so it does not matter how long they take
    return Rotation(connection, registry.keys, batch_size=batch_size, tries=tries)


def _report(tally: Tally) -> None:
    for each in tally.unreadable:
        click.echo(each)
    fail_if(bool(tally.unreadable))
