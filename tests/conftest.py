"""Fixtures: a database of each kind, a host app on it, and a watch for API keys."""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib
import logging
from collections import defaultdict
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import databases, tallies
from tests.hosts import CANARY, OLD, keys, make_host
from tests.upstream import Upstream

SLOW = {"browser", "distribution", "reliability", "software"}  # folders
# Which tests run in one process, by the beginnings of their names.
GROUPS = {
    **{name: f"tests/{name}/" for name in ("browser", "distribution", "software")},
    "races": ("tests/test_race", "tests/test_credential_safety.py::test_all_of_it_at_once"),
}


def pytest_addoption(parser):
    parser.addoption(
        "--passed",
        type=Path,
        metavar="FILE",
        help="leave out the tests that this file lists; a run without such a file writes it",
    )


def pytest_collection_modifyitems(items, config):
    """Mark what `make test` leaves out, and drop cases that are for other databases."""
    items[:] = filter(_is_for_its_database, items)
    for item in _beyond_their_samples(items):
        item.add_marker(pytest.mark.slow)
    if (file := config.option.passed) and file.exists():
        passed = {*file.read_text().splitlines()}
        config.hook.pytest_deselected(items=[each for each in items if each.nodeid in passed])
        items[:] = [each for each in items if each.nodeid not in passed]
    for item in items:
        if item.path.parent.name in SLOW or "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each group in one process; xdist 3.8 puts its own groups where pytest 9.2 doesn't look.

    Browsers, servers and packages are started or built once, and races take many connections.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    scheduling = importlib.import_module("xdist.scheduler").LoadScopeScheduling
    grouped = type(
        "LoadGroupScheduling", (scheduling,), {"_split_scope": lambda _, each: group_of(each)}
    )
    return grouped(config, log)


def group_of(nodeid):
    """Return the name of a test's group, or of the test itself."""
    return next((name for name, begin in GROUPS.items() if nodeid.startswith(begin)), nodeid)


def pytest_collection_finish():
    """Keep the garbage collector from scanning the tests and all modules, which stay to the end."""
    gc.collect()
    gc.freeze()


def _is_for_its_database(item):
    case = getattr(item, "callspec", None)
    name = case and case.params.get("database")
    return not name or all(name in each.args for each in case.marks if each.name == "databases")


def _beyond_their_samples(items):
    """Return what `make test` leaves out of grids: all but as many cases as their marks say."""
    grids = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("sampled"):
            name, database = item.nodeid.partition("[")[0], item.callspec.params.get("database")
            grids[name, database, mark.args[0]].append(item)
    for (*_, size), cases in grids.items():
        step = max(1, len(cases) / size)
        # The remainder goes along the diagonal, or all of them had the same value of a parameter.
        kept = {int(step * number) + number % int(step) for number in range(size)}
        yield from (case for number, case in enumerate(cases) if number not in kept)


def pytest_terminal_summary(terminalreporter, config):
    """Print which software ran, and a table of the attempts to break the library."""
    if hasattr(config, "workerinput"):
        return  # the main process has all of them
    reports = [report for each in terminalreporter.stats.values() for report in each]
    if (file := config.option.passed) and not file.exists():
        stats = terminalreporter.stats
        bad = {each.nodeid for each in (*stats.get("failed", ()), *stats.get("error", ()))}
        passed = (each.nodeid for each in stats.get("passed", ()) if each.nodeid not in bad)
        file.write_text("".join(f"{each}\n" for each in passed))
    lines = tallies.report(
        tally
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, tally in report.user_properties
        if name == "tally"
    )
    for line in lines:
        terminalreporter.write_line(line)
    if left_out := databases.LEFT_OUT:
        terminalreporter.write_line(f"Not run on {' and '.join(left_out)}: `make test-all` is")
    named = {text for each in reports for name, text in _properties(each) if name == "software"}
    if named:
        terminalreporter.write_line(f"Ran with {', '.join(sorted(named))}")


def _properties(report):
    return getattr(report, "user_properties", ())


@pytest.fixture
def tally(record_property):
    """Count a check's attempts and results on a database, for the table at the end."""

    def count(check, database, **counts):
        record_property("tally", (check, database, counts))

    return count


