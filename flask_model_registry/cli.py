"""The commands of ``flask model-registry``."""

from __future__ import annotations

import base64
import json
import math
import os
import secrets
import sys
from collections import Counter
from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from flask import current_app
from flask.cli import with_appcontext

from .config import KEY_BYTES, KEY_ID
from .console import connected, exit_if, find_services, output_file, report, show_progress, write
from .credential_commands import COMMANDS
from .litellm_config import LiteLLMError, entries, with_credentials
from .litellm_config import lines as lines_of_litellm
from .secret import ClearedFrames, Hidden
from .services.doctor import findings
from .services.exchange import CONFLICTS, Import, ImportResult
from .services.export import Export, has_another_base_url
from .services.problems import Problems
from .services.rotation import Progress, Rotation
from .web.transactions import TRIES, retrying
from .web.views.description import description_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from .services.app_services import Services

_DESCRIPTION = "model_registry.openapi"
_batch_size = click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="How many rows to read at a time.",
)

_on_conflict = click.option(
    "--on-conflict",
    type=click.Choice(CONFLICTS),
    default="error",
    show_default=True,
    help="What to do if the owner already uses the model_id, or the name of the credential.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Try the whole import, then undo it.")


@click.group("model-registry")
def model_registry() -> None:
    """Manage the model registry."""


for _command in COMMANDS:
    model_registry.add_command(_command)


@model_registry.command()
@click.option("--id", "key_id", help="The encryption key's name. Default: one like k20261231-3f9c.")
def generate_key(key_id: str | None) -> None:
    """Print a new entry for MODEL_REGISTRY_ENCRYPTION_KEYS.

    This command works without an app, because your app can't start before it has an encryption key.
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
    """List the encryption keys, and how many API keys are encrypted with each.

    Fails if API keys are encrypted with an encryption key that is not configured.
    """
    services = find_services()
    with connected(services) as connection, connection.begin():
        counts = services.keys.counts(connection)
    for key in counts:
        click.echo(f"{key.count:>8}  {key.state:<7}  {key.key_id!r}")
    exit_if(any(key.problem for key in counts))


@model_registry.command()
@_batch_size
@with_appcontext
def verify_keys(batch_size: int) -> None:
    """Decrypt every stored API key, and list those that can't be decrypted. Changes nothing.

    Fails if an API key can't be decrypted.
    """
    services = find_services()
    with connected(services, autocommit=False) as connection:
        rotation = _rotation(services, connection, batch_size)
        progress = _shown(rotation.verify(), rotation.count())
    click.echo(f"{progress.readable} of {progress.processed} API keys can be decrypted.")
    report(progress.problems)


@model_registry.command()
@_batch_size
@click.option("--dry-run", is_flag=True, help="Decrypt the rows to rotate, but change nothing.")
@with_appcontext
def rotate_keys(batch_size: int, *, dry_run: bool) -> None:
    """Encrypt all API keys and secrets with the newest encryption key.

    You can run this command while the app runs, interrupt it and repeat it. If you run it twice at
    once, both runs share the work. It repeats until no row uses an old encryption key. Rows that
    can't be decrypted, or that the database refuses to change, stay unchanged. The command lists
    such rows, and then fails.
    """
    services = find_services()
    newest = services.keys.credentials.key_id
    with connected(services, autocommit=False) as connection:
        rotation = _rotation(services, connection, batch_size)
        total = rotation.count(only_old=True)
        progress = _shown(rotation.verify(only_old=True) if dry_run else rotation.rotate(), total)
    if dry_run:
        click.echo(f"{progress.readable} API keys would be encrypted with {newest}.")
    else:
        click.echo(f"{progress.encrypted} API keys were encrypted again, with {newest}.")
    report(progress.problems)


@model_registry.command()
@with_appcontext
def doctor() -> None:
    """Check settings, tables and keys, and say what to fix.

    Fails if something must be fixed.
    """
    services = find_services()
    for name, value in services.settings.shown().items():
        click.echo(f"setting  {name} = {value}")
    with connected(services) as connection, connection.begin():
        users, providers = services.users, services.providers
        levels = set()
        for finding in findings(connection, services.keys, users=users, providers=providers):
            click.echo(f"{finding.level:<7}  {finding.text}")
            levels.add(finding.level)
    exit_if("error" in levels)


@model_registry.command()
@with_appcontext
def openapi() -> None:
    """Print the description of the HTTP API (OpenAPI 3.1)."""
    services = find_services()
    rules = [r.rule for r in current_app.url_map.iter_rules() if r.endpoint.endswith(_DESCRIPTION)]
    prefix = rules[0].removesuffix("/openapi.json")
    click.echo(json.dumps(description_of(services, prefix), ensure_ascii=False, indent=2))


@model_registry.command("export")
@click.option("--owner", help="Only models and credentials of the user with this primary key.")
@click.option("--with-secrets", is_flag=True, help="Add API keys and secrets, in the clear.")
@click.option("--output", type=click.Path(), help="A file to create, which only you can read.")
@with_appcontext
def export_models(owner: str | None, output: str | None, *, with_secrets: bool) -> None:
    """Write all credentials and models as lines of JSON.

    The lines leave out grants and defaults. They contain API keys and secrets only with
    --with-secrets. If a secret can't be decrypted, the command writes the line without the secret,
    and fails at the end.
    """
    shows_lines = output in {None, "-"} and sys.stdout.isatty()
    if with_secrets and shows_lines:
        raise click.UsageError(
            "the terminal would show API keys and secrets; pass a file as --output, or use a pipe"
        )
    problems, services = Problems(), find_services()
    with connected(services) as connection, output_file(output) as file:
        export = Export(services, connection, owner)
        with show_progress("Lines", export.count(), is_shown=not shows_lines, tenths=False) as show:
            for number, line in enumerate(export.lines(with_secrets=with_secrets), 1):
                with ClearedFrames():
                    click.echo(line.text.reveal(), file)
                if line.problem:
                    problems.add(line.problem)
                show(number)
    report(problems, err=True)


@model_registry.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--owner", help="The primary key of the user who gets everything, instead of the lines' owners."
)
@_on_conflict
@_dry_run
@with_appcontext
def import_models(file: BinaryIO, owner: str | None, on_conflict: str, *, dry_run: bool) -> None:
    """Register the credentials and models in lines of JSON, as export writes them.

    If a line can't be imported, the command changes nothing and fails.
    """
    # Read all lines first, because waiting for input must not block other writers.
    _register([*map(Hidden, file)], owner, on_conflict, dry_run=dry_run)


@model_registry.command()
@click.argument("config", type=click.File("rb"))
@click.option("--owner", required=True, help="The primary key of the user who gets the models.")
@click.option("--share", is_flag=True, help="Share the models with everyone.")
@click.option(
    "--credentials",
    is_flag=True,
    help="Create a credential for each API key that several models use.",
)
@_on_conflict
@_dry_run
@with_appcontext
def import_litellm(
    config: BinaryIO, owner: str, on_conflict: str, *, share: bool, credentials: bool, dry_run: bool
) -> None:
    """Register the models in a LiteLLM proxy's config.yaml.

    If a model or setting can't be imported as LiteLLM would use it, the command changes nothing and
    fails.
    """
    services = find_services()
    with ClearedFrames():  # the API keys are in the file
        lines, problems = _read_litellm(services, config, share=share, credentials=credentials)
    if problems:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{len(problems)} fail; nothing was changed")
    exit_if(bool(problems))
    _register(lines, owner, on_conflict, dry_run=dry_run)


def _read_litellm(
    services: Services, config: BinaryIO, *, share: bool, credentials: bool
) -> tuple[list[Hidden[bytes]], list[ImportResult]]:
    """Return the lines to import, and the results of models that can't be imported."""
    lines, problems = [], []
    try:
        models = entries(_yaml(config))
    except LiteLLMError as error:
        raise click.ClickException(str(error)) from None
    for number, (name, line) in enumerate(lines_of_litellm(models, os.environ, share=share), 1):
        if not isinstance(line, LiteLLMError) and has_another_base_url(services, line):
            line = LiteLLMError(
                "this app has a provider of its own by this name; write an api_base"
            )
        if isinstance(line, LiteLLMError):
            problems.append(ImportResult(number, "fail", f"{name!r}: {line}"))
        else:
            lines.append(line)
    if credentials:
        lines = with_credentials(lines)
    return [Hidden(json.dumps(line).encode()) for line in lines], problems


