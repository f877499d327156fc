"""What may be asked, and what an answer of DuckDB becomes before anyone sees it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from symstudy.errors import QueryError, choices
from symstudy.store.tables.view_statements import VIEWS

__all__ = [
    "FirstRows",
    "check_reads",
    "distinct_names",
    "first_rows",
    "is_query",
    "plain_numbers",
    "query_error",
]

READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class FirstRows(NamedTuple):
    """The first rows of an answer.

    Attributes:
        columns: Names.
        kinds: Arrow type of each column, as text.
        rows: Values, as Python objects.
        is_all: Whether there are no others.
    """

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    is_all: bool


def first_rows(table: pa.Table, most_rows: int) -> FirstRows:
    """Return up to `most_rows` rows of an answer as Python objects."""
    head = table.slice(0, most_rows)
    columns = [column.to_pylist() for column in head.columns]
    rows = list(zip(*columns, strict=True))
    kinds = tuple(str(field.type) for field in table.schema)
    return FirstRows(tuple(table.column_names), kinds, rows, table.num_rows <= most_rows)


def check_reads(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raise unless `query` is one statement that reads and does nothing else.

    Raises:
        QueryError: If it is not, or DuckDB cannot parse it.
    """
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise query_error(query, error) from error
    if len(statements) != 1 or not only_reads(connection, statements[0]):
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise QueryError(
            f"SQL must be one SELECT statement, since results are read-only, but got {kinds}."
        )


def only_reads(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Return whether a statement reads and does nothing else."""
    try:
        return is_query(connection, statement)
    except duckdb.Error:
        return False


def query_error(query: str, error: duckdb.Error) -> QueryError:
    """Return DuckDB's message in our form, with what exists where a name does not."""
    text = str(error)
    hint = ""
    if "Table with name" in text:
        name = text.split("Table with name ", 1)[1].split(" ", 1)[0]
        hint = f" {choices(name, VIEWS)}"
    return QueryError(f"SQL must be a query that DuckDB accepts, but got {query!r}: {text}{hint}")


def is_query(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Return whether a statement only reads.

    PIVOT looks its columns up first, so DuckDB takes it for several statements, as it does
    `create table ... as pivot ...`. What may stand in brackets behind FROM only reads.

    Raises:
        duckdb.Error: If it is of several statements and no query.
    """
    if statement.type in READING:
        return True
    if statement.type is not duckdb.StatementType.MULTI:
        return False
    return len(connection.extract_statements(f"from ({statement.query.strip(' ;')}\n)")) == 1


def plain_numbers(table: pa.Table) -> pa.Table:
    """Return a table whose decimals are 64-bit integers or floats.

    DuckDB sums integers to 128 bits, which pandas and JSON have only as objects and text. Whole
    numbers that 64 bits cannot hold become floats.
    """
    for place, field in enumerate(table.schema):
        for whole in (pa.int64(), pa.float64()):
            kind = plain_type(field.type, whole)
            if kind == field.type:
                break
            try:
                column = table.column(place).cast(kind)
            except pa.ArrowInvalid:
                continue
            table = table.set_column(place, field.with_type(kind), column)
            break
    return table


def plain_type(kind: pa.DataType, whole: pa.DataType) -> pa.DataType:
    """Return a type with its decimals replaced: by `whole` where they have no digits behind."""
    if pa.types.is_decimal(kind):
        return whole if kind.scale == 0 else pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type, whole)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type, whole)) for field in kind])
    return kind


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return names of columns with those that are there before made distinct: `seed`, `seed_2`."""
    taken = set(names)
    found: list[str] = []
    for name in names:
        new, number = name, 1
        while new in found or (number > 1 and new in taken):
            number += 1
            new = f"{name}_{number}"
        found.append(new)
    return found
