"""The sorting of a list in SQL, so that all databases have the same order.

A page begins after a pair of values, the sort value and the id, so neither may be NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from .columns import UtcDateTime
from .keys import shown_tested_at

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

    from ..schemas.filters import QueryKey
    from .declare import Tables


class _Folded(FunctionElement[str]):
    """Lower-case text that is compared character by character.

    Beyond ASCII, only MariaDB ignores case, because its columns have such a collation.
    """

    name = "folded"
    type = sa.String()
    inherit_cache = True


@compiles(_Folded)
def _lower(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sa.func.lower(*element.clauses), **options)


@compiles(_Folded, "postgresql")
def _lower_in_c(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = element.clauses
    return compiler.process(sa.func.lower(sa.collate(text, "C")), **options)


class _Earliest(FunctionElement[Any]):
    """A time before all others. It is the earliest that MariaDB supports."""

    name = "earliest"
    type = UtcDateTime
    inherit_cache = True


@compiles(_Earliest)
def _literal(_element: _Earliest, _compiler: SQLCompiler, **_options: Any) -> str:
    return "TIMESTAMP '1000-01-01 00:00:00'"


@compiles(_Earliest, "sqlite")
def _text(_element: _Earliest, _compiler: SQLCompiler, **_options: Any) -> str:
    return "'1000-01-01 00:00:00.000000'"


def sorted_by(tables: Tables, key: QueryKey) -> sa.ColumnElement[Any]:
    """Return the sorted field's value, as responses show it."""
    return shown_tested_at(tables) if key.sort == "tested_at" else tables.models.c[key.sort]


def sort_value(tables: Tables, key: QueryKey, *, is_grouped: bool = False) -> sa.ColumnElement[Any]:
    """Return a value to sort models by. If the rows of a model are grouped, any row's will do."""
    value = _comparable(sorted_by(tables, key))
    return sa.func.max(value) if is_grouped else value


def in_order(key: QueryKey, *columns: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    """Return columns to order by, in the direction that the key asks for."""
    return [each.desc() if key.descending else each.asc() for each in columns]


def is_after(tables: Tables, key: QueryKey) -> sa.ColumnElement[bool]:
    """Return the condition that a model comes after the last model of the previous page."""
    if not key.is_after:
        return sa.true()
    models, value = tables.models, sort_value(tables, key)
    last_id: sa.BindParameter[int] = sa.bindparam("after", type_=sa.BigInteger())
    last = _comparable(sa.bindparam("after_value", type_=models.c[key.sort].type))
    is_next = models.c.id < last_id if key.descending else models.c.id > last_id
    is_later = value < last if key.descending else value > last
    return is_later | ((value == last) & is_next)


def _comparable(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    is_time = isinstance(value.type, sa.DateTime)
    return sa.func.coalesce(value, _Earliest()) if is_time else _Folded(value)
