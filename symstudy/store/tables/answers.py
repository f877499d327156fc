"""What an answer of DuckDB becomes before anyone sees it: plain numbers, columns told apart."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

__all__ = ["distinct_names", "is_query", "plain_numbers"]

READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


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
