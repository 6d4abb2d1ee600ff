"""SQLAlchemy models: what a host may do with ``registry.Model`` and the others."""

import gc
import weakref

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from flask_model_registry import ConfigError
from tests.hosts import CANARY, KINDS, RARE_KINDS, declare, granted, make_host, model, register

# SQLite has no schemas; the pins hold what is declared for them.
EVERYWHERE = [kind for kind in {**KINDS, **RARE_KINDS} if "schema" not in kind]


@pytest.fixture
def make(canary):
    """Make hosts in memory."""
    made = []

    def make(kind="legacy base, int key"):
        made.append(make_host("sqlite://", kind, groups=lambda user: []))
        return made[-1]

    yield make
    for host in made:
        canary(host.app)
        host.close()


def fill(host):
    """Have models, grants and defaults, and return a session that has loaded nothing."""
    host.user("alice"), host.user("bob")  # before MariaDB takes a snapshot
    session = host.db.session
    alice, bob = host.load("alice"), host.load("bob")
    create, grant = host.registry.create, host.registry.grant
    row_id = create(user=alice, **model(abilities=["chat", "vision"], description="d"))["id"]
    create(user=bob, **model(model_id="other"))
    grant(row_id, to=bob, can_edit=True, user=alice)
    grant(row_id, group="group of bob", user=alice)
    host.registry.set_default("general", row_id, user=bob)
    session.commit()
    session.expunge_all()
    return session


def are_as_declared(host):
    """Query, join, follow and count, as a host would."""
    registry, session = host.registry, fill(host)
    Model, Grant, User = registry.Model, registry.Grant, host.User
    alice, bob = host.load("alice"), host.load("bob")
    key = sa.inspect(User).get_property_by_column(sa.inspect(User).primary_key[0]).class_attribute

    mine = session.scalars(sa.select(Model).join(Model.owner).where(key == host.user("alice")))
    (found,) = mine.all()
    assert (found.model_id, found.owner_id, found.owner) == ("gpt-4o", host.user("alice"), alice)
    assert (found.abilities, found.is_active, found.version) == (["chat", "vision"], True, 1)
    assert session.scalars(sa.select(Model).join(User, key == Model.owner_id)).unique().all()
    eager = session.scalars(
        sa.select(Model).options(orm.joinedload(Model.owner)).order_by(Model.id)
    )
    assert [each.owner for each in eager] == [alice, bob]
    grants = session.scalars(sa.select(Grant).order_by(Grant.id)).all()
    assert [(each.user, each.group_name, each.model) for each in grants] == [
        (bob, None, found),
        (None, "group of bob", found),
    ]
    (default,) = session.scalars(sa.select(registry.Default))
    assert (default.user, default.model, default.config_type) == (bob, found, "general")
    assert session.scalars(sa.select(registry.AppDefault)).all() == []
    abilities = sa.select(registry.Ability.ability).join(registry.Ability.model).order_by("ability")
    assert session.scalars(abilities).all() == ["chat", "vision"]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_hosts_of_each_kind_query_them(kind, make):
    host = make(kind)
    with host.app.app_context():
        are_as_declared(host)
        owned = orm.relationship(host.registry.Model, viewonly=True)
        if kind == "imperative mapping":
            sa.inspect(host.User).add_property("models", owned)
        else:
            host.User.models = owned
        owned = {user.name: [each.model_id for each in user.models] for user in everyone(host)}
        assert owned == {"alice": ["gpt-4o"], "bob": ["other"]}
        host.db.session.commit()
        host.db.drop_all()


def everyone(host):
    users = host.db.session.scalars(sa.select(host.User))
    return [user for user in users.unique() if type(user) is host.User]


def test_each_database_is_queried_alike(host):
    with host.app.app_context():
        are_as_declared(host)


