"""Many want the same id at once: one gets it, the others get 409, and there is one row."""

import multiprocessing
import threading
from collections import Counter

import pytest

from flask_model_registry.cli import new_key
from tests.hosts import CANARY, PREFIX, create_app, declare, model

pytestmark = pytest.mark.slow

THREADS, PROCESSES = 32, 4
KEYS = {"JWT_SECRET_KEY": "the same in every process, of thirty-two bytes"}


def config(database, keys):
    options = {"pool_size": 8, "max_overflow": 0, "pool_timeout": 120}
    if database.name == "sqlite":
        options["connect_args"] = {"timeout": 120}
    return {**KEYS, "SQLALCHEMY_ENGINE_OPTIONS": options, "MODEL_REGISTRY_ENCRYPTION_KEYS": keys}


def register_at_once(host, tokens, body, ready=None):
    """Register from one thread for each token, all at the same moment; return the statuses."""
    barrier = threading.Barrier(len(tokens))
    statuses = []

    def register(token):
        client = host.app.test_client()
        barrier.wait()
        headers = {"Authorization": f"Bearer {token}"}
        statuses.append(client.post(f"{PREFIX}/register", json=body, headers=headers).status_code)

    threads = [threading.Thread(target=register, args=[token]) for token in tokens]
    if ready is not None:
        ready.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def process(url, settings, tokens, body, ready, results):
    host = create_app(declare(), url, **settings)
    results.put(register_at_once(host, tokens, body, ready))
    host.close()


def in_processes(url, settings, tokens, body):
    spawn = multiprocessing.get_context("spawn")
    ready, results = spawn.Barrier(PROCESSES), spawn.Queue()
    workers = [
        spawn.Process(target=process, args=(url, settings, tokens, body, ready, results))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    statuses = [status for _ in workers for status in results.get(timeout=900)]
    for worker in workers:
        worker.join()
    return statuses


@pytest.fixture
def crowd(database, empty_databases, canary):
    url = empty_databases().url
    settings = config(database, new_key("test"))
    host = create_app(declare(), url, **settings)
    with host.app.app_context():
        host.db.create_all()
    yield host, url, settings
    canary(host.app)
    host.close()


def one_won(host, statuses, number):
    assert Counter(statuses) == {201: 1, 409: number - 1}
    (row,) = host.rows("models")
    with host.app.app_context():
        owner = host.db.session.get(host.User, row.owner_id)
        assert host.registry.resolve(row.id, user=owner).api_key.reveal() == CANARY


@pytest.mark.races
def test_of_threads_that_want_one_id_one_gets_it(crowd):
    host, _, _ = crowd

    statuses = register_at_once(host, [host.token("alice")] * THREADS, model(abilities=["chat"]))

    one_won(host, statuses, THREADS)


@pytest.mark.races
def test_of_processes_that_want_one_id_one_gets_it(crowd):
    host, url, settings = crowd

    statuses = in_processes(url, settings, [host.token("alice")] * THREADS, model())

    one_won(host, statuses, THREADS * PROCESSES)


@pytest.mark.races
def test_of_many_who_share_one_id_with_everyone_one_succeeds(crowd):
    host, _, _ = crowd
    tokens = [host.token(f"admin {number}", is_admin=True) for number in range(THREADS)]

    statuses = register_at_once(host, tokens, model(share_with_users=True))

    one_won(host, statuses, THREADS)


@pytest.mark.races
def test_many_who_register_different_ids_all_succeed(crowd):
    host, _, _ = crowd
    tokens = [host.token(f"user {number}") for number in range(THREADS)]

    statuses = register_at_once(host, tokens, model(abilities=["chat"]))

    assert Counter(statuses) == {201: THREADS}
    assert len(host.rows("models")) == len(host.rows("abilities")) == THREADS
