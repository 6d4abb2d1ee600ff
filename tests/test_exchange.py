"""Export and import move models from one app to another, and keep all rules."""

import itertools
import json
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_model_registry import Provider, signals
from flask_model_registry.cli import model_registry, new_key
from tests.conftest import traces
from tests.doc_runner import blocks
from tests.hosts import CANARY, PREFIX, model, register

URL = "https://a.example.com/v1"


@pytest.fixture
def file(tmp_path):
    """Write lines to a file, and return its name."""

    def file(*lines):
        path = tmp_path / "in.jsonl"
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"\n".join(texts))
        return str(path)

    return file


def line(host, whose="alice", **fields):
    """Return a line of an export, by the text of its owner's key."""
    whole = {**model(), "owner": str(host.user(whose)), **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def exported(host, *args):
    output, status = host.run("export", *args)
    assert status == 0
    return [json.loads(each) for each in output.splitlines()]


def acts(output):
    return [each.split()[1] for each in output.splitlines()[:-1]]


def listed(client):
    return client.get(f"{PREFIX}/?is_active=all").json


def test_an_export_has_a_line_for_each_model_and_no_key(host, alice, bob):
    register(alice, "a", abilities=["chat"], description="für\n\x20alle", temperature=1.5)
    (row_id,) = register(bob, "b", base_url=URL)
    bob.patch(f"{PREFIX}/{row_id}", json={"is_active": False})

    lines = exported(host)

    assert lines == [
        {
            "owner": str(host.users["alice"]),
            "model_id": "a",
            "category": "llm",
            "model_provider": "openai",
            "model_name": "gpt-4o-2024-11-20",
            "base_url": None,
            "temperature": 1.5,
            "dimension": None,
            "abilities": ["chat"],
            "description": "für\n alle",
            "is_active": True,
            "share_with_users": False,
            "parameters": {},
            "info": {},
        },
        {**lines[1], "owner": str(host.users["bob"]), "base_url": URL, "is_active": False},
    ]
    assert exported(host, "--owner", str(host.users["bob"])) == lines[1:]


def test_an_export_has_no_end_at_a_page(host, alice, monkeypatch):
    monkeypatch.setattr("flask_model_registry.services.export._BATCH", 2)
    ids = ["a", "b", "c", "d", "e"]
    register(alice, *ids)

    assert [each["model_id"] for each in exported(host)] == ids


def test_an_export_lists_the_first_problems_and_counts_the_others(
    host, alice, tmp_path, monkeypatch
):
    monkeypatch.setattr("flask_model_registry.services.problems._MAX_LISTED", 2)
    ids = register(alice, *"abc")
    host.execute(host.registry.tables.models.update().values(ciphertext=b"x"))
    path = tmp_path / "out.jsonl"

    output, status = host.run("export", "--with-secrets", "--output", str(path))

    lines = output.splitlines()
    assert [line.split(": ")[0] for line in lines[:2]] == [
        f"model {ids[0]} ('a')",
        f"model {ids[1]} ('b')",
    ]
    assert (lines[2:], status) == (["1 more are not listed"], 1)
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.databases("sqlite")
def test_a_long_export_says_how_far_it_is(host, alice, tmp_path, monkeypatch):
    register(alice, *"abcd")
    register(host.client("bob"), "e")
    path = tmp_path / "out.jsonl"
    monkeypatch.setattr("time.monotonic", itertools.count(step=30).__next__)

    output, status = host.run("export", "--owner", str(host.user("alice")), "--output", str(path))

    assert (output.splitlines()[-1], status) == ("4 of 4 looked at, 0 a second, 0 minutes left", 0)
    assert len(path.read_text().splitlines()) == 4


def test_an_export_with_secrets_goes_to_a_file_of_ones_own(host, alice, tmp_path):
    register(alice, "m")
    path = tmp_path / "out.jsonl"

    output, status = host.run("export", "--with-secrets", "--output", str(path))

    assert (output, status) == ("", 0)
    assert json.loads(path.read_text())["api_key"] == CANARY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert host.run("export", "--output", str(path))[1] == 1
    assert CANARY in path.read_text()


def test_an_exported_key_keeps_the_address_of_the_apps_own_provider(hosts, tmp_path):
    """Another app knows the provider under another address, or OpenAI's own."""
    gateway = "https://gateway.example.com/v1"
    own = [Provider("openai", "Our gateway", gateway), Provider("acme", "Acme", gateway)]
    sender, receiver = hosts(providers=own), hosts()
    alice = sender.client("alice")
    for provider in ("openai", "acme", "groq"):
        register(alice, provider, model_provider=provider)
    path, owner = tmp_path / "out.jsonl", str(receiver.user("bob"))

    sender.run("export", "--with-secrets", "--output", str(path))
    assert receiver.run("import", "--owner", owner, str(path))[1] == 0

    with receiver.app.app_context():
        bob = receiver.load("bob")
        called = [
            receiver.registry.resolve(each, user=bob).base_url
            for each in ("openai", "acme", "groq")
        ]
    assert called == [gateway, gateway, "https://api.groq.com/openai/v1"]
    assert [each["base_url"] for each in exported(sender)] == [None, None, None]


@pytest.mark.parametrize("options", [[], ["--output", "-"]])
def test_a_terminal_shows_no_secrets(host, alice, monkeypatch, options):
    register(alice, "m")
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)

    output, status = host.run("export", "--with-secrets", *options)

    assert status == 2
    assert "--output" in output


