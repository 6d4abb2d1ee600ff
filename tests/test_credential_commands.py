"""The commands about credentials: for operators, by the rights of owners, without a secret shown."""

import json
import os

import pytest
import sqlalchemy as sa

from flask_model_registry import signals
from flask_model_registry.cli import model_registry
from tests.accounts import ACCOUNTS, AT, SERVICE_ACCOUNT, add, create, resolved
from tests.conftest import traces
from tests.hosts import CANARY


@pytest.fixture
def run(host):
    """Run a command with a text on standard input."""

    def run(*args, text=CANARY):
        result = host.app.test_cli_runner().invoke(model_registry, args, input=text)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert traces([result.output]) == []
        return result.output, result.exit_code

    return run


@pytest.fixture
def made(host, run):
    """Create a credential for Alice, and return what the command printed."""

    def made(*options, text=CANARY, owner=None):
        owner = str(host.user("alice")) if owner is None else owner
        given = "--owner", owner, "--name", "team", "--provider", "openai"
        return run("create-credential", *given, *options, text=text)

    return made


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_an_api_key_is_read_from_standard_input(host, alice, made, ending):
    output, status = made(text=CANARY + ending)

    (account,) = alice.get(ACCOUNTS).json
    assert (output, status) == (f"Credential {account['id']} was created.\n", 0)
    add(alice, account["id"], "m")
    assert resolved(host, "m").api_key.reveal() == CANARY


def test_a_secret_with_headers_is_read_from_a_file(host, alice, made, tmp_path):
    secret = {"api_key": CANARY, "headers": {"X-Team": CANARY + "-header"}}
    path = tmp_path / "secret.json"
    path.write_text(f"\n{json.dumps(secret, indent=2)}\n")
    options = "--setting", "organization=org-1", "--setting", "project=a=b", "--base-url", AT

    output, status = made(
        *options, "--expires-at", "2030-01-01T00:00:00Z", "--secret", str(path), text=""
    )

    assert status == 0, output
    (account,) = alice.get(ACCOUNTS).json
    assert account["settings"] == {"organization": "org-1", "project": "a=b"}
    assert (account["base_url"], account["expires_at"][:4]) == (AT, "2030")
    add(alice, account["id"], "m")
    found = resolved(host, "m")
    assert (found.api_key.reveal(), found.headers["X-Team"].reveal()[-7:]) == (CANARY, "-header")


def test_a_terminal_is_asked_for_the_api_key(host, alice, made, monkeypatch):
    asked = []

    def prompt(text, **options):
        asked.append((text, options["hide_input"]))
        return CANARY

    monkeypatch.setattr("flask_model_registry.credential_commands.click.prompt", prompt)
    ours, terminal = os.openpty()
    try:
        assert made("--secret", os.ttyname(terminal), text="")[1] == 0
    finally:
        os.close(ours)
        os.close(terminal)

    assert asked == [("API key", True)]


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(
    ("options", "text", "told"),
    [
        ((), "", "secret.api_key: "),
        ((), "\n", "secret.api_key: "),
        ((), f"{CANARY} x", "secret.api_key: Must be one key"),
        ((), f"Bearer {CANARY}", "secret.api_key: Leave out 'Bearer'"),
        ((), '{"api_key": "' + CANARY, "Send one JSON value"),
        ((), json.dumps({"api_key": CANARY, "apikey": CANARY}), "secret.apikey: Unknown field."),
        ((), json.dumps({"headers": {"X-Team": CANARY}}), "secret.api_key: Required"),
        ((), json.dumps({"api_key": CANARY, "headers": {"Host": CANARY}}), "secret.headers: "),
        ((), b"\xff" + CANARY.encode(), "the secret is not text in UTF-8"),
        (
            ("--setting", "region=x"),
            CANARY,
            "settings.region: A credential of the kind key has none.",
        ),
        (("--expires-at", "2030"), CANARY, "expires_at: "),
        (("--base-url", "https://10.0.0.1"), CANARY, "MODEL_REGISTRY_ALLOWED_HOSTS"),
        (("--name", " team"), CANARY, "name: Must be one line"),
        (("--provider", "absent"), CANARY, "model_provider: Unknown provider."),
    ],
    ids=range(14),
)
def test_a_refusal_does_not_show_the_secret(host, made, options, text, told):
    output, status = made(*options, text=text)

    assert status == 1
    assert output.startswith("Error: ")
    assert told in output
    assert host.rows("credentials") == []


@pytest.mark.parametrize("owner", ["987654", "", "x"])
def test_an_owner_who_does_not_exist_is_reported(host, made, owner):
    assert made(owner=owner) == ("Error: There is no such user.\n", 1)


def test_a_setting_without_a_value_is_a_wrong_argument(host, made):
    output, status = made("--setting", "organization")

    assert (status, "write NAME=VALUE" in output) == (2, True)


@pytest.mark.forces_errors
def test_a_taken_name_is_reported(host, alice, made):
    create(alice)

    output, status = made()

    assert (output, status) == (
        "Error: The owner already has a credential with this name.\n",
        1,
    )


def test_credentials_are_listed_without_secrets(host, alice, bob, run):
    made = create(alice, settings={"organization": "org-1"}, expires_at="2030-01-01T00:00:00Z")
    other = create(bob, name="für bob", base_url=AT)
    add(alice, made["id"], "a", "b")
    credentials = host.registry.tables.credentials
    is_bobs = credentials.c.id == other["id"]
    host.execute(sa.update(credentials).where(is_bobs).values(ciphertext=None, key_id=None))
    users = [str(host.user(name)) for name in ("alice", "bob")]

    output, status = run("list-credentials")

    first = (
        f"{made['id']:>6}  {users[0]!r}  'team'  openai  -  key  2 models  secret"
        "  expires 2030-01-01T00:00:00.000000Z\n"
    )
    second = f"{other['id']:>6}  {users[1]!r}  'für bob'  openai  {AT}  key  0 models  no secret\n"
    assert (output, status) == (first + second, 0)
    assert run("list-credentials", "--owner", users[1]) == (second, 0)
    assert run("list-credentials", "--owner", "987654") == ("Error: There is no such user.\n", 1)


