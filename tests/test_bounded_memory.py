"""Commands that read all rows keep a few at a time: ten times as many take no more memory."""

import tracemalloc

import pytest
import sqlalchemy as sa

from flask_model_registry.services.credential_admin import summaries
from flask_model_registry.services.export import Export
from flask_model_registry.services.stored import unreadable_rows
from tests.accounts import add, create

pytestmark = pytest.mark.databases("sqlite")
FEW, MANY = 400, 4_000


def copy(host, begin, end):
    """Copy the first credential, and the first model so that it uses the copy."""
    tables = host.registry.tables
    credential, model = (host.rows(name)[0]._mapping for name in ("credentials", "models"))
    for table, first, name in (
        (tables.credentials, credential, "name"),
        (tables.models, model, "model_id"),
    ):
        copies = [
            {**first, "id": first["id"] + i, "uuid": str(i), name: f"copy {i}"}
            for i in range(begin, end)
        ]
        if name == "model_id":
            for i, each in enumerate(copies, begin):
                each["credential_id"] = credential["id"] + i
        host.execute(sa.insert(table), copies)


def peak(host, read):
    """Return the most memory that Python takes while the lines are read, and how many there are."""
    with host.app.app_context():
        connection = host.db.session.connection()
        tracemalloc.start()
        try:
            count = sum(1 for _ in read(connection))
            return tracemalloc.get_traced_memory()[1], count
        finally:
            tracemalloc.stop()


READERS = {
    "export": lambda host: (
        lambda connection: Export(host.services, connection, None).lines(with_secrets=False)
    ),
    "export --owner": lambda host: (
        lambda connection: Export(host.services, connection, str(host.user("alice"))).lines(
            with_secrets=False
        )
    ),
    "list-credentials": lambda host: (
        lambda connection: summaries(connection, host.registry.tables, None)
    ),
    "doctor": lambda host: lambda connection: unreadable_rows(connection, host.registry.tables),
}
# How many lines there are for a credential and its model.
LINES = {"export": 2, "export --owner": 2, "list-credentials": 1, "doctor": 0}


@pytest.mark.slow
def test_commands_take_no_more_memory_for_more_rows(host, alice):
    add(alice, create(alice)["id"], "m")
    peaks = {name: [] for name in READERS}
    for begin, end in ((1, FEW), (FEW, MANY)):
        copy(host, begin, end)
        for name, reader in READERS.items():
            taken, read = peak(host, reader(host))
            assert read == end * LINES[name]
            peaks[name].append(taken)

    assert {name: each for name, each in peaks.items() if each[1] > 1.5 * each[0]} == {}


def test_a_model_names_its_credential_as_its_line_does(host, alice):
    """Even if the credential is renamed between the two lines."""
    first = create(alice, name="first")
    add(alice, first["id"], "one")
    with host.app.app_context(), host.db.engine.connect() as connection:
        lines = Export(host.services, connection, None).lines(with_secrets=False)
        read = [next(lines).text.reveal()]
        connection.rollback()
        columns = host.registry.tables.credentials
        host.execute(sa.update(columns).values(name="renamed"))
        read += [each.text.reveal() for each in lines]

    assert ['"name": "first"' in each for each in read] == [True, False]
    assert '"credential": "first"' in read[1]