def test_a_key_that_does_not_open_is_left_out_and_reported(host, alice, tmp_path):
    register(alice, "good", "bad", "none")
    models = host.registry.tables.models
    host.execute(sa.update(models).where(models.c.model_id == "bad").values(ciphertext=b"x"))
    (none,) = (each["id"] for each in listed(alice) if each["model_id"] == "none")
    alice.delete(f"{PREFIX}/{none}/credential")
    path = tmp_path / "out.jsonl"

    output, status = host.run("export", "--with-secrets", "--output", str(path))

    assert status == 1
    assert "('bad'): The stored API key can't be decrypted" in output
    keys = [json.loads(each).get("api_key") for each in path.read_text().splitlines()]
    assert keys == [CANARY, None, None]
    assert output.count("\n") == 1


def test_an_export_of_an_unknown_users_models_is_an_error(host, tmp_path):
    path = tmp_path / "out.jsonl"

    output, status = host.run("export", "--owner", "987654", "--output", str(path))

    assert (output, status) == ("Error: There is no such user.\n", 1)
    assert not path.exists()


def test_an_export_can_be_imported_elsewhere(hosts, tmp_path):
    here = hosts(kind="2.0 base, UUID key")
    there = hosts(kind="2.0 base, UUID key", config={"MODEL_REGISTRY_ENCRYPTION_KEYS": new_key()})
    alice = here.client("alice", is_admin=True)
    register(alice, "a", "org/b@1", base_url=URL, temperature=0.1, share_with_users=True)
    register(here.client("bob"), "a", category="embedding", dimension=3, abilities=["embedding"])
    alice.patch(f"{PREFIX}/by-id/a", json={"description": "é\t\U0001f600"})
    with there.app.app_context():
        for name, key in here.users.items():
            user = there.User(person_id=key, name=name, is_admin=name == "alice")
            there.db.session.add(user)
        there.db.session.commit()
    path = str(tmp_path / "out.jsonl")

    assert here.run("export", "--with-secrets", "--output", path)[1] == 0
    output, status = there.run("import", path)

    assert (acts(output), status) == (["create"] * 3, 0)
    there.users = here.users
    assert there.run("export")[0] == here.run("export")[0]
    assert there.run("verify-keys")[1] == 0
    with there.app.app_context():
        resolved = there.registry.resolve("org/b@1", user=there.load("alice"))
        assert resolved.api_key.reveal() == CANARY
    traces_there = [str(row.key_id) for row in there.rows("models")]
    assert {each.partition("#")[0] for each in traces_there} != {"test"}


