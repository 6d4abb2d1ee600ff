"""A host as type checkers see it: every public name, used as it is meant to be; never run.

Lines that end in two ``ignore`` comments are mistakes. Each checker must find them: it reports
comments that ignore nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
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
    EncryptionKey,
    Explanation,
    Filters,
    ForbiddenError,
    InactiveModelError,
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
    ValidationError,
    configure_sqlite,
    signals,
)
from flask_model_registry.types import (
    Category,
    ConfigType,
    CountFilters,
    Grants,
    GroupGrant,
    ListFilters,
    ModelChanges,
    ModelRepresentation,
    NewModel,
    Scope,
    Summary,
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


db = SQLAlchemy(model_class=Base)


class Person(db.Model):  # type: ignore[name-defined, misc]  # mypy cannot follow Flask-SQLAlchemy
    id: Mapped[int] = mapped_column(primary_key=True)


smallest = ModelRegistry(db, Person)
acme = Provider("acme", "Acme", "https://ai.acme.example/v1", aliases=("acme-ai",), needs_key=False)
key = EncryptionKey.parse("2026:AAAA")
built_in: SecretBox = AesGcmBox([key])
own: SecretBox = Envelope()
registry = ModelRegistry(
    db,
    User,
    user_loader=current_user,
    can_share=may_share,
    groups=groups,
    secret_box=own,
    providers=[acme],
)
assert_type(key.key_id, str)
assert_type(own.seal("text", "context"), bytes)
assert_type(built_in.open(b"", "context"), str)


def create_app() -> Flask:
    app = Flask(__name__)
    registry.init_app(app)
    registry.init_app(app, parent=Blueprint("api", __name__))
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


def read(alice: User) -> None:
    model = registry.get(1)
    assert_type(model, ModelRepresentation)
    assert_type(model["id"], int)
    assert_type(model["category"], Category)
    assert_type(model["abilities"], list[str] | None)
    filters: ListFilters = {"category": "llm", "limit": 10, "descending": True}
    assert_type(registry.list(user=alice, **filters), list[ModelRepresentation])
    counted: CountFilters = {"q": "gpt", "is_active": None}
    assert_type(registry.summary(user=alice, **counted), Summary)
    assert_type(registry.summary()["by_category"], dict[str, int])
    assert_type(registry.grants("m")["users"][0]["user"], str)
    assert_type(Filters(is_active=None, owned=True, ability="chat").limit, int | None)


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
    assert_type(model.abilities, tuple[str, ...])
    assert_type(model.api_key, Secret)
    assert_type(model.api_key.reveal(), str)
    assert_type(model.openai_kwargs(), dict[str, Any])
    assert_type(model.anthropic_kwargs(), dict[str, Any])
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
    except (AuthenticationError, ForbiddenError, NotFoundError) as error:
        assert_type(error.status, int)
        return error.problem()
    except (ModelIdTakenError, InactiveModelError, NoAddressError) as error:
        return conflict(error)
    except (BlockedAddressError, UnreadableCredentialError) as error:
        return conflict(error)
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
    model.openai_kwargs(api_key=wrong)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Filters(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    configure_sqlite(engine, 2.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
