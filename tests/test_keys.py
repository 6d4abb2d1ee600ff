"""Encryption keys over the years: checked at first use, listed, verified, rotated."""

import contextlib
import itertools
import logging
import re
import socket
import uuid

import pytest
import sqlalchemy as sa

from flask_model_registry import ConfigError, UnreadableCredentialError
from flask_model_registry.cli import new_key
from flask_model_registry.config import EncryptionKey
from flask_model_registry.console import connected
from flask_model_registry.services.encryption import AesGcmBox
from flask_model_registry.services.rotation import Rotation
from flask_model_registry.users import Users
from flask_model_registry.web.transactions import retrying
from tests.conftest import traces_of_encryption_keys
from tests.hosts import (
    CANARY,
    COMMANDS,
    NEW,
    OLD,
    PREFIX,
    create_app,
    declare,
    granted,
    key_id,
    keys,
    make_host,
    model,
    register,
    services_of,
)


def stored(host):
    return sorted((row._asdict() for row in host.rows("models")), key=lambda row: row["id"])


def opened(host, *model_ids):
    """Return the API keys of alice's models."""
    with host.app.app_context():
        alice = host.load("alice")
        return [host.registry.resolve(each, user=alice).api_key.reveal() for each in model_ids]


def change(host, model_id, **columns):
    table = host.registry.tables.models
    host.execute(table.update().where(table.c.model_id == model_id).values(**columns))


# --- the check at first use


def test_the_first_request_reports_a_missing_encryption_key(process):
    register(process(OLD).client("alice"), "m")
    later = process(NEW)

    with later.app.app_context(), pytest.raises(ConfigError) as caught:
        later.registry.list(user=later.load("alice"))

    assert f"'{key_id(OLD)}', an encryption key that is not configured" in str(caught.value)
    assert "MODEL_REGISTRY_KEY_CHECK" in str(caught.value)


@pytest.mark.databases("sqlite")
def test_other_bytes_under_an_old_id_are_reported_with_both_fingerprints(process):
    register(process(OLD).client("alice"), "m")
    impostor = new_key("old")
    later = process(impostor)

    with later.app.app_context(), pytest.raises(ConfigError) as caught:
        later.registry.check_keys()

    assert f"'{key_id(OLD)}', but 'old' has other bytes now, '{key_id(impostor)}'" in str(
        caught.value
    )
    assert traces_of_encryption_keys([str(caught.value)], later.app) == []


@pytest.mark.forces_errors
def test_nothing_is_written_under_the_wrong_key(process):
    register(process(OLD).client("alice"), "m")
    later = process(new_key("old"))

    alice = later.client("alice")
    statuses = [
        alice.post(f"{PREFIX}/register", json=model(model_id="n")).status_code for _ in range(3)
    ]

    assert statuses == [503] * 3
    assert [row["model_id"] for row in stored(later)] == ["m"]


def test_the_check_can_be_a_warning_so_that_keys_can_be_entered_again(process, caplog):
    (row_id,) = register(process(OLD).client("alice"), "m")
    later = process(NEW, MODEL_REGISTRY_KEY_CHECK="warning")
    alice = later.client("alice")

    credential = alice.get(f"{PREFIX}/{row_id}/credential").json
    replaced = alice.put(f"{PREFIX}/{row_id}/credential", json={"api_key": CANARY})

    assert credential["status"] == "unreadable"
    assert replaced.status_code == 204
    assert opened(later, "m") == [CANARY]
    warnings = [each for each in caplog.records if each.name == "flask_model_registry"]
    assert [each.levelno for each in warnings] == [logging.WARNING] * 2
    assert key_id(OLD) in warnings[0].getMessage()
    assert warnings[1].model_registry_reason == "unknown-key"


@pytest.mark.databases("sqlite")
def test_the_check_is_made_once_for_a_process(process):
    register(process(OLD).client("alice"), "m")
    later = process(NEW, OLD)
    alice = later.client("alice")
    assert alice.get(f"{PREFIX}/").status_code == 200

    change(later, "m", key_id="lost#00000000")

    assert alice.get(f"{PREFIX}/").status_code == 200


def test_the_check_waits_for_tables(empty_databases, hosts):
    host = hosts(config=keys(OLD))
    with host.app.app_context():
        host.db.drop_all()
        with pytest.raises(sa.exc.DBAPIError):
            host.registry.check_keys()
        host.db.session.rollback()
        host.db.create_all()
        host.registry.check_keys()


