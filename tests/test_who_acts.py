"""Only active users, and users whom the host passes, can act or get models."""

import functools
import inspect
import json
from decimal import Decimal

import flask_login
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase
from werkzeug.local import LocalProxy

from flask_model_registry import (
    AuthenticationError,
    ConfigError,
    MissingUserError,
    ModelRegistry,
    NotFoundError,
    ValidationError,
)
from flask_model_registry.users import _all_true
from tests.hosts import CANARY, KINDS, PREFIX, Columns, granted, make_host, model, register

FALSE = [False, 0, 0.0, Decimal(0), None]
TRUE = [True, 1, 2, Decimal(1)]
FLAGS = ["is_active", "is_authenticated"]


class Method:
    def method(self):
        return False

    async def coroutine(self):
        return False


# Objects that Python takes as true or false although they mean neither. Each test makes new ones.
NO_BOOLEANS = {
    "a method": lambda: Method().method,
    "a coroutine": lambda: Method().coroutine(),
    "a coroutine function": lambda: Method().coroutine,
    "a class": lambda: Method,
    "text": lambda: "false",
    "empty text": lambda: "",
    "BIT(1) of MySQL": lambda: b"\0",
    "no bytes": lambda: b"",
    "a list": lambda: [],
    "an object": object,
    "an expression": lambda: sa.column("is_active") == sa.true(),
    "a complex number": lambda: 0j,
    "no number": lambda: float("nan"),
    "NaN of a NUMERIC column": lambda: Decimal("NaN"),
}


@pytest.fixture
def off(host, monkeypatch):
    """Give the users called Bob an attribute."""
    host.user("bob")

    def switch(name, value):
        made = property(lambda user: value() if user.name == "bob" else True)
        monkeypatch.setattr(host.User, name, made, raising=False)

    return switch


def called(host, name="bob"):
    """Return a context of a request by a user."""
    headers = {"Authorization": f"Bearer {host.token(name)}"}
    return host.app.test_request_context(headers=headers)


# Switched off means false.


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", FALSE, ids=repr)
@pytest.mark.parametrize("name", FLAGS)
def test_a_user_with_any_false_value_is_not_logged_in(host, off, bob, name, value):
    off(name, lambda: value)

    asked = [
        bob.get(f"{PREFIX}/"),
        bob.post(f"{PREFIX}/register", json=model()),
        bob.get(f"{PREFIX}/v1/models"),
    ]

    assert [response.status_code for response in asked] == [401] * 3
    assert host.rows("models") == []
    with called(host), pytest.raises(AuthenticationError):
        host.registry.list()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", TRUE, ids=repr)
@pytest.mark.parametrize("name", FLAGS)
def test_a_user_with_any_true_value_gets_in(off, bob, name, value):
    off(name, lambda: value)

    assert bob.get(f"{PREFIX}/").status_code == 200


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", NO_BOOLEANS)
@pytest.mark.parametrize("name", FLAGS)
def test_a_value_that_is_not_a_boolean_is_an_error_that_names_the_attribute(host, off, name, kind):
    off(name, NO_BOOLEANS[kind])

    with called(host), pytest.raises(ConfigError, match=rf"^User\.{name} must be a boolean, not "):
        host.registry.list()


@pytest.mark.databases("sqlite")
def test_a_flag_that_is_not_a_boolean_is_an_error_even_if_another_is_false(host, off):
    off("is_active", lambda: False)
    off("is_authenticated", lambda: "false")

    with called(host), pytest.raises(ConfigError, match=r"^User\.is_authenticated must be"):
        host.registry.list()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", NO_BOOLEANS)
