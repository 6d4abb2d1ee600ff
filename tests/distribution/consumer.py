"""A host app that type checkers read and nothing runs: it uses every public name as intended.

Lines that end in two ``ignore`` comments are mistakes. Each checker must find them: it reports
comments that ignore nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from flask import Blueprint, Flask, Response
from flask_sqlalchemy import SQLAlchemy
from marshmallow import Schema, fields
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from typing_extensions import assert_type
from werkzeug.local import LocalProxy

import flask_model_registry
from flask_model_registry import (
    AesGcmBox,
    AuthenticationError,
    BlockedAddressError,
    CannotOpenError,
    ConfigError,
    ConflictError,
    CredentialInUseError,
    CredentialNameTakenError,
    EncryptionKey,
    Explanation,
    Filters,
    ForbiddenError,
    InactiveModelError,
    ListApi,
    MissingUserError,
    ModelIdTakenError,
    ModelRegistry,
    NoAddressError,
    NotFoundError,
    Provider,
    RegistryError,
    ResolvedModel,
    Secret,
    SecretBox,
    UnavailableError,
    UnreadableCredentialError,
    UnsupportedClientError,
    UpstreamError,
    ValidationError,
    configure_sqlite,
    problem_response,
    signals,
)
from flask_model_registry.db.models import AppDefault, Default, Grant, Model
from flask_model_registry.schemas import ModelRepresentation as ModelRepresentationSchema
from flask_model_registry.schemas import NewModel as NewModelSchema
from flask_model_registry.schemas import load
from flask_model_registry.types import (
    AccountSecret,
    AccountSecretChange,
    AccountSettings,
    Category,
    ConfigType,
    CountFilters,
    Credential,
    CredentialChanges,
    CredentialKind,
    GrantCounts,
    Grants,
    GroupGrant,
    KeyDetails,
    LastTest,
    ListFilters,
    ModelChanges,
    ModelDetails,
    ModelRepresentation,
    NewCredential,
    NewModel,
    NewModelOfAccount,
    NewSecret,
    Parameters,
    Relation,
    Scope,
    SecretSource,
    Summary,
    UsedCredential,
    UserGrant,
)

assert_type(flask_model_registry.__version__, str)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    is_admin: Mapped[bool]
    team: Mapped[str]


class Envelope:
    """An encryption backend of the host's own."""

    key_id = "kms:1"

    def seal(self, plaintext: str, context: str) -> bytes:
        if not context:
            raise UnavailableError("the KMS is away")
        return plaintext.encode()

    def open(self, blob: bytes, context: str) -> str:
        if not blob:
            raise CannotOpenError("it is empty")
        return blob.decode()


class HalfABox:
    def seal(self, plaintext: str, context: str) -> bytes:
        return plaintext.encode()


def current_user() -> User | None:
    return None


def may_share(user: User) -> bool:
    return user.is_admin


def groups(user: User) -> Iterable[str]:
    return [user.team]


def may_grant(owner: User, grantee: User | str) -> bool:
    return grantee == owner.team if isinstance(grantee, str) else grantee.team == owner.team


def keys_of(name: str, *, owner: User, provider: str, origin: str) -> str | None:
    return "sk" if (name, origin) == (owner.team, f"https://{provider}.example") else None


db = SQLAlchemy(model_class=Base)


class Person(db.Model):  # type: ignore[name-defined, misc]  # mypy cannot follow Flask-SQLAlchemy
    id: Mapped[int] = mapped_column(primary_key=True)


class Assistant(Schema):
    model = fields.Nested(ModelRepresentationSchema(only=["id"]))


class AssistantForm(NewModelSchema):
    title = fields.String(required=True)


