"""The guarded floor: the same job by hand, for comparison only.

The same ``@jwt_required()`` and user loader, SQLAlchemy Core statements that are built once, the same
encryption, ``json.dumps``. No validation, no errors, no groups.
"""

import json
import os
from datetime import datetime, timezone
from uuid import uuid4

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Blueprint, Response, request
from flask_jwt_extended import current_user, jwt_required

from flask_model_registry.db.queries import Lookup

from .host import db, tables

blueprint = Blueprint("floor", __name__)
cipher = AESGCM(os.urandom(32))
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
is_it = models.id == sa.bindparam("ref")
select_one = sa.select(*plain, *rights).where(is_it, visible)
select_page = (
    sa.select(*plain, *rights).where(models.is_active, visible).order_by(models.id).limit(100)
)
select_counts = (
    sa.select(models.category, models.model_provider, sa.func.count())
    .where(models.is_active, visible)
    .group_by(models.category, models.model_provider)
)
select_abilities = (
    sa.select(abilities.ability, sa.func.count())
    .join(tables.models, models.id == abilities.model_row_id)
    .where(models.is_active, visible)
    .group_by(abilities.ability)
)
insert_model = sa.insert(tables.models)
insert_ability = sa.insert(tables.abilities)
update_model = sa.update(tables.models).where(is_it).values(version=models.version + 1)
NAMES = [column.name for column in (*plain, *rights)]


def as_json(row, user):
    model = dict(zip(NAMES, row, strict=False))
    model["created_at"] = model["created_at"].isoformat() + "Z"
    model["updated_at"] = model["updated_at"] and model["updated_at"].isoformat() + "Z"
    model["is_owner"] = model.pop("owner_id") == user
    return model


def answer(payload, status=200):
    return Response(json.dumps(payload), status, mimetype="application/json")


def now():
    return datetime.now(timezone.utc).replace(tzinfo=None)


@blueprint.post("/register")
@jwt_required()
def register():
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
        "created_at": now(),
        "updated_at": None,
        "ciphertext": nonce + cipher.encrypt(nonce, body["api_key"].encode(), uuid.bytes),
        "key_id": None,
    }
    row_id = db.session.execute(insert_model, row).inserted_primary_key[0]
    db.session.execute(
        insert_ability, [{"model_row_id": row_id, "ability": each} for each in body["abilities"]]
    )
    whole = {**row, "id": row_id, "can_edit": True, "can_delete": True}
    model = as_json([whole[name] for name in NAMES], owner)
    db.session.commit()
    return answer(model, 201)


@blueprint.get("/<int:ref>")
@jwt_required()
def get(ref):
    user = current_user.id
    row = db.session.execute(select_one, {"me": user, "ref": ref}).one()
    return answer(as_json(row, user))


@blueprint.get("/")
@jwt_required()
def page():
    user = current_user.id
    rows = db.session.execute(select_page, {"me": user})
    return answer([as_json(row, user) for row in rows])


@blueprint.patch("/<int:ref>")
@jwt_required()
def patch(ref):
    user, change = current_user.id, {**request.get_json(), "updated_at": now()}
    row = db.session.execute(select_one, {"me": user, "ref": ref}).one()
    db.session.execute(update_model, {"ref": ref, **change})
    model = as_json([{**row._mapping, **change}[name] for name in NAMES], user)
    db.session.commit()
    return answer(model)


@blueprint.get("/summary")
@jwt_required()
def summary():
    user, counts = current_user.id, {"by_category": {}, "by_provider": {}}
    for category, provider, count in db.session.execute(select_counts, {"me": user}):
        for name, value in (("by_category", category), ("by_provider", provider)):
            counts[name][value] = counts[name].get(value, 0) + count
    rows = db.session.execute(select_abilities, {"me": user})
    counts["by_ability"] = dict(map(tuple, rows))
    return answer({"total": sum(counts["by_category"].values()), **counts})


class Resolver:
    """The same SELECT as the library's, and the key opened by hand."""

    def __init__(self, registry, box, user):
        self.statement = registry.rows.queries.secret.statement(Lookup.ACTIVE, 0)
        self.box, self.user = box, user

    def __call__(self, ref):
        parameters = {"ref": ref, "actor": self.user, "actor_groups": ()}
        row = db.session.execute(self.statement, parameters).one()
        context = f"{row.uuid} {row.key_id} provider:{row.model_provider}"
        return row, self.box.open(row.ciphertext, context)