def test_a_model_without_a_key_waits_for_one(host, alice, file):
    output, status = host.run("import", file(line(host, api_key=...)))

    assert (acts(output), status) == (["create"], 0)
    (made,) = listed(alice)
    credential = alice.get(f"{PREFIX}/{made['id']}/credential").json
    assert (credential["is_set"], credential["status"]) == (False, "unreadable")
    assert (
        alice.put(f"{PREFIX}/{made['id']}/credential", json={"api_key": CANARY}).status_code == 204
    )


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"owner": "987654"}, "gpt-4o: There is no such user."),
        ({"owner": "\x00"}, "gpt-4o: There is no such user."),
        ({"owner": ...}, "owner: Missing data"),
        ({"owner": 7}, 'owner: Must be a primary key as a string, such as "1".'),
        ({"share_with_users": True}, "gpt-4o: You need permission to share"),
        ({"base_url": "https://10.0.0.1/v1"}, "MODEL_REGISTRY_ALLOWED_HOSTS"),
        ({"api_key": "sk-***"}, "api_key: This is a mask"),
        ({"api_key": f"{CANARY}\r\n"}, "api_key: Leave out the blank or line break"),
        ({"dimension": 3}, "gpt-4o: dimension: Only for category embedding."),
        ({"id": 5}, "id: Unknown field."),
        ({"is_owner": True}, "is_owner: Unknown field."),
        ({"model_id": "../x"}, "model_id: Must be 1 to 255"),
    ],
    ids=range(12),
)
def test_a_line_must_follow_the_rules(host, alice, file, fields, told):
    host.user("alice")

    output, status = host.run("import", file(line(host, model_id="ok"), line(host, **fields)))

    assert (acts(output), status) == (["create", "fail"], 1)
    assert told in output
    assert output.splitlines()[-1] == "1 create, 1 fail; nothing was changed"
    assert listed(alice) == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"7",
        b'{"model_id": "a", "model_id": "b"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
    ],
    ids=range(6),
)
def test_an_invalid_line_is_reported_by_its_number(host, alice, file, text):
    output, status = host.run("import", file(line(host), b"", text))

    assert (acts(output), status) == (["create", "fail"], 1)
    assert output.splitlines()[1].split()[0] == "3"
    assert listed(alice) == []


def test_blank_lines_and_byte_order_marks_are_ignored(host, alice, file):
    text = b"\xef\xbb\xbf" + json.dumps(line(host)).encode()

    assert host.run("import", file(text, b"", b"  \r")) == ("     1  create  gpt-4o\n1 create\n", 0)


def test_an_empty_import_is_reported(host, file):
    assert host.run("import", file(b"")) == ("no models\n", 0)


def test_a_dry_run_changes_nothing_and_sends_no_signal(host, alice, file):
    register(alice, "old")
    before, sent = host.rows("models"), []
    receiver = lambda *_args, **_facts: sent.append(1)  # noqa: E731
    for signal in (signals.created, signals.updated):
        signal.connect(receiver)
    lines = file(line(host), line(host, model_id="old", model_name="new"))

    output, status = host.run("import", "--dry-run", "--on-conflict", "update", lines)

    for signal in (signals.created, signals.updated):
        signal.disconnect(receiver)
    assert (acts(output), status) == (["create", "update"], 0)
    assert output.splitlines()[-1] == "1 create, 1 update; nothing was changed"
    assert (host.rows("models"), sent) == (before, [])


def test_an_imports_signals_are_sent_after_the_commit(host, file):
    told = []

    def receiver(_app, **facts):
        with host.app.app_context():
            told.append((facts["event"], facts["model_id"], len(host.rows("models"))))

    signals.created.connect(receiver)
    host.run("import", file(line(host, model_id="a"), line(host, model_id="b")))
    signals.created.disconnect(receiver)

    assert told == [("created", "a", 2), ("created", "b", 2)]


@pytest.mark.parametrize(
    ("policy", "act", "status"),
    [("error", "fail", 1), ("skip", "skip", 0), ("update", "update", 0)],
)
def test_a_conflict_is_handled_as_the_option_says(host, alice, file, policy, act, status):
    register(alice, "gpt-4o", description="old")
    before = host.rows("models")
    lines = file(line(host, description="new", is_active=False), line(host, model_id="more"))

    output, exit_status = host.run("import", "--on-conflict", policy, lines)

    assert (acts(output), exit_status) == ([act, "create"], status)
    models = {each["model_id"]: each for each in listed(alice)}
    assert models["gpt-4o"]["description"] == ("new" if act == "update" else "old")
    assert models["gpt-4o"]["is_active"] is (act != "update")
    assert ("more" in models) is (status == 0)
    if act != "update":
        assert host.rows("models")[: len(before)] == before


