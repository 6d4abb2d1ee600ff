"""Filters in SQL.

A search looks for words in the column ``search_text``, whose text is already case-folded, because
SQLite, and PostgreSQL in the locale C, only ignore the case of ASCII.

`LIKE` starts over at each character of a text, so a search for one word of 255 times "a" can take
seconds. So each database searches the bytes of UTF-8, which it compares much faster.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ..schemas.fields import NOT_SEARCHED
from ..schemas.filters import WORDS
from ..schemas.limits import SEARCHED_DESCRIPTION_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.sql.compiler import SQLCompiler

    from .declare import Tables

_SEARCHED: sa.ColumnClause[int] = sa.literal_column(str(SEARCHED_DESCRIPTION_LENGTH))
_FIRST: sa.ColumnClause[int] = sa.literal_column("1")
# MariaDB searches bytes in linear time (Boyer-Moore) if a pattern has no escape, and no wildcard
# except one "%" at each end. So search_text, and the words to look for, contain neither.
_MYSQL = "CAST(CONVERT({} USING utf8mb4) AS BINARY)"


class Holds(FunctionElement[bool]):
    """Whether a text contains a word.

    Args:
        text: Any text, in the form of :func:`search_text`.
        word: What to look for, with nothing escaped.
    """

    name = "holds"
    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, text: sa.ColumnElement[str], word: sa.ColumnElement[str]) -> None:
        super().__init__(text, word)


def _is_found(
    position: sa.ColumnElement[int], compiler: SQLCompiler, options: dict[str, Any]
) -> str:
    return f"({compiler.process(position, **options)} > 0)"


@compiles(Holds)
def _standard(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    text, word = element.clauses
    return _is_found(sa.func.position(word.op("IN")(text)), compiler, options)


@compiles(Holds, "sqlite")
def _sqlite(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    return _is_found(sa.func.instr(*element.clauses), compiler, options)


@compiles(Holds, "postgresql")
def _postgresql(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    # Bytes are searched with memcmp(), text with an algorithm that is quadratic at worst.
    encoding: sa.ColumnClause[str] = sa.literal_column("'UTF8'")
    text, word = (sa.func.convert_to(each, encoding) for each in element.clauses)
    return _is_found(sa.func.position(word.op("IN")(text)), compiler, options)


@compiles(Holds, "mysql", "mariadb")
def _mysql(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    text, word = (_MYSQL.format(compiler.process(each, **options)) for each in element.clauses)
    return f"({text} LIKE CONCAT(0x25, {word}, 0x25) ESCAPE 0x03)"


def _has_ability(tables: Tables) -> sa.ColumnElement[bool]:
    abilities = tables.abilities.c
    same_model = abilities.model_row_id == tables.models.c.id
    # Not EXISTS, because PostgreSQL may invert it and read all models that have the ability.
    has = sa.select(abilities.model_row_id).where(
        same_model, abilities.ability == sa.bindparam("ability")
    )
    return has.scalar_subquery().is_not(None)


def _holds(name: str, tables: Tables) -> sa.ColumnElement[bool]:
    models = tables.models.c
    # Computed for rows without search_text, which an older release wrote.
    description = sa.func.coalesce(models.description, sa.literal_column("''"))
    joined: sa.ColumnElement[str] = sa.func.substr(description, _FIRST, _SEARCHED)
    for column in (models.model_id, models.model_name, models.model_provider):
        joined = joined.concat(sa.literal_column("' '")).concat(column)
    for character, other in NOT_SEARCHED.items():
        joined = sa.func.replace(joined, sa.literal(chr(character)), sa.literal(other))
    text = sa.func.coalesce(models.search_text, sa.func.lower(joined))
    return Holds(text, sa.bindparam(name, type_=sa.Unicode()))


CONDITIONS: Mapping[str, Callable[[Tables], sa.ColumnElement[bool]]] = {
    "model_id": lambda tables: tables.models.c.model_id == sa.bindparam("model_id"),
    "category": lambda tables: tables.models.c.category == sa.bindparam("category"),
    "model_provider": lambda tables: (
        tables.models.c.model_provider == sa.bindparam("model_provider")
    ),
    "is_active": lambda tables: tables.models.c.is_active == sa.bindparam("is_active"),
    "ability": _has_ability,
    **{name: partial(_holds, name) for name in WORDS},
}
