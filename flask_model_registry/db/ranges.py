"""Ranges of an index, with the models of one user or group, read in order up to a limit.

PostgreSQL chooses a plan by how many rows it expects. It only knows the average size of groups, and
nothing about a new table. If it expects fewer rows than the limit, it reads and sorts all of them,
which may be a million. If it expects very many, it compiles the statement, which takes longer than
running it. So the condition on grants compares whole rows, for which there are no statistics.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class Range(FunctionElement[Any]):
    """The condition that a row is in a range of an index, after a position in it.

    Args:
        is_own: The condition that the first column of the index equals a value.
        is_beyond: The condition that the second column is greater, or less, than a value.
    """

    inherit_cache = True  # no Boolean type, because SQLite and MariaDB would then use no index

    def __init__(self, is_own: sa.ColumnElement[bool], is_beyond: sa.ColumnElement[bool]) -> None:
        super().__init__(is_own, is_beyond)


@compiles(Range)
def _range(element: Range, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sa.and_(*element.clauses), **options)


class GrantRange(Range):
    """A range of the grants' index: what one user or group is granted."""

    inherit_cache = True


@compiles(GrantRange, "postgresql")
def _compared_rows(element: Range, compiler: SQLCompiler, **options: Any) -> str:
    is_own, is_beyond = element.clauses
    first, own, second, place = _sides(element, compiler, **options)
    if isinstance(is_own.right, sa.BindParameter):
        own = f"(SELECT {own})"  # otherwise PostgreSQL has statistics for the upper end
    beyond, end = (">", "<=") if is_beyond.operator is operator.gt else ("<", ">=")
    return f"({first}, {second}) {beyond} ({own}, {place}) AND {first} {end} {own}"


@compiles(Range, "mysql", "mariadb")
def _between(element: Range, compiler: SQLCompiler, **options: Any) -> str:
    *_, is_beyond = element.clauses
    first, own, *_ = _sides(element, compiler, **options)
    # Given an equality, MariaDB would read from the first row to the page, however many there are.
    return f"{first} >= {own} AND {first} <= {own} AND {compiler.process(is_beyond, **options)}"


def _sides(element: Range, compiler: SQLCompiler, **options: Any) -> list[str]:
    """Return both sides of both conditions."""
    pairs = ((each.left, each.right) for each in element.clauses)
    return [compiler.process(side, **options) for pair in pairs for side in pair]


class Limit(FunctionElement[int]):
    """A LIMIT that is part of the statement on PostgreSQL, so that generic plans know it too."""

    type = sa.Integer()
    inherit_cache = True


@compiles(Limit)
def _bound(element: Limit, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(Limit, "postgresql")
def _written(element: Limit, compiler: SQLCompiler, **options: Any) -> str:
    (limit,) = element.clauses
    return compiler.process(limit, literal_execute=True, **options)
