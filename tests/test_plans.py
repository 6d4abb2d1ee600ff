"""The rows that a page or a look-up reads are bounded by its limit and the user's

groups. The bound doesn't depend on the number of models, or on who sees which of them.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flask_model_registry.errors import RegistryError
from tests.databases import do_not_wait_for_the_disk

MODELS, LIMIT, NAMES = 20_000, 5, 5
SHARED = 37  # and others, which depend on the population
OWNERS = MODELS // NAMES  # each has a model of each name


@dataclass(frozen=True)
class Share:
    """A share of the models, in percent: those whose id leaves this remainder."""

    step: int
    remainder: int = 0
    begin: int = 0
    end: int = 100

    def holds(self, i):
        within = i.between(MODELS * self.begin // 100 + 1, MODELS * self.end // 100)
        return within & (i % self.step == self.remainder)


@dataclass
class Population:
    """Which models are granted to which groups and to the user, and which these own."""

    groups: dict[str, Share]
    granted: Share | None = None
    owned: Share | None = None
    shared: Share = Share(100, SHARED)  # with everyone
    inactive: int = 7  # one in this many models

    def fill(self, host):
        """Fill an empty database by statements; what is granted comes from the models' table."""
        tables = host.registry.tables
        users = [{"id": number, "name": f"owner {number}"} for number in range(1, OWNERS + 2)]
        i, is_shared = NUMBERS.c.i, self.shared.holds(NUMBERS.c.i)
        mixed = i * 7919 % 10_007  # in no order: each share has some of all kinds
        owner = (i % OWNERS) + 2
        if self.owned:
            owner = sa.case((self.owned.holds(i) & (mixed % 2 == 1), 1), else_=owner)
        # Of each name there are many, but for those of the user and the shared ones.
        text = sa.literal("n-") + sa.cast(i, sa.String(20))
        common = sa.literal("m-") + sa.cast((i - 1) / OWNERS, sa.Integer).cast(sa.String(20))
        model_id = sa.case((is_shared | (owner == 1), text), else_=common)
        models = {
            "id": i,
            "uuid": text,
            "owner_id": owner,
            "model_id": model_id,
            "category": sa.case((mixed % 2 == 0, "embedding"), else_="llm"),
            "model_provider": sa.case((mixed % 3 == 0, "openai"), else_="anthropic"),
            "model_name": text,
            "is_active": mixed % self.inactive != 0,
            "is_shared": is_shared,
            "shared_model_id": sa.case((is_shared, model_id)),
            "version": sa.literal(1),
            "created_at": sa.literal(datetime(2026, 1, 1), tables.models.c.created_at.type),  # noqa: DTZ001
            "ciphertext": sa.literal(b"x", sa.LargeBinary),
            "key_id": sa.literal("k"),
        }
        host.execute(sa.insert(host.User), users)
        host.execute(insertion(tables.models, models, NUMBERS))
        row = tables.models.c
        columns = {"model_row_id": row.id, "ability": sa.literal("chat")}
        host.execute(insertion(tables.abilities, columns, tables.models))
        shares = [("group_name", name, share) for name, share in self.groups.items()]
        shares += [("user_id", 1, self.granted)] if self.granted else []
        for column, grantee, share in shares:
            columns = {
                column: sa.literal(grantee),
                "model_row_id": row.id,
                "model_id": row.model_id,
            }
            columns |= {"can_edit": row.id % 4 == 0, "can_delete": row.id % 8 == 0}
            statement = insertion(tables.grants, columns, tables.models, share.holds(row.id))
            host.execute(statement)


def insertion(table, columns, source, condition=None):
    rows = sa.select(*columns.values()).select_from(source)
    rows = rows if condition is None else rows.where(condition)
    return sa.insert(table).from_select([*columns], rows)


def digits(count):
    """Return a table of the numbers from 1 on, up to this many digits."""
    tens = sa.union_all(*(sa.select(sa.literal_column(str(n)).label("n")) for n in range(10)))
    tables = [tens.subquery() for _ in range(count)]
    i = sum((table.c.n * 10**place for place, table in enumerate(tables)), sa.literal_column("1"))
    with_all = (tables[0].c.n >= -table.c.n for table in tables[1:])
    return sa.select(i.label("i")).where(*with_all).order_by(i).subquery()


ALL_NUMBERS = digits(5)
NUMBERS = sa.select(ALL_NUMBERS.c.i).where(ALL_NUMBERS.c.i <= MODELS).subquery()

FIXED = Population(
    groups={
        "all": Share(1),
        "end": Share(1, begin=98),
        **{f"fifth {n}": Share(5, n) for n in range(5)},
        **{f"fiftieth {n}": Share(50, n) for n in range(50)},
        **{f"overlapping {n}": Share(n + 2) for n in range(4)},
        **{f"small {n}": Share(400, n) for n in range(100)},
    },
)
SMALL = [f"small {n}" for n in range(100)]
GROUPS_OF = {
    "in no group": [],
    "sees nothing": ["none of these"],
    "sees everything": ["all"],
    "in 5 of 20 %": [f"fifth {n}" for n in range(5)],
    "in 50 of 2 %": [f"fiftieth {n}" for n in range(50)],
    "in 50, one of which holds everything": ["all", *SMALL[:49]],
    "in overlapping ones": [f"overlapping {n}" for n in range(4)],
    "sees the end of the table": ["end"],
}

