"""Each log line is documented, and has attributes that say what failed and where."""

import ast
import logging
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

import flask_model_registry
from flask_model_registry import UnavailableError
from flask_model_registry.db.failures import Failure
from tests.conftest import traces
from tests.doc_runner import ROOT
from tests.hosts import CANARY, NEW, OLD, PREFIX, model, register
from tests.reliability.faults import ERRORS, Faults

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
DATABASE = {each.value for each in Failure}
TRANSIENT = {"deadlock", "serialization", "locked"}
KINDS = {  # of the faults of tests/reliability
    "transient: locked": "locked",
    "transient: lock": "locked",
    "transient: deadlock": "deadlock",
    "transient: serialization": "serialization",
    "transient: snapshot": "serialization",
    "full": "full",
    "away: read-only": "read-only",
}


def logger_calls():
    """Yield each call of a logger: its level, what its line begins with, and the kind."""
    for path in Path(flask_model_registry.__file__).parent.rglob("*.py"):
        if path.parent.name == "testing":  # of the host's suite
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_logger(node.func):
                level = "error" if node.func.attr == "exception" else node.func.attr
                yield level.upper(), node.args[0].value.partition("%")[0], kind_of(node)


def is_logger(function):
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return False
    name = getattr(function.value, "attr", None) or getattr(function.value, "id", "")
    return re.fullmatch(r"_?(log|logger|logging)", name) is not None


def kind_of(call):
    """Return the kind in ``extra``, or ``None`` if it depends on the failure."""
    (extra,) = [each.value for each in call.keywords if each.arg == "extra"]
    argument = extra.args[0] if isinstance(extra, ast.Call) else extra.values[0]
    return argument.value if isinstance(argument, ast.Constant) else None


def documented():
    text = (ROOT / "docs" / "deploy.md").read_text().partition("### All lines")[2]
    rows = re.findall(r"^\| `(model registry: .*)` \| ([A-Z]+) \| (.*) \|$", text, re.MULTILINE)
    return [(line, level, {*re.findall(r"`([\w-]+)`", kinds)}) for line, level, kinds in rows], text


def test_every_logger_call_is_on_the_page_and_the_page_has_no_other():
    rows, text = documented()
    calls, met = [*logger_calls()], set()

    for level, beginning, kind in calls:
        found = [
            (line, each)
            for line, each, kinds in rows
            if each == level
            and (line.startswith(beginning) or beginning.startswith(line.rstrip("…")))
            and (kind in kinds if kind else kinds <= DATABASE)
        ]
        assert len(found) == 1, (level, beginning, kind)
        met.update(found)

    assert len(calls) == len(rows) == len(met)
    assert [kinds for line, _, kinds in rows if "database failure" in line] == [DATABASE, TRANSIENT]
    headings = re.findall(r"^#### (.*)$", text, re.MULTILINE)
    assert {kind for each in headings for kind in each.split(", ")} == set().union(
        *(kinds for _, _, kinds in rows)
    )


@pytest.fixture
def records(caplog):
    """Return what is in the log at the default level, with the library's attributes."""

    def told():
        return [
            (
                each.levelname,
                {
                    name.removeprefix("model_registry_"): value
                    for name, value in vars(each).items()
                    if name.startswith("model_registry_")
                },
            )
            for each in caplog.records
            if each.levelno >= logging.WARNING and hasattr(each, "model_registry_kind")
        ]

    return told


@pytest.mark.forces_errors
def test_a_failure_of_the_database_says_its_kind_and_the_request(host, database, alice, records):
    with host.app.app_context():
        faults = Faults(host.db.engine)
    where = {"method": "POST", "endpoint": "model_registry.register", "request_id": "req-1/a:b"}

    for number, fault in enumerate(ERRORS[database.name]):
        before = len(records())
        with faults.at(2, fault):
            answer = alice.post(
                f"{PREFIX}/register",
                json=model(model_id=f"m{number}"),
                headers={"X-Request-ID": "req-1/a:b"},
            )
        (told,) = records()[before:]
        level = "WARNING" if fault.startswith("transient") else "ERROR"
        assert told == (level, {"kind": KINDS.get(fault, "away"), **where})
        assert (answer.status_code == 201) == (level == "WARNING"), fault


