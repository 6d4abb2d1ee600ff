"""Find parts of the declared tables that the database lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..db.foreign_keys import on_delete

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def missing_objects(connection: sa.Connection, tables: Iterable[sa.Table]) -> Iterator[str]:
    """Yield each table, column, index, unique constraint and foreign key that is missing."""
    inspector = sa.inspect(connection)
    for table in tables:
        if not inspector.has_table(table.name, table.schema):
            yield f"table {table.name}"
            continue
        for missing in (_columns, _indexes, _unique_constraints, _foreign_keys):
            for what in missing(inspector, table):
                yield f"{what} of {table.name}"


def _columns(inspector: sa.Inspector, table: sa.Table) -> Iterator[str]:
    existing = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
    for column in table.columns:
        if column.name not in existing:
            yield f"column {column.name}"


def _indexes(inspector: sa.Inspector, table: sa.Table) -> Iterator[str]:
    existing = {
        (index["name"], *index["column_names"])
        for index in inspector.get_indexes(table.name, table.schema)
    }
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if (index.name, *index.columns.keys()) not in existing:
            yield f"index {index.name} ({', '.join(index.columns.keys())})"


def _unique_constraints(inspector: sa.Inspector, table: sa.Table) -> Iterator[str]:
    existing = {
        (constraint["name"], *constraint["column_names"])
        for constraint in inspector.get_unique_constraints(table.name, table.schema)
    }
    for constraint in _sorted(table, sa.UniqueConstraint):
        if (constraint.name, *constraint.columns.keys()) not in existing:
            yield f"unique constraint {constraint.name} ({', '.join(constraint.columns.keys())})"


def _foreign_keys(inspector: sa.Inspector, table: sa.Table) -> Iterator[str]:
    existing = {
        (
            tuple(key["constrained_columns"]),
            key["referred_table"],
            tuple(key["referred_columns"]),
            key.get("options", {}).get("ondelete", "NO ACTION"),
        )
        for key in inspector.get_foreign_keys(table.name, table.schema)
    }
    for constraint in _sorted(table, sa.ForeignKeyConstraint):
        (element,) = constraint.elements
        referred = element.column
        (column,) = constraint.column_keys
        action = on_delete(inspector.dialect.name, constraint.action)
        wanted = ((column,), referred.table.name, (referred.name,), action)
        if wanted not in existing:
            yield (
                f"foreign key {constraint.name} ({column} to {referred.table.name}."
                f"{referred.name}, ON DELETE {action})"
            )


def _sorted(table: sa.Table, kind: type) -> list[Any]:
    """Return the constraints of a kind in the order of their names."""
    constraints = (each for each in table.constraints if isinstance(each, kind))
    return sorted(constraints, key=lambda constraint: str(constraint.name))
