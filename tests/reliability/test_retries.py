"""What is retried and what is not. A retry never loses what the host app has written."""

import pytest
import sqlalchemy as sa

from flask_model_registry import signals
from flask_model_registry.web import transactions
from tests.hosts import PREFIX, model
from tests.reliability.faults import ERRORS, Faults


@pytest.fixture
def transient(database):
    return next(iter(ERRORS[database.name]))


@pytest.fixture
def faults(host):
    host.client("alice")
    with host.app.app_context():
        return Faults(host.db.engine)


@pytest.fixture
def failing_commits(faults, transient):
    """Let the first commit fail, and collect all of them."""
    commits, commit = [], faults.engine.dialect.do_commit

    def fail_once(connection):
        commits.append(connection)
        if len(commits) == 1:
            raise ERRORS[faults.database][transient]()
        return commit(connection)

    faults.engine.dialect.do_commit = fail_once
    yield commits
    del faults.engine.dialect.do_commit


@pytest.mark.forces_errors
def test_a_request_is_tried_four_times_and_no_more(host, faults, transient, caplog):
    tries = []

    def fail(connection):
        tries.append(1)
        raise ERRORS[faults.database][transient]()

    faults.engine.dialect.do_commit = fail
    answer = host.client("alice").post(f"{PREFIX}/register", json=model())
    del faults.engine.dialect.do_commit

    assert (answer.status_code, int(answer.headers["Retry-After"])) == (503, 1)
    assert len(tries) == 4
    assert caplog.text.count("retrying") == 3
    assert host.rows("models") == []


@pytest.mark.forces_errors
@pytest.mark.parametrize(("seconds", "tries", "status"), [(1.9, 2, 201), (2.1, 1, 503)])
def test_what_has_taken_two_seconds_is_not_tried_again(
    host, failing_commits, monkeypatch, seconds, tries, status
):
    monkeypatch.setattr(transactions, "monotonic", iter([0.0, seconds]).__next__)
    answer = host.client("alice").post(f"{PREFIX}/register", json=model())

    assert (answer.status_code, len(failing_commits)) == (status, tries)


@pytest.mark.forces_errors
def test_a_retry_announces_a_model_once(host, failing_commits):
    heard = []

    def hear(sender, **facts):
        heard.append(facts["id"])

    with signals.created.connected_to(hear):
        answer = host.client("alice").post(f"{PREFIX}/register", json=model())

    assert (answer.status_code, len(failing_commits)) == (201, 2)
    assert heard == [answer.json["id"]]


@pytest.mark.forces_errors
def test_what_the_host_wrote_before_is_not_lost_by_another_try(hosts, database, transient):
    host = hosts()
    host.user("alice")

    @host.app.before_request
    def note_the_visit():
        host.db.session.add(host.User(name="a visit"))
        host.db.session.flush()

    with host.app.app_context():
        faults = Faults(host.db.engine)
    client = host.client("alice")
    assert client.post(f"{PREFIX}/register", json=model()).status_code == 201
    with faults.at(4, transient):  # after the visit and the user loader
        answer = client.post(f"{PREFIX}/register", json=model(model_id="other"))

    assert (answer.status_code, faults.has_failed) == (503, True)
    assert (count(host, "a visit"), len(host.rows("models"))) == (1, 1)


def count(host, name):
    with host.app.app_context():
        users = sa.select(sa.func.count()).select_from(host.User).filter_by(name=name)
        return host.db.session.scalar(users)


def test_a_user_who_is_gone_by_then_is_refused(host, faults, transient):
    key = host.user("alice")
    client = host.client("alice")
    commit, failed = faults.engine.dialect.do_commit, []

    def fail(connection):
        if failed:
            return commit(connection)
        failed.append(1)
        connection.rollback()
        cursor = connection.cursor()
        table = host.User.__table__.name
        quoted = faults.engine.dialect.identifier_preparer.quote(table)
        cursor.execute(f"DELETE FROM {quoted} WHERE id = {key}")
        cursor.close()
        commit(connection)
        raise ERRORS[faults.database][transient]()

    faults.engine.dialect.do_commit = fail
    answer = client.post(f"{PREFIX}/register", json=model())
    del faults.engine.dialect.do_commit

    assert (answer.status_code, failed) == (401, [1])
    assert host.rows("models") == []
