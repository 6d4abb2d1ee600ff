"""The ordinary stack, for comparison only: ORM entities and Marshmallow, as most apps have it.

The same guard and the same encryption. Looks before it inserts, refreshes after the commit, makes a
schema for each request.
"""

import os
from datetime import datetime, timezone
from uuid import uuid4

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Blueprint, request
from flask_jwt_extended import current_user, jwt_required
from marshmallow import Schema, fields, post_dump, validate
from sqlalchemy.orm import relationship, selectinload

from .host import db, tables

blueprint = Blueprint("ordinary", __name__)
cipher = AESGCM(os.urandom(32))


class Grant(db.Model):
    __table__ = tables.grants


class Ability(db.Model):
    __table__ = tables.abilities


class Model(db.Model):
    __table__ = tables.models
    grants = relationship(Grant)
    ability_rows = relationship(Ability)

    def grant_of(self, user):
        return next((each for each in self.grants if each.user_id == user), None)

    @property
    def is_owner(self):
        return self.owner_id == current_user.id

    @property
    def can_edit(self):
        grant = self.grant_of(current_user.id)
        return self.is_owner or bool(grant and grant.can_edit)

    @property
    def can_delete(self):
        grant = self.grant_of(current_user.id)
        return self.is_owner or bool(grant and grant.can_delete)


class NewModel(Schema):
    model_id = fields.String(required=True, validate=validate.Length(1, 255))
    model_provider = fields.String(required=True, validate=validate.Length(1, 64))
    model_name = fields.String(required=True, validate=validate.Length(1, 255))
    api_key = fields.String(required=True, load_only=True, validate=validate.Length(1, 8192))
    category = fields.String(load_default="llm")
    base_url = fields.String(load_default=None, allow_none=True)
    temperature = fields.Float(load_default=None, allow_none=True, validate=validate.Range(0, 2))
    dimension = fields.Integer(load_default=None, allow_none=True)
    abilities = fields.List(fields.String(), load_default=list)
    description = fields.String(load_default=None, allow_none=True)


class Shown(NewModel):
    id = fields.Integer()
    created_at = fields.DateTime()
    updated_at = fields.DateTime(allow_none=True)
    is_active = fields.Boolean()
    is_shared = fields.Boolean()
    is_owner = fields.Boolean()
    can_edit = fields.Boolean()
    can_delete = fields.Boolean()

    @post_dump
    def in_utc(self, shown, **_options):
        return {**shown, "created_at": f"{shown['created_at']}Z"}


def now():
    return datetime.now(timezone.utc).replace(tzinfo=None)


def visible():
    to_me = Model.grants.any(Grant.user_id == current_user.id)
    is_visible = (Model.owner_id == current_user.id) | Model.is_shared | to_me
    return sa.select(Model).options(selectinload(Model.grants)).where(is_visible)


@blueprint.post("/register")
@jwt_required()
def register():
    values = NewModel().load(request.get_json())
    known = sa.select(Model).filter_by(owner_id=current_user.id, model_id=values["model_id"])
    if db.session.scalars(known).first():
        return {"message": "taken"}, 409
    uuid, nonce, api_key = uuid4(), os.urandom(12), values.pop("api_key")
    model = Model(
        **values,
        uuid=uuid.hex,
        owner_id=current_user.id,
        is_active=True,
        is_shared=False,
        version=1,
        created_at=now(),
        ciphertext=nonce + cipher.encrypt(nonce, api_key.encode(), uuid.bytes),
        key_id=None,
        ability_rows=[Ability(ability=each) for each in values["abilities"]],
    )
    db.session.add(model)
    db.session.commit()
    return Shown().dump(model), 201


@blueprint.get("/<int:ref>")
@jwt_required()
def get(ref):
    return Shown().dump(db.session.scalars(visible().where(Model.id == ref)).one())


@blueprint.get("/")
@jwt_required()
def page():
    statement = visible().where(Model.is_active).order_by(Model.id).limit(100)
    return Shown(many=True).dump(db.session.scalars(statement).all())


@blueprint.patch("/<int:ref>")
@jwt_required()
def patch(ref):
    change = NewModel(partial=True).load(request.get_json())
    model = db.session.scalars(visible().where(Model.id == ref)).one()
    for name in request.get_json():
        setattr(model, name, change[name])
    model.updated_at, model.version = now(), model.version + 1
    db.session.commit()
    return Shown().dump(model)


@blueprint.get("/summary")
@jwt_required()
def summary():
    counts = {"by_category": {}, "by_provider": {}, "by_ability": {}}
    every = visible().where(Model.is_active).options(selectinload(Model.ability_rows))
    models = db.session.scalars(every).all()
    for model in models:
        values = [("by_category", model.category), ("by_provider", model.model_provider)]
        values += [("by_ability", each.ability) for each in model.ability_rows]
        for name, value in values:
            counts[name][value] = counts[name].get(value, 0) + 1
    return {"total": len(models), **counts}