@pytest.mark.parametrize("number", [0, 4, 5])
def test_the_list_is_read_in_batches(host, alice, run, monkeypatch, number):
    ids = [create(alice, name=f"n{each}")["id"] for each in range(number)]
    monkeypatch.setattr("flask_model_registry.services.credential_admin._BATCH", 2)
    seen = []
    with host.app.app_context():
        sa.event.listen(host.db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    output, status = run("list-credentials")

    assert ([int(line.split()[0]) for line in output.splitlines()], status) == (ids, 0)
    listing = [each for each in seen if " models" in each and "LIMIT" in each]
    assert len(listing) == -(-number // 2) + 1


def test_a_secret_is_replaced_as_a_whole(host, alice, run):
    made = create(alice)
    add(alice, made["id"], "m")
    sent = []
    receiver = lambda _app, **facts: sent.append((facts["credential"], facts["changed"]))  # noqa: E731
    signals.credential_updated.connect(receiver)

    output, status = run("set-secret", str(made["id"]), text=f"{CANARY}-new")

    signals.credential_updated.disconnect(receiver)
    assert (output, status) == (f"Credential {made['id']} has a new secret.\n", 0)
    assert sent == [(made["id"], ["secret"])]
    assert resolved(host, "m").api_key.reveal() == f"{CANARY}-new"
    assert resolved(host, "m").headers == {}


def test_a_new_api_key_can_keep_the_headers(host, alice, run):
    made = create(alice)
    add(alice, made["id"], "m")
    before = {name: each.reveal() for name, each in resolved(host, "m").headers.items()}
    assert before

    refused = run("set-secret", str(made["id"]), "--keep", "--reference", "name")
    assert (refused[1], "--keep needs a new secret" in refused[0]) == (2, True)
    assert run("set-secret", str(made["id"]), "--keep", text=f"{CANARY}-new")[1] == 0

    assert resolved(host, "m").api_key.reveal() == f"{CANARY}-new"
    assert {name: each.reveal() for name, each in resolved(host, "m").headers.items()} == before


@pytest.mark.forces_errors
def test_a_credential_in_use_is_deleted_only_if_its_models_are_detached(host, alice, run):
    made = create(alice)
    add(alice, made["id"], "a", "b")

    output, status = run("delete-credential", str(made["id"]))

    assert (status, "2 models use it: a, b." in output) == (1, True)
    assert len(host.rows("credentials")) == 1
    detached = run("delete-credential", str(made["id"]), "--detach")
    assert detached == (f"Credential {made['id']} was deleted.\n", 0)
    assert host.rows("credentials") == []
    assert [row.credential_id for row in host.rows("models")] == [None, None]


@pytest.mark.parametrize("command", ["set-secret", "delete-credential"])
@pytest.mark.parametrize("number", ["987654", "0", str(2**70)])
def test_a_missing_credential_is_reported(host, run, command, number):
    assert run(command, number) == ("Error: There is no such credential.\n", 1)


@pytest.mark.parametrize("command", [["set-secret"], ["delete-credential", "--detach"]])
def test_an_operator_acts_by_the_rights_of_the_owner(host, admin, run, command):
    made = create(admin)
    add(admin, made["id"], "m", share_with_users=True)
    users = host.registry.tables.user_key.table
    host.execute(users.update().values(is_admin=False))
    before = host.rows("credentials")

    output, status = run(*command, str(made["id"]))

    assert (status, "You need the right to share" in output) == (1, True)
    assert host.rows("credentials") == before


@pytest.mark.parametrize("command", ["create-credential", "set-secret"])
def test_a_reference_replaces_a_secret(hosts, command):
    def source(name, **_about):
        return CANARY if name == "vault/team" else None

    host = hosts(secret_source=source)
    alice = host.client("alice")
    options = [str(create(alice)["id"])]
    if command == "create-credential":
        owner = str(host.user("alice"))
        options = ["--owner", owner, "--name", "kept", "--provider", "openai"]

    output, status = host.run(command, *options, "--reference", "vault/other")
    assert (status, output.startswith("Error: reference: ")) == (1, True), output
    assert host.run(command, *options, "--reference", "vault/team")[1] == 0

    made = alice.get(ACCOUNTS).json[-1]
    assert (made["reference"], made["secrets"]) == ("vault/team", [])
    add(alice, made["id"], "m")
    assert resolved(host, "m").api_key.reveal() == CANARY
    assert "  reference 'vault/team'\n" in host.run("list-credentials")[0]


def test_a_file_from_google_is_read_unchanged(host, alice, run, tmp_path):
    path = tmp_path / "account.json"
    path.write_text(json.dumps(SERVICE_ACCOUNT))
    given = "--owner", str(host.user("alice")), "--name", "team", "--provider", "vertex"
    settings = "--setting", "project=p-1", "--setting", "location=europe-west4"

    output, status = run(
        "create-credential", *given, "--kind", "google", *settings, "--secret", str(path)
    )

    (account,) = alice.get(ACCOUNTS).json
    assert (output, status) == (f"Credential {account['id']} was created.\n", 0)
    assert account["secrets"] == ["service_account"]
    changed = run("set-secret", str(account["id"]), "--secret", str(path))
    assert changed == (f"Credential {account['id']} has a new secret.\n", 0)
