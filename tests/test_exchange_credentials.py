"""Export and import of credentials, and of the models that use them."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_model_registry import Provider
from flask_model_registry.cli import new_key
from flask_model_registry.services.export import Export
from tests.accounts import ACCOUNTS, AT, CLOUDS, add, create, resolved, state
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, model, register
from tests.rotating_app import make

ROOT = Path(__file__).parent.parent
SETTINGS = {"organization": "org-1", "project": "p"}
HEADERS = {"X-Team": CANARY + "-header"}
SECRET = {"api_key": CANARY, "headers": HEADERS}


@pytest.fixture
def put(host, tmp_path):
    """Import lines, with options of the command."""

    def put(*lines, at=host, options=()):
        path = tmp_path / "in.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        output, status = at.run("import", *options, str(path))
        return [each.split()[1] for each in output.splitlines()[:-1]], output, status

    return put


@pytest.fixture
def accounts(host):
    """Make lines for Alice, of credentials and of models that use them."""
    owner = str(host.user("alice"))

    def account(name="team", **fields):
        whole = {"type": "credential", "owner": owner, "name": name, "model_provider": "openai"}
        return {**whole, "secret": SECRET, **fields}

    def uses(model_id="m", name="team", **fields):
        whole = {"owner": owner, **model(model_id=model_id), "credential": name}
        del whole["api_key"]
        return {**whole, **fields}

    account.uses = uses
    return account


def without(line, *names):
    return {name: value for name, value in line.items() if name not in names}


def exported(host, *args):
    output, status = host.run("export", *args)
    assert status == 0, output
    return [json.loads(each) for each in output.splitlines()]


UPDATE, SKIP = ["--on-conflict", "update"], ["--on-conflict", "skip"]


def test_a_credential_has_a_line_before_the_models_that_name_it(host, alice, bob):
    register(alice, "own")
    made = create(alice, settings=SETTINGS, expires_at="2030-01-01T00:00:00Z")
    add(alice, made["id"], "large", "small")
    create(bob, base_url=AT)

    lines = exported(host)

    assert [each.get("model_id") for each in lines] == [None, None, "own", "large", "small"]
    assert lines[0] == {
        "type": "credential",
        "owner": str(host.user("alice")),
        "name": "team",
        "model_provider": "openai",
        "base_url": None,
        "kind": "key",
        "settings": SETTINGS,
        "expires_at": "2030-01-01T00:00:00.000000Z",
    }
    assert [each.get("credential") for each in lines[2:]] == [None, "team", "team"]
    assert [exported(host, "--owner", str(host.user("bob")))] == [lines[1:2]]


def test_models_are_called_elsewhere_as_they_were_here(hosts, tmp_path):
    here = hosts()
    there = hosts(config={"MODEL_REGISTRY_ENCRYPTION_KEYS": new_key()})
    alice = here.client("alice")
    team = create(alice, settings=SETTINGS, expires_at="2030-01-01T00:00:00Z", secret=SECRET)
    gateway = create(alice, name="gate way", base_url=AT, secret={"api_key": f"{CANARY}2"})
    large, _ = add(alice, team["id"], "large", "small")
    add(alice, gateway["id"], "at-gateway", base_url=f"{AT}/deeper")
    body = {"parameters": {"top_p": 0.5}, "info": {"context": 8192}}
    assert alice.put(f"{PREFIX}/{large}/parameters", json=body).status_code == 200
    path = str(tmp_path / "out.jsonl")
    assert there.user("alice") == here.user("alice")

    assert here.run("export", "--with-secrets", "--output", path) == ("", 0)
    output, status = there.run("import", path)

    assert (output.splitlines()[-1], status) == ("5 create", 0)
    assert there.run("export") == here.run("export")
    assert there.run("verify-keys")[1] == 0
    for name in ("large", "small", "at-gateway"):
        before, after = resolved(here, name), resolved(there, name)
        assert after.api_key == before.api_key
        assert after.headers == before.headers
        for field in "settings expires_at base_url model_provider model_name parameters".split():
            assert getattr(after, field) == getattr(before, field)
    assert resolved(there, "small").headers["X-Team"].reveal() == HEADERS["X-Team"]
    assert resolved(there, "large").parameters == {"top_p": 0.5}
    for options, act in ((UPDATE, "keep"), (SKIP, "skip")):
        before = [there.rows(table) for table in ("models", "credentials")]
        output, status = there.run("import", *options, path)
        assert (output.splitlines()[-1], status) == (f"5 {act}", 0)
        assert [there.rows(table) for table in ("models", "credentials")] == before


@pytest.mark.parametrize("kind", CLOUDS)
def test_credentials_of_other_kinds_are_imported_unchanged(hosts, tmp_path, kind):
    here, there = hosts(), hosts(config={"MODEL_REGISTRY_ENCRYPTION_KEYS": new_key()})
    made = create(here.client("alice"), **CLOUDS[kind])
    add(here.client("alice"), made["id"], "m")
    assert there.user("alice") == here.user("alice")
    paths = [str(tmp_path / name) for name in ("here", "there")]

    here.run("export", "--with-secrets", "--output", paths[0])
    output, status = there.run("import", paths[0])

    assert (output.splitlines()[-1], status) == ("2 create", 0)
    assert there.run("export", "--with-secrets", "--output", paths[1]) == ("", 0)
    first, second = (Path(path).read_text() for path in paths)
    assert second == first
    assert json.loads(first.splitlines()[0])["secret"].keys() == CLOUDS[kind]["secret"].keys()
    assert there.run("import", *UPDATE, paths[0])[0].splitlines()[-1] == "2 keep"
    assert resolved(there, "m").litellm_kwargs() == resolved(here, "m").litellm_kwargs()


def test_a_credential_without_a_secret_waits_for_one(host, alice, put, accounts):
    acts, output, status = put(without(accounts(), "secret"), accounts.uses())

    assert (acts, status) == (["create", "create"], 0)
    assert "     1  create  credential 'team'\n     2  create  m\n" in output
    (made,) = alice.get(ACCOUNTS).json
    (row_id,) = (each["id"] for each in alice.get(f"{PREFIX}/").json)
    assert (made["secrets"], made["headers"]) == ([], [])
    assert state(alice, row_id) == {**state(alice, row_id), "is_set": False, "status": "unreadable"}
    told = "warning  1 credentials have no secret; their owners can add one\n"
    assert told in host.run("doctor")[0]
    assert host.run("verify-keys") == ("0 of 0 API keys can be decrypted.\n", 0)
    assert alice.put(f"{ACCOUNTS}/{made['id']}/secret", json=SECRET).status_code == 204
    assert resolved(host, "m").api_key.reveal() == CANARY
    assert told not in host.run("doctor")[0]


def test_a_model_may_come_before_its_credential(host, put, accounts):
    acts, output, status = put(accounts.uses(), accounts())

    assert (acts, status) == (["create", "create"], 0)
    assert [each.split()[0] for each in output.splitlines()[:2]] == ["1", "2"]
    assert resolved(host, "m").headers["X-Team"].reveal() == HEADERS["X-Team"]


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"credential": "absent"}, "m: credential: The owner has no such credential."),
        ({"credential": "of-bob"}, "m: credential: The owner has no such credential."),
        ({"credential": 7}, "m: credential: Not a valid string."),
        ({"credential": "a\ud800"}, "m: credential: Must be one line"),
        ({"credential": "a\0"}, "m: credential: Must be one line"),
        ({"api_key": CANARY}, "m: credential: Send either this or api_key."),
        ({"model_provider": "groq"}, "m: credential: Is for another provider or origin."),
        ({"base_url": AT}, "m: credential: Is for another provider or origin."),
        ({"temperature": 9}, "m: temperature: Must be greater than"),
        ({"category": "rerank", "temperature": 1}, "m: temperature: Only for category"),
        ({"share_with_users": True}, "m: You need permission to share"),
        ({"type": "account"}, "m: type: Must be model or credential"),
    ],
    ids=range(12),
)
def test_a_model_that_its_credential_cannot_serve_fails_its_line(
    host, bob, put, accounts, fields, told
):
    create(bob, name="of-bob")
    before = host.rows("credentials")

    acts, output, status = put(accounts(), accounts.uses(**fields), accounts.uses("other"))

    assert (acts, status) == (["create", "fail", "create"], 1)
    assert told in output
    assert (host.rows("credentials"), host.rows("models")) == (before, [])
    assert traces([output]) == []


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": ""}, "fail    name: Length must be between 1 and 100."),
        ({"owner": "987654"}, "credential 'team': There is no such user."),
        ({"secret": {"api_key": "sk-***"}}, "'team': secret.api_key: This is a mask"),
        ({"secret": {"headers": HEADERS}}, "'team': secret.api_key: Required"),
        ({"secret": {**SECRET, "headers": {"Host": CANARY}}}, "'team': secret.headers: Must be an"),
        ({"secret": None}, "'team': secret: Field may not be null."),
        ({"settings": {"region": "x"}}, "settings.region: A credential of the kind key has none."),
        ({"kind": "oauth"}, "'team': kind: Must be one of"),
        ({"base_url": "https://10.0.0.1/v1"}, "MODEL_REGISTRY_ALLOWED_HOSTS"),
        ({"expires_at": "2030-01-01"}, "'team': expires_at: "),
        ({"model_id": "m"}, "'team': model_id: Unknown field."),
        ({"ciphertext": CANARY}, "'team': ciphertext: Unknown field."),
    ],
    ids=range(12),
)
def test_a_credentials_line_must_follow_the_rules(host, put, accounts, fields, told):
    acts, output, status = put(accounts("good"), accounts(**fields))

    assert (acts, status) == (["create", "fail"], 1)
    assert told in output
    assert host.rows("credentials") == []
    assert traces([output]) == []


@pytest.mark.parametrize(
    ("policy", "act", "status"),
    [("error", "fail", 1), ("skip", "skip", 0), ("update", "update", 0)],
)
def test_a_conflict_is_handled_as_the_option_says(host, alice, put, accounts, policy, act, status):
    create(alice, settings=SETTINGS)
    before = host.rows("credentials")
    line = accounts(settings={"project": "q"}, expires_at="2031-01-01T00:00:00Z")

    acts, output, done = put(line, options=["--on-conflict", policy])

    assert (acts, done) == ([act], status)
    assert ("'team': The owner has this credential already; see --on-conflict." in output) is (
        policy == "error"
    )
    (made,) = alice.get(ACCOUNTS).json
    if policy == "update":
        assert (made["settings"], made["expires_at"][:4]) == ({"project": "q"}, "2031")
    else:
        assert host.rows("credentials") == before


@pytest.mark.parametrize(
    ("policy", "second", "called_with"),
    [("error", "fail", None), ("skip", "skip", CANARY), ("update", "update", f"{CANARY}-bob")],
    ids=["error", "skip", "update"],  # each process of xdist has another canary
)
def test_two_users_with_one_name_become_one_for_one_owner(
    host, put, accounts, policy, second, called_with
):
    """As the page warns."""
    bob = {"owner": str(host.user("bob"))}
    lines = [
        accounts(secret={"api_key": CANARY}),
        accounts(secret={"api_key": f"{CANARY}-bob"}) | bob,
        accounts.uses("of-alice"),
        accounts.uses("of-bob") | bob,
    ]
    options = ["--owner", str(host.user("carol")), "--on-conflict", policy]

    acts, _, status = put(*lines, options=options)

    assert (acts, status) == (["create", second, "create", "create"], 1 if second == "fail" else 0)
    if called_with:
        found = [resolved(host, each, "carol") for each in ("of-alice", "of-bob")]
        assert {each.api_key.reveal() for each in found} == {called_with}


def test_an_update_without_a_secret_keeps_the_one_that_is_there(host, alice, put, accounts):
    add(alice, create(alice)["id"], "m")

    acts, _, status = put(
        without(accounts(settings=SETTINGS), "secret"), accounts.uses(), options=UPDATE
    )

    assert (acts, status) == (["update", "update"], 0)  # the model_name differs
    found = resolved(host, "m")
    assert (found.api_key.reveal(), found.settings) == (CANARY, SETTINGS)


def test_an_update_takes_a_new_secret_and_moves_models_along(host, alice, put, accounts):
    add(alice, create(alice)["id"], "m")
    moved = accounts(base_url=AT, secret={"api_key": f"{CANARY}-new"})

    acts, output, status = put(moved, accounts.uses(base_url=AT), options=UPDATE)

    assert (acts, status) == (["update", "update"], 0), output
    found = resolved(host, "m")
    assert (found.api_key.reveal(), found.base_url) == (f"{CANARY}-new", AT)
    assert found.headers == {}


@pytest.mark.parametrize("fields", [{"base_url": AT}, {"model_provider": "groq"}])
def test_a_stored_secret_goes_to_no_new_address_by_an_import(host, alice, put, accounts, fields):
    add(alice, create(alice)["id"], "m")
    before = [host.rows(table) for table in ("models", "credentials")]

    acts, output, status = put(without(accounts(**fields), "secret"), options=UPDATE)

    assert (acts, status) == (["fail"], 1)
    assert "'team': secret: Required for another provider or origin." in output
    acts, output, status = put(accounts.uses(**fields), options=UPDATE)
    assert (acts, status) == (["fail"], 1)
    assert "m: credential: Is for another provider or origin." in output
    assert [host.rows(table) for table in ("models", "credentials")] == before


def test_what_the_app_no_longer_allows_stays_if_it_is_unchanged(hosts, put):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    create(host.client("alice"), base_url="http://localhost/v1")
    (line,) = exported(host)
    later = host.again(MODEL_REGISTRY_ALLOWED_HOSTS=[])

    acts, output, status = put({**line, "settings": SETTINGS}, at=later, options=UPDATE)

    assert (acts, status) == (["update"], 0), output
    later.close()


def test_a_model_changes_from_one_key_to_another(host, alice, put, accounts):
    """From its own to a credential's, at another provider too, and back."""
    register(alice, "m", "elsewhere")
    register(alice, "at-groq", model_provider="groq")
    lines = accounts(), accounts.uses(), accounts.uses("elsewhere"), accounts.uses("at-groq")

    acts, output, status = put(*lines, options=UPDATE)

    assert (acts, status) == (["create", "update", "update", "update"], 0), output
    assert [row.ciphertext for row in host.rows("models")] == [None] * 3
    assert resolved(host, "at-groq").headers["X-Team"].reveal() == HEADERS["X-Team"]
    own = {**without(accounts.uses(), "credential"), "api_key": f"{CANARY}-own"}
    assert put(own, options=UPDATE)[0] == ["update"]
    assert resolved(host, "m").api_key.reveal() == f"{CANARY}-own"