def test_an_import_that_is_repeated_changes_nothing(host, alice, file):
    lines = file(
        line(host, api_key=..., abilities=["chat"]),
        line(host, model_id="b", model_provider="claude"),
        line(host, model_id="c", base_url=URL),
    )
    host.run("import", lines)
    before = host.rows("models")

    output, status = host.run("import", "--on-conflict", "update", lines)

    assert (acts(output), status) == (["keep"] * 3, 0)
    assert host.rows("models") == before


def test_a_new_key_or_the_same_for_a_new_address_is_written(host, alice, file):
    host.run("import", file(line(host), line(host, model_id="b")))
    lines = file(line(host, api_key="another"), line(host, model_id="b", base_url=URL))

    output, status = host.run("import", "--on-conflict", "update", lines)

    assert (acts(output), status) == (["update", "update"], 0)
    with host.app.app_context():
        alice_herself = host.load("alice")
        keys = [host.registry.resolve(each, user=alice_herself) for each in ("gpt-4o", "b")]
    assert [each.api_key.reveal() for each in keys] == ["another", CANARY]


def test_a_key_that_does_not_open_is_replaced_by_an_import(host, alice, file):
    host.run("import", file(line(host)))
    host.execute(host.registry.tables.models.update().values(ciphertext=b"x"))

    output, status = host.run("import", "--on-conflict", "update", file(line(host)))

    assert (acts(output), status) == (["update"], 0)
    assert host.run("verify-keys")[1] == 0


def test_a_skipped_line_is_not_checked(hosts, file):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    host.user("alice", is_admin=True)
    local = line(host, base_url="http://localhost/v1", share_with_users=True)
    host.run("import", file(local))
    users = host.registry.tables.user_key.table
    host.execute(users.update().values(is_admin=False))
    lines = file(local, line(host, api_key="sk-***", temperature="hot"))

    later = host.again(MODEL_REGISTRY_ALLOWED_HOSTS=[])
    output, status = later.run("import", "--on-conflict", "skip", lines)

    assert (acts(output), status) == (["skip", "skip"], 0)
    later.close()


@pytest.mark.parametrize(
    ("policy", "act"), [("error", "fail"), ("skip", "skip"), ("update", "fail")]
)
def test_another_users_shared_model_is_a_conflict(host, admin, file, policy, act):
    register(admin, "shared", share_with_users=True)
    host.user("boss", is_admin=True)
    lines = file(line(host, whose="boss", model_id="shared", share_with_users=True))

    output, status = host.run("import", "--on-conflict", policy, lines)

    assert (acts(output), status) == ([act], int(act == "fail"))
    assert ("already shared with everyone" in output) is (act == "fail")
    assert [row.owner_id for row in host.rows("models")] == [host.user("admin")]


def test_a_conflict_is_reported_with_its_fix(host, alice, file):
    register(alice, "gpt-4o")

    output, _ = host.run("import", file(line(host)))

    assert "gpt-4o: The owner has this model already; see --on-conflict." in output


def test_a_stored_key_goes_to_no_new_address_by_an_import(host, alice, file):
    register(alice, "gpt-4o", base_url=URL)
    before = host.rows("models")
    for address in ("https://evil.example.com/v1", None):
        lines = file(line(host, api_key=..., base_url=address))

        output, status = host.run("import", "--on-conflict", "update", lines)

        assert (acts(output), status) == (["fail"], 1)
        assert "api_key: Needed again" in output
        assert host.rows("models") == before


