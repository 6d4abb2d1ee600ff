"""The app as servers run it, in several processes: under load, and while they are killed."""

import random
import statistics
import time
from collections import Counter, defaultdict

import pytest
import sqlalchemy as sa

from tests import databases
from tests.conftest import traces
from tests.hosts import PREFIX
from tests.reliability import account_load, load
from tests.reliability.history import Operation, is_linearizable
from tests.reliability.servers import DATABASE_SERVERS, wait_for
from tests.reliability.sizes import SIZE

FINE = {200, 201, 204, 404, 409}  # statuses that concurrent clients may get
FINE_FOR_ACCOUNTS = FINE | {403, 422}  # a model was moved or given away before it was attached
MIB = 2**20
# But the one that asks.
CONNECTIONS = sa.text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
NEVER = -1.0  # before all clocks
UNANSWERED = {None, 503}  # killed, or the database was


def test_memory_and_connections_stay_as_they_are(serve, postgresql, tmp_path, tally):
    host, server = serve(postgresql.url, workers=2)
    clients = load.team(host, server.address, tmp_path, clients=8, users=4, models=20)
    workers = server.workers()
    host.close()  # its own connections do not count

    with load.busy(clients):
        samples = [*sampled(workers, postgresql.url)]

    found = after(clients, host, server, tmp_path)
    times, *memory, connections = zip(*samples, strict=True)
    slopes = [statistics.linear_regression(times, each).slope for each in memory]
    remark = (
        f"{sum(load.statuses(clients).values())} requests; in the {max(times):.0f} s after warming "
        f"up, workers of {[f'{each[-1] / MIB:.1f}' for each in memory]} MiB grew by "
        f"{[f'{each * 60 / MIB:.3f}' for each in slopes]} MiB a minute, and there were "
        f"{min(connections)} to {max(connections)} connections"
    )
    tally("load", "postgresql", remark=remark, **counted(found))
    assert {*load.statuses(clients)} <= FINE
    assert server.workers() == workers
    assert max(map(growth, memory)) < 2.5 * MIB
    half = len(connections) // 2
    assert max(connections[half:]) <= max(connections[:half]) <= len(clients)
    assert_whole(found)


@pytest.fixture
def postgresql():
    with DATABASE_SERVERS["postgresql"]() as server:
        yield server


def growth(sizes):
    """Return by how much the last third is above the first, in bytes."""
    third = len(sizes) // 3
    return statistics.median(sizes[-third:]) - statistics.median(sizes[:third])


def sampled(workers, url):
    """Yield, each second after warming up: the time, each worker's memory, the connections."""
    length, warming_up = SIZE.seconds
    time.sleep(warming_up)
    begin = time.monotonic()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        while (now := time.monotonic() - begin) < length - warming_up:
            memory = [each.memory_info().rss for each in workers]
            yield now, *memory, connection.scalar(CONNECTIONS)
            time.sleep(1)
    engine.dispose()


@pytest.fixture(params=databases.NAMES)
def own_server(request):
    """A database server of the test's own, with a database; SQLite has none."""
    if request.param == "sqlite":
        yield None
        return
    with DATABASE_SERVERS[request.param]() as server:
        yield server