def test_a_line_without_either_leaves_a_model_on_its_credential(host, alice, put, accounts):
    add(alice, create(alice)["id"], "m")
    line = without(accounts.uses(description="new"), "credential")

    assert put(line, options=UPDATE)[0] == ["update"]
    assert resolved(host, "m").headers["X-Team"].reveal() == HEADERS["X-Team"]


def test_a_models_own_key_is_not_lost_for_a_secret_that_is_not_there(host, alice, put, accounts):
    register(alice, "m")
    before = host.rows("models")

    acts, output, status = put(without(accounts(), "secret"), accounts.uses(), options=UPDATE)

    assert (acts, status) == (["create", "fail"], 1)
    assert "m: The credential has no secret, and the model's own API key would be" in output
    assert (host.rows("models"), host.rows("credentials")) == (before, [])


def test_an_import_accepts_no_gift_even_with_its_credential(host, alice, put, accounts):
    heir = str(host.user("heir"))
    add(alice, create(alice)["id"], "m")
    with host.app.app_context():
        host.registry.user_deleted(host.load("alice"), transfer_to=host.load("heir"))
        host.db.session.commit()
    options = [*UPDATE, "--owner", heir]
    without_secret = without(accounts(), "secret"), accounts.uses()

    acts, output, status = put(*without_secret, options=options)

    assert (acts, status) == (["keep", "fail"], 1)
    assert "m: The owner's model is switched off, and may be a gift" in output
    assert put(without_secret[0], accounts.uses(is_active=False), options=options)[2] == 0
    acts, _, status = put(accounts(), accounts.uses(), options=options)
    assert (acts, status) == (["keep", "update"], 0)


