"""Repeatedly killing a rotation while clients read and write loses nothing and fails no client."""

import contextlib
import multiprocessing
import os
import pty
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_model_registry.cli import new_key
from tests.conftest import traces, traces_of_encryption_keys
from tests.hosts import CANARY, COMMANDS, PREFIX, key_id, model
from tests.rotating_app import make

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
OLD, NEW = new_key("old"), new_key("new")
SEEDS, KILLS, ATTEMPTS = 300, 5, 60


def secret(model_id, number=0, *, canary=CANARY):
    return f"{canary}-{model_id}-{number}"


def seed(host, name):
    """Register models on the key of the host; return their API keys."""
    secrets = {f"{name}-{i}": secret(f"{name}-{i}") for i in range(SEEDS)}
    with host.app.app_context():
        user = host.load(name)
        for model_id, api_key in secrets.items():
            host.registry.create(user=user, **model(model_id=model_id, api_key=api_key))
        host.db.session.commit()
    return secrets


def write(url, keys, canary, *, users, name, secrets, stop, results):
    """Register models, and enter new keys for some; report acknowledged and other writes."""
    host = make(url, keys)
    host.users = users
    client, chance, refused = host.client(name), random.Random(name), []
    for number in range(1, 1_000_000):
        if stop.is_set():
            break
        if chance.random() < 0.3:
            model_id = f"{name}-new-{number}"
            body = model(model_id=model_id, api_key=secret(model_id, canary=canary))
            response = client.post(f"{PREFIX}/register", json=body)
        else:
            model_id = chance.choice([*secrets])
            body = {"api_key": secret(model_id, number, canary=canary)}
            response = client.patch(f"{PREFIX}/by-id/{model_id}", json=body)
        if response.status_code in {200, 201}:
            secrets[model_id] = body["api_key"]
        else:
            refused.append(response.text)
        time.sleep(0.005)
    results.put((name, secrets, refused))
    host.close()


def read(url, keys, canary, *, users, ids, stop, results):
    """Resolve, list and look at credentials; report failures, and the number of good rounds."""
    host = make(url, keys)
    host.users = users
    chance, errors, times = random.Random("reader"), [], 0
    while not stop.is_set():
        name, model_id = chance.choice(ids)
        with host.app.app_context():
            try:
                resolved = host.registry.resolve(model_id, user=host.load(name))
                if not resolved.api_key.reveal().startswith(f"{canary}-{model_id}-"):
                    errors.append(f"another key for {model_id}")
            except Exception as error:
                errors.append(repr(error))
        client = host.client(name)
        page = client.get(f"{PREFIX}/?limit=5&sort=-id")
        told = client.get(f"{PREFIX}/{page.json[0]['id']}/credential")
        if told.json.get("status") != "readable" or len(page.json) != 5:
            errors.append(told.text)
        times += 1
    results.put(("reader", times, errors))
    host.close()


@contextlib.contextmanager
def busy(url, secrets, users):
    """Run two writers, on the old key and on the new one, and a reader; yield their reports."""
    spawn = multiprocessing.get_context("spawn")
    stop, results = spawn.Event(), spawn.Queue()
    common = {"users": users, "stop": stop, "results": results}
    ids = [(name, model_id) for name in secrets for model_id in secrets[name]]
    processes = [
        spawn.Process(
            target=write,
            args=(url, keys, CANARY),
            kwargs={"name": name, "secrets": secrets[name], **common},
        )
        for name, keys in (("alice", [OLD, NEW]), ("bob", [NEW, OLD]))
    ]
    reader = {"ids": ids, **common}
    processes.append(spawn.Process(target=read, args=(url, [NEW, OLD], CANARY), kwargs=reader))
    for process in processes:
        process.start()
    outcome = {}
    try:
        yield outcome
    finally:
        stop.set()
        for _ in processes:
            name, *rest = results.get(timeout=900)
            outcome[name] = rest
        for process in processes:
            process.join()


def start(url, *command, stderr=subprocess.PIPE, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "tests.rotating_app", "model-registry", *command],
        cwd=ROOT,
        env={**os.environ, "TEST_URL": url, "TEST_KEYS": f"{NEW},{OLD}", **environ},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def left(host):
    models = host.registry.tables.models
    on_old = sa.select(sa.func.count()).where(models.c.key_id == key_id(OLD))
    with host.app.app_context():
        return host.db.session.scalar(on_old)


