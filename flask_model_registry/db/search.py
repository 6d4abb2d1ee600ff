"""Find text within a column, whatever the two are, in time that grows with their length only.

`LIKE` compares the text anew at each character, so that one request for 255 times "a" can take
seconds. Here each database looks for the bytes of UTF-8 by a function of its own that does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ..schemas.limits import MOST_SEARCHED

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

_MOST: sa.ColumnClause[int] = sa.literal_column(str(MOST_SEARCHED))
_FIRST: sa.ColumnClause[int] = sa.literal_column("1")
# Characters that no text here holds stand for the wildcards of LIKE: MariaDB searches in linear
# time (Boyer-Moore) if a pattern has no wildcard and no escape but one "%" at either end.
_MYSQL = (
    "REPLACE(REPLACE(CAST(LOWER(CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin) AS BINARY), "
    "0x25, 0x01), 0x5F, 0x02)"
)


class Holds(FunctionElement[bool]):
    """Whether the beginning of a column holds a text, in any case.

    Args:
        column: Any text, of which the first ``MOST_SEARCHED`` characters are searched.
        text: What to look for, with nothing escaped.
    """

    name = "holds"
    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], text: sa.ColumnElement[str]) -> None:
        super().__init__(column, text)


def _parts(element: Holds) -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    column, text = element.clauses
    return sa.func.lower(sa.func.substr(column, _FIRST, _MOST)), sa.func.lower(text)


def _is_found(place: sa.ColumnElement[int], compiler: SQLCompiler, options: dict[str, Any]) -> str:
    return f"({compiler.process(place, **options)} > 0)"


@compiles(Holds)
def _standard(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, text = _parts(element)
    return _is_found(sa.func.position(text.op("IN")(column)), compiler, options)


@compiles(Holds, "sqlite")
def _sqlite(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    return _is_found(sa.func.instr(*_parts(element)), compiler, options)


@compiles(Holds, "postgresql")
def _postgresql(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    # Bytes are compared by memcmp(), text by an algorithm that is quadratic at worst.
    encoding: sa.ColumnClause[str] = sa.literal_column("'UTF8'")
    column, text = (sa.func.convert_to(each, encoding) for each in _parts(element))
    return _is_found(sa.func.position(text.op("IN")(column)), compiler, options)


@compiles(Holds, "mysql", "mariadb")
def _mysql(element: Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, text = element.clauses
    beginning = compiler.process(sa.func.left(column, _MOST), **options)
    pattern = _MYSQL.format(compiler.process(text, **options))
    return f"({_MYSQL.format(beginning)} LIKE CONCAT(0x25, {pattern}, 0x25) ESCAPE 0x03)"