def test_all_lines_can_be_imported_for_one_owner(host, alice, bob, put, accounts):
    options = ["--owner", str(host.user("bob"))]

    acts, _, status = put(accounts(), accounts.uses(), options=options)

    assert (acts, status) == (["create", "create"], 0)
    assert [each["name"] for each in bob.get(ACCOUNTS).json] == ["team"]
    assert alice.get(ACCOUNTS).json == []
    assert resolved(host, "m", "bob").api_key.reveal() == CANARY


def test_a_dry_run_changes_nothing(host, put, accounts):
    acts, output, status = put(accounts(), accounts.uses(), options=["--dry-run"])

    assert (acts, status) == (["create", "create"], 0)
    assert output.splitlines()[-1] == "2 create; nothing was changed"
    assert (host.rows("credentials"), host.rows("models")) == ([], [])


def test_an_import_repairs_a_secret_that_cannot_be_decrypted(host, put, accounts):
    assert put(accounts(), accounts.uses())[0] == ["create", "create"]
    host.execute(host.registry.tables.credentials.update().values(ciphertext=b"damaged"))

    assert put(accounts(), options=UPDATE)[0] == ["update"]

    assert resolved(host, "m").api_key.reveal() == CANARY


@pytest.mark.forces_errors
def test_an_import_that_breaks_off_keeps_nothing_and_can_be_repeated(
    host, put, accounts, monkeypatch
):
    lines = accounts(), accounts.uses(), accounts.uses("n")

    def register(*_args):
        raise sa.exc.OperationalError("INSERT", {}, Exception("gone away"))

    with monkeypatch.context() as patched:
        patched.setattr("flask_model_registry.services.attachments.Attachments.register", register)
        assert put(*lines)[2] == 1
    assert (host.rows("credentials"), host.rows("models")) == ([], [])

    assert put(*lines[:2], options=SKIP)[0] == ["create", "create"]
    assert put(*lines, options=SKIP)[0] == ["skip", "skip", "create"]


