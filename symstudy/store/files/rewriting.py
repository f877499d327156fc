"""Writing rows of a table anew: in which schema, so that no column is lost."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.tables.cells import cells_schema, hyperparameter_of, in_columns, unite_schemas
from symstudy.store.tables.schema import CELLS, RENAMED, SCHEMA_VERSION, TABLES

__all__ = ["in_schema", "open_parquet", "united_schema"]


def open_parquet(content: bytes) -> pq.ParquetFile:
    """Return a Parquet file whose pages are checked as they are read."""
    return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)


def united_schema(table: str, schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return the schema that files of a table are written in when they are merged.

    Columns that this version does not know, such as a measure of a package that is not installed
    here, are kept.
    """
    own = TABLES[table].schema
    if table == CELLS.name:
        return cells_schema(unite_schemas(schemas))
    known = {*own.names, *OLD_NAMES.values()}
    more: dict[str, pa.Field] = {}
    for schema in schemas:
        if (schema.metadata or {}).get(b"symstudy_schema") == str(SCHEMA_VERSION).encode():
            for field in schema:
                if field.name not in known:
                    more[field.name] = wider(more.get(field.name, field), field)
    return pa.schema([*own, *more.values()], metadata=own.metadata)


def wider(one: pa.Field, other: pa.Field) -> pa.Field:
    """Return the field that holds what two files have under one name.

    Programs may count in one run and measure in another; a number holds a truth as 0 and 1.
    """
    ranks = {pa.bool_(): 0, pa.int64(): 1, pa.float64(): 2}
    return one if ranks.get(one.type, 3) >= ranks.get(other.type, 3) else other


OLD_NAMES = {new: old for names in RENAMED.values() for new, old in names.items()}
"""Former names of columns, by the present ones."""


def in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows in the types of `schema`; columns that a file lacks are null.

    Raises:
        StoreError: If a column would be rounded.
    """
    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    if any(field.metadata for field in schema):
        own = [field for field in schema if field.name not in CELLS.schema.names]
        return in_columns(table, [hyperparameter_of(field) for field in own])
    columns = []
    for field in schema:
        name = field.name if field.name in table.column_names else OLD_NAMES.get(field.name, "")
        is_there = name in table.column_names
        try:
            columns.append(
                table[name].cast(field.type) if is_there else pa.nulls(table.num_rows, field.type)
            )
        except pa.ArrowInvalid as error:
            raise StoreError(
                f"a column must have one type in all files that are merged, but {name!r} has "
                "whole numbers beyond 2^53 in some runs and fractions in others, which no column "
                f"holds exactly ({error}). Leave these files as they are: they are read without "
                "that column."
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)
