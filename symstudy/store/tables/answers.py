"""What may be asked, and what an answer of DuckDB becomes before anyone sees it."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from symstudy.errors import QueryError, choices
from symstudy.quantities import LARGEST_EXACT
from symstudy.store.tables.view_statements import VIEWS

__all__ = [
    "FirstRows",
    "check_reads",
    "check_types",
    "columns_to_round",
    "distinct_names",
    "first_rows",
    "is_query",
    "plain_numbers",
    "query_error",
]

UNREADABLE = ("UHUGEINT", "BIGNUM", "VARINT", "BIT")
"""Types that Arrow has no form for: it would hand out -1, or the bytes that DuckDB keeps."""
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
    if "not in range: -9007199254740992 to 9007199254740992" in text:
        hint = (
            " A metric is a whole number beyond 2^53 in some runs and a fraction in others, and no "
            "column holds both exactly. Leave it out of the query; to have it, report it as "
            "float(...) or the fraction under another name, and run these runs again."
        )
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
    """Return a table whose decimals are 64-bit integers or floats where these hold them exactly.

    DuckDB sums integers to 128 bits, which pandas and JSON have only as objects and text. A column
    with a number that 64 bits cannot hold, or that has more digits than a float, stays one of
    decimals.
    """
    for place, field in enumerate(table.schema):
        kind = plain_type(field.type)
        if kind == field.type:
            continue
        before = table.column(place)
        try:
            column = before.cast(kind)
            is_exact = column.cast(field.type).equals(before)
        except pa.ArrowException:
            continue
        if is_exact:
            table = table.set_column(place, field.with_type(kind), column)
    return table


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type with its decimals replaced by integers, or floats where digits are behind."""
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 else pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type)), kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    return kind


def columns_to_round(table: pa.Table) -> list[str]:
    """Return the columns of 64-bit integers with nulls that floats would round."""
    found = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if field.type == pa.int64() and column.null_count:
            ends = pc.min_max(column).as_py()
            largest = max(abs(each or 0) for each in ends.values())
            found += [field.name] if largest > LARGEST_EXACT else []
    return found


def check_types(relation: duckdb.DuckDBPyRelation) -> None:
    """Raise where an answer has a column that would leave DuckDB as something else.

    Raises:
        QueryError: If it has.
    """
    for name, kind in zip(relation.columns, relation.types, strict=True):
        held = [word for word in UNREADABLE if word in re.findall(r"\w+", str(kind))]
        if held:
            raise QueryError(
                f"a column must have a type that other programs read, but {name!r} is of "
                f"{kind}. Type {name}::varchar, or a smaller type such as {name}::hugeint."
            )


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