def pytest_generate_tests(metafunc):
    """Run a test that uses a database on each, or on those that a mark names.

    A fixture of a test file that is called `database` too is run in the same way.
    """
    if "database" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("databases")
        names = [each for each in databases.NAMES if mark is None or each in mark.args]
        metafunc.parametrize("database", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database(request, tmp_path_factory):
    """Each database in turn."""
    database = databases.make_database(request.param, tmp_path_factory.mktemp(request.param))
    yield database
    database.drop()


@pytest.fixture(scope="session")
def shared_host(database):
    """One host for all tests that need no other, because tables are slow to create."""
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
    """Make further databases of the same kind for this test."""
    made = []

    def make():
        made.append(databases.make_database(database.name, tmp_path / str(len(made))))
        return made[-1]

    yield make
    for each in made:
        each.drop()


@pytest.fixture
def hosts(empty_databases, canary):
    """Make further hosts for this test, each with its own database."""
    made = []

    def make(*args, **options):
        made.append(make_host(empty_databases().url, *args, **options))
        return made[-1]

    yield make
    for host in made:
        canary(host.app)
        host.close()


@pytest.fixture
def process(empty_databases, hosts, canary):
    """Start the same host again, with other encryption keys."""
    first = hosts(config=keys(OLD))
    made = []

    def start(*entries, **config):
        made.append(first.again(**keys(*(entries or [OLD]), **config)))
        return made[-1]

    yield start
    for host in made:
        canary(host.app)
        host.close()


@pytest.fixture
def alice(host):
    """A client of a user who owns models."""
    return host.client("alice")


@pytest.fixture
def admin(host):
    """A client of an admin, who may share models with everyone."""
    return host.client("admin", is_admin=True)


@pytest.fixture
def bob(host):
    """A client of another user."""
    return host.client("bob")


STATEMENTS = logging.getLogger("sqlalchemy.engine")
# Which tests log statements with their parameters, as echo=True does: it takes a quarter of the time.
WITH_STATEMENTS = {
    *("test_account_credentials", "test_changes", "test_exchange", "test_exchange_credentials"),
    *("test_keys", "test_python_writes", "test_register", "test_secrets"),
    *("test_credential_commands", "test_credential_safety", "test_litellm_config"),
}
assert all(Path(__file__).with_name(f"{name}.py").exists() for name in WITH_STATEMENTS)


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
    logging.getLogger().setLevel(logging.DEBUG)
    STATEMENTS.propagate = False  # pytest would keep each of them twice


@pytest.fixture(autouse=True)
def _no_event_loop_of_a_browser(request):
    """Hide the event loop that Playwright leaves in its thread from tests that run one."""
    loop = asyncio._get_running_loop()
    if "browser" not in request.fixturenames:
        asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture(autouse=True)
def _only_races_wait_for_the_disk(request):
    databases.Disk.waits = "races" in request.keywords


@pytest.fixture(autouse=True)
def canary(request):
    """Fail if an API key, or eight characters of one in a row, got into a log or a response.

    The same for the encryption keys of the app, and for what its commands print.
    Fail as well if an answer was a 5xx, in a test that does not force one.
    """
    STATEMENTS.setLevel(logging.INFO if request.path.stem in WITH_STATEMENTS else logging.WARNING)
    log = Log()
    for logger in (logging.getLogger(), STATEMENTS):
        logger.addHandler(log)

    def check(app):
        texts = [*log.texts, *app.extensions["seen"]]
        assert traces(texts) == []
        assert traces_of_encryption_keys(texts, app) == []
        if "forces_errors" not in request.keywords:
            assert [status for status in app.extensions["statuses"] if status >= 500] == []

    yield check
    for logger in (logging.getLogger(), STATEMENTS):
        logger.removeHandler(log)
    assert traces(log.texts) == []


def traces(texts):
    """Return the pieces of the canary in the texts, in the usual encodings."""
    return _found(_pieces(), texts)


@cache
def _pieces():
    random = CANARY.removeprefix("sk-canary-")
    pieces = {random[i : i + 8] for i in range(len(random) - 7)}
    pieces |= {piece.encode().hex() for piece in pieces} | {quote(CANARY)}
    for start in range(3):  # base64 looks different at each offset
        encoded = base64.b64encode(b"-" * start + random.encode()).decode()
        pieces |= {encoded[i : i + 11] for i in range(4, len(encoded) - 15)}
    return pieces


def traces_of_encryption_keys(texts, app):
    """Return the pieces of the app's encryption keys in the texts."""
    keys = app.config.get("MODEL_REGISTRY_ENCRYPTION_KEYS") or ()
    pieces = set()
    for key in keys.split(",") if isinstance(keys, str) else keys:
        encoded = key.partition(":")[2]
        pieces |= {encoded[i : i + 8] for i in range(len(encoded) - 7)}
        secret = base64.b64decode(encoded)
        pieces |= {secret[i : i + 8].hex() for i in range(len(secret) - 7)}
    return _found(pieces, texts)


def _found(pieces, texts):
    whole = "\n".join({*texts})  # the same statements are logged again and again
    return sorted(piece for piece in pieces if piece in whole)


@pytest.fixture
def serve():
    """Start servers on this machine for this test."""
    started = []

    def serve(handler, **options):
        started.append(Upstream(handler, **options))
        return started[-1]

    yield serve
    for upstream in started:
        upstream.close()
