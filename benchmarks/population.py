"""A host whose database holds as many models as asked for, and users of every kind.

There are 100,000 users who own up to ten models each, with the same ten names. One model in a
hundred is shared with everyone. There are four grants for each model: one to a group that sees
everything, one to one of five teams, one to one of fifty units, and one to a user or to one of many
small groups. One group has the last models of the table.
"""

import os
from datetime import datetime

import sqlalchemy as sa

from .host import User, db, groups_of, tables

USERS = 100_000
SHARED, ACTIVE, RARE = 100, 53, 1_000  # one of so many is shared, inactive, has a rare ability
AUDITORS = "auditors"
NEWCOMER, FEW, OWNER, MEMBER, AUDITOR, IN_TEAMS, IN_UNITS, IN_ONE, IN_MANY, AT_END = range(1, 11)
SEE_EVERYTHING = {AUDITOR, IN_TEAMS, IN_UNITS, IN_ONE}
KINDS = {
    "owns none": NEWCOMER,
    "owns 10": FEW,
    "owns 10,000": OWNER,
    "in 50 groups": MEMBER,
    "in 500 groups": IN_MANY,
    "in 1 group of all": IN_ONE,
    "in 50 groups, 1 of all": AUDITOR,
    "in 5 groups of 20 %": IN_TEAMS,
    "in 50 groups of 2 %": IN_UNITS,
    "in 1 group of the last 2 %": AT_END,
}
groups_of |= {
    MEMBER: [f"group-{number}" for number in range(50)],
    IN_MANY: [f"group-{number}" for number in range(500)],
    IN_ONE: [AUDITORS],
    AUDITOR: [*(f"group-{number}" for number in range(49)), AUDITORS],
    IN_TEAMS: [f"team-{number}" for number in range(5)],
    IN_UNITS: [f"unit-{number}" for number in range(50)],
    AT_END: ["end"],
}
FIRST_ORDINARY = 20
CREATED_AT = datetime(2026, 1, 1)  # noqa: DTZ001  # UTC, as the column is

numbers = sa.Table("bench_numbers", db.metadata, sa.Column("i", sa.Integer, primary_key=True))
i = numbers.c.i


def one_of(word, count):
    """Return the name of one of so many groups."""
    return sa.literal(f"{word}-") + sa.cast(i % count, sa.String(20))


class Population:
    """So many models, and where in them the users of each kind have theirs."""

    def __init__(self, models):
        self.models = models
        self.owned = min(10_000, models // 10)
        self.groups = max(50, models // 100)

    def owner(self):
        """Return who owns model ``i``: mostly ordinary people, ten models each."""
        ordinary = FIRST_ORDINARY + sa.cast(sa.func.floor(i / 10), sa.Integer)
        return sa.case(
            (i % (self.models // self.owned) == 1, OWNER),
            (i % (self.models // 10) == 2, FEW),
            (i % (self.models // 10) == 3, MEMBER),
            else_=ordinary,
        )

    def fill(self, key_id):
        """Fill an empty database; within it, as that is much faster."""
        with db.engine.begin() as connection:
            for start in range(0, max(self.models, USERS) + 1, 100_000):
                rows = [{"i": n + 1} for n in range(start, start + 100_000)]
                connection.execute(sa.insert(numbers), rows)
        with db.engine.begin() as connection:
            self._insert(connection, User.__table__, {"id": i}, i <= USERS + FIRST_ORDINARY)
            for table, columns, condition in self._rows(key_id):
                self._insert(connection, table, columns, (i <= self.models) & condition)
        self._settle()

    def _rows(self, key_id):
        is_shared = i % SHARED == 37
        owner = self.owner()
        text = sa.cast(i, sa.String(20))
        handle = sa.case(
            (is_shared, sa.literal("shared-") + text),
            (owner < FIRST_ORDINARY, sa.literal("own-") + text),
            else_=sa.literal("model-") + sa.cast(i % 10, sa.String(20)),
        )
        category = sa.case((i % 20 == 1, "embedding"), (i % 20 == 2, "rerank"), else_="llm")
        models = {
            "id": i,
            "uuid": text,
            "owner_id": owner,
            "model_id": handle,
            "category": category,
            "model_provider": sa.case((i % 3 == 0, "openai"), else_="anthropic"),
            "model_name": sa.literal("gpt-4o-") + text,
            "description": sa.literal("One of very many models, with a few words about it"),
            "search_text": sa.literal("one of very many models gpt-4o-") + text,
            "abilities": sa.literal(["chat"], tables.models.c.abilities.type),
            "is_active": i % ACTIVE != 3,
            "is_shared": is_shared,
            "shared_model_id": sa.case((is_shared, handle)),
            "version": sa.literal(1),
            "created_at": sa.literal(CREATED_AT, tables.models.c.created_at.type),
            "ciphertext": sa.literal(os.urandom(100), sa.LargeBinary),
            "key_id": sa.literal(key_id),
        }
        yield tables.models, models, sa.true()
        for ability, condition in (("chat", sa.true()), ("rare", i % RARE == 7)):
            columns = {"model_row_id": i, "ability": sa.literal(ability)}
            yield tables.abilities, columns, condition
        rights = {"can_edit": i % 4 == 0, "can_delete": i % 8 == 0}
        to_user = sa.case((i % (self.models // 10) == 4, FEW), else_=FIRST_ORDINARY + i * 7 % USERS)
        for column, grantee, condition in (
            ("group_name", sa.literal(AUDITORS), sa.true()),
            ("group_name", one_of("team", 5), sa.true()),
            ("group_name", one_of("unit", 50), sa.true()),
            ("group_name", one_of("group", self.groups), i % 2 == 1),
            ("group_name", sa.literal("end"), i > self.models * 98 // 100),
            ("user_id", to_user, i % 2 == 0),
        ):
            columns = {column: grantee, "model_row_id": i, "model_id": handle, **rights}
            yield tables.grants, columns, condition

    @staticmethod
    def _insert(connection, table, columns, condition):
        rows = sa.select(*columns.values()).where(condition).order_by(i)
        connection.execute(sa.insert(table).from_select([*columns], rows))

    @staticmethod
    def _settle():
        """Leave the database as one that has been in use for a while."""
        name = db.engine.dialect.name
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if name == "postgresql":
                connection.exec_driver_sql("VACUUM ANALYZE")
                last = "pg_get_serial_sequence('{0}', 'id'), (SELECT max(id) FROM {0})"
                connection.exec_driver_sql(f"SELECT setval({last.format(tables.models.name)})")
            elif name != "sqlite":  # hosts don't run ANALYZE on SQLite
                for table in db.metadata.tables.values():
                    connection.exec_driver_sql(f"ANALYZE TABLE {table.name}").all()
