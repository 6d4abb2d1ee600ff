"""Fixtures: a database of each make, a host app on it, and a watch for API keys."""

from __future__ import annotations

import base64
import logging
from urllib.parse import quote

import pytest

from tests import databases, tallies
from tests.hosts import CANARY, make_host


def pytest_collection_modifyitems(items):
    """Keep the races in one process, as they take most of the connections that servers allow."""
    for item in items:
        if item.get_closest_marker("races"):
            item.add_marker(pytest.mark.xdist_group("races"))


def pytest_terminal_summary(terminalreporter, config):
    """Say in one table what was tried to break the library, and what came of it."""
    if hasattr(config, "workerinput"):
        return  # the process that started this one knows of all
    reports = [report for each in terminalreporter.stats.values() for report in each]
    lines = tallies.report(
        tally
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, tally in report.user_properties
        if name == "tally"
    )
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def tally(record_property):
    """Count, for the table at the end, what a check tried on a database and what came of it."""

    def count(check, database, **counts):
        record_property("tally", (check, database, counts))

    return count


@pytest.fixture(scope="session", params=databases.NAMES)
def database(request, tmp_path_factory):
    """Each database in turn."""
    database = databases.make_database(request.param, tmp_path_factory.mktemp(request.param))
    yield database
    database.drop()


@pytest.fixture(scope="session")
def shared_host(database):
    """One host for all tests that need no other, as tables are slow to create."""
    host = make_host(
        database.url,
        config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]},
        groups=lambda user: [f"group of {user.name}"],
    )
    with host.app.app_context():
        for engine in host.db.engines.values():
            databases.do_not_wait_for_the_disk(engine)
    yield host
    host.close()


@pytest.fixture
def host(shared_host, canary):
    """A host without users or models."""
    yield shared_host
    canary(shared_host.app)
    shared_host.empty()


@pytest.fixture
def empty_databases(database, tmp_path):
    """Make further databases of the same make, for the length of the test."""
    made = []

    def make():
        made.append(databases.make_database(database.name, tmp_path / str(len(made))))
        return made[-1]

    yield make
    for each in made:
        each.drop()


@pytest.fixture
def hosts(empty_databases, canary):
    """Make further hosts, each with a database of its own, for the length of the test."""
    made = []

    def make(*args, **options):
        made.append(make_host(empty_databases().url, *args, **options))
        return made[-1]

    yield make
    for host in made:
        canary(host.app)
        host.close()


@pytest.fixture
def alice(host):
    """A client of somebody who owns models."""
    return host.client("alice")


@pytest.fixture
def admin(host):
    """A client of somebody who may share with everybody."""
    return host.client("admin", is_admin=True)


@pytest.fixture
def bob(host):
    """A client of somebody else."""
    return host.client("bob")


class Log(logging.Handler):
    """Keeps every record as text, tracebacks and all."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.texts = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record):
        self.texts.append(self.format(record))


@pytest.fixture(scope="session", autouse=True)
def _everything_is_logged():
    logging.getLogger().setLevel(logging.DEBUG)  # SQLAlchemy too, as with echo=True


@pytest.fixture(autouse=True)
def canary(request):
    """Fail if an API key, or eight characters of one in a row, got into a log or a response.

    The same for the encryption keys of the app, and for what its commands print.
    Fail as well if an answer was a 5xx, in a test that does not force one.
    """
    log = Log()
    logging.getLogger().addHandler(log)

    def check(app):
        texts = [*log.texts, *app.extensions["seen"]]
        assert traces(texts) == []
        assert traces_of_encryption_keys(texts, app) == []
        if "forces_errors" not in request.keywords:
            assert [status for status in app.extensions["statuses"] if status >= 500] == []

    yield check
    logging.getLogger().removeHandler(log)
    assert traces(log.texts) == []


def traces(texts):
    """Return what of the canary can be found in the texts, in the usual encodings."""
    random = CANARY.removeprefix("sk-canary-")
    pieces = {random[i : i + 8] for i in range(len(random) - 7)}
    pieces |= {piece.encode().hex() for piece in pieces} | {quote(CANARY)}
    for start in range(3):  # base64 looks different at each offset
        encoded = base64.b64encode(b"-" * start + random.encode()).decode()
        pieces |= {encoded[i : i + 11] for i in range(4, len(encoded) - 15)}
    return _found(pieces, texts)


def traces_of_encryption_keys(texts, app):
    """Return what of the app's encryption keys can be found in the texts."""
    keys = app.config.get("MODEL_REGISTRY_ENCRYPTION_KEYS") or ()
    pieces = set()
    for key in keys.split(",") if isinstance(keys, str) else keys:
        encoded = key.partition(":")[2]
        pieces |= {encoded[i : i + 8] for i in range(len(encoded) - 7)}
        secret = base64.b64decode(encoded)
        pieces |= {secret[i : i + 8].hex() for i in range(len(secret) - 7)}
    return _found(pieces, texts)


def _found(pieces, texts):
    whole = "\n".join(texts)
    return sorted(piece for piece in pieces if piece in whole)