@pytest.mark.databases("sqlite")
def test_the_check_of_a_box_that_does_not_name_its_keys_passes(hosts):
    class Nameless:
        def seal(self, plaintext, context):
            return plaintext[::-1].encode()

        def open(self, blob, context):
            return blob.decode()[::-1]

    host = hosts(secret_box=Nameless())
    register(host.client("alice"), "m")

    assert opened(host, "m") == [CANARY]
    assert host.run("list-keys") == ("       1  seals    None\n", 0)
    assert host.run("verify-keys")[1] == 0
    output, status = host.run("rotate-keys")
    assert (status, "has no key_id" in output) == (1, True)


@pytest.mark.databases("sqlite")
def test_the_setting_of_the_check_is_checked(process):
    with pytest.raises(ConfigError, match="'error' or 'warning'"):
        process(OLD, MODEL_REGISTRY_KEY_CHECK="off")


# --- rotation


def test_rotation_changes_the_ciphertext_and_its_name_and_nothing_else(process):
    old = process(OLD)
    alice = old.client("alice")
    register(alice, "a", "b", base_url="https://a.example.com/v1", abilities=["chat"])
    alice.patch(f"{PREFIX}/by-id/b", json={"description": "changed"})
    before = stored(old)

    output, status = process(NEW, OLD).run("rotate-keys")

    after = stored(old)
    assert status == 0
    assert f"2 API keys were encrypted again, with {key_id(NEW)}." in output
    for was, now in zip(before, after, strict=True):
        assert {name for name in was if was[name] != now[name]} == {"ciphertext", "key_id"}
        assert now["key_id"] == key_id(NEW)
    assert opened(process(NEW), "a", "b") == [CANARY, CANARY]


def test_rotation_leaves_models_without_a_key_alone(process):
    old = process(OLD)
    (row_id,) = register(old.client("alice"), "m")
    old.client("alice").delete(f"{PREFIX}/{row_id}/credential")
    before = stored(old)

    output, status = process(NEW, OLD).run("rotate-keys")

    assert (stored(old), status) == (before, 0)
    assert f"0 API keys were encrypted again, with {key_id(NEW)}.\n" in output


def test_rotation_goes_through_all_pages(process, subtests):
    old, new = process(OLD, NEW), process(NEW, OLD)
    register(old.client("alice"), *map("m{}".format, range(7)))

    for host, size in (new, "1"), (old, "2"), (new, "7"), (old, "1000"):
        with subtests.test(size=size):
            output, _ = host.run("rotate-keys", "--batch-size", size)

            assert "7 API keys were encrypted" in output
            assert {row["key_id"] for row in stored(old)} == {key_id(NEW if host is new else OLD)}


def test_rotation_from_several_keys_at_once(process):
    middle = new_key("middle")
    register(process(OLD).client("alice"), "a")
    register(process(middle, OLD).client("alice"), "b")
    register(process(NEW, middle, OLD).client("alice"), "c")

    output, _ = process(NEW, middle, OLD).run("rotate-keys")

    assert "\n2 API keys were encrypted" in output
    assert opened(process(NEW), "a", "b", "c") == [CANARY] * 3


def test_a_dry_run_opens_all_and_changes_nothing(process):
    old = process(OLD)
    register(old.client("alice"), "a", "b")
    change(old, "b", ciphertext=b"broken")
    before = stored(old)

    output, status = process(NEW, OLD).run("rotate-keys", "--dry-run")

    assert stored(old) == before
    assert f"1 API keys would be encrypted with {key_id(NEW)}." in output
    assert ("'b'" in output, status) == (True, 1)


def test_a_row_that_does_not_open_is_listed_and_left_as_it_is(process):
    old = process(OLD)
    ids = register(old.client("alice"), "a", "b", "c")
    change(old, "b", ciphertext=b"broken")

    output, status = process(NEW, OLD).run("rotate-keys")

    assert status == 1
    assert (
        output.count(f"model {ids[1]} 'b' of user '{old.user('alice')}' on '{key_id(OLD)}': ") == 1
    )
    assert f"\n2 API keys were encrypted again, with {key_id(NEW)}.\n" in output
    assert stored(old)[1]["ciphertext"] == b"broken"
    assert [row["key_id"] for row in stored(old)] == [key_id(NEW), key_id(OLD), key_id(NEW)]


def test_a_row_on_a_key_that_is_gone_is_listed(process):
    register(process(OLD).client("alice"), "m")

    output, status = process(NEW).run("rotate-keys")

    assert (status, f"'{key_id(OLD)}', which is not configured" in output) == (1, True)