def killed_midway(url, host, chance):
    """Start a rotation and kill it midway; return how many rows it left behind."""
    process = start(url, "rotate-keys", "--batch-size", "10")
    before = left(host)
    process.stderr.readline()  # a tenth of the rows is done
    time.sleep(chance.uniform(0, 0.1))
    process.kill()
    process.communicate()
    return (before, left(host)) if process.returncode == -9 else (before, 0)


def test_rotation_killed_at_random_loses_nothing(empty_databases, database, tally):
    url = empty_databases().url
    host = make(url, [OLD, NEW])
    with host.app.app_context():
        host.db.create_all()
    secrets = {name: seed(host, name) for name in ("alice", "bob")}
    chance, runs = random.Random(os.urandom(8)), []

    with busy(url, secrets, host.users) as outcome:
        while sum(after > 0 for _, after in runs) < KILLS and len(runs) < ATTEMPTS:
            runs.append(killed_midway(url, host, chance))

    rotations = [start(url, "rotate-keys"), start(url, "rotate-keys")]  # two rotations at once
    endings = [(*each.communicate(), each.returncode) for each in rotations]
    print("rows on the old key before and after each kill:", runs)  # noqa: T201  # see with -s
    tally("rotation", database.name, kills=sum(after > 0 for _, after in runs))
    assert sum(after > 0 for _, after in runs) >= KILLS, runs
    assert [code for *_, code in endings] == [0, 0], endings
    assert traces([text for out, err, _ in endings for text in (out, err)]) == []
    assert outcome["reader"][1] == []
    assert outcome["reader"][0] > 0
    assert (outcome["alice"][1], outcome["bob"][1]) == ([], [])
    assert left(host) == 0
    later = make(url, [NEW])
    later.users = host.users
    with later.app.app_context():
        for name in ("alice", "bob"):
            user, acknowledged = later.load(name), outcome[name][0]
            assert len(acknowledged) > SEEDS
            models = later.registry.list(user=user)
            assert {each["model_id"] for each in models} == set(acknowledged)
            for model_id, api_key in acknowledged.items():
                assert later.registry.resolve(model_id, user=user).api_key.reveal() == api_key
    assert later.run("verify-keys")[1] == 0
    later.close()
    host.close()


@pytest.mark.databases("sqlite")
def test_results_go_to_standard_output_and_progress_to_standard_error(empty_databases):
    url = empty_databases().url
    host = make(url, [OLD])
    with host.app.app_context():
        host.db.create_all()
        for each in "abc":
            host.registry.create(user=host.load("alice"), **model(model_id=each))
        host.db.session.commit()

    plain = start(url, "verify-keys", "--batch-size", "1").communicate()
    screen, terminal = pty.openpty()
    watched = start(url, "verify-keys", "--batch-size", "1", stderr=terminal).communicate()
    os.close(terminal)
    bar = ""
    with contextlib.suppress(OSError):  # the end of what was shown
        while shown := os.read(screen, 10_000):
            bar += shown.decode()

    assert plain == (
        "3 of 3 API keys can be decrypted.\n",
        "1 of 3 looked at\n2 of 3 looked at\n3 of 3 looked at\n",
    )
    assert watched[0] == "3 of 3 API keys can be decrypted.\n"
    assert "3/3" in bar
    assert "looked at" not in bar
    os.close(screen)
    host.close()


@pytest.mark.databases("sqlite")  # SQLAlchemy prints, and no driver
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_print_no_key_even_with_every_statement(empty_databases, command):
    url = empty_databases().url
    host = make(url, [OLD])
    with host.app.app_context():
        host.db.create_all()
        host.registry.create(user=host.load("alice"), **model())
        broken = host.registry.create(user=host.load("alice"), **model(model_id="broken"))
        host.db.session.commit()
    models = host.registry.tables.models
    host.execute(models.update().where(models.c.id == broken["id"]).values(ciphertext=b"?"))

    output = "".join(start(url, *command, TEST_ECHO="1").communicate())

    assert "SELECT" in output
    assert traces([output]) == []
    host.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = [NEW, OLD]
    assert traces_of_encryption_keys([output], host.app) == []
    host.close()