def test_users_of_another_table_with_the_same_key_own_nothing(make):
    host = make("concrete inheritance")
    with host.app.app_context():
        session = fill(host)
        Model = host.registry.Model
        session.add(host.db.Robot(id=host.user("alice"), name="robot"))
        session.commit()

        owners = session.execute(sa.select(Model.model_id, host.User.name).join(Model.owner)).all()

        assert sorted(owners) == [("gpt-4o", "alice"), ("other", "bob")]
        assert [
            each.owner.name for each in session.scalars(sa.select(Model).order_by(Model.id))
        ] == ["alice", "bob"]


def test_declaring_them_configures_no_mapper_of_the_hosts():
    db, _, User, registry, _ = declare("legacy base, string key")

    sa.select(registry.Model).join(User)  # before its `notes` can be found
    assert not sa.inspect(User).configured


def test_a_host_may_have_classes_of_the_same_names():
    db, _, _, registry, _ = declare()
    names = ("Model", "Credential", "Grant", "Default", "Ability", "AppDefault")

    theirs = [type(name, (db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)}) for name in names]  # fmt: skip

    orm.configure_mappers()
    assert [getattr(registry, name) for name in names] != theirs


def test_a_host_is_not_kept_for_ever():
    declared = declare("2.0 base, UUID key")
    gone = [weakref.ref(declared[3].Model), weakref.ref(declared[2])]
    orm.configure_mappers()

    del declared
    gc.collect()

    assert [each() for each in gone] == [None, None]


WRITES = {
    "insert": lambda host, session: session.add(host.registry.Model(model_id="new")),
    "update": lambda host, session: setattr(first(host), "is_shared", True),
    "delete": lambda host, session: session.delete(first(host)),
}


def first(host):
    model = host.registry.Model
    return host.db.session.scalars(sa.select(model).order_by(model.id).limit(1)).one()


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_refused_with_the_call_to_use(write, host):
    with host.app.app_context():
        session = fill(host)
        before = host.rows("models")
        WRITES[write](host, session)

        with pytest.raises(ConfigError) as caught:
            session.commit()

        assert str(caught.value) == (
            "registry.Model is read-only: write with registry.create(), update(), transfer() and "
            "delete(), and pass viewonly=True to relationships"
        )
        session.rollback()
        assert host.rows("models") == before


@pytest.mark.databases("sqlite")
def test_another_user_or_model_is_refused_at_once(host):
    """SQLAlchemy flushes no ``viewonly`` relationship, so the change would be lost silently."""
    registry = host.registry
    with host.app.app_context():
        session = fill(host)
        bob = host.load("bob")
        model = session.scalars(sa.select(registry.Model).filter_by(model_id="gpt-4o")).one()
        other = session.scalars(sa.select(registry.Model).filter_by(model_id="other")).one()
        grant = session.scalars(sa.select(registry.Grant).filter_by(group_name=None)).one()
        default = session.scalars(sa.select(registry.Default)).one()

        for row, name, value in (
            (model, "owner", bob),
            (grant, "user", None),
            (default, "model", other),
        ):
            before = getattr(row, name)
            with pytest.raises(ConfigError, match=f"registry.{type(row).__name__} is read-only"):
                setattr(row, name, value)
            assert getattr(row, name) is before
            assert session.merge(row) is row
            setattr(row, name, before)
        session.commit()
        assert model.owner is host.load("alice")


@pytest.mark.databases("sqlite")
def test_loaded_objects_merge_into_another_session(host):
    with host.app.app_context():
        fill(host)
        model = first(host)
        owner = model.owner
        host.db.session.expunge_all()

        merged = host.db.session.merge(model)

        assert merged is not model
        assert sa.inspect(merged.owner).identity == sa.inspect(owner).identity
        host.db.session.commit()


def test_each_model_names_its_calls(host):
    registry = host.registry
    with host.app.app_context():
        for row, calls in (
            (registry.Grant(), r"registry\.grant\(\) and revoke\(\)"),
            (registry.Default(user_id=1, config_type="general"), r"registry\.set_default\(\)"),
            (registry.AppDefault(config_type="general"), r'set_default\(\.\.\., scope="app"\)'),
            (
                registry.Ability(model_row_id=1, ability="a"),
                r"registry\.update\(abilities=\.\.\.\)",
            ),
        ):
            host.db.session.add(row)
            with pytest.raises(ConfigError, match=calls):
                host.db.session.flush()
            host.db.session.rollback()