class Meddling(AesGcmBox):
    """A box that runs a function whenever a key has been decrypted."""

    def open(self, blob, context):
        plaintext = super().open(blob, context)
        self.happens()
        return plaintext


@pytest.fixture
def boxed(process):
    """Start the same host with a box of some class in place of the built-in one."""
    made = []

    def start(kind, *entries):
        box = kind([EncryptionKey.parse(entry) for entry in entries])
        url = process(OLD).app.config["SQLALCHEMY_DATABASE_URI"]
        made.append(create_app(declare(secret_box=box), url))
        return made[-1], box

    yield start
    for host in made:
        host.close()


def test_a_row_changed_meanwhile_is_not_overwritten(process, boxed):
    old = process(OLD)
    register(old.client("alice"), "a", "b")
    rotating, box = boxed(Meddling, NEW, OLD)
    alice, times = old.client("alice"), []

    def enter_another_key():
        if not times:
            times.append(1)
            alice.put(f"{PREFIX}/by-id/a", json=model(model_id="a", api_key=f"{CANARY}-second"))

    box.happens = enter_another_key
    output, status = rotating.run("rotate-keys")

    assert (times, status) == ([1], 0)
    assert "\n2 API keys were encrypted" in output
    assert opened(process(NEW), "a", "b") == [f"{CANARY}-second", CANARY]


def test_a_row_deleted_meanwhile_is_ignored(process, boxed):
    old = process(OLD)
    register(old.client("alice"), "a", "b")
    rotating, box = boxed(Meddling, NEW, OLD)
    box.happens = lambda: old.client("alice").delete(f"{PREFIX}/by-id/a")

    output, status = rotating.run("rotate-keys")

    assert (status, "1 API keys" in output) == (0, True)


@pytest.mark.databases("sqlite")
def test_a_new_blob_is_decrypted_and_compared_before_it_is_stored(process, boxed):
    class Broken(AesGcmBox):
        def seal(self, plaintext, context):
            return super().seal("something else", context)

    old = process(OLD)
    register(old.client("alice"), "m")
    before = stored(old)
    rotating, _ = boxed(Broken, NEW, OLD)

    output, status = rotating.run("rotate-keys")

    assert (status, "can't decrypt what it encrypted" in output) == (1, True)
    assert stored(old) == before


def test_a_box_that_fails_stops_the_rotation_and_blames_no_row(process, boxed):
    class Away(AesGcmBox):
        def open(self, blob, context):
            raise TimeoutError("the key server is away")

    old = process(OLD)
    register(old.client("alice"), "m")
    before = stored(old)
    rotating, _ = boxed(Away, NEW, OLD)

    with pytest.raises(TimeoutError):
        rotating.run("rotate-keys")

    assert stored(old) == before


def test_a_row_without_the_name_of_a_key_is_not_passed_over(process):
    old = process(OLD)
    (row_id,) = register(old.client("alice"), "m")
    change(old, "m", key_id=None)

    output, status = process(NEW, OLD).run("rotate-keys")

    assert (f"model {row_id} 'm' of" in output, status) == (True, 1)


@pytest.mark.databases("sqlite")
def test_a_box_that_begins_to_name_its_keys_rotates(hosts):
    class Reversing:
        def seal(self, plaintext, context):
            return plaintext[::-1].encode() + context.encode()

        def open(self, blob, context):
            return blob.removesuffix(context.encode()).decode()[::-1]

    box = Reversing()
    host = hosts(secret_box=box)
    register(host.client("alice"), "a", "b")
    box.key_id = "first"

    output, status = host.run("rotate-keys")

    assert ("2 API keys were encrypted again, with first." in output, status) == (True, 0)
    assert opened(host, "a", "b") == [CANARY, CANARY]


@pytest.mark.parametrize(
    "names",
    [{"key_id": name} for name in (2, "", "k" * 256, "schl\u00fcssel", "a b", b"k")]
    + [{"key_id": "k", "key_ids": ids} for ids in ([1], ["j"], ["k", None])]
    + [{"key_ids": ["k"]}],
    ids=range(10),
)
def test_a_box_whose_names_a_database_may_not_keep_is_refused(tmp_path, names):
    box = type("Box", (), names)()

    with pytest.raises(ConfigError, match="secret_box"):
        create_app(declare(secret_box=box), f"sqlite:///{tmp_path / 'x'}")


