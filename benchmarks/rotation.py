"""How fast keys are rotated by one process and by two, against a plain loop over the same rows.

The plain loop knows nothing of the registry: it reads a batch, decrypts and encrypts with
``cryptography``, and changes the rows by one ``executemany`` and a commit. Two plain loops have a
half of the ids each. Figures are of wall-clock time, in interleaved rounds; memory is the peak of a
process, of which the first is before it reads a row.

    python benchmarks/rotation.py [--url postgresql+psycopg://...] [--rows 5000] [--rounds 5]
"""

import argparse
import base64
import math
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from uuid import uuid4

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
from flask_model_registry.config import EncryptionKey
from flask_model_registry.services.resolved_model import Secret
from flask_model_registry.services.rotation import Rotation
from flask_model_registry.web.transactions import TRIES, retrying

BATCH = 200
db = SQLAlchemy()


class User(db.Model):
    __tablename__ = "bench_users"
    id = db.Column(db.Integer, primary_key=True)


registry = ModelRegistry(db, User, user_loader=lambda: None)
models = registry.tables.models


def create_app(url, keys):
    app = Flask("benchmark")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, MODEL_REGISTRY_ENCRYPTION_KEYS=[*keys])
    db.init_app(app)
    registry.init_app(app)
    return app


def fill(keys, rows):
    db.drop_all()
    db.create_all()
    db.session.add(User(id=1))
    db.session.commit()
    same = {"owner_id": 1, "category": "llm", "model_name": "m", "is_active": True, "version": 1}
    same |= {"model_provider": "openai", "base_url": None}
    statement = sa.insert(models).values(is_shared=False, created_at=sa.func.current_timestamp())
    for start in range(0, rows, 10_000):
        made = [
            {**same, "uuid": uuid4().hex, "model_id": f"m{i}"}
            for i in range(start, min(start + 10_000, rows))
        ]
        secret = Secret("sk-" + "x" * 48)
        values = [{**row, **keys.credentials.encrypt(row, secret)} for row in made]
        db.session.execute(statement, values)
        db.session.commit()


def rotate(app, _keys, _worker, _workers):
    """Rotate as the command does; return how many rows were encrypted."""
    with db.engine.connect() as connection:
        services = registry._app_services[app].keys
        rotation = Rotation(connection, services, batch_size=BATCH, tries=retrying(TRIES, math.inf))
        for progress in rotation.rotate():
            last = progress
    return last.encrypted


def plain_loop(_app, keys, worker, workers):
    """Do the same without the registry, for one of so many parts of the ids."""
    new, old = (EncryptionKey.parse(each) for each in keys)
    ciphers = {
        each.id: AESGCM(base64.b64decode(text.partition(":")[2]))
        for each, text in ((new, keys[0]), (old, keys[1]))
    }
    header = bytes([1, len(new.id)]) + new.id.encode()
    columns = models.c.id, models.c.uuid, models.c.ciphertext, models.c.key_id
    page = sa.select(*columns).where(models.c.id > sa.bindparam("last"))
    page = page.where(models.c.key_id == old.key_id, models.c.id <= sa.bindparam("end"))
    page = page.order_by(models.c.id).limit(BATCH)
    is_row = models.c.id == sa.bindparam("row_id")
    is_same = models.c.ciphertext == sa.bindparam("old")
    update = sa.update(models).where(is_row, is_same)
    count = 0
    with db.engine.connect() as connection:
        low, high = connection.execute(
            sa.select(sa.func.min(models.c.id), sa.func.max(models.c.id))
        ).one()
        last = low - 1 + (high - low + 1) * worker // workers
        end = low - 1 + (high - low + 1) * (worker + 1) // workers
        while rows := connection.execute(page, {"last": last, "end": end}).all():
            changes = []
            for row in rows:
                size = 2 + row.ciphertext[1]
                context = f"{row.uuid} {{}} provider:openai"
                text = ciphers[old.id].decrypt(
                    row.ciphertext[size : size + 12],
                    row.ciphertext[size + 12 :],
                    row.ciphertext[:size] + context.format(old.key_id).encode(),
                )
                nonce = os.urandom(12)
                bound = header + context.format(new.key_id).encode()
                sealed = header + nonce + ciphers[new.id].encrypt(nonce, text, bound)
                changes.append(
                    {
                        "row_id": row.id,
                        "old": row.ciphertext,
                        "ciphertext": sealed,
                        "key_id": new.key_id,
                    }
                )
            connection.execute(update, changes)
            connection.commit()
            count, last = count + len(rows), rows[-1].id
    return count


WAYS = {
    "rotation": (rotate, 1),
    "two rotations": (rotate, 2),
    "plain loop": (plain_loop, 1),
    "two plain loops": (plain_loop, 2),
}


def peak():
    """Return how many MB this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(url, keys, way, worker, start, results):
    """Be one of the processes of a way; put how many rows, the seconds, and its memory."""
    function, workers = WAYS[way]
    app = create_app(url, keys)
    with app.app_context():
        db.session.execute(sa.select(1))
        before = peak()
        start.wait()
        begun = time.perf_counter()
        count = function(app, keys, worker, workers)
        results.put((count, time.perf_counter() - begun, before, peak()))


def timed(url, keys, way):
    """Return rows a second, and the memory of a process before and after."""
    spawn = multiprocessing.get_context("spawn")
    workers = WAYS[way][1]
    start, results = spawn.Barrier(workers), spawn.Queue()
    processes = [
        spawn.Process(target=work, args=(url, keys, way, number, start, results))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    counts, seconds, before, after = zip(*(results.get() for _ in processes), strict=True)
    for process in processes:
        process.join()
    return sum(counts), sum(counts) / max(seconds), max(before), max(after)


def tidy():
    """Forget the old versions of rows, which PostgreSQL keeps until then."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"VACUUM ANALYZE {models.name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", help="default: a SQLite file")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=[*WAYS])
    arguments = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    url = arguments.url or f"sqlite:///{folder.name}/bench.sqlite"
    keys = [new_key("first"), new_key("second")]
    app = create_app(url, keys)
    speeds = {way: [] for way in arguments.ways}
    with app.app_context():
        fill(registry._app_services[app].keys, arguments.rows)
        for _ in range(arguments.rounds):
            for way, measured in speeds.items():
                tidy()
                keys.reverse()
                count, speed, before, after = timed(url, keys, way)
                assert count == arguments.rows, (way, count)
                measured.append(speed)
                print(
                    f"{way:<16} {speed:>8,.0f} rows/s, {before:.0f} to {after:.0f} MB", flush=True
                )
        db.drop_all()
    for way, measured in speeds.items():
        print(f"{way:<16} median {statistics.median(measured):>8,.0f}, best {max(measured):>8,.0f}")
    folder.cleanup()


if __name__ == "__main__":
    main()