def test_an_import_changes_no_model_of_another_user(host, admin, alice, bob, file):
    (shared,) = register(admin, "shared", share_with_users=True)
    (given,) = register(admin, "given")
    admin.put(f"{PREFIX}/{given}/grants/users/{host.user('alice')}", json={"can_edit": True})
    before = [row for row in host.rows("models") if row.owner_id == host.user("admin")]
    boss = host.client("boss", is_admin=True)
    lines = file(
        line(host, model_id="given", description="mine"),
        line(host, whose="boss", model_id="shared", share_with_users=True),
    )

    output, status = host.run("import", "--on-conflict", "update", lines)
    assert (acts(output), status) == (["create", "fail"], 1)
    assert "already shared with everyone" in output
    host.run("import", file(line(host, model_id="given", description="mine")))

    rows = host.rows("models")
    assert [row for row in rows if row.owner_id == host.user("admin")] == before
    assert [each["description"] for each in listed(alice) if each["is_owner"]] == ["mine"]
    assert [each for each in listed(boss) if each["is_owner"]] == []


def test_all_lines_can_be_imported_for_one_owner(host, alice, bob, file):
    lines = file(line(host), line(host, owner=..., model_id="b"))
    owner = str(host.user("bob"))

    output, status = host.run("import", "--owner", owner, lines)

    assert (acts(output), status) == (["create", "create"], 0)
    assert [each["is_owner"] for each in listed(bob)] == [True, True]
    assert listed(alice) == []


def test_lines_come_from_standard_input_too(host, alice):
    text = json.dumps(line(host))

    result = host.app.test_cli_runner().invoke(model_registry, ["import"], input=text)

    assert result.output == "     1  create  gpt-4o\n1 create\n"
    assert len(listed(alice)) == 1


@pytest.mark.forces_errors
def test_receivers_writes_are_kept_and_a_failing_one_undoes_nothing_else(host, alice, file):
    def receiver(_app, **facts):
        host.db.session.add(host.User(name=f"received {facts['model_id']}"))
        if facts["model_id"] == "b":
            host.db.session.flush()
            raise ValueError("a fault of the receiver's")

    signals.created.connect(receiver)
    lines = file(*(line(host, model_id=each) for each in "abc"))
    output, status = host.run("import", lines)
    signals.created.disconnect(receiver)

    assert (acts(output), status) == (["create"] * 3, 0)
    assert len(listed(alice)) == 3
    with host.app.app_context():
        names = host.db.session.scalars(sa.select(host.User.name)).all()
    assert {*names} == {"alice", "received a", "received c"}


def test_a_receiver_may_register_models_of_its_own(host, alice, file):
    told = []

    def receiver(_app, **facts):
        told.append(facts["model_id"])
        if facts["model_id"] == "a":
            with host.app.app_context():
                host.registry.create(user=host.load("alice"), **model(model_id="of-receiver"))
                told.append("returned")
                host.db.session.commit()

    signals.created.connect(receiver)
    host.run("import", file(line(host, model_id="a"), line(host, model_id="b")))
    signals.created.disconnect(receiver)

    assert told == ["a", "of-receiver", "returned", "b"]
    assert len(listed(alice)) == 3


@pytest.mark.parametrize("given", [[], ["--output", "-"]], ids=["piped", "to -"])
def test_secrets_can_be_piped(host, alice, given):
    register(alice, "m")

    result = host.app.test_cli_runner().invoke(model_registry, ["export", "--with-secrets", *given])

    assert json.loads(result.output)["api_key"] == CANARY
    assert not Path("-").exists()


def test_an_export_that_breaks_off_leaves_nothing(host, alice, tmp_path, monkeypatch):
    register(alice, "a", "b")
    path = tmp_path / "out.jsonl"
    seen = []

    def line_of(*_args, **_options):
        seen.append([*map(str, tmp_path.iterdir()), path.read_text()])
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone away"))

    monkeypatch.setattr("flask_model_registry.services.export.Export._model", line_of)

    output, status = host.run("export", "--output", str(path))

    assert (status, "gone away" in output) == (1, True)
    assert [*tmp_path.iterdir()] == []
    assert (sorted(seen[0][:2]), seen[0][2]) == ([str(path), f"{path}.part"], "")


def test_an_export_keeps_what_is_there(host, tmp_path):
    for name in ("out.jsonl", "out.jsonl.part"):
        (tmp_path / name).write_text("kept")

        output, status = host.run("export", "--output", str(tmp_path / "out.jsonl"))

        assert (status, "File exists" in output) == (1, True)
        assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(name, "kept")]
        (tmp_path / name).unlink()


