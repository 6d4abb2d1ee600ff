"""Users declared in unusual ways either work, or are refused at the start with the fix."""

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import column_property

from flask_model_registry import ConfigError, ModelRegistry, configure_sqlite
from flask_model_registry.cli import new_key
from tests.hosts import CANARY, PREFIX, Host, Recorder, granted, model, register

KEY = new_key("test")


def make_app(db, url, **options):
    app = Flask("host", **options)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, MODEL_REGISTRY_ENCRYPTION_KEYS=KEY)
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    db.init_app(app)
    return app


def make_registry(db, users, **options):
    """Return a registry whose only user is the first."""
    return ModelRegistry(db, users, user_loader=lambda: db.session.get(users, 1), **options)


def start(url):
    """Be a host that declares its users, and registers a model."""
    db = SQLAlchemy()

    class User(db.Model):
        __tablename__ = "users"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(80))

    registry, app = make_registry(db, User), make_app(db, url)
    registry.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add_all([User(name="alice"), User(name="bob")])
        db.session.commit()
    register(app.test_client(), "of-the-first-start")
    return Host(app, db, User, registry)


def reflect(db, app):
    with app.app_context():
        db.reflect()
    return type("User", (db.Model,), {"__table__": db.metadata.tables["users"]})


def reflect_and_extend(db, app):
    with app.app_context():
        db.reflect()

    class User(db.Model):
        __tablename__ = "users"
        __table_args__ = {"extend_existing": True}
        id = sa.Column(sa.Integer, primary_key=True)

    return User


def automap(db, app):
    Base = automap_base(metadata=db.metadata)
    with app.app_context():
        Base.prepare(autoload_with=db.engine)
    db.Automapped = Base
    return Base.classes.users


def defer(db, app):
    class Reflected(DeferredReflection):
        pass

    class User(Reflected, db.Model):
        __tablename__ = "users"

    with app.app_context():
        Reflected.prepare(db.engine)
    return User


@pytest.mark.sampled(2)
@pytest.mark.parametrize("declare", [reflect, reflect_and_extend, automap, defer])
def test_a_reflected_database_starts_a_second_time(empty_databases, canary, declare):
    database = empty_databases()
    first, db = start(database.url), SQLAlchemy()
    app = make_app(db, database.url)

    User = declare(db, app)
    registry = make_registry(db, User)
    registry.init_app(app)

    client = app.test_client()
    register(client, "of-the-second")
    granted(client, 1, user=2)
    names = [each["model_id"] for each in client.get(f"{PREFIX}/").json]
    assert names == ["of-the-first-start", "of-the-second"]
    with app.app_context():
        configure_sqlite(db.engine)
        db.create_all()
        user = db.session.get(User, 1)
        assert registry.resolve("of-the-first-start", user=user).api_key.reveal() == CANARY
        models = sa.select(registry.Model).filter_by(owner=user).order_by(registry.Model.id)
        owned = db.session.scalars(models).all()
        assert [(each.model_id, each.owner) for each in owned] == [(name, user) for name in names]
        db.session.delete(user)
        db.session.commit()
    again = Host(app, db, User, registry)
    assert [again.rows(name) for name in ("models", "grants")] == [[], []]
    for host in (first, again):
        canary(host.app)
        host.close()


def test_a_database_is_reflected_after_the_registry_was_made(empty_databases, canary):
    host = start(empty_databases().url)

    with host.app.app_context():
        host.db.reflect()

    assert register(host.app.test_client(), "another") == [2]
    canary(host.app)
    host.close()


def test_a_table_of_the_hosts_own_with_such_a_name_is_not_taken_away():
    db = SQLAlchemy()

    class User(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    class Theirs(db.Model):
        __tablename__ = "model_registry_models"
        id = sa.Column(sa.Integer, primary_key=True)

    with pytest.raises(ConfigError, match=r"'model_registry_models' of your own; rename it"):
        ModelRegistry(db, User)
    assert Theirs.__table__ is db.metadata.tables["model_registry_models"]


@pytest.mark.parametrize("base", ["DeferredReflection", "automap"])
def test_users_who_are_not_prepared_are_refused_with_the_remedy(base):
    db = SQLAlchemy()
    if base == "automap":
        bases = (automap_base(metadata=db.metadata),)
    else:
        bases = (type("Reflected", (DeferredReflection,), {}), db.Model)
    columns = {"id": sa.Column(sa.Integer, primary_key=True)} if base == "automap" else {}
    User = type("User", bases, {"__tablename__": "users", **columns})

    with pytest.raises(ConfigError, match=r"mapped by prepare\(\), so call ModelRegistry after"):
        ModelRegistry(db, User)


def users_table(db):
    columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80))
    return sa.Table("users", db.metadata, *columns)


@pytest.mark.parametrize(
    "query",
    [
        lambda users: sa.select(users).subquery(),
        lambda users: sa.select(users).where(users.c.name != "x").cte(),
        lambda users: users.alias(),
        lambda users: sa.union_all(sa.select(users), sa.select(users)).subquery(),
    ],
    ids=["select", "CTE", "alias", "union"],
)
def test_users_who_are_mapped_to_a_query_are_refused_with_the_remedy(query):
    db = SQLAlchemy()
    User = type("User", (db.Model,), {"__table__": query(users_table(db))})

    with pytest.raises(ConfigError, match=r"User is mapped to a query.* class that is mapped to"):
        ModelRegistry(db, User)


