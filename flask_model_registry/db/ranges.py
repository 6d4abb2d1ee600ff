"""Ranges of an index of what one user or group has, read in order up to a limit.

PostgreSQL chooses by how many rows it expects. It knows how large groups are on average only, and
nothing about a new table. If it expects fewer rows than the limit, it reads and sorts all of them,
and these may be a million; if it expects very many, it compiles the statement, which takes longer
than to run it. So it gets nothing to expect: it has no statistics about rows that are compared.
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
    """The condition that a row is in a range of an index, beyond a place in it.

    Args:
        is_own: That the first column of the index equals a value.
        is_beyond: That the second column is greater than a value, or less.
    """

    inherit_cache = True  # and no Boolean, or SQLite and MariaDB compare it with 1, by no index

    def __init__(self, is_own: sa.ColumnElement[bool], is_beyond: sa.ColumnElement[bool]) -> None:
        super().__init__(is_own, is_beyond)


@compiles(Range)
def _range(element: Range, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sa.and_(*element.clauses), **options)


@compiles(Range, "postgresql")
def _compared_rows(element: Range, compiler: SQLCompiler, **options: Any) -> str:
    is_own, is_beyond = element.clauses
    first, own, second, place = (
        compiler.process(each, **options)
        for pair in (is_own, is_beyond)
        for each in (pair.left, pair.right)
    )
    if isinstance(is_own.right, sa.BindParameter):
        own = f"(SELECT {own})"  # without, it has statistics for the upper end
    beyond, end = (">", "<=") if is_beyond.operator is operator.gt else ("<", ">=")
    return f"({first}, {second}) {beyond} ({own}, {place}) AND {first} {end} {own}"


class Order(FunctionElement[Any]):
    """The order of a range: that of its last column, as the others are the same throughout.

    PostgreSQL doesn't know that they are the same, and MariaDB would sort if asked for all.

    Args:
        columns: The columns of the index, or their ``desc()``.
    """

    inherit_cache = True

    def __init__(self, *columns: sa.ColumnElement[Any]) -> None:
        super().__init__(*columns)


@compiles(Order)
def _by_last(element: Order, compiler: SQLCompiler, **options: Any) -> str:
    *_, last = element.clauses
    return compiler.process(last, **options)


@compiles(Order, "postgresql")
def _by_all(element: Order, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


class Limit(FunctionElement[int]):
    """A limit that PostgreSQL knows even when it plans a statement for all parameters."""

    type = sa.Integer()
    inherit_cache = True


@compiles(Limit)
def _bound(element: Limit, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(Limit, "postgresql")
def _written(element: Limit, compiler: SQLCompiler, **options: Any) -> str:
    (limit,) = element.clauses
    return compiler.process(limit, literal_execute=True, **options)