def test_the_same_for_users_whom_the_hosts_code_names_and_for_recipients(host, off, kind):
    register(host.client("alice"), "m")
    off("is_active", NO_BOOLEANS[kind])

    with host.app.app_context():
        alice, bob = host.load("alice"), host.load("bob")
        for call in (
            lambda: host.registry.list(user=bob),
            lambda: host.registry.grant("m", to=bob, user=alice),
            lambda: host.registry.transfer("m", bob, user=alice),
            lambda: host.registry.user_deleted(alice, transfer_to=bob),
        ):
            with pytest.raises(ConfigError, match=r"User\.is_active must be a boolean"):
                call()
        host.db.session.commit()
    assert [row.owner_id for row in host.rows("models")] == [host.user("alice")]
    assert host.rows("grants") == []


class Failing:
    @property
    def is_active(self):
        raise AttributeError


class Inheriting(Failing):
    pass


class Unset:
    __slots__ = ("is_active",)


class Hiding:
    def __init__(self):
        vars(self)["is_active"] = True

    def __getattribute__(self, name):
        if name == "is_active":
            raise AttributeError
        return super().__getattribute__(name)


@pytest.mark.parametrize("kind", [Failing, Inheriting, Unset, Hiding])
def test_a_failing_flag_is_an_error_wherever_it_is_declared(kind):
    with pytest.raises(ConfigError, match=r"is_active exists, but raised an AttributeError"):
        _all_true(kind(), "is_active")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", [*FLAGS, "is_admin"])
def test_a_failing_property_does_not_count_as_missing(host, off, name):
    off(name, lambda: host.of_no_such_name)

    with called(host), pytest.raises(ConfigError, match=rf"User\.{name} .* AttributeError"):
        host.registry.create(**model(share_with_users=True))

    assert host.rows("models") == []


@pytest.mark.databases("sqlite")
def test_an_is_admin_that_is_not_a_boolean_is_an_error_that_names_it(host, off):
    off("is_admin", lambda: Method().method)

    with (
        called(host),
        pytest.raises(ConfigError, match=r"User\.is_admin must be .* pass can_share"),
    ):
        host.registry.create(**model(share_with_users=True))


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", FALSE, ids=repr)
@pytest.mark.parametrize("name", FLAGS)
def test_a_user_with_any_false_value_cannot_be_given_a_model(host, off, tmp_path, name, value):
    alice, key = host.client("alice"), host.user("bob")
    (row_id,) = register(alice, "m")
    off(name, lambda: value)
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({**model(), "owner": str(key)}))

    over_http = [
        alice.put(f"{PREFIX}/{row_id}/grants/users/{key}", json={}).status_code,
        alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(key)}).status_code,
    ]
    printed, status = host.run("import", str(path))
    with host.app.app_context():
        owner, bob = host.load("alice"), host.load("bob")
        for call in (
            lambda: host.registry.grant("m", to=bob, user=owner),
            lambda: host.registry.transfer("m", bob, user=owner),
            lambda: host.registry.user_deleted(owner, transfer_to=bob),
        ):
            with pytest.raises(NotFoundError, match="no such user"):
                call()
        host.db.session.commit()

    assert over_http == [404, 404]
    assert (status, "There is no such user." in printed) == (1, True)
    assert [row.owner_id for row in host.rows("models")] == [host.user("alice")]
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
def test_an_attribute_that_only_objects_have_counts_for_recipients_too(host):
    register(host.client("alice"), "m")

    @sa.event.listens_for(host.User, "load")
    def switch_off(user, _context):
        user.is_active = user.name != "bob"

    try:
        key = host.user("bob")
        refused = host.client("alice").put(f"{PREFIX}/by-id/m", json={})  # any request
        assert refused.status_code == 422
        (row,) = host.rows("models")
        response = host.client("alice").put(f"{PREFIX}/{row.id}/grants/users/{key}", json={})
    finally:
        sa.event.remove(host.User, "load", switch_off)

    assert response.status_code == 404
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
def test_the_host_can_manage_the_models_of_inactive_users(host, off, bob):
    register(bob, "m", "n")
    host.user("alice")
    off("is_active", lambda: 0)

    with host.app.app_context():
        user = host.load("bob")
        assert len(host.registry.list(user=user)) == 2
        assert host.registry.resolve("m", user=user).api_key.reveal() == CANARY
        host.registry.transfer("m", host.load("alice"), user=user)
        host.registry.user_deleted(user, transfer_to=host.load("alice"))
        host.db.session.commit()

    assert [row.owner_id for row in host.rows("models")] == [host.user("alice")] * 2


