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


def change(alice: User, bob: User) -> None:
    model = registry.create(user=alice, model_id="m", model_provider="acme", temperature=0.5)
    assert_type(model, dict[str, Any])
    assert_type(registry.update("m", user=alice, description=None), dict[str, Any])
    assert_type(registry.grant("m", to=bob, can_edit=True, user=alice), dict[str, Any])
    assert_type(registry.grants("m", user=alice), dict[str, Any])
    registry.grant(1, group="research", can_delete=True)
    registry.revoke("m", to=bob, user=alice)
    registry.revoke("m", group="research")
    registry.set_default("general", "m", user=bob)
    registry.set_default("general", None, scope="app")
    registry.transfer("m", bob, user=alice)
    registry.delete(1, user=alice)
    registry.user_deleted(alice, transfer_to=bob)


def read(alice: User) -> None:
    assert_type(registry.get(1), dict[str, Any])
    models = registry.list(user=alice, category="llm", limit=10, descending=True)
    assert_type(models, list[dict[str, Any]])
    assert_type(registry.summary(user=alice, q="gpt"), dict[str, Any])
    assert_type(Filters(is_active=None, owned=True, ability="chat").limit, int | None)


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
    registry.grant("m", to=alice, can_share=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    model.api_key = Secret("sk")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    wrong: str = model.api_key  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    model.openai_kwargs(api_key=wrong)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Filters(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    configure_sqlite(engine, 2.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
