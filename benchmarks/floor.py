"""What the library costs against the guarded floor, in process, in interleaved rounds.

The floor is the same job by hand: the same ``@jwt_required()`` and user loader, SQLAlchemy Core
statements, the same encryption and ``json.dumps``; no validation, no error handling. Figures are
microseconds of this process's CPU a request (on PostgreSQL the server's own time is not in them).

    python benchmarks/floor.py [--url postgresql+psycopg://...] [--rounds 30]
"""

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from uuid import uuid4

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, Response, request
from flask_jwt_extended import JWTManager, create_access_token, current_user, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.cli import new_key

db, jwt = SQLAlchemy(), JWTManager()


class User(db.Model):
    __tablename__ = "bench_users"
    id = db.Column(db.Integer, primary_key=True)


registry = ModelRegistry(db, User)
tables = registry.tables
cipher = AESGCM(os.urandom(32))


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def create_app(url):
    app = Flask("benchmark")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        JWT_SECRET_KEY=os.urandom(32).hex(),
        MODEL_REGISTRY_ENCRYPTION_KEYS=new_key(),
    )
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    app.post("/floor/register")(floor_register)
    app.get("/floor/<int:row_id>")(floor_get)
    app.get("/floor/")(floor_list)
    return app


models, abilities, grants = tables.models.c, tables.abilities.c, tables.grants.c
plain = [
    models.id, models.model_id, models.category, models.model_provider, models.model_name,
    models.base_url, models.temperature, models.dimension, models.abilities, models.description,
    models.created_at, models.updated_at, models.is_active, models.owner_id, models.is_shared,
]  # fmt: skip
me = sa.bindparam("me", type_=sa.Integer)
granted = sa.exists().where(grants.model_row_id == models.id, grants.user_id == me)
visible = (models.owner_id == me) | models.is_shared | granted
rights = [
    (
        (models.owner_id == me)
        | sa.exists().where(grants.model_row_id == models.id, grants.user_id == me, flag)
    ).label(name)
    for name, flag in (("can_edit", grants.can_edit), ("can_delete", grants.can_delete))
]
select_one = sa.select(*plain, *rights).where(models.id == sa.bindparam("id"), visible)
select_page = (
    sa.select(*plain, *rights).where(models.is_active, visible).order_by(models.id).limit(100)
)
insert_model = sa.insert(tables.models)
insert_ability = sa.insert(tables.abilities)


NAMES = [column.name for column in (*plain, *rights)]


def as_json(row, user):
    model = dict(zip(NAMES, row, strict=False))
    model["created_at"] = model["created_at"].isoformat() + "Z"
    model["updated_at"] = model["updated_at"] and model["updated_at"].isoformat() + "Z"
    model["is_owner"] = model.pop("owner_id") == user
    return model


def answer(payload, status=200):
    return Response(json.dumps(payload), status, mimetype="application/json")


@jwt_required()
def floor_register():
    body = request.get_json()
    owner, uuid, nonce = current_user.id, uuid4(), os.urandom(12)
    row = {
        **{name: body.get(name) for name in ("model_id", "model_provider", "model_name")},
        **{name: body.get(name) for name in ("base_url", "temperature", "dimension")},
        **{name: body.get(name) for name in ("abilities", "description")},
        "category": body.get("category", "llm"),
        "uuid": uuid.hex,
        "owner_id": owner,
        "is_active": True,
        "is_shared": False,
        "version": 1,
        "created_at": datetime.now(timezone.utc).replace(tzinfo=None),
        "updated_at": None,
        "ciphertext": nonce + cipher.encrypt(nonce, body["api_key"].encode(), uuid.bytes),
        "key_id": "k",
    }
    row_id = db.session.execute(insert_model, row).inserted_primary_key[0]
    db.session.execute(
        insert_ability, [{"model_row_id": row_id, "ability": each} for each in body["abilities"]]
    )
    whole = {**row, "id": row_id, "can_edit": True, "can_delete": True}
    model = as_json([whole[name] for name in NAMES], owner)
    db.session.commit()
    return answer(model, 201)


@jwt_required()
def floor_get(row_id):
    user = current_user.id
    row = db.session.execute(select_one, {"me": user, "id": row_id}).one()
    return answer(as_json(row, user))


@jwt_required()
def floor_list():
    user = current_user.id
    rows = db.session.execute(select_page, {"me": user})
    return answer([as_json(row, user) for row in rows])


def body(number):
    return {
        "model_id": f"model-{number}",
        "model_provider": "openai",
        "model_name": "gpt-4o",
        "api_key": "sk-benchmark-0123456789",
        "temperature": 0.7,
        "abilities": ["chat", "vision"],
        "description": "A model to measure with.",
    }


class Bench:
    def __init__(self, app):
        self.app = app
        with app.app_context():
            db.drop_all()
            db.create_all()
            db.session.add_all([User(id=1), User(id=2)])
            db.session.commit()
            self.tokens = [create_access_token(i) for i in "12"]
        self.number = 0
        for _ in range(100):
            self.register("/api/models", 0)

    def call(self, method, path, *, user=0, query="", content=b""):
        """Call the app as a server does; a test client would cost more than the app."""
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {self.tokens[user]}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": sys.stderr,
        }
        statuses = []
        answer = self.app.wsgi_app(environ, lambda status, _headers: statuses.append(status))
        content = b"".join(answer)
        answer.close()
        return statuses[0][:3], content

    def register(self, prefix, user=1):
        self.number += 1
        content = json.dumps(body(self.number)).encode()
        status, _ = self.call("POST", f"{prefix}/register", user=user, content=content)
        assert status == "201"

    def get(self, prefix):
        assert self.call("GET", f"{prefix}/50")[0] == "200"

    def list(self, prefix):
        status, content = self.call("GET", f"{prefix}/", query="limit=100" * ("api" in prefix))
        assert status == "200"
        assert content.count(b"model_id") == 100


def measure(job, prefix, repeat):
    start = time.process_time_ns()
    for _ in range(repeat):
        job(prefix)
    return (time.process_time_ns() - start) / 1000 / repeat


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=f"sqlite:///{tempfile.mkdtemp()}/bench.sqlite")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    app = create_app(options.url)
    bench = Bench(app)
    print(
        f"{sa.make_url(options.url).get_backend_name()}, {options.rounds} rounds, CPU µs a request"
    )
    for name, job, repeat in (
        ("register", bench.register, 20),
        ("get-one", bench.get, 40),
        ("list-100", bench.list, 10),
    ):
        pairs = [
            (measure(job, "/api/models", repeat), measure(job, "/floor", repeat))
            for _ in range(options.rounds)
        ]
        library, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:9} library {library:6.0f}  floor {floor:6.0f}  median ratio {ratio:.2f}")
    with app.app_context():
        db.session.remove()
        db.drop_all()


if __name__ == "__main__":
    main()