@pytest.mark.databases("sqlite")
def test_the_hosts_code_may_name_a_user_whose_attributes_are_not_loaded(host_of):
    host = host_of(with_a_column)
    register(host.client("alice", is_active=True), "m")

    with host.app.app_context():
        alice = host.load("alice")
        host.db.session.expire(alice)
        host.db.session.expunge(alice)
        assert len(host.registry.list(user=alice)) == 1

    with host.app.app_context():
        gone = host.load("alice")
        host.db.session.expire(gone)
        with host.db.engine.begin() as connection:
            connection.execute(sa.delete(host.User))
        host.db.session.rollback()
        assert host.registry.list(user=gone) == []


ID = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mariadb": "INTEGER AUTO_INCREMENT PRIMARY KEY",
}


def reflected(database, db):
    """Be a host that reflects its users' table, which another program has made."""
    flag = {"mariadb": "TINYINT(1)"}.get(database.name, "SMALLINT")
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE users (id {ID[database.name]}, name VARCHAR(80), is_admin {flag}, "
            f"is_active {flag})"
        )
    table = sa.Table("users", db.metadata, autoload_with=engine)
    engine.dispose()
    assert not isinstance(table.c.is_active.type, sa.Boolean)

    class User(db.Model):
        __table__ = table

    return User, int, None


@pytest.fixture
def host_of(empty_databases, monkeypatch, canary):
    """Make hosts with users of the test's own."""
    made = []

    def make(declare_users, **options):
        database = empty_databases()
        if declare_users is reflected:
            declare_users = functools.partial(reflected, database)
        monkeypatch.setitem(KINDS, "own", (declare_users, dict))
        made.append(make_host(database.url, "own", **options))
        return made[-1]

    yield make
    for each in made:
        canary(each.app)
        each.close()