BEFORE_B = {
    "sqlite": "CREATE TRIGGER keep BEFORE UPDATE ON model_registry_models "
              "WHEN OLD.model_id = 'b' BEGIN SELECT {}; END",
    "postgresql": "CREATE FUNCTION keep() RETURNS trigger AS 'BEGIN IF OLD.model_id = ''b'' "
                  "THEN {}; END IF; RETURN NEW; END' LANGUAGE plpgsql; "
                  "CREATE TRIGGER keep BEFORE UPDATE ON model_registry_models "
                  "FOR EACH ROW EXECUTE FUNCTION keep()",
    "mariadb": "CREATE TRIGGER keep BEFORE UPDATE ON model_registry_models FOR EACH ROW "
               "IF OLD.model_id = 'b' THEN {}; END IF",
}  # fmt: skip
REFUSE = {
    "sqlite": "RAISE(ABORT, 'keep b')",
    "postgresql": "RAISE ''keep b''",
    "mariadb": "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'keep b'",
}
SWALLOW = {"sqlite": "RAISE(IGNORE)", "postgresql": "RETURN NULL"}  # raises nothing


@pytest.mark.sampled(2)
@pytest.mark.parametrize("action", [REFUSE, SWALLOW], ids=["refused", "swallowed"])
@pytest.mark.parametrize("size", ["1", "200"])
def test_a_row_that_cannot_be_changed_is_listed_and_the_others_are_sealed(
    database, process, action, size
):
    if database.name not in action:
        pytest.skip("MariaDB has no such triggers")
    old = process(OLD)
    ids = register(old.client("alice"), *"abc")
    before = stored(old)
    old.execute(sa.text(BEFORE_B[database.name].format(action[database.name])))

    output, status = process(NEW, OLD).run("rotate-keys", "--batch-size", size)

    assert ("\n2 API keys were encrypted again" in output, status) == (True, 1)
    (line,) = (each for each in output.splitlines() if "does not let it be changed" in each)
    assert line.startswith(f"model {ids[1]} 'b' of user '{old.user('alice')}' on '{key_id(OLD)}'")
    assert ("keep b" in line) == (action is REFUSE)
    assert [row["key_id"] for row in stored(old)] == [key_id(NEW), key_id(OLD), key_id(NEW)]
    assert stored(old)[1] == before[1]


def test_two_rotations_share_the_rows(process, boxed, monkeypatch):
    old, count = process(OLD), 24
    register(old.client("alice"), *map("m{}".format, range(count)))
    rotating, box = boxed(Meddling, NEW, OLD)
    other = process(NEW, OLD)
    monkeypatch.setattr(
        "flask_model_registry.services.rotation.randint", lambda *ends: sum(ends) // 2
    )

    with walking(rotating) as first, walking(other) as second:
        of_second, ended = second.rotate(), []

        def seal_a_batch():  # between the first one's read and its write
            box.happens = lambda: None
            ended.append(next(of_second, None))

        box.happens = seal_a_batch
        for progress in first.rotate():
            box.happens, mine = seal_a_batch, progress
        theirs = next(filter(None, reversed(ended)))

    assert mine.encrypted + theirs.encrypted == count
    assert mine.encrypted >= count // 3
    assert opened(process(NEW), *map("m{}".format, range(count))) == [CANARY] * count


@pytest.mark.databases("sqlite")
def test_a_later_pass_counts_on_from_what_is_done(process):
    old = process(OLD)
    register(old.client("alice"), *"abcde")
    change(old, "b", ciphertext=b"broken")

    with walking(process(NEW, OLD)) as rotation:
        *_, last = rotation.rotate()

    assert (last.processed, last.encrypted, last.problems.count) == (5, 4, 1)


@contextlib.contextmanager
def walking(host):
    """Yield a rotation in batches of two rows, as the command has it."""
    services = services_of(host.app)
    with host.app.app_context(), connected(services, autocommit=False) as connection:
        yield Rotation(connection, services.keys, batch_size=2, tries=retrying(4))


@pytest.mark.databases("sqlite")
def test_keys_that_do_not_open_are_counted_and_only_the_first_are_listed(process, monkeypatch):
    monkeypatch.setattr("flask_model_registry.services.problems._MAX_LISTED", 2)
    host = process(OLD)
    register(host.client("alice"), *"abcde")
    host.execute(host.registry.tables.models.update().values(ciphertext=b"broken"))

    for command in (["verify-keys"], ["rotate-keys", "--dry-run"], ["rotate-keys"]):
        output, status = process(NEW, OLD).run(*command)

        assert (output.count("\nmodel "), status) == (2, 1)
        assert output.endswith("\n3 more are not listed\n")