PATIENCE = 300  # seconds to wait for transactions of other tests
MIDDLE, LAST = MODELS // 2, MODELS - LIMIT
PAGES = {
    "first page": {},
    "middle page": {"after": MIDDLE},
    "last page": {"after": LAST},
    "newest page": {"descending": True},
    "middle page of the newest": {"descending": True, "after": MIDDLE},
    "inactive ones too": {"is_active": None, "after": MIDDLE},
    "those of others": {"owned": False, "after": MIDDLE},
    "own ones": {"owned": True, "after": MIDDLE},
    "of a category": {"category": "embedding", "after": MIDDLE},
    "of a provider": {"model_provider": "openai", "after": MIDDLE},
    "of an ability": {"ability": "chat", "after": MIDDLE},
    "of a search": {"q": "n-", "after": MIDDLE},
}
COMMON, OF_EVERYONE, ABSENT = f"m-{NAMES - 1}", f"n-{SHARED}", "absent"
# Own ones only of a common model_id: of a grant's, all may be read, if databases expect few of it.
PAGES_BY_MODEL_ID = {
    "own ones of a model_id that many have": {"owned": True, "model_id": COMMON},
    "of a model_id that is shared": {"model_id": OF_EVERYONE},
    "of a model_id that no model has": {"model_id": ABSENT},
}
LOOK_UPS = {
    "by id": MODELS - 1,
    "by a model_id that many have": COMMON,
    "by a model_id that is shared": OF_EVERYONE,
    "by a model_id that no model has": ABSENT,
}
# What one row of a page may read, in each of the paths that lead to it: its grant, its model by
# way of an index, and what the parts of a statement hand to each other. SQLite counts the steps of
# its virtual machine.
BOUND = {"postgresql": 6, "mysql": 12, "sqlite": 1500}


def read(host, do, mode=None):
    """Return how much the database reads during the call, with a mode of PostgreSQL's plans."""
    with host.app.app_context():
        connection = host.db.session.connection(bind_arguments={"mapper": host.User})
        if mode:
            connection.connection.driver_connection.prepare_threshold = 0
            connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        count = COUNTERS[host.dialect](connection)
        before = count()
        with suppress(RegistryError):  # no API key of these can be decrypted
            do()
        after = count()
        host.db.session.rollback()
    return after - before


def of_postgresql(connection):
    entries = sa.text(
        "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class"
        " WHERE relkind IN ('r', 'i') AND relname LIKE 'model_registry_%'"
        " AND relnamespace = current_schema()::regnamespace"
    )
    return lambda: int(connection.scalar(entries))


def of_mariadb(connection):
    # Rows, and entries of an index that a condition rejects before their row is read.
    handlers = sa.text(
        "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%'"
        " OR Variable_name = 'Handler_icp_attempts'"
    )
    return lambda: sum(int(row[1]) for row in connection.execute(handlers))


def of_sqlite(connection):
    steps, every = [0], 10

    def step():
        steps[0] += every

    connection.connection.driver_connection.set_progress_handler(step, every)
    return lambda: steps[0]


# In a table of this size, though not in one of 100,000, MariaDB reads all that one user owns in a category.
LEFT_OUT = {"mysql": {"of a category"}}
# What is read for each model that the user sees, by up to four ways, where all of these are looked at.
BOUND_OF_ALL = {"postgresql": 10, "mysql": 25, "sqlite": 200}
SORTS = ["model_id", "-updated_at", "tested_at"]
COUNTERS = {"postgresql": of_postgresql, "mysql": of_mariadb, "sqlite": of_sqlite}


PLAN_MODES = {"postgresql": ["force_custom_plan", "force_generic_plan"]}


def excess(host, groups, *, has_statistics=True):
    """Return which pages and look-ups of the user with the primary key 1 read more than that.

    Without statistics, only pages that no model_id narrows: databases may seek a model in all
    that a user or group has.
    """
    registry, bound = host.registry, BOUND[host.dialect] * (LIMIT + 2) * (len(groups) + 4)
    host.groups[:] = groups

    def user():
        return host.db.session.get(host.User, 1)

    pages, look_ups = (PAGES | PAGES_BY_MODEL_ID, LOOK_UPS) if has_statistics else (PAGES, {})
    done = {
        what: lambda filters=filters: registry.list(user=user(), limit=LIMIT, **filters)
        for what, filters in pages.items()
    }
    done |= {
        how: lambda ref=ref: registry.resolve(ref, user=user()) for how, ref in look_ups.items()
    }
    done["default"] = lambda: registry.default("general", user=user())
    rows = {
        (what, mode): read(host, do, mode)
        for mode in PLAN_MODES.get(host.dialect, [None])
        for what, do in done.items()
        if what not in LEFT_OUT.get(host.dialect, ())
    }
    return {what: count for what, count in rows.items() if count > bound}