assert_type(load(AssistantForm(), {"title": "x"}), Any)
smallest = ModelRegistry(db, Person)
acme = Provider("acme", "Acme", "https://ai.acme.example/v1", aliases=("acme-ai",), needs_key=False)
own_list = ListApi(header="X-Acme-Key", scheme="", items="catalogue", name="slug")
listed = Provider("listed", "Listed", key_check="/v1/me", list_api=own_list)
cloud = Provider("cloud", "Cloud", kinds=("aws", "key"), settings=("organization",))
assert_type(listed.listing, ListApi)
key = EncryptionKey.parse("2026:AAAA")
built_in: SecretBox = AesGcmBox([key])
source: SecretSource = keys_of
own: SecretBox = Envelope()
registry = ModelRegistry(
    db,
    User,
    user_loader=current_user,
    can_share=may_share,
    groups=groups,
    can_grant=may_grant,
    secret_box=own,
    secret_source=source,
    providers=[acme],
)
assert_type(key.key_id, str)
assert_type(own.seal("text", "context"), bytes)
assert_type(built_in.open(b"", "context"), str)


def create_app() -> Flask:
    app = Flask(__name__)
    registry.init_app(app)
    registry.init_app(app, parent=Blueprint("api", __name__))
    app.register_error_handler(RegistryError, problem_response)
    assert_type(problem_response(NotFoundError()), Response)
    problem_response(KeyError())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with app.app_context():
        configure_sqlite(db.engine, busy_timeout=2.5)
        registry.check_keys()
    return app


def change(alice: User, bob: User, me: LocalProxy[User], form: dict[str, Any]) -> None:
    registry.create(user=alice, **form)
    new: NewModel = {"model_id": "m", "model_provider": "a", "model_name": "m", "api_key": "sk"}
    assert_type(registry.create(user=me, **new), ModelRepresentation)
    registry.create(
        model_id="m", model_provider="acme", model_name="m", api_key="sk", temperature=0.5
    )
    changes: ModelChanges = {"abilities": ["chat"], "api_key": None, "is_active": False}
    assert_type(registry.update("m", user=alice, **changes), ModelRepresentation)
    registry.update("m", description=None, abilities=("chat",), share_with_users=True)
    assert_type(registry.grant("m", to=me, can_edit=True, user=alice), UserGrant)
    assert_type(registry.grant(1, group="research", can_delete=True), GroupGrant)
    assert_type(registry.grants("m", user=alice), Grants)
    registry.revoke("m", to=bob, user=alice)
    registry.revoke("m", group="research")
    registry.set_default("general", "m", user=bob)
    registry.set_default("general", None, scope="app")
    registry.transfer("m", bob, user=alice)
    registry.delete(1, user=alice)
    registry.user_deleted(alice, transfer_to=bob)
    assert_type(registry.set_parameters("m", parameters={"max_tokens": 1}, info={}), Parameters)
    assert_type(registry.set_parameters(1, info={"a": [1]}, user=alice), Parameters)
    registry.set_parameters("m", parameters=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def read(alice: User) -> None:
    model = registry.get(1)
    assert_type(model, ModelRepresentation)
    assert_type(model["id"], int)
    assert_type(model["category"], Category)
    assert_type(model["abilities"], list[str] | None)
    filters: ListFilters = {"category": "llm", "limit": 10, "sort": "model_id"}
    assert_type(registry.list(user=alice, **filters), list[ModelRepresentation])
    counted: CountFilters = {"q": "gpt", "is_active": None}
    assert_type(registry.summary(user=alice, **counted), Summary)
    assert_type(registry.summary()["by_category"], dict[str, int])
    assert_type(registry.grants("m")["users"][0]["user"], str)
    details = registry.details("m", user=alice)
    assert_type(details, ModelDetails)
    assert_type(details["relations"], list[Relation])
    assert_type(details["key"], KeyDetails)
    assert_type(details["test"], LastTest | None)
    assert_type(details["key"]["credential"], UsedCredential | None)
    assert_type(details["grants"], GrantCounts | None)
    assert_type(registry.parameters(1), Parameters)
    assert_type(Filters(is_active=None, owned=True, ability="chat").limit, int | None)


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id))
    models: Mapped[list[Model]] = relationship(
        lambda: registry.Model,
        primaryjoin=lambda: registry.Model.owner_id == Team.user_id,
        foreign_keys=lambda: registry.Model.owner_id,
        viewonly=True,
    )