def test_a_new_key_is_written_with_its_key_id_changed_or_not(process):
    host = process(OLD)
    (row_id,) = register(host.client("alice"), "m")
    written = []
    with host.app.app_context():
        sa.event.listen(
            host.db.engine, "before_cursor_execute", lambda *args: written.append(args[2])
        )

    host.client("alice").patch(f"{PREFIX}/{row_id}", json={"api_key": CANARY})

    (update,) = (each for each in written if each.startswith("UPDATE model_registry_models"))
    assert {"ciphertext", "key_id"} <= {*re.findall(r"(\w+)=", update)}


def test_rows_on_any_other_key_id_are_found_by_the_check_and_by_rotation(process, subtests):
    register(process(OLD).client("alice"), "a", "b")
    later = process(NEW, OLD)

    for name in ("", "\t", " k", "Z", "~~~"):
        with subtests.test(name=name):
            change(later, "a", key_id=name)

            output, status = later.run("rotate-keys")

            assert (f" on {name!r}: " in output, status) == (True, 1)
            with later.app.app_context(), pytest.raises(ConfigError, match=re.escape(repr(name))):
                later.registry.check_keys()


@pytest.mark.parametrize("value", ["CAST('abc' AS TEXT)", "5", "1.5", "''"])
def test_a_value_that_is_not_a_blob_is_not_a_key(tmp_path, value):
    host = make_host(f"sqlite:///{tmp_path / 'x'}")
    (row_id,) = register(host.client("alice"), "m")
    host.execute(sa.text(f"UPDATE model_registry_models SET ciphertext = {value}"))

    output, status = host.run("verify-keys")
    credential = host.client("alice").get(f"{PREFIX}/{row_id}/credential").json
    host.close()

    assert (f"model {row_id} 'm'" in output, status) == (True, 1)
    assert credential["status"] == "unreadable"


def test_a_key_id_without_a_key_does_not_count_as_missing(process):
    register(process(OLD).client("alice"), "m")
    later = process(NEW)
    change(later, "m", ciphertext=None)

    with later.app.app_context():
        later.registry.check_keys()

    assert later.run("list-keys")[1] == 0


def test_keys_are_checked_each_time_the_host_asks(process):
    register(process(OLD).client("alice"), "m")
    later = process(NEW, OLD)
    with later.app.app_context():
        later.registry.check_keys()
    alice = later.client("alice")
    assert alice.get(f"{PREFIX}/").status_code == 200

    change(later, "m", key_id="lost#00000000")

    with later.app.app_context(), pytest.raises(ConfigError, match="'lost#00000000'"):
        later.registry.check_keys()
    # The first request of a process needs all keys; later ones go on without one that is lost.
    assert alice.get(f"{PREFIX}/").status_code == 200


def test_text_written_in_sql_cannot_control_a_terminal(process, subtests):
    host = process(OLD)
    register(host.client("alice"), "m")
    change(host, "m", key_id="\x1b]0;x\x07\x1b[2J\rfine", base_url="\x1b[2J")
    host.execute(host.registry.tables.models.update().values(model_id="\x1b[2J"))

    for command in COMMANDS:
        with subtests.test(command=command):
            output, status = host.run(*command)

            assert (status, {"\x1b", "\x07", "\r"} & {*output}) == (1, set())


# --- what SQL can do to a row


def flipped(blob, position):
    changed = bytearray(blob)
    changed[position] ^= 0x40
    return bytes(changed)


# What anyone with SQL access could do to a row, given its blob and another row's.
DAMAGES = {
    "moved": lambda blob, other: {"ciphertext": other},
    "cut short": lambda blob, _: {"ciphertext": blob[:-1]},
    "cut to nothing": lambda blob, _: {"ciphertext": b""},
    "flipped in its header": lambda blob, _: {"ciphertext": flipped(blob, 3)},
    "flipped in its nonce": lambda blob, _: {"ciphertext": flipped(blob, 8)},
    "flipped in its tag": lambda blob, _: {"ciphertext": flipped(blob, -1)},
    "relabelled": lambda *_: {"key_id": key_id(NEW)},
    "relabelled in the blob": lambda blob, _: {"ciphertext": blob.replace(b"old", b"new")},
    "relabelled in both": lambda blob, _: {
        "ciphertext": blob.replace(b"old", b"new"),
        "key_id": key_id(NEW),
    },
    "without a label": lambda *_: {"key_id": None},
    "base_url edited": lambda *_: {"base_url": "http://127.0.0.1:{port}/v1"},
    "base_url no address": lambda *_: {"base_url": "evil"},
    "base_url removed": lambda *_: {"base_url": None},
    "provider edited": lambda *_: {"base_url": None, "model_provider": "deepseek"},
    "another identity": lambda *_: {"uuid": uuid.uuid4().hex},
    "no identity": lambda *_: {"uuid": "zzz"},
    "an empty label": lambda *_: {"key_id": ""},
    "a label that clears the screen": lambda *_: {"key_id": "\x1b[2J\r\n"},
}