@pytest.mark.slow
@pytest.mark.parametrize("inserted", [1, 2, 10, 21])
def test_an_import_that_is_killed_keeps_nothing_or_all_and_can_be_repeated(
    empty_databases, tmp_path, inserted
):
    url, key, names = empty_databases().url, new_key(), [f"m{number}" for number in range(20)]
    host = make(url, key)
    with host.app.app_context():
        host.db.create_all()
    owner = str(host.user("alice"))
    account = {"type": "credential", "name": "team", "model_provider": "openai", "secret": SECRET}
    uses = [{**model(model_id=each), "credential": "team"} for each in names]
    lines = [account, *(without(each, "api_key") for each in uses)]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    command = ["import", "--owner", owner, *SKIP, str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "tests.rotating_app", "model-registry", *command],
        cwd=ROOT,
        env={**os.environ, "TEST_URL": url, "TEST_KEYS": key, "TEST_ECHO": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = 0
    for text in process.stdout:
        seen += "INSERT INTO model_registry_" in text
        if seen == inserted:
            break
    process.kill()
    process.communicate()

    assert seen == inserted
    kept = len(host.rows("credentials")), len(host.rows("models"))
    assert kept in {(0, 0), (1, 20)}  # all, if it has committed meanwhile
    repeated = "21 create" if kept == (0, 0) else "21 skip"
    assert host.run(*command)[0].splitlines()[-1] == repeated
    assert host.run(*command)[0].splitlines()[-1] == "21 skip"
    assert resolved(host, "m19").api_key.reveal() == CANARY
    host.close()


def test_a_credential_of_another_kind_is_not_changed(host, alice, put, accounts):
    create(alice)
    host.execute(sa.update(host.registry.tables.credentials).values(kind="other"))

    acts, output, status = put(accounts(), options=UPDATE)

    assert (acts, status) == (["fail"], 1)
    assert "kind: The owner's credential is of another kind; delete it first." in output


def test_secrets_that_do_not_open_are_left_out_and_reported(host, alice, tmp_path):
    add(alice, create(alice)["id"], "m")
    create(alice, name="good")
    credentials = host.registry.tables.credentials
    host.execute(sa.update(credentials).where(credentials.c.name == "team").values(ciphertext=b"x"))
    path = tmp_path / "out.jsonl"

    output, status = host.run("export", "--with-secrets", "--output", str(path))

    lines = [json.loads(each) for each in path.read_text().splitlines()]
    assert (status, output.count("\n")) == (1, 1)
    assert "credential 1 ('team'): The stored" in output.replace(_id(host), "credential 1")
    assert [each.get("secret") for each in lines] == [None, SECRET, None]
    assert lines[2]["credential"] == "team"


def _id(host):
    return f"credential {host.rows('credentials')[0].id}"


def test_a_credential_keeps_the_address_of_the_apps_own_provider(hosts, tmp_path):
    own = [Provider("openai", "Our gateway", AT), Provider("acme", "Acme", AT)]
    sender, receiver = hosts(providers=own), hosts()
    alice = sender.client("alice")
    for provider in ("openai", "acme", "groq"):
        made = create(alice, name=provider, model_provider=provider)
        add(alice, made["id"], provider)
    path, owner = str(tmp_path / "out.jsonl"), str(receiver.user("alice"))

    sender.run("export", "--with-secrets", "--output", path)
    output, status = receiver.run("import", "--owner", owner, path)

    assert status == 0, output
    called = [resolved(receiver, each).base_url for each in ("openai", "acme", "groq")]
    assert called == [AT, AT, "https://api.groq.com/openai/v1"]
    assert [each["base_url"] for each in exported(sender)] == [None] * 6
    # Its own app takes them too, as the same origin with the same secret.
    assert sender.run("import", *UPDATE, path)[1] == 0
    assert resolved(sender, "acme").base_url == AT


@pytest.mark.databases("sqlite")
def test_an_export_closes_its_temporary_file(host, accounts, monkeypatch):
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda *args, **options: opened.append(connect(*args, **options)) or opened[-1],
    )

    host.run("export")

    (of_export,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        of_export.execute("SELECT 1")


@pytest.mark.databases("sqlite")
def test_an_export_that_is_not_read_opens_no_temporary_file(host, alice, monkeypatch):
    create(alice)
    opened = []

    with host.app.app_context():
        connection = host.db.session.connection()
        monkeypatch.setattr(sqlite3, "connect", lambda *given, **_: opened.append(given))
        export = Export(host.services, connection, None)
        assert export.count() > 0

    assert opened == []


@pytest.mark.databases("sqlite")
def test_an_export_can_be_read_again_after_its_reader_stopped(host, alice):
    create(alice)

    with host.app.app_context():
        export = Export(host.services, host.db.session.connection(), None)
        next(lines := export.lines(with_secrets=False))
        lines.close()

        assert len(list(export.lines(with_secrets=False))) == export.count()


def test_a_reference_that_sql_made_to_another_users_credential_is_not_exported(host, alice, bob):
    made = create(alice)
    (row_id,) = register(bob, "m")
    models = host.registry.tables.models
    values = {"credential_id": made["id"], "ciphertext": None, "key_id": None}
    host.execute(sa.update(models).where(models.c.id == row_id).values(**values))

    lines = exported(host)

    assert [each.get("credential") for each in lines] == [None, None]
    assert "api_key" not in lines[1]


def test_a_credential_that_comes_while_others_are_written_has_a_line(host, alice, monkeypatch):
    made = create(alice)
    (row_id,) = register(alice, "m")
    rows = {}

    def pages(self, table, whole):
        if table.name.endswith("_credentials"):
            rows["late"] = [*whole(self, table)]
            return iter(())
        return whole(self, table)

    whole = Export._rows
    monkeypatch.setattr(Export, "_rows", lambda self, table: pages(self, table, whole))
    alice.put(f"{PREFIX}/{row_id}/credential", json={"credential": made["id"]})

    lines = exported(host)

    assert len(rows["late"]) == 1
    assert [each.get("name", each.get("credential")) for each in lines] == ["team", "team"]