def excess_of_all(host, groups):
    """Return what looks at all that the user sees, and reads more than in proportion to that."""
    registry, models = host.registry, host.services.models
    host.groups[:] = groups

    def user():
        return host.db.session.get(host.User, 1)

    with host.app.app_context():
        total = registry.summary(user=user())["total"]
        host.db.session.rollback()
    done = {
        each: lambda sort=each: registry.list(user=user(), limit=LIMIT, sort=sort) for each in SORTS
    }
    done["/v1/models"] = lambda: models.reachable(host.services.users.actor(user()))
    if host.dialect == "sqlite":  # servers read all abilities where they expect that to be cheaper
        done["summary"] = lambda: registry.summary(user=user())
    bound = BOUND_OF_ALL[host.dialect] * (total + len(groups) + 10)
    rows = {
        (what, mode): read(host, do, mode)
        for mode in PLAN_MODES.get(host.dialect, [None])
        for what, do in done.items()
    }
    return {what: count for what, count in rows.items() if count > bound}


def analyze(host):
    with host.app.app_context():
        engine = host.db.engine
        word = {"mysql": "ANALYZE TABLE", "postgresql": "VACUUM ANALYZE"}.get(
            host.dialect, "ANALYZE"
        )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in host.db.metadata.tables.values():
                name = engine.dialect.identifier_preparer.format_table(table)
                connection.exec_driver_sql(f"{word} {name}")
                deadline = time.monotonic() + PATIENCE
                while host.dialect == "postgresql" and not is_visible(connection, table):
                    assert time.monotonic() < deadline, "another transaction does not end"
                    time.sleep(0.1)
                    connection.exec_driver_sql(f"{word} {name}")


def is_visible(connection, table):
    """Return whether PostgreSQL knows of all pages of a table that every transaction sees them.

    VACUUM can't say so while another test has a transaction that began before the rows were
    written, or before their commit has reached the disk. The costs of index scans depend on it.
    """
    counts = sa.text(
        "SELECT relallvisible >= relpages FROM pg_class WHERE oid = to_regclass(:name)"
    )
    name = connection.dialect.identifier_preparer.format_table(table)
    return connection.scalar(counts, {"name": name})


@pytest.fixture
def reader(hosts):
    """A host whose users are in the groups of a list."""
    groups = []
    host = hosts(groups=lambda user: groups)
    host.groups, host.services.keys.are_checked = groups, True
    with host.app.app_context():
        host.dialect = host.db.engine.dialect.name
        do_not_wait_for_the_disk(host.db.engine)
        if host.dialect == "postgresql":  # which would collect statistics in the background
            with host.db.engine.begin() as connection:
                for table in host.db.metadata.tables.values():
                    name = host.db.engine.dialect.identifier_preparer.format_table(table)
                    off = f"ALTER TABLE {name} SET (autovacuum_enabled = false)"
                    connection.exec_driver_sql(off)
    return host


@pytest.mark.slow
def test_the_rows_read_do_not_depend_on_the_number_of_models(reader):
    FIXED.fill(reader)

    for kind, groups in GROUPS_OF.items():
        assert excess(reader, groups, has_statistics=False) == {}, kind
        assert excess_of_all(reader, groups) == {}, kind
    analyze(reader)
    for kind, groups in GROUPS_OF.items():
        assert excess(reader, groups) == {}, kind
        # PostgreSQL reads a whole table of this size where it expects that to be cheaper.
        if reader.dialect != "postgresql":
            assert excess_of_all(reader, groups) == {}, kind


@pytest.mark.slow
@pytest.mark.parametrize("relation", ["owned", "granted", "shared"])
def test_the_same_without_groups(reader, relation):
    Population({}, **{relation: Share(2, 1)}).fill(reader)
    analyze(reader)

    assert excess(reader, []) == {}


LETTERS = "abcdefghijklmnopqrst"
SHARES = st.builds(
    Share,
    step=st.sampled_from([1, 2, 3, 10, 40]),
    begin=st.sampled_from([0, 50, 95]),
    end=st.sampled_from([30, 96, 100]),
)
POPULATIONS = st.builds(
    Population,
    groups=st.lists(SHARES, max_size=len(LETTERS)).map(
        lambda shares: dict(zip(LETTERS, shares, strict=False))
    ),
    granted=st.none() | SHARES,
    owned=st.none() | SHARES,
    inactive=st.sampled_from([5, 7, 11]),
)


@pytest.mark.slow
def test_the_same_for_any_population(reader):
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # shrinking takes minutes
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(population=POPULATIONS)
    def is_bounded(population):
        reader.empty()
        population.fill(reader)
        analyze(reader)
        assert excess(reader, [*population.groups]) == {}
        if reader.dialect != "postgresql":
            assert excess_of_all(reader, [*population.groups]) == {}

    is_bounded()
