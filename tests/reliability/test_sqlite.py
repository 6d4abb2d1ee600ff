"""Many writers at once on SQLite: each is done, refused or told to wait, and none is lost."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from flask_model_registry import configure_sqlite
from tests.doc_runner import ROOT, blocks
from tests.hosts import PREFIX, make_host, model
from tests.reliability.servers import wait_for
from tests.software.conftest import program

WRITERS, WRITES = 8, 12
# In a process of its own, because the limit holds for all files that a process writes.
LIMITED = """
import json, pathlib, resource, sys
from flask_model_registry import configure_sqlite
from tests.hosts import PREFIX, make_host, model

path = pathlib.Path(sys.argv[1])
host = make_host(f"sqlite:///{path}")
if sys.argv[2] == "wal":
    with host.app.app_context():
        host.db.engine.dispose()
        configure_sqlite(host.db.engine)
client = host.client("alice")
body = model(description="d" * 2000)
client.post(f"{PREFIX}/register", json={**body, "model_id": "first"})
size = max(each.stat().st_size for each in path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, resource.RLIM_INFINITY))
answers = []
while not answers or answers[-1].status_code == 201:
    answers.append(client.post(f"{PREFIX}/", json={**body, "model_id": f"m{len(answers)}"}))
listed = client.get(f"{PREFIX}/?limit=100")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
again = client.post(f"{PREFIX}/", json={**body, "model_id": "again"})
told = [answers[-1].status_code, answers[-1].headers["Retry-After"], again.status_code]
print(json.dumps([*told, len(listed.json) - len(answers)]))
"""


@pytest.fixture(params=["default", "configured"])
def host(request, tmp_path, canary):
    host = make_host(f"sqlite:///{tmp_path / 'host.sqlite'}")
    if request.param == "configured":
        with host.app.app_context():
            host.db.engine.dispose()
            configure_sqlite(host.db.engine, busy_timeout=60)
    host.is_configured = request.param == "configured"
    yield host
    canary(host.app)
    host.close()


@pytest.mark.forces_errors
def test_no_write_is_lost_or_done_twice(host):
    tokens = [host.token(f"user {number}") for number in range(WRITERS)]

    def write(number):
        client = host.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens[number]}"
        # Each tries every second one twice, so that there are conflicts too.
        ids = [f"m{each * 2 // 3}" for each in range(WRITES)]
        return [
            (each, client.post(f"{PREFIX}/", json=model(model_id=each)).status_code) for each in ids
        ]

    with ThreadPoolExecutor(WRITERS) as threads:
        told = [*threads.map(write, range(WRITERS))]

    statuses = Counter(status for each in told for _, status in each)
    made = {
        (number, model_id) for number, each in enumerate(told) for model_id, s in each if s == 201
    }
    assert {*statuses} <= ({201, 409} if host.is_configured else {201, 409, 503})
    assert len(made) == statuses[201]
    assert len(host.rows("models")) == statuses[201]
    if host.is_configured:
        assert statuses[201] == WRITERS * len({f"m{each * 2 // 3}" for each in range(WRITES)})


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sqlite3 names no causes before")
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_limit_on_the_size_of_files_is_no_room(tmp_path, journal):
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "host.sqlite"), journal]

    result = subprocess.run(command, capture_output=True, text=True, timeout=600)

    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout) == [507, "60", 201, 0]


def test_what_it_sets_is_set_for_each_connection(host):
    with host.app.app_context(), host.db.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
        in_transaction = connection.connection.dbapi_connection.in_transaction

    if host.is_configured:
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000}
    else:  # nothing is done unasked
        assert pragmas == {"journal_mode": "delete", "foreign_keys": 0, "busy_timeout": 5_000}
    assert in_transaction is host.is_configured


def test_a_rollback_undoes_what_was_written_in_a_savepoint(host):
    host.user("alice")
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **model())
        host.db.session.rollback()

    assert host.rows("models") == []


@pytest.mark.forces_errors  # without `configure_sqlite` a request may wait for too long: 503
def test_a_backup_by_the_page_is_whole_while_the_app_writes(host, tmp_path):
    program("sqlite3", "sqlite3")
    commands = blocks(ROOT / "docs" / "databases.md", "sh", "SQLite")
    backup = next(each for each in commands if "backup" in each)
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "app.sqlite").symlink_to(tmp_path / "host.sqlite")
    # Larger than what `.backup` copies before it lets others write, which makes it begin again.
    host.execute(sa.text("CREATE TABLE of_the_host AS SELECT zeroblob(20000000) AS file"))
    tokens = [host.token(f"user {number}") for number in range(2)]
    done, acknowledged = threading.Event(), []

    def write(token):
        client = host.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        number = 0
        while not done.is_set():
            number += 1
            answer = client.post(f"{PREFIX}/", json=model(model_id=f"m{number}"))
            if answer.status_code == 201:
                acknowledged.append(answer.json["id"])

    with ThreadPoolExecutor(len(tokens)) as threads:
        writing = [threads.submit(write, token) for token in tokens]
        try:
            for _ in range(8):
                expected = len(acknowledged)
                wait_for(lambda: len(acknowledged) > expected)  # noqa: B023  # in this round
                (tmp_path / "backup.sqlite").unlink(missing_ok=True)
                subprocess.run(
                    ["bash", "-ec", backup.partition("flask ")[0]],
                    cwd=tmp_path, check=True, timeout=600,
                )  # fmt: skip
                stored, last = counted(tmp_path / "backup.sqlite")
                assert stored >= expected
                assert last >= stored  # SQLite gives no id again
        finally:
            done.set()
    assert [each.exception() for each in writing] == [None] * len(tokens)
    assert len(acknowledged) == len(host.rows("models")) >= stored > 0


def counted(path):
    """Return how many models a database has, and the last id that it has given."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute(
            "SELECT count(*), (SELECT seq FROM sqlite_sequence WHERE name = 'model_registry_models')"
            " FROM model_registry_models"
        ).fetchone()


def test_other_databases_are_left_alone(monkeypatch):
    engine = sa.create_engine("postgresql+psycopg://unknown@localhost/none")
    monkeypatch.delattr(sa.event, "listen")

    configure_sqlite(engine)