def query(session: Session, alice: User) -> None:
    assert_type(registry.Model, type[Model])
    shared = sa.select(registry.Model).where(registry.Model.is_shared, registry.Model.version > 1)
    assert_type(session.scalars(shared).all(), Sequence[Model])
    report = sa.select(User.team, registry.Model.model_id).join(registry.Model.owner)
    assert_type(session.execute(report).tuples().all(), Sequence[tuple[str, str]])
    model = session.get_one(registry.Model, 1)
    assert_type(model.created_at, datetime)
    assert_type(model.abilities, list[str] | None)
    assert_type(model.temperature, float | None)
    assert_type(session.scalars(sa.select(registry.Grant)).one(), Grant)
    assert_type(session.get_one(registry.Grant, 1).model, Model)
    assert_type(session.scalars(sa.select(registry.Default)).one(), Default)
    assert_type(session.scalars(sa.select(registry.AppDefault)).one(), AppDefault)
    assert_type(session.get_one(registry.Ability, (1, "chat")).ability, str)
    assert_type(session.get_one(Team, 1).models[0].owner_id, Any)


def choose(kind: ConfigType, scope: Scope, any_registry: ModelRegistry, person: Person) -> None:
    registry.set_default(kind, "m", scope=scope)
    any_registry.delete("m", user=person)  # named without a class, it takes users of any
    smallest.delete("m", user=person)
    assert_type(registry, ModelRegistry[User])


def call(alice: User) -> dict[str, Any]:
    model = registry.resolve("m", user=alice)
    assert_type(model, ResolvedModel)
    assert_type(registry.default("general"), ResolvedModel)
    assert_type(model.id, int)
    assert_type(model.base_url, str)
    assert_type(model.dialect, str | None)
    assert_type(model.temperature, float | None)
    assert_type(model.parameters, Mapping[str, Any])
    assert_type(model.info, Mapping[str, Any])
    assert_type(model.abilities, tuple[str, ...])
    assert_type(model.api_key, Secret)
    assert_type(model.api_key.reveal(), str)
    assert_type(model.openai_kwargs(), dict[str, Any])
    assert_type(model.anthropic_kwargs(), dict[str, Any])
    assert_type(model.kind, Literal["key", "aws", "google"])
    assert_type(model.secrets, Mapping[str, Secret])
    assert_type(model.boto3_kwargs(), dict[str, Any])
    with model.http_client("httpx2", proxy="http://proxy.example:3128") as client:
        assert_type(model.litellm_kwargs(client), dict[str, Any])
    model.async_http_client()
    return model.litellm_kwargs()


def explain(alice: User) -> str:
    explanation = registry.explain("m", user=alice)
    assert_type(explanation, Explanation)
    assert_type(explanation.problems, tuple[str, ...])
    return str(explanation)


@signals.created.connect
def audit(app: Flask, *, event: str, actor: Any, **facts: Any) -> None:
    app.logger.info("%s by %s: %s", event, actor, facts)


for signal in signals.namespace.values():
    signal.connect(audit)
for one in (signals.updated, signals.deleted, signals.shared, signals.unshared, signals.granted):
    one.connect(audit)
for one in (signals.revoked, signals.transferred, signals.default_changed, signals.resolved):
    one.disconnect(audit)


def answer(alice: User) -> dict[str, Any]:
    try:
        return call(alice)
    except ValidationError as error:
        assert_type(error.errors, list[tuple[str, str]])
        return error.problem()
    except MissingUserError as error:
        assert_type(error.detail, str)
        return AuthenticationError.problem(error)
    except (AuthenticationError, ForbiddenError, NotFoundError) as error:
        assert_type(error.status, int)
        return error.problem()
    except (ModelIdTakenError, InactiveModelError, NoAddressError) as error:
        return conflict(error)
    except (BlockedAddressError, UnreadableCredentialError) as error:
        return conflict(error)
    except UpstreamError as error:
        assert_type(error.result, str)
        return error.problem()
    except RegistryError as error:
        assert_type(error.code, str)
        assert_type(error.detail, str)
        return {**error.problem(), "headers": dict(error.headers)}
    except ConfigError as error:
        return {"detail": str(error)}


def conflict(error: ConflictError) -> dict[str, Any]:
    return error.problem()