@pytest.mark.forces_errors
def test_a_request_id_that_could_forge_a_line_is_left_out(host, alice, records):
    with host.app.app_context():
        faults = Faults(host.db.engine)
    forged = ["two words", "\xe9", "x" * 129, ""]

    for request_id in forged:
        with faults.at(1, "full"):
            alice.get(f"{PREFIX}/", headers={"X-Request-ID": request_id})

    where = {"method": "GET", "endpoint": "model_registry.models"}
    assert records() == [("ERROR", {"kind": "full", **where})] * len(forged)


@pytest.mark.forces_errors
def test_a_record_factory_of_the_hosts_own_may_set_the_usual_names(host, alice, records):
    make = logging.getLogRecordFactory()

    def of_the_host(*args, **options):
        record = make(*args, **options)
        vars(record).update(kind="k", method="m", endpoint="e", request_id="r")
        return record

    with host.app.app_context():
        faults = Faults(host.db.engine)
    logging.setLogRecordFactory(of_the_host)
    try:
        with faults.at(1, "full"):
            answer = alice.get(f"{PREFIX}/", headers={"X-Request-ID": "theirs"})
    finally:
        logging.setLogRecordFactory(make)

    assert answer.status_code == 507
    assert records()[0][1]["request_id"] == "theirs"


@pytest.mark.forces_errors
def test_a_missing_encryption_key_is_one_line_for_each_request(process, caplog, records):
    register(process(OLD).client("alice"), "m")
    later = process(NEW)
    alice = later.client("alice")

    answers = [alice.get(f"{PREFIX}/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503] * 2
    where = {"method": "GET", "endpoint": "model_registry.models"}
    assert records() == [("ERROR", {"kind": "key-missing", **where})] * 2
    assert [each.exc_info for each in caplog.records if each.levelname == "ERROR"] == [None] * 2
    assert "an encryption key that is not configured" not in answers[0].text


@pytest.mark.forces_errors
def test_a_receiver_and_a_secret_box_say_their_kind(hosts, records):
    class Away:
        key_id = "away"

        def seal(self, plaintext, context):
            raise UnavailableError(CANARY)

        open = seal

    def fails(app, **facts):
        raise RuntimeError("a receiver fails")

    away = hosts(secret_box=Away())
    host = hosts()
    with flask_model_registry.signals.created.connected_to(fails):
        register(host.client("alice"), "m")

    away.client("alice").post(f"{PREFIX}/register", json=model())

    where = {"method": "POST", "endpoint": "model_registry.register"}
    assert records() == [
        ("ERROR", {"kind": "receiver-failed", **where}),
        ("ERROR", {"kind": "secret-box", **where}),
    ]
    assert traces([str(each) for each in records()]) == []


def test_sqlite_without_foreign_keys_says_its_kinds(hosts, database, records):
    if database.name != "sqlite":
        pytest.skip("the others follow deletions by themselves")
    host = hosts()
    with host.app.app_context(), host.db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER model_registry_user_deleted")
    register(host.client("alice"), "m")
    with host.app.app_context():
        host.db.engine.dispose()  # the next connections have no trigger of the registry's
        with host.db.engine.begin() as connection:
            connection.execute(sa.delete(host.User))
        host.db.session.add(host.User(id=host.users["alice"], name="new"))
        host.db.session.commit()

    assert [told["kind"] for _, told in records()] == ["foreign-keys-off", "user-reused"]


@pytest.mark.forces_errors
def test_a_key_that_cannot_be_decrypted_says_why(process, records):
    """Unless a command reads it, which prints the reason itself."""
    host = process(OLD)
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    (row,) = host.rows("models")
    other = bytearray(row.ciphertext)
    other[-1] ^= 1
    written = {
        "changed-or-moved": {"ciphertext": bytes(other)},
        "format": {"ciphertext": b"x"},
        "unknown-key": {"ciphertext": row.ciphertext.replace(b"old", b"odd", 1)},
    }

    for columns in written.values():
        host.execute(host.registry.tables.models.update().values(columns))
        assert alice.get(f"{PREFIX}/{row_id}/credential").json["status"] == "unreadable"
        assert host.run("verify-keys")[1] == 1

    assert records() == [
        ("WARNING", {"kind": "key-unreadable", "reason": reason}) for reason in written
    ]
