"""The schema has explicit, prefixed names, and matches what Alembic finds in the database."""

import pickle
import uuid

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.schema import CreateTable

from flask_model_registry import ConfigError, ModelRegistry
from tests.hosts import KINDS, PREFIX, declare, grant, model, register


@pytest.mark.parametrize("kind", KINDS)
def test_alembic_finds_no_difference_after_create_all(hosts, kind):
    host = hosts(kind)
    metadata = host.registry.tables.models.metadata
    with host.app.app_context():
        engine = host.db.engines[metadata.info["bind_key"]]

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "include_object": only_ours},
        )
        differences = compare_metadata(context, metadata)

    assert differences == []
    assert len(sa.inspect(engine).get_table_names()) >= 5


def only_ours(_object, name, kind, *_):
    return kind != "table" or name.startswith("model_registry")


def test_alembic_sees_the_tables_before_they_are_there(empty_databases):
    db, _, _, registry, _ = declare()
    engine = sa.create_engine(empty_databases().url)

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), db.metadata)

    engine.dispose()
    added = {each[1].name for each in differences if each[0] == "add_table"}
    assert {table.name for table in all_tables(registry)} <= added


def all_tables(registry):
    tables = vars(registry.tables)
    return [table for table in tables.values() if isinstance(table, sa.Table)]


def test_hosts_can_pickle_their_metadata():
    db, _, _, registry, _ = declare()

    tables = pickle.loads(pickle.dumps(db.metadata)).tables

    assert {table.name for table in all_tables(registry)} <= {*tables}


@pytest.mark.parametrize("kind", ["legacy base, int key", "naming convention"])
def test_every_name_is_ours_whatever_the_hosts_convention(kind):
    _, _, _, registry, _ = declare(kind)

    names = [
        str(item.name)
        for table in all_tables(registry)
        for item in (table, *table.constraints, *table.indexes)
    ]

    assert all(name.startswith("model_registry_") for name in names)
    assert len(names) == len(set(names)) > 20
    assert max(map(len, names)) <= 63  # PostgreSQL cuts longer ones


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_keys_take_the_type_of_the_users_key(kind):
    _, _, User, registry, _ = declare(kind)
    (key,) = sa.inspect(User).primary_key

    columns = [registry.tables.models.c.owner_id, registry.tables.grants.c.user_id,
               registry.tables.defaults.c.user_id]  # fmt: skip

    assert {type(column.type) for column in columns} == {type(key.type)}


def test_our_tables_take_the_charset_of_the_users_table():
    db, _, User, _, _ = declare()
    users = sa.Table("u", sa.MetaData(), sa.Column("id", sa.String(8), primary_key=True),
                     mysql_charset="latin1", mysql_engine="InnoDB", sqlite_with_rowid=False)  # fmt: skip

    class Person(sa.orm.declarative_base(metadata=users.metadata)):
        __table__ = users

    registry = type(declare()[3])(db, Person)

    ddl = CreateTable(registry.tables.models)
    assert "CHARSET=latin1" in str(ddl.compile(dialect=sa.dialects.mysql.dialect()))
    assert "ROWID" not in str(ddl.compile(dialect=sa.dialects.sqlite.dialect()))


def test_ids_are_not_used_again(host, alice):
    first = register(alice, "a", "b")
    host.execute(host.registry.tables.models.delete())

    assert register(alice, "c")[0] > max(first)


@pytest.mark.parametrize("columns", [{"is_shared": True}, {"shared_model_id": "a"}])
def test_a_row_cannot_be_half_shared(host, alice, columns):
    register(alice, "a")

    with pytest.raises((sa.exc.IntegrityError, sa.exc.OperationalError)):
        host.execute(host.registry.tables.models.update().values(**columns))


def test_a_grant_is_to_a_user_or_to_a_group(host, alice):
    (row_id,) = register(alice, "a")

    for both in ({}, {"user_id": host.user("alice"), "group_name": "g"}):
        with pytest.raises((sa.exc.IntegrityError, sa.exc.OperationalError)):
            grant(host, row_id, **both)
        with host.app.app_context():
            host.db.session.rollback()


def test_a_row_cannot_be_copied_with_its_key(host, alice):
    (row_id,) = register(alice, "a")
    models = host.registry.tables.models
    with host.app.app_context():
        row = host.db.session.execute(sa.select(models)).mappings().one()
    copy = {**row, "id": row_id + 1, "owner_id": host.user("bob"), "model_id": "b"}

    with pytest.raises(sa.exc.IntegrityError):
        host.execute(sa.insert(models), copy)
    with host.app.app_context():
        host.db.session.rollback()


def test_a_duplicate_uuid_is_not_reported_as_a_taken_model_id(host, alice, monkeypatch):
    store = host.services.models
    used = uuid.uuid4()
    monkeypatch.setattr(store, "_new_uuid", lambda: used)
    register(alice, "a")

    response = alice.post(f"{PREFIX}/register", json=model(model_id="b"))

    assert (response.status_code, response.json["type"].rpartition(":")[2]) == (409, "conflict")
    assert len(host.rows("models")) == 1


@pytest.mark.parametrize("copied", [False, True])
def test_foreign_keys_cascade_except_on_sqlite(copied):
    metadata = declare()[0].metadata
    if copied:
        other = sa.MetaData()
        for table in metadata.tables.values():
            table.to_metadata(other)
        metadata = other
    dialects = sa.dialects.sqlite, sa.dialects.postgresql, sa.dialects.mysql
    tables = [table for table in metadata.tables.values() if table.name.startswith("model_reg")]

    counts = [
        sum(str(CreateTable(each).compile(dialect=d.dialect())).count("CASCADE") for each in tables)
        for d in dialects
    ]

    assert counts == [0, 8, 8]
    models = tables[[each.name for each in tables].index("model_registry_models")]
    texts = [str(CreateTable(models).compile(dialect=each.dialect())) for each in dialects]
    assert ["ON DELETE SET NULL" in each for each in texts] == [False, True, True]


def test_tables_that_were_reflected_in_a_schema_are_refused_with_the_remedy():
    """After such a reflection, a second start would find no model; the first had a default schema."""
    made, reflected = sa.MetaData(schema="app"), sa.MetaData()
    for metadata in (made, reflected):
        sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="app")
    db = SQLAlchemy(metadata=made)
    first = type("User", (db.Model,), {"__table__": made.tables["app.users"]})
    ModelRegistry(db, first)
    for table in made.sorted_tables[1:]:
        table.to_metadata(reflected)

    db = SQLAlchemy(metadata=reflected)
    second = type("User", (db.Model,), {"__table__": reflected.tables["app.users"]})
    with pytest.raises(ConfigError, match=r"from the schema 'app'.*into MetaData\(schema='app'\)"):
        ModelRegistry(db, second)