def test_kills_lose_nothing_that_was_acknowledged(serve, own_server, tmp_path, tally, request):
    url = own_server.url if own_server else f"sqlite:///{tmp_path / 'host.sqlite'}"
    host, server = serve(url, workers=3)
    clients = load.team(host, server.address, tmp_path, clients=12, users=4, models=6)
    accounts = account_load.team(host, server.address, tmp_path, users=2)
    chance = random.Random()
    victims = ["worker", "database" if own_server else "worker"] * (SIZE.kills // 2)

    with account_load.rotating(host), load.busy(clients + accounts):
        for victim in victims:
            least = load.count_acknowledged(tmp_path) + 30
            wait_for(lambda least=least: load.count_acknowledged(tmp_path) > least)
            time.sleep(chance.uniform(0, 0.3))
            if victim == "worker":
                server.kill_worker(chance)
            else:
                own_server.kill()
                own_server.start()
        wait_for(lambda: host.client("user-0").get(f"{PREFIX}/summary").status_code == 200)

    found = after(clients + accounts, host, server, tmp_path)
    tally("kills", request.node.callspec.id, kills=len(victims), **counted(found))
    assert {*load.statuses(clients)} <= FINE | UNANSWERED | {500}
    assert {*load.statuses(accounts)} <= FINE_FOR_ACCOUNTS | UNANSWERED | {500}
    assert_whole(found)


@pytest.fixture(params=["sqlite", "sqlite, configured", "postgresql", "mariadb"])
def database_in_use(request, tmp_path):
    """A database as many processes use it."""
    name, _, is_configured = request.param.partition(", ")
    database = databases.make_database(name, tmp_path / "database")
    yield database, {"TEST_CONFIGURED": "1"} if is_configured else {}
    database.drop()


def test_what_many_do_at_once_can_be_put_in_one_order(
    serve, database_in_use, tmp_path, tally, request
):
    database, environ = database_in_use
    host, server = serve(database.url, workers=4, **environ)
    clients = load.team(host, server.address, tmp_path, clients=8, users=2, models=8)
    accounts = account_load.team(host, server.address, tmp_path, users=2)

    with account_load.rotating(host) as rotated, load.busy(clients + accounts, SIZE.steps):
        pass

    found = after(clients + accounts, host, server, tmp_path)
    tally("history", request.node.callspec.id, **counted(found))
    assert found["acknowledged"] > SIZE.steps * len(clients) / 2
    assert 0 in rotated
    busy = {503} if request.node.callspec.id == "sqlite" else set()
    assert {*load.statuses(clients)} <= FINE | busy
    assert {*load.statuses(accounts)} <= FINE_FOR_ACCOUNTS | busy
    assert_whole(found)


def after(clients, host, server, folder):
    """Return what is to be counted when all is over."""
    history, log = histories(clients, host), server.log.read_text()
    # Flask-SQLAlchemy rolls back after each request that read. If the database dies just then, the
    # error comes after our answer was made, and out of the app: as for every address of the host.
    errors = log.count("Exception on ") + log.count("Error handling request")
    return {
        "acknowledged": load.count_acknowledged(folder),
        "lost": [*lost(folder, history, host)],
        "duplicated": duplicated(host),
        "orphaned": orphaned(host),
        "other 5xx": errors - log.count("in _teardown_session"),
        "unexplained": [
            model_id for model_id, operations in history.items() if not is_linearizable(operations)
        ],
        "other keys": [*with_another_key(host)],
        "misplaced": [*account_load.misplaced(host)],
        "halved": [*account_load.halved(host, clients)],
        "leaked": traces([log]),
    }


def histories(clients, host):
    """Return all that was done to each model, and at last what is there."""
    history = defaultdict(list)
    for client in clients:
        for model_id, operations in client.history.items():
            history[model_id] += operations
    stored = stored_by(host, history)
    now = time.monotonic()
    for model_id in {*history, *stored}:
        status = 200 if model_id in stored else 404
        history[model_id].append(Operation("read", stored.get(model_id), now, now, status))
    return history


def stored_by(host, history):
    """Return what is stored by each name in the histories: of credentials a header's."""
    ids = {row.id for row in host.rows("credentials") if account_load.name_of(row.id) in history}
    values = account_load.credential_values(host, ids)
    return {
        **{row.model_id: row.model_name for row in host.rows("models")},
        **{account_load.name_of(each): value for each, value in values.items()},
    }


def lost(folder, history, host):
    """Yield missing models and credentials that a response confirmed, and that no client tried to delete since."""
    stored, seen = {*stored_by(host, history)}, {}
    for model_id, operation in load.acknowledged(folder):
        if operation.status in {200, 201}:
            seen[model_id] = max(seen.get(model_id, NEVER), operation.start)
    for model_id in seen.keys() - stored:
        deleted = [
            each.end for each in history[model_id] if each.kind == "delete" and each.status != 404
        ]
        if seen[model_id] > max(deleted, default=NEVER):
            yield model_id


def duplicated(host):
    """Return what more than one row has."""
    seen = Counter((row.owner_id, row.model_id) for row in host.rows("models"))
    return [each for each, times in seen.items() if times > 1]


def orphaned(host):
    """Return models without a known owner or their ability, and rows that belong to no model."""
    models, users = host.rows("models"), {*host.users.values()}
    ids = {row.id for row in models}
    others = ("abilities", "grants", "defaults", "app_defaults")
    rows = [row for name in others for row in host.rows(name) if row.model_row_id not in ids]
    able = {row.model_row_id for row in host.rows("abilities")}
    return rows + [row.id for row in models if row.owner_id not in users or row.id not in able]


def with_another_key(host):
    """Yield models whose API key does not open, or is not the one that came with the name."""
    names = {key: name for name, key in host.users.items()}
    for row in host.rows("models"):
        if account_load.is_on_account(row):
            continue
        with host.app.app_context():
            user = host.load(names[row.owner_id])
            resolved = host.registry.resolve(row.id, user=user)
        if resolved.api_key.reveal() != load.secret(row.model_name):
            yield row.model_id


def assert_whole(found):
    """All that is to be nothing is nothing."""
    assert {name: each for name, each in found.items() if each and name != "acknowledged"} == {}


def counted(found):
    """Return how many there are of each."""
    return {name: len(each) if isinstance(each, list) else each for name, each in found.items()}
