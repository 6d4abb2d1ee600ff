"""How fast keys are rotated, against a plain loop that reads and seals the same rows.

The plain loop reads all rows by one statement, and opens and seals each; it writes nothing. The
other one also writes them back, by one statement each in a single transaction. Rotation gives each
row a transaction of its own. Figures are of wall-clock time, in interleaved rounds.

    python benchmarks/rotation.py [--url postgresql+psycopg://...] [--rows 5000] [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from uuid import uuid4

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key
from flask_model_registry.services.resolved_model import Secret
from flask_model_registry.services.rotation import Rotation
from flask_model_registry.web.transactions import retrying

db = SQLAlchemy()


class User(db.Model):
    __tablename__ = "bench_users"
    id = db.Column(db.Integer, primary_key=True)


registry = ModelRegistry(db, User, user_loader=lambda: None)
models = registry.tables.models


def create_app(url, *keys):
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
    moment = sa.func.current_timestamp()
    made = [
        {"uuid": uuid4().hex, "model_id": f"m{i}", "model_provider": "openai", "base_url": None}
        for i in range(rows)
    ]
    same = {"owner_id": 1, "category": "llm", "model_name": "m", "is_active": True, "version": 1}
    values = [
        {**row, **same, **keys.credentials.seal(row, Secret("sk-" + "x" * 48))} for row in made
    ]
    statement = sa.insert(models).values(is_shared=False, created_at=moment)
    db.session.execute(statement, values)
    db.session.commit()


def rotate(keys):
    engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for tally in Rotation(connection, keys, batch_size=200, tries=retrying(1)).rotate():
            last = tally
    return last.sealed


def read_and_seal(keys, *, write=False):
    with db.engine.begin() as connection:
        rows = connection.execute(sa.select(models)).mappings().all()
        for row in rows:
            columns = keys.credentials.seal(row, keys.credentials.open(row))
            if write:
                is_it = models.c.id == row["id"]
                connection.execute(sa.update(models).where(is_it).values(columns))
        if write:
            connection.rollback()
    return len(rows)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    count = function(*arguments, **options)
    return count / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", help="default: a SQLite file")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    url = arguments.url or f"sqlite:///{folder.name}/bench.sqlite"
    first, second = new_key("first"), new_key("second")
    apps = [create_app(url, first, second), create_app(url, second, first)]
    speeds = {"rotation": [], "read and seal": [], "read, seal and write": []}
    for number in range(arguments.rounds):
        app = apps[(number + 1) % 2]
        keys = registry._app_services[app].keys
        with app.app_context():
            if number == 0:
                fill(registry._app_services[apps[0]].keys, arguments.rows)
            speeds["read and seal"].append(timed(read_and_seal, keys))
            speeds["read, seal and write"].append(timed(read_and_seal, keys, write=True))
            speeds["rotation"].append(timed(rotate, keys))
    for name, values in speeds.items():
        ratios = [value / own for value, own in zip(values, speeds["rotation"], strict=True)]
        print(
            f"{name:<22} {statistics.median(values):>9,.0f} rows/s"
            f"   {statistics.median(ratios):6.2f} times rotation"
        )
    with apps[0].app_context():
        db.drop_all()
    folder.cleanup()


if __name__ == "__main__":
    main()