def with_a_column(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        is_active = sa.Column(sa.Boolean)

    return User, int, None


def with_flask_login(db):
    class User(Columns, flask_login.UserMixin, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        active = sa.Column(sa.Boolean)
        is_active = property(lambda self: self.active)

    return User, int, None


@pytest.mark.sampled(2)
@pytest.mark.parametrize("declare_users", [reflected, with_a_column, with_flask_login])
@pytest.mark.parametrize("value", [0, None])
def test_a_column_that_is_false_or_null_refuses(host_of, declare_users, value):
    host = host_of(declare_users)
    name = "active" if declare_users is with_flask_login else "is_active"
    alice, bob = host.client("alice", **{name: 1}), host.client("bob", **{name: 1})
    (row_id,) = register(alice, "m")
    register(bob, "n")
    users = sa.inspect(host.User).local_table
    host.execute(sa.update(users).where(users.c.name == "bob").values({name: value}))

    statuses = [
        bob.get(f"{PREFIX}/").status_code,
        alice.put(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}", json={}).status_code,
        alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": f"{host.user('bob')}"}).status_code,
    ]

    assert statuses == [401, 404, 404]
    assert host.rows("grants") == []
    host.execute(sa.update(users).where(users.c.name == "bob").values({name: 1}))
    assert bob.get(f"{PREFIX}/").status_code == 200
    granted(alice, row_id, user=host.user("bob"))


def with_a_method(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

        def is_active(self):  # as Flask-Login had it before 0.3
            return True

    return User, int, None


@pytest.mark.databases("sqlite")
def test_a_method_of_the_class_is_an_error_that_names_it(host_of):
    host = host_of(with_a_method)

    with called(host), pytest.raises(ConfigError, match=r"User\.is_active .* not of type method"):
        host.registry.list()


# Results of a user loader.


async def never_awaited():
    pass


class Stranger:
    is_authenticated = True


@pytest.mark.sampled(3)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("load", "what"),
    [
        (never_awaited, "not a coroutine"),
        (lambda: True, "not of type bool"),
        (lambda: 1, "not of type int"),
        (lambda: 0, "not of type int"),
        (lambda: "", "not of type str"),
        (lambda: {}, "not of type dict"),
        (lambda: (1,), "not of type tuple"),
        (Stranger, "not of type Stranger"),
        (lambda: Stranger, "not the class Stranger"),
        (lambda: LocalProxy(lambda: 7), "not of type int"),
    ],
)
def test_a_loader_that_returns_no_user_is_an_error_of_the_host(hosts, load, what):
    host = hosts(user_loader=load)

    with host.app.test_request_context(), pytest.raises(ConfigError, match=what):
        host.registry.list()


@pytest.mark.databases("sqlite")
def test_the_users_class_itself_is_not_a_user(hosts):
    host = hosts(user_loader=lambda: host.User)

    with host.app.test_request_context(), pytest.raises(ConfigError, match="not the class User"):
        host.registry.list()
    with host.app.app_context(), pytest.raises(ConfigError, match="not the class User"):
        host.registry.list(user=host.User)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "name", ["user_loader", "can_share", "groups", "can_grant", "secret_source"]
)
@pytest.mark.parametrize("callback", [False, 0, "load", LocalProxy(lambda: None)])
def test_a_callback_that_is_not_a_function_is_refused(hosts, name, callback):
    with pytest.raises(ConfigError, match=f"{name} must be a function"):
        hosts(**{name: callback})


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("name", "callback", "how_many"),
    [
        ("user_loader", lambda key: None, "no arguments"),  # as Flask-Login's own
        ("can_share", lambda: True, "1 argument"),
        ("groups", lambda user, team: (), "1 argument"),
        ("can_grant", lambda giver: True, "2 arguments"),
    ],
)
def test_a_callback_that_takes_other_arguments_is_refused(hosts, name, callback, how_many):
    with pytest.raises(ConfigError, match=f"^{name} must be a function that takes {how_many}$"):
        hosts(**{name: callback})


