"""What an import costs a process, and a mounted registry a worker."""

import json
import os
import statistics
import subprocess
import sys

BEFORE = "import flask, sqlalchemy, marshmallow"
IMPORT = f"""
import json, time
start = time.process_time()
{BEFORE}
middle = time.process_time()
import flask_model_registry
print(json.dumps([(middle - start) * 1000, (time.process_time() - middle) * 1000]))
"""
WORKER = """
import json, os, resource
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token
from flask_sqlalchemy import SQLAlchemy
import cryptography.fernet, marshmallow, sqlalchemy

db, jwt = SQLAlchemy(), JWTManager()
class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)

app = Flask("bench")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", JWT_SECRET_KEY="k" * 32)
jwt.user_lookup_loader(lambda _header, claims: db.session.get(User, 1))
if {with_registry}:
    from flask_model_registry import ModelRegistry
    from flask_model_registry.cli import new_key
    app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = new_key()
    registry = ModelRegistry(db, User)
db.init_app(app)
jwt.init_app(app)
if {with_registry}:
    registry.init_app(app)
app.get("/")(lambda: str(db.session.get(User, 1).id))
with app.app_context():
    db.create_all()
    db.session.add(User(id=1))
    db.session.commit()
    headers = {{"Authorization": "Bearer " + create_access_token("1")}}
client = app.test_client()
for _ in range(50):
    assert client.get("/", headers=headers).status_code == 200
    if {with_registry}:
        assert client.get("/api/models/", headers=headers).status_code == 200
with open("/proc/self/statm") as statm:
    print(json.dumps([int(statm.read().split()[1]) * resource.getpagesize() / 2**20]))
"""


def run(rounds):
    """Return milliseconds of CPU and mebibytes, with and without the library."""
    taken = [_run(IMPORT) for _ in range(rounds)][1:]  # the first one may have to compile
    memory = [
        (_run(WORKER.format(with_registry=False))[0], _run(WORKER.format(with_registry=True))[0])
        for _ in range(max(3, rounds // 5))
    ]
    before, ours = (statistics.median(column) for column in zip(*taken, strict=True))
    without, with_registry = (statistics.median(column) for column in zip(*memory, strict=True))
    found = {
        "import of Flask, SQLAlchemy and Marshmallow, ms": round(before),
        "import of flask_model_registry after these, ms": round(ours),
        "ratio": round(statistics.median(b / a for a, b in taken), 2),
        "a worker without, MiB": round(without, 1),
        "a worker with a registry, MiB": round(with_registry, 1),
        "difference, MiB": round(with_registry - without, 1),
    }
    print("startup", found, flush=True)
    return found


def _run(code):
    environ = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ
    )
    return json.loads(ran.stdout)


_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"  # would compile the library each time, and no other