@pytest.fixture
def evil():
    """A server that must never get a connection."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_damaged_row_is_listed_never_sent_and_replaced_by_a_new_key(process, evil, subtests):
    here = {"base_url": "https://a.example.com/v1", "model_provider": "openai"}
    ids = register(process(OLD).client("alice"), "a", "b", **here)
    allowed = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["127.0.0.1"], "MODEL_REGISTRY_KEY_CHECK": "warning"}
    host = process(NEW, OLD, **allowed)
    alice, healthy, models = host.client("alice"), stored(host), host.registry.tables.models

    for name, damage in DAMAGES.items():
        with subtests.test(damage=name):
            for row in healthy:
                host.execute(models.update().where(models.c.id == row["id"]).values(**row))
            columns = damage(*(row["ciphertext"] for row in healthy))
            if columns.get("base_url"):
                columns["base_url"] = columns["base_url"].format(port=evil.getsockname()[1])
            change(host, "a", **columns)
            damaged = stored(host)[0]

            with pytest.raises(UnreadableCredentialError):
                opened(host, "a")
            told = alice.get(f"{PREFIX}/{ids[0]}/credential").json["status"]
            listed = [each["id"] for each in alice.get(f"{PREFIX}/").json]
            assert (told, listed) == ("unreadable", ids)
            output, status = host.run("verify-keys")
            assert (f"model {ids[0]} 'a'" in output, status) == (True, 1)
            host.run("rotate-keys")
            assert stored(host)[0] == damaged
            assert opened(host, "b") == [CANARY]

            new = alice.patch(f"{PREFIX}/{ids[0]}", json={"api_key": CANARY, **here})
            assert new.status_code == 200
            assert opened(host, "a", "b") == [CANARY, CANARY]
            assert host.run("verify-keys")[1] == 0


# --- commands


def test_keys_are_listed_with_their_counts(process):
    register(process(OLD).client("alice"), "a", "b")
    register(process(NEW, OLD).client("alice"), "c")

    assert process(NEW, OLD).run("list-keys") == (
        f"       1  seals    '{key_id(NEW)}'\n       2  opens    '{key_id(OLD)}'\n", 0,
    )  # fmt: skip
    assert process(NEW).run("list-keys") == (
        f"       1  seals    '{key_id(NEW)}'\n       2  missing  '{key_id(OLD)}'\n", 1,
    )  # fmt: skip


def test_verify_keys_counts_the_keys_that_open(process, subtests):
    register(process(OLD).client("alice"), *"abc")
    host = process(NEW, OLD)
    register(host.client("alice"), *"de")

    for size in ("1", "2", "5", "10000"):
        with subtests.test(size=size):
            output, status = host.run("verify-keys", "--batch-size", size)

            assert (output.splitlines()[-1], status) == ("5 of 5 API keys can be decrypted.", 0)


@pytest.mark.databases("sqlite")
def test_progress_does_not_overrun_when_rows_are_passed_again(process):
    old = process(OLD)
    register(old.client("alice"), *"abcd")
    old.execute(old.registry.tables.models.update().values(ciphertext=b"broken"))
    register(old.client("alice"), "e")

    output, _ = process(NEW, OLD).run("rotate-keys", "--batch-size", "1")

    told = [line.split()[0] for line in output.splitlines() if line.endswith("looked at")]
    assert told == list("12345")


@pytest.mark.databases("sqlite")
def test_a_dry_run_fails_where_a_rotation_would(hosts):
    class Box:
        def seal(self, plaintext, context):
            return b"?"

    host = hosts(secret_box=Box())
    register(host.client("alice"), "m")

    assert host.run("rotate-keys")[1] == host.run("rotate-keys", "--dry-run")[1] == 1


@pytest.mark.databases("sqlite")
def test_progress_takes_few_plain_lines_however_many_the_rows(process):
    register(process(OLD).client("alice"), *map("m{}".format, range(30)))

    output, _ = process(OLD).run("verify-keys", "--batch-size", "1")

    lines = output.splitlines()
    assert lines[:2] == ["3 of 30 looked at", "6 of 30 looked at"]
    assert len(lines) == 11


@pytest.mark.databases("sqlite")
def test_a_long_walk_estimates_its_end_in_a_line_for_each_minute(process, monkeypatch):
    host = process(OLD)
    register(host.client("alice"), *map("m{}".format, range(40)))
    monkeypatch.setattr("time.monotonic", itertools.count(step=30).__next__)

    output, _ = process(OLD).run("verify-keys", "--batch-size", "1")

    lines = [line for line in output.splitlines() if "looked at" in line]
    told = r"(\d+) of 40 looked at, 0 a second, (\d+) minutes left"
    seen = [tuple(map(int, re.fullmatch(told, line).groups())) for line in lines]
    assert len(seen) > 10  # a line for each tenth would be ten
    assert (seen[0][1] > seen[-1][1], seen[-1]) == (True, (40, 0))


@pytest.mark.databases("sqlite")
def test_a_command_reports_an_app_without_a_registry(hosts):
    host = hosts()
    del host.app.extensions["model_registry"]

    output, status = host.run("list-keys")

    assert (status, "call registry.init_app(app)" in output) == (1, True)


def test_a_command_reports_a_database_without_tables(hosts, subtests):
    host = hosts()
    with host.app.app_context():
        host.db.drop_all()

    for command in COMMANDS:
        with subtests.test(command=command):
            output, status = host.run(*command)

            assert (status, "db.create_all() or 'flask db upgrade'" in output) == (1, True)


def test_a_command_reports_a_database_that_is_away(process, subtests, tmp_path):
    url = sa.make_url(process(OLD).app.config["SQLALCHEMY_DATABASE_URI"])
    is_file = url.get_backend_name() == "sqlite"
    nowhere = url.set(database=str(tmp_path / "none" / "x")) if is_file else url.set(port=1)
    away = process(OLD, SQLALCHEMY_DATABASE_URI=nowhere)

    for command in COMMANDS:
        with subtests.test(command=command):
            output, status = away.run(*command)

            assert (status, "the database failed" in output) == (1, True)


def test_the_doctor_finds_nothing_wrong_with_a_healthy_registry(process):
    host = process(OLD)
    register(host.client("alice"), "m")

    output, status = host.run("doctor")

    assert status == 0
    assert f"API keys encrypted with '{key_id(OLD)}': 1; it encrypts new ones" in output
    assert "1 in model_registry_models" in output
    assert "setting  URL_PREFIX = /api/models" in output
    assert "setting  KEY_CHECK = error" in output
    assert "error  " not in output


@pytest.mark.databases("sqlite")
def test_the_doctor_says_what_to_do_about_keys(process):
    register(process(OLD).client("alice"), "m")
    old, new = (f"API keys encrypted with '{key_id(each)}'" for each in (OLD, NEW))

    reserve, _ = process(OLD, NEW).run("doctor")
    begun, status = process(NEW, OLD).run("doctor")
    missing, failed = process(NEW).run("doctor")
    known, went_on = process(NEW, MODEL_REGISTRY_KEY_CHECK="warning").run("doctor")
    process(NEW, OLD).run("rotate-keys")
    done, _ = process(NEW, OLD).run("doctor")

    assert f"ok       {new}: 0; put it in front to use it, or keep it for backups" in reserve
    assert f"warning  {old}: 1; run 'flask model-registry rotate-keys'" in begun
    assert (
        f"error    {old}: 1; API keys are encrypted with '{key_id(OLD)}', an encryption" in missing
    )
    assert f"warning  {old}: 1; API keys" in known
    assert "or ask the owners to enter these API keys again" in known
    assert f"ok       {old}: 0; put it in front" in done
    assert (status, failed, went_on) == (0, 1, 0)


def test_the_doctor_finds_grants_that_were_left_behind(process):
    host = process(OLD)
    (row_id,) = register(host.client("alice"), "m")
    granted(host.client("alice"), row_id, user=host.user("bob"))
    healthy, _ = host.run("doctor")

    host.execute(sa.update(host.registry.tables.models).values(model_id="renamed in SQL"))
    stale, _ = host.run("doctor")

    assert "grants are of a model" not in healthy
    assert "warning  1 grants are of a model that is gone, or whose model_id" in stale


@pytest.mark.databases("sqlite")
def test_the_doctor_does_not_trust_a_box_that_does_not_name_its_keys(hosts):
    class Box:
        key_id = "one"

    output, status = hosts(secret_box=Box()).run("doctor")

    assert ("warning  the secret_box has no key_ids; only verify-keys" in output, status) == (
        True,
        0,
    )


@pytest.mark.databases("sqlite")
def test_the_doctor_says_if_no_user_may_share_with_everyone(hosts, monkeypatch):
    host, asked = hosts(), hosts(can_share=lambda _user: False)
    known, _ = host.run("doctor")
    monkeypatch.setattr(host.registry._users, "knows_who_shares", False)

    unknown, status = host.run("doctor")

    assert "warning  no user may share models with everyone: users have no is_admin" in unknown
    assert "no user may share" not in known + asked.run("doctor")[0]
    assert status == 0
    stranger = Users(None, type("User", (), {}), lambda: None, can_share=None, groups=None)
    assert not stranger.knows_who_shares


def test_the_doctor_counts_models_that_cannot_be_called(hosts):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost", "10.0.0.0/8"]})
    alice = host.client("alice")
    first, _ = register(alice, "a", "b", base_url="http://localhost/v1")
    (waiting,) = register(alice, "c", base_url="https://10.0.0.1/v1")
    alice.delete(f"{PREFIX}/{waiting}/credential")
    (gone,) = register(alice, "d", model_provider="acme", base_url="https://a.example.com")
    models = host.registry.tables.models
    host.execute(models.update().where(models.c.id == gone).values(base_url=None))

    healthy, _ = host.run("doctor")
    later = host.again(MODEL_REGISTRY_ALLOWED_HOSTS=["10.0.0.0/8"])
    output, status = later.run("doctor")
    later.close()

    assert "setting  ALLOWED_HOSTS = ['10.0.0.0/8', 'localhost']" in healthy
    assert "ALLOWED_NETWORKS" not in healthy
    assert f"warning  2 models such as {first} cannot be called: Not a public address" in output
    assert f"warning  1 models such as {gone} cannot be called: Unknown provider. GET" in output
    assert "warning  1 models have no API key" in output
    assert ("10.0.0.1" in output, status) == (False, 0)


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_the_doctor_reads_models_in_batches_and_adds_up_what_it_finds(hosts, monkeypatch, batch):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    alice = host.client("alice")
    ids = []
    for number in range(5):  # as many base URLs
        ids += register(alice, f"m{number}", base_url=f"http://localhost/{number}")
    register(alice, "fine", base_url="https://a.example.com/v1")
    monkeypatch.setattr("flask_model_registry.services.doctor._BATCH", batch)
    later = host.again(MODEL_REGISTRY_ALLOWED_HOSTS=[])

    output, status = later.run("doctor")
    later.close()

    assert (output.count("cannot be called"), status) == (1, 0)
    assert f"warning  5 models such as {ids[0]} cannot be called: Not a public" in output


FOREIGN_KEYS = {
    (True, True): "ok       foreign keys are enforced",
    (True, False): "ok       foreign keys are enforced",
    (False, True): "ok       foreign keys are off; a trigger follows",
    (False, False): "warning  foreign keys are off, so DELETE",
}


@pytest.mark.parametrize(("enforced", "trigger"), FOREIGN_KEYS)
def test_the_doctor_knows_whether_sqlite_enforces_foreign_keys(tmp_path, enforced, trigger):
    host = make_host(f"sqlite:///{tmp_path / 'x'}")
    with host.app.app_context():
        if not trigger:
            host.execute(sa.text("DROP TRIGGER model_registry_user_deleted"))
        host.db.engine.dispose()
        switch = f"PRAGMA foreign_keys={'ON' if enforced else 'OFF'}"
        sa.event.listen(host.db.engine, "connect", lambda raw, _record: raw.execute(switch))

    output, status = host.run("doctor")
    host.close()

    assert (FOREIGN_KEYS[enforced, trigger] in output, status) == (True, 0)


def test_the_doctor_names_the_tables_that_are_missing(hosts):
    host = hosts()
    host.execute(sa.text("DROP TABLE model_registry_defaults"))

    output, status = host.run("doctor")

    assert ("upgrade' (model_registry_defaults)" in output, status) == (True, 1)


def test_the_doctor_distinguishes_a_lost_connection_from_a_missing_table(hosts):
    host = hosts()
    with host.app.app_context():
        host.db.drop_all()

        @sa.event.listens_for(host.db.engine, "handle_error")
        def lose_the_connection(context):
            context.is_disconnect = True

    output, status = host.run("doctor")

    assert ("(model_registry_" in output, status) == (False, 1)


def test_the_doctor_names_the_tables_that_lack_a_column(hosts):
    host = hosts()
    host.execute(sa.text("ALTER TABLE model_registry_grants DROP COLUMN can_edit"))

    output, status = host.run("doctor")

    assert ("upgrade' (model_registry_grants)" in output, status) == (True, 1)