class Falsy:
    """A function, as an object that is false."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *_user):
        return self.answer() if callable(self.answer) else self.answer

    def __len__(self):
        return 0


@pytest.mark.databases("sqlite")
def test_callbacks_whose_objects_are_false_are_called_too(hosts):
    host = hosts(
        user_loader=Falsy(lambda: host.load("alice")),
        can_share=Falsy(answer=True),
        groups=Falsy(answer=["g"]),
    )
    host.user("alice")

    with host.app.test_request_context():
        created = host.registry.create(**model(share_with_users=True))

    assert created["is_shared"]


async def of_groups(_user):
    return ["g"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("groups", [0, False, "", b"", 5, Method().method, of_groups])
def test_groups_that_are_not_a_list_are_an_error_of_the_host(hosts, groups):
    host = hosts(groups=of_groups if groups is of_groups else lambda user: groups)

    with called(host), pytest.raises(ConfigError, match="groups must return the names"):
        host.registry.list()


def test_a_user_who_is_deleted_while_a_request_waits_is_not_logged_in(host_of):
    def load():
        user = host.load("alice")
        host.db.session.execute(
            sa.delete(host.User), execution_options={"synchronize_session": False}
        )
        host.db.session.expire(user)  # like the rollback before a retry
        return user

    host = host_of(with_a_column, user_loader=load)
    host.user("alice", is_active=True)

    assert host.client().get(f"{PREFIX}/").status_code == 401


# An explicit None is not a user.

PUBLIC = [
    (name, function)
    for name, function in inspect.getmembers(ModelRegistry, inspect.isfunction)
    if not name.startswith("_")
]
NAMES_A_USER = [
    (name, parameter.name)
    for name, function in PUBLIC
    for parameter in inspect.signature(function).parameters.values()
    if "[User]" in str(parameter.annotation)
]
NOT_USERS = [
    lambda: None,
    lambda: LocalProxy(lambda: None),
    lambda: LocalProxy(lambda: LocalProxy(lambda: None)),
    flask_login.AnonymousUserMixin,
    lambda: LocalProxy(flask_login.AnonymousUserMixin),
]


@pytest.mark.databases("sqlite")
def test_the_introspection_finds_the_calls_that_name_a_user():
    assert len(NAMES_A_USER) > 15
    assert {argument for _, argument in NAMES_A_USER} >= {"user", "to", "transfer_to"}


def arguments(host, call, **given):
    """Return valid arguments of a call, but for those given."""
    valid = {
        "ref": "m",
        "config_type": "general",
        "to": host.load("bob"),
        "transfer_to": host.load("bob"),
        "user": host.load("alice"),
        "credential_id": 1,
        "models": [{"model_id": "new", "model_name": "new"}],
    }
    names = inspect.signature(getattr(host.registry, call)).parameters
    account = {"name": "a", "model_provider": "openai", "secret": {"api_key": CANARY}}
    fields = {
        "create": model(model_id="new"),
        "create_credential": account,
        "set_secret": {"api_key": CANARY},
    }.get(call, {})
    return {**fields, **{name: valid[name] for name in names if name in valid}, **given}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("call", "argument"), NAMES_A_USER)
def test_an_explicit_missing_user_raises_and_changes_nothing(host, call, argument):
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    tables = ("models", "grants", "defaults", "credentials")
    before = [host.rows(table) for table in tables]

    for not_a_user in NOT_USERS:
        with called(host, "alice"):  # not the intended user
            given = arguments(host, call, **{argument: not_a_user()})
            with pytest.raises(MissingUserError, match=f"'{argument}' is (None|a visi)") as caught:
                getattr(host.registry, call)(**given)
            host.db.session.commit()

    assert isinstance(caught.value, AuthenticationError)
    assert [host.rows(table) for table in tables] == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("call", "argument"), NAMES_A_USER)
def test_a_missing_user_is_reported_outside_of_requests_too(host, call, argument):
    host.user("alice"), host.user("bob")
    needed = inspect.signature(getattr(host.registry, call)).parameters
    with host.app.app_context():
        given = arguments(host, call, **{argument: None})
        if argument != "user" and needed.get("user") and call != "user_deleted":
            del given["user"]
        with pytest.raises(MissingUserError, match=f"'{argument}' is None"):
            getattr(host.registry, call)(**given)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("call", ["grant", "revoke"])
def test_a_grant_is_to_a_user_or_to_a_group(host, call):
    register(host.client("alice"), "m")

    with host.app.app_context():
        alice, function = host.load("alice"), getattr(host.registry, call)
        with pytest.raises(MissingUserError, match="'to' is None"):
            function("m", to=None, group="g", user=alice)
        for wrong in ({}, {"group": None}, {"to": alice, "group": "g"}):
            with pytest.raises(ValidationError, match=r"either 'to' \(a user\) or 'group'"):
                function("m", user=alice, **wrong)
        host.db.session.commit()

    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
def test_without_an_argument_the_user_of_the_request_acts(host):
    register(host.client("alice"), "m")

    with called(host, "alice"):
        assert [each["model_id"] for each in host.registry.list()] == ["m"]
        host.registry.user_deleted(host.load("alice"))
        host.db.session.commit()

    assert host.rows("models") == []


def with_any_key(kind, db):
    class User(Columns, db.Model):
        id = sa.Column(kind, primary_key=True, autoincrement=False)

    return User, kind, None


@pytest.mark.parametrize(("kind", "key"), [(sa.Integer(), 0), (sa.String(8), "")])
def test_a_primary_key_that_is_false_is_a_key(host_of, kind, key):
    host = host_of(functools.partial(with_any_key, kind))
    with host.app.app_context():
        zero, other = host.User(id=key), host.User(id=type(key)(1))
        host.db.session.add_all([zero, other])
        host.db.session.commit()
        registry = host.registry
        registry.create(user=other, **model())
        registry.create(user=other, **model(model_id="n"))
        registry.grant("gpt-4o", to=zero, user=other)
        assert registry.resolve("gpt-4o", user=zero).api_key.reveal() == CANARY
        registry.revoke("gpt-4o", to=zero, user=other)
        registry.transfer("gpt-4o", zero, user=other)
        registry.user_deleted(other, transfer_to=zero)
        host.db.session.commit()
        assert [row.owner_id for row in host.rows("models")] == [key] * 2
        registry.user_deleted(zero, transfer_to=other)
        registry.user_deleted(other)
        host.db.session.commit()

    assert host.rows("models") == []


# A class with keys of its own is another user.


def concrete(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    class Staff(User):
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(80))
        is_admin = sa.Column(sa.Boolean)
        __mapper_args__ = {"concrete": True}

    db.Staff = Staff
    return User, int, None


def polymorphic(db):
    """The same, where one query finds the users of both tables."""

    class User(Columns, ConcreteBase, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "user", "concrete": True}

    class Staff(User):
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(80))
        is_admin = sa.Column(sa.Boolean)
        __mapper_args__ = {"polymorphic_identity": "staff", "concrete": True}

    db.Staff = Staff
    return User, int, None


@pytest.fixture(params=[concrete, polymorphic])
def with_staff(request, host_of):
    """A host with Alice, who is user 1 and has a model, and with staff 1 and 2."""
    host = host_of(request.param, user_loader=lambda: host.loaded())
    with host.app.app_context():
        host.db.session.add_all([host.User(id=1, name="alice"), host.User(id=3, name="carol")])
        host.db.session.add_all([host.db.Staff(id=1), host.db.Staff(id=2)])
        host.db.session.commit()
        host.registry.create(user=load(host, host.User, 1), **model())
        host.db.session.commit()
    return host


def load(host, kind, key):
    of_kind = host.db.session.scalars(sa.select(kind)).unique()
    return next(each for each in of_kind if type(each) is kind and each.id == key)


CALLS = {
    "resolve": lambda registry, staff, _alice: registry.resolve("gpt-4o", user=staff),
    "list": lambda registry, staff, _alice: registry.list(user=staff),
    "create": lambda registry, staff, _alice: registry.create(user=staff, **model(model_id="n")),
    "grant": lambda registry, staff, alice: registry.grant("gpt-4o", to=staff, user=alice),
    "revoke": lambda registry, staff, alice: registry.revoke("gpt-4o", to=staff, user=alice),
    "transfer": lambda registry, staff, alice: registry.transfer("gpt-4o", staff, user=alice),
    "inherit": lambda registry, staff, alice: registry.user_deleted(alice, transfer_to=staff),
    "leave": lambda registry, staff, _alice: registry.user_deleted(staff),
}


@pytest.mark.parametrize("key", [1, 2])
def test_a_key_of_another_table_names_no_user(with_staff, subtests, key):
    host, message = with_staff, r"Staff has its own primary key, staff\.id, .* user\.id"
    for name, call in CALLS.items():
        with subtests.test(call=name), host.app.app_context():
            staff, alice = load(host, host.db.Staff, key), load(host, host.User, 1)
            with pytest.raises(ConfigError, match=message):
                call(host.registry, staff, alice)
            host.db.session.commit()

            assert [row.owner_id for row in host.rows("models")] == [1]
            assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
def test_such_a_user_of_a_request_is_an_error_of_the_host(with_staff):
    host = with_staff
    host.loaded = lambda: load(host, host.db.Staff, 1)

    with host.app.test_request_context(), pytest.raises(ConfigError, match="its own primary key"):
        host.registry.resolve("gpt-4o")


@pytest.mark.databases("sqlite")
def test_a_key_as_a_string_names_a_user_of_the_registry(with_staff, tmp_path):
    host = with_staff
    host.loaded = lambda: load(host, host.User, 1)
    alice, path = host.client(), tmp_path / "in.jsonl"
    path.write_text(json.dumps({**model(model_id="imported"), "owner": "1"}))
    (row,) = host.rows("models")

    statuses = [
        alice.put(f"{PREFIX}/{row.id}/grants/users/{key}", json={}).status_code for key in (1, 2, 3)
    ]
    imported = host.run("import", str(path))
    path.write_text(json.dumps({**model(model_id="refused"), "owner": "2"}))
    refused = host.run("import", str(path))

    assert statuses == [409, 404, 201]  # the owner's own, an unknown user's, Carol's
    assert (imported[1], refused[1]) == (0, 1)
    assert [row.owner_id for row in host.rows("models")] == [1, 1]


def test_deleting_a_user_of_another_table_deletes_no_models(with_staff):
    host = with_staff
    with host.app.app_context():
        host.db.session.delete(load(host, host.db.Staff, 1))
        host.db.session.commit()
    kept = host.rows("models")

    with host.app.app_context():
        host.db.session.delete(load(host, host.User, 1))
        host.db.session.commit()

    assert len(kept) == 1
    assert host.rows("models") == []


def joined(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(8))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "user"}

    class Staff(User):
        staff_id = sa.Column(sa.ForeignKey(User.id), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "staff"}

    db.Staff = Staff
    return User, int, None


def single(db):
    class User(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(8))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "user"}

    class Staff(User):
        __mapper_args__ = {"polymorphic_identity": "staff"}

    db.Staff = Staff
    return User, int, None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("declare_users", [joined, single])
def test_a_class_with_the_keys_of_the_users_is_one_of_them(host_of, declare_users):
    host = host_of(declare_users)
    key = host.user("alice")
    with host.app.app_context():
        host.db.session.add(host.db.Staff(name="bob"))
        host.db.session.commit()
        bob = host.db.session.scalars(sa.select(host.db.Staff)).one()
        host.users["bob"] = bob.id
        alice = host.db.session.get(host.User, key)
        host.registry.create(user=alice, **model())
        host.registry.grant("gpt-4o", to=bob, user=alice)
        host.registry.transfer("gpt-4o", bob, user=alice)
        host.db.session.commit()
    listed = host.client("bob").get(f"{PREFIX}/?is_active=all").json

    with host.app.app_context():
        host.db.session.delete(host.load("bob"))
        host.db.session.commit()

    assert len(listed) == 1
    assert host.rows("models") == []


def only_some(db):
    class Party(Columns, db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(8))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "party"}

    class Member(Party):
        id = sa.Column(sa.ForeignKey(Party.id), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "member"}

    db.Party = Party
    return Member, int, None


@pytest.mark.databases("sqlite")
def test_an_object_with_a_users_key_that_is_not_a_user_gets_nothing(host_of):
    host = host_of(only_some)
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    with host.app.app_context():
        party = host.db.Party(name="a company")
        host.db.session.add(party)
        host.db.session.commit()
        key = party.id

    statuses = [
        alice.put(f"{PREFIX}/{row_id}/grants/users/{key}", json={}).status_code,
        alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(key)}).status_code,
    ]

    assert statuses == [404, 404]
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
def test_a_class_without_a_table_is_refused(hosts):
    db = hosts().db

    class Someone(AbstractConcreteBase, db.Model):
        pass

    with pytest.raises(ConfigError, match="is not a mapped class"):
        ModelRegistry(db, Someone)

    class Human(Someone):
        id = sa.Column(sa.Integer, primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "human", "concrete": True}

    sa.orm.configure_mappers()
    with pytest.raises(ConfigError, match="Someone is mapped to a query"):
        ModelRegistry(db, Someone)
    assert Human.id is not None