def _yaml(config: BinaryIO) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise click.ClickException("PyYAML is needed; run 'pip install pyyaml'") from None
    try:
        return yaml.safe_load(config)
    except OSError:
        raise
    except Exception as error:  # not only of syntax: an impossible date raises ValueError
        # The error's message would quote the line, which may hold an API key.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise click.ClickException(f"this is not valid YAML{where}") from None


def _register(
    lines: list[Hidden[bytes]], owner: str | None, on_conflict: str, *, dry_run: bool
) -> None:
    services = find_services()

    def work() -> tuple[list[ImportResult], bool]:
        results = Import(services, owner=owner, on_conflict=on_conflict).results(lines)
        return results, not dry_run and all(result.action != "fail" for result in results)

    results, is_kept = write(services, work)
    for result in results:
        click.echo(result)
    counts = Counter(result.action for result in results)
    counted = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no models"
    click.echo(counted + ("" if is_kept else "; nothing was changed"))
    exit_if(bool(counts["fail"]))


def _rotation(services: Services, connection: sa.Connection, batch_size: int) -> Rotation:
    tries = retrying(TRIES, math.inf)  # no request waits, so statements may take a long time
    return Rotation(connection, services.keys, batch_size=batch_size, tries=tries)


def _shown(progresses: Iterable[Progress], total: int) -> Progress:
    """Show the progress, and return its last state."""
    progress = Progress()
    with show_progress("API keys", total) as show:
        for progress in progresses:
            show(progress.processed)
    return progress
