"""The commands of ``flask model-registry`` about credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click
from flask.cli import with_appcontext

from .console import connected, find_services, report_failures, write
from .errors import ConflictError, NotFoundError
from .schemas import load, parse_json
from .schemas.credentials import NewCredential
from .schemas.limits import CREDENTIAL_KINDS
from .schemas.secrets import AccountSecretChange, NewSecret
from .secret import ClearedFrames, Hidden, Secret
from .services.credential_admin import owner_of, summaries
from .services.rows import ResourceRef

if TYPE_CHECKING:
    from .policy import Actor
    from .services.app_services import Services

_secret = click.option(
    "--secret",
    "file",
    type=click.File("rb"),
    default="-",
    help="A file with the API key, or with a secret as a JSON object. Default: standard input.",
)
_reference = click.option(
    "--reference", help="The name by which your secret_source finds a secret, instead of --secret."
)


@click.command()
@click.option("--owner", help="Only the credentials of the user with this primary key.")
@with_appcontext
def list_credentials(owner: str | None) -> None:
    """List credentials with id, owner, name, provider, base URL, kind and models, but no secret."""
    services = find_services()
    with connected(services) as connection:
        for each in summaries(connection, services.keys.tables, owner):
            click.echo(each)


@click.command()
@click.option("--owner", required=True, help="The primary key of the user who gets the credential.")
@click.option("--name", required=True, help="The credential's name, unique for the user.")
@click.option("--provider", required=True, help="The credential's model_provider.")
@click.option("--base-url", help="The credential's base URL. Default: the provider's own URL.")
@click.option(
    "--kind",
    type=click.Choice(CREDENTIAL_KINDS),
    default="key",
    show_default=True,
    help="The kind of secret.",
)
@click.option(
    "--setting", "settings", multiple=True, metavar="NAME=VALUE", help="A setting. Repeatable."
)
@click.option("--expires-at", help="When the API key expires, with a time zone.")
@_secret
@_reference
@with_appcontext
def create_credential(
    owner: str, provider: str, settings: tuple[str, ...], *, file: BinaryIO, **given: str | None
) -> None:
    """Create a credential for a user, with a secret from a file or standard input."""
    services, secret = find_services(), _read(file, given.pop("reference"))
    fields = {**given, "model_provider": provider, "settings": dict(map(_setting, settings))}

    def work() -> tuple[int, bool]:
        loaded = load(NewCredential(), {**fields, **_to_fields(secret)})
        row = services.accounts.create(services.actor_of(owner), loaded)
        return row["id"], True

    credential_id, _ = write(services, work)
    click.echo(f"Credential {credential_id} was created.")


@click.command()
@click.argument("credential", type=int)
@_secret
@_reference
@click.option("--keep", is_flag=True, help="Keep parts that --secret leaves out, such as headers.")
@with_appcontext
def set_secret(credential: int, file: BinaryIO, reference: str | None, *, keep: bool) -> None:
    """Replace the whole secret (API key and all headers) of the credential with this id."""
    if keep and reference is not None:
        raise click.UsageError("--keep needs a new secret; a --reference replaces the whole secret")
    services, secret = find_services(), _read(file, reference)

    def work() -> tuple[None, bool]:
        actor = _owner_of(services, credential)
        fields = load(AccountSecretChange() if keep else NewSecret(), dict(secret.reveal()))
        services.accounts.set_secret(actor, ResourceRef(credential), fields, merge=keep)
        return None, True

    write(services, work)
    click.echo(f"Credential {credential} has a new secret.")


@click.command()
@click.argument("credential", type=int)
@click.option("--detach", is_flag=True, help="Leave models that use it without an API key.")
@with_appcontext
def delete_credential(credential: int, *, detach: bool) -> None:
    """Delete the credential with this id. Fails while models use it, unless you add --detach."""
    services = find_services()

    def work() -> tuple[None, bool]:
        actor = _owner_of(services, credential)
        services.accounts.delete(actor, ResourceRef(credential), detach=detach)
        return None, True

    write(services, work)
    click.echo(f"Credential {credential} was deleted.")


COMMANDS = (list_credentials, create_credential, set_secret, delete_credential)


def _owner_of(services: Services, credential_id: int) -> Actor:
    """Return the owner of a credential, whose rights limit the change."""
    rows = services.rows
    key = owner_of(rows.connect(to_write=True), rows.queries.access.tables, credential_id)
    try:
        return services.users.from_key(key)
    except NotFoundError:
        raise ConflictError(
            "The change needs the rights of the owner, who is inactive or gone. "
            "Activate the owner, or call registry.user_deleted() for an owner who is gone."
        ) from None


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter("write NAME=VALUE", param_hint="--setting")
    return name, value


def _to_fields(secret: Hidden[dict[str, Any]]) -> dict[str, Any]:
    """Return a secret, or a reference to one, as fields of a request to create a credential."""
    is_reference = "reference" in secret.reveal()
    return dict(secret.reveal()) if is_reference else {"secret": dict(secret.reveal())}


def _read(file: BinaryIO, reference: str | None) -> Hidden[dict[str, Any]]:
    """Return the secret in a file: a JSON object, or the API key as the file's only line."""
    if reference is not None:
        return Hidden({"reference": reference})
    with report_failures(), ClearedFrames():
        if file.isatty():
            return Hidden({"api_key": Secret(click.prompt("API key", hide_input=True, err=True))})
        text = Hidden(file.read())
        if text.reveal().lstrip().startswith(b"{"):
            given = Hidden(parse_json(text.reveal()))
            is_account = given.reveal().get("type") == "service_account"  # Google's file
            return Hidden({"service_account": given.reveal()}) if is_account else given
        try:
            return Hidden({"api_key": Secret(_without_line_break(text))})
        except UnicodeDecodeError:
            pass  # the error holds the text of the file
    raise click.ClickException("the secret is not text in UTF-8")


def _without_line_break(text: Hidden[bytes]) -> str:
    """Return the text of a file without the line break that editors and shells end it with."""
    return text.reveal().decode().removesuffix("\n").removesuffix("\r")