def test_users_who_are_mapped_to_a_join_work(empty_databases, canary):
    db = SQLAlchemy()
    users = users_table(db)
    profiles = sa.Table(
        "profiles", db.metadata, sa.Column("id", sa.ForeignKey("users.id"), primary_key=True)
    )

    class User(db.Model):
        __table__ = users.join(profiles)
        id = column_property(users.c.id, profiles.c.id)

    registry, app = make_registry(db, User), make_app(db, empty_databases().url)
    registry.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add(User(name="alice"))
        db.session.commit()

    assert register(app.test_client(), "m") == [1]
    canary(app)
    Host(app, db, User, registry).close()


@pytest.mark.parametrize("column_type", [sa.LargeBinary(16), sa.BINARY(16), sa.VARBINARY(16)])
def test_keys_of_bytes_are_refused_with_the_remedy(column_type):
    db = SQLAlchemy()

    class User(db.Model):
        id = sa.Column(column_type, primary_key=True)

    with pytest.raises(ConfigError, match=r"user\.id holds bytes.*such as a TypeDecorator"):
        ModelRegistry(db, User)


class Hexadecimal(sa.types.TypeDecorator):
    """The suggested fix: bytes in the database, and strings in Python."""

    impl = sa.LargeBinary(8)
    cache_ok = True

    def load_dialect_impl(self, dialect):
        is_mysqls = dialect.name in {"mysql", "mariadb"}
        return dialect.type_descriptor(sa.BINARY(8) if is_mysqls else sa.LargeBinary(8))

    def process_bind_param(self, value, dialect):
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value, dialect):
        return None if value is None else bytes(value).hex()


def test_bytes_that_are_text_to_python_work(empty_databases, canary):
    alice, bob = "00ff27" + "0" * 10, "b0b0" * 4
    db = SQLAlchemy()

    class User(db.Model):
        __tablename__ = "users"
        id = sa.Column(Hexadecimal, primary_key=True)

    registry = ModelRegistry(db, User, user_loader=lambda: db.session.get(User, alice))
    app = make_app(db, empty_databases().url)
    registry.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add_all([User(id=alice), User(id=bob)])
        db.session.commit()
    client = app.test_client()
    (row_id,) = register(client, "m")

    assert granted(client, row_id, user=bob)["user"] == bob
    missing = client.put(f"{PREFIX}/{row_id}/grants/users/no-key", json={})
    assert missing.status_code == 404
    canary(app)
    Host(app, db, User, registry).close()


@pytest.mark.parametrize("below_a_parent", [False, True])
def test_host_matching_is_refused_with_the_remedy(below_a_parent):
    db = SQLAlchemy()
    User = type("User", (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)})
    app = make_app(db, "sqlite://", host_matching=True, static_host="example.com")

    with pytest.raises(ConfigError, match=r"host_matching=True.* use subdomain_matching with a"):
        ModelRegistry(db, User).init_app(
            app, parent=Blueprint("api", __name__) if below_a_parent else None
        )
    assert "model_registry" not in app.extensions


@pytest.mark.databases("sqlite")
def test_subdomain_matching_works_as_the_remedy_says(empty_databases, canary):
    db = SQLAlchemy()
    User = type("User", (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)})
    app = make_app(db, empty_databases().url, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    registry, parent = make_registry(db, User), Blueprint("api", __name__, subdomain="api")
    registry.init_app(app, parent=parent)
    app.register_blueprint(parent)
    with app.app_context():
        db.create_all()
        db.session.add(User())
        db.session.commit()

    options = {"base_url": "http://api.example.com", "json": model()}
    created = app.test_client().post(f"{PREFIX}/register", **options)

    assert (created.status_code, created.headers["Location"]) == (201, f"{PREFIX}/1")
    canary(app)
    Host(app, db, User, registry).close()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("variable", ["<tenant>", "<int:tenant>", "<a>/<b>"])
def test_a_parent_may_take_its_variables_away_without_url_defaults(
    empty_databases, canary, variable
):
    db = SQLAlchemy()
    User = type("User", (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)})
    app = make_app(db, empty_databases().url)
    registry, parent = make_registry(db, User), Blueprint("t", __name__, url_prefix=f"/{variable}")

    @parent.url_value_preprocessor
    def take(_endpoint, values):
        for name in ("tenant", "a", "b"):
            values.pop(name, None)

    registry.init_app(app, parent=parent)
    app.register_blueprint(parent)
    with app.app_context():
        db.create_all()
        db.session.add(User())
        db.session.commit()
    mount = "/1/2" if "<a>" in variable else "/7"
    client = app.test_client()

    for name in ("m", "n"):
        created = client.post(f"{mount}{PREFIX}/register", json=model(model_id=name))
    page = client.get(f"{mount}{PREFIX}/?limit=1")

    assert created.headers["Location"] == f"{mount}{PREFIX}/2"
    assert client.get(created.headers["Location"]).json == created.json
    assert page.headers["Link"].startswith(f"<{mount}{PREFIX}/?limit=1&after=")
    canary(app)
    Host(app, db, User, registry).close()