@pytest.mark.parametrize("owner", ["", "987654"])
def test_an_unknown_owner_is_not_the_one_in_the_line(host, alice, file, owner):
    lines = file(line(host), line(host, owner=..., model_id="b"))

    output, status = host.run("import", "--owner", owner, lines)

    assert (acts(output), status) == (["fail", "fail"], 1)
    assert listed(alice) == []


GIFT = {"model_id": "gpt-4o", "share_with_users": True, "api_key": ...}


def test_an_import_accepts_no_gift(host, alice, admin, file):
    (row_id,) = register(alice, "gpt-4o")
    alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("admin"))})
    before = host.rows("models")

    output, status = host.run(
        "import", "--on-conflict", "update", file(line(host, "admin", **GIFT))
    )

    assert (acts(output), status) == (["fail"], 1)
    assert "may be a gift" in output
    assert host.rows("models") == before
    assert alice.get(f"{PREFIX}/by-id/gpt-4o").status_code == 404


@pytest.mark.parametrize("fields", [{"is_active": False}, {"api_key": None}, {"api_key": CANARY}])
def test_an_import_may_switch_on_a_model_without_another_users_key(
    host, alice, admin, file, fields
):
    (row_id,) = register(alice, "gpt-4o")
    alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("admin"))})

    output, status = host.run(
        "import", "--on-conflict", "update", file(line(host, "admin", **{**GIFT, **fields}))
    )

    assert (acts(output), status) == (["update"], 0)


def test_an_invalid_owner_fails_only_its_own_line(host, alice, file):
    lines = file(line(host, owner="9" * 30), line(host, model_id="b"), line(host, owner="x"))

    output, status = host.run("import", lines)

    assert (acts(output), status) == (["fail", "create", "fail"], 1)
    assert host.rows("models") == []


def test_the_owner_option_overrides_the_owner_in_a_line(host, alice, bob, file):
    lines = file(line(host, owner=7), line(host, owner=None, model_id="b"))

    output, status = host.run("import", "--owner", str(host.user("bob")), lines)

    assert (acts(output), status) == (["create", "create"], 0)
    assert len(listed(bob)) == 2


def test_a_user_of_another_class_is_not_an_owner(hosts, file):
    host = hosts(kind="joined inheritance")
    with host.app.app_context():
        bare = sa.inspect(host.User).inherits.class_(kind="party")
        host.db.session.add(bare)
        host.db.session.commit()
        key = str(bare.id)

    output, status = host.run("import", file({**model(), "owner": key}))

    assert (acts(output), status) == (["fail"], 1)
    assert "There is no such user" in output


@pytest.mark.forces_errors
def test_a_database_that_fails_half_way_keeps_nothing(host, alice, file, monkeypatch):
    made = []
    insert = host.services.models.create

    def create(actor, fields):
        if made:
            raise sa.exc.OperationalError("INSERT", {}, Exception("gone away"))
        made.append(insert(actor, fields))
        return made[0]

    monkeypatch.setattr(
        "flask_model_registry.services.models.ModelService.create",
        lambda _self, *args: create(*args),
    )
    output, status = host.run("import", file(line(host), line(host, model_id="b")))

    assert status == 1
    assert output.splitlines()[-1].startswith("Error: the database failed: 'gone away'")
    assert listed(alice) == []


def test_the_report_shows_no_secret(host, file):
    lines = file(line(host), line(host, api_key=CANARY + "\x00"), {"api_key": CANARY, CANARY: 1})

    output, status = host.run("import", lines)

    assert status == 1
    assert traces([output]) == []


def test_the_line_of_the_documentation_seeds_an_app(host, admin, bob, file):
    page = Path(__file__).parent.parent / "docs" / "move.md"
    section = "Move models between apps, or seed a new one"
    shown, *_ = blocks(page, "json", section)

    output, status = host.run("import", "--owner", str(host.user("admin")), file(shown.encode()))

    assert (acts(output), status) == (["create"], 0)
    assert [each["model_id"] for each in listed(bob)] == ["gpt-4o"]
    assert "     1  create  gpt-4o\n" in blocks(page, "text", section)[0]
