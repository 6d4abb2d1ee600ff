"""The commands of ``flask model-registry``."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timezone

import click

from .config import KEY_BYTES, KEY_ID


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