def mistakes(alice: User, model: ResolvedModel, engine: sa.Engine) -> None:
    ModelRegistry(db, alice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ModelRegistry(db, User, current_user)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ModelRegistry(db, User, secret_box=HalfABox())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ModelRegistry(db, User, providers=["acme"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    registry.resolve(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.resolve("m", alice)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    registry.grant("m", to=alice, can_share=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    registry.grant("m")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    registry.list(user=alice.id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.list(category="zzz")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.list(nonsense=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    registry.summary(limit=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    registry.create(user=alice, model_idd=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    registry.update(1, temperature="0.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.update(1, abilities="chat")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.get("m")["typo"]  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]
    registry.set_default("generall", "m")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.set_default("general", "m", scope="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.transfer("m", "bob")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    smallest.delete("m", user=alice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.api_key = Secret("sk")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    wrong: str = model.api_key  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    model.http_client("requests")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.openai_kwargs(api_key=wrong)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Filters(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    configure_sqlite(engine, 2.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("acme", "Acme", list_api="openai")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def not_in_the_classes(model: Model, grant: Grant) -> None:
    str(model.ciphertext)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    str(registry.Model.uuid)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    model.model_id = 1  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


def of_unknown(alice: User, found: User | None) -> None:
    """``None`` is not a user. Only leaving ``user`` out means the user of the request."""
    registry.create(user=None, model_id="m", model_provider="a", model_name="m", api_key="sk")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.get("m", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.list(user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.summary(user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.update("m", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.delete("m", user=found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.grant("m", to=alice, user=None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    registry.grant("m", to=None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    registry.grant("m", to=None, group="g")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    registry.revoke("m", to=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.revoke("m", group="g", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.grants("m", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.transfer("m", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.transfer("m", alice, user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.user_deleted(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.user_deleted(alice, transfer_to=found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.set_default("general", "m", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.default("general", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.resolve("m", user=found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    registry.explain("m", user=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def an_account(alice: User, model: ResolvedModel) -> int:
    """One account for two models, and what can go wrong with it."""
    try:
        made = registry.create_credential(
            name="team", model_provider="openai", secret={"api_key": "sk"}, user=alice
        )
        models: list[NewModelOfAccount] = [{"model_id": "a", "model_name": "gpt-4o"}]
        created = registry.create_models(made["id"], models, user=alice)
        registry.use_credential("b", made["id"], user=alice)
        registry.update_credential(made["id"], name="all", user=alice)
        registry.update_credential(made["id"], reference="vault/team", user=alice)
        registry.set_secret(made["id"], reference="vault/team", user=alice)
        assert_type(registry.credential(made["id"], user=alice)["reference"], str | None)
        registry.delete_credential(made["id"], detach=True, user=alice)
        registry.create_credential(
            user=alice,
            name="aws",
            model_provider="bedrock",
            kind="aws",
            secret={"access_key_id": "AKIA", "secret_access_key": "s"},
            settings={"region": "eu-central-1"},
        )
        ModelRegistry(db, User, secret_source=groups)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        model.anthropic_kwargs()
    except (CredentialNameTakenError, CredentialInUseError, UnsupportedClientError) as error:
        return error.status
    registry.use_credential("b", "team", user=alice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return created[0]["id"]


def account_fields(alice: User, kind: CredentialKind) -> None:
    """The fields of credentials, made before the calls."""
    secret: AccountSecret = {"api_key": "sk", "headers": {"X-Team": "research"}}
    settings: AccountSettings = {"organization": "org-1", "project": None}
    new: NewCredential = {"name": "a", "model_provider": "openai", "kind": kind, "secret": secret}
    made = registry.create_credential(user=alice, **new)
    assert_type(made, Credential)
    changes: CredentialChanges = {"settings": settings, "expires_at": None}
    assert_type(registry.update_credential(made["id"], user=alice, **changes), Credential)
    replaced: NewSecret = {"reference": "vault/team"}
    registry.set_secret(made["id"], user=alice, **replaced)
    merged: AccountSecretChange = {"headers": {"X-Team": None}}
    registry.update_secret(made["id"], user=alice, **merged)