def test_touching_an_object_without_a_change_is_not_a_write(host):
    with host.app.app_context():
        session = fill(host)
        touched = first(host)
        touched.description = touched.description
        orm.attributes.flag_dirty(touched)

        session.commit()


def test_nothing_of_an_api_key_is_loaded(host):
    with host.app.app_context():
        session = fill(host)
        model = first(host)
        hidden = {"uuid", "ciphertext", "key_id"}

        assert hidden & {*vars(model), *dir(model), *sa.inspect(type(model)).attrs.keys()} == set()
        assert hidden < {*host.registry.tables.models.c.keys()}
        statement = str(sa.select(host.registry.Model))
        assert [name for name in hidden if name in statement] == []
        session.rollback()


def test_rows_that_a_call_changes_are_loaded_again(host):
    registry = host.registry
    with host.app.app_context():
        session = fill(host)
        alice, bob = host.load("alice"), host.load("bob")
        row = session.scalars(sa.select(registry.Model).filter_by(model_id="gpt-4o")).one()
        grant = session.scalars(sa.select(registry.Grant).filter_by(user_id=host.user("bob"))).one()

        registry.update(row.id, user=alice, description="changed")
        registry.grant(row.id, to=bob, can_delete=True, user=alice)

        assert (row.description, row.version) == ("changed", 2)
        assert (grant.can_edit, grant.can_delete) == (False, True)
        registry.transfer(row.id, bob, user=alice)
        assert (row.owner, row.is_active) == (bob, False)
        assert session.scalars(sa.select(registry.Grant)).all() == []
        registry.set_default("general", None, user=bob)
        registry.delete(row.id, user=bob)
        with pytest.raises(orm.exc.ObjectDeletedError):
            row.model_id  # noqa: B018
        assert [each.model_id for each in session.scalars(sa.select(registry.Model))] == ["other"]
        session.rollback()
        assert (row.model_id, row.description, row.owner) == ("gpt-4o", "d", alice)


def test_objects_of_the_hosts_do_not_mislead_the_registry(host, alice):
    """The host holds an object that another process has changed since, and one of its own change."""
    registry = host.registry
    with host.app.app_context():
        session = fill(host)
        user = host.load("alice")
        stale = first(host)
        models = registry.tables.models
        renamed = sa.update(models).where(models.c.id == stale.id).values(model_id="renamed")
        session.connection(bind_arguments={"clause": models}).execute(renamed)

        assert stale.model_id == "gpt-4o"
        assert registry.get("renamed", user=user)["id"] == stale.id
        assert [each["model_id"] for each in registry.list(user=user)] == ["renamed"]
        assert registry.resolve("renamed", user=user).api_key.reveal() == CANARY
        with session.no_autoflush:
            stale.description = "never written"
            session.autoflush = False
            registry.update("renamed", user=user, temperature=0.5)
            session.autoflush = True
        assert registry.tables.models is type(stale).__table__
        with pytest.raises(ConfigError, match="read-only"):
            session.commit()
        session.rollback()


def test_deleting_a_user_deletes_the_models_even_if_the_host_relates_them(make):
    host = make()
    host.User.models = orm.relationship(host.registry.Model, viewonly=True)
    host.User.owned = orm.relationship(host.registry.Model, overlaps="models")
    with host.app.app_context():
        session = fill(host)
        bob = host.load("bob")
        assert [each.model_id for each in bob.models] == ["other"]
        session.delete(bob)
        with pytest.raises(ConfigError, match="viewonly=True"):
            session.flush()  # by `owned`, which would take the owner away
        session.rollback()


def test_http_goes_on_beside_them(host, alice):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("bob"))
    with host.app.app_context():
        rows = host.db.session.scalars(sa.select(host.registry.Model)).all()
        assert [(each.id, each.owner.name) for each in rows] == [(row_id, "alice")]
