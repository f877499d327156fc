"""The table of planned cells: hyperparameters once a cell, each a typed column of its own file.

A file has columns for the hyperparameters of its cells, a user's own keys included, and says in its
schema what each means and which key of a study file it is. Files are read together by name; where
they differ in a column's type, the wider one holds.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.parquet import STATISTICS_ROWS
from symstudy.store.files.sealed import THREADS
from symstudy.store.tables.hyperparameters import RESERVED
from symstudy.store.tables.scanning import parquet_format
from symstudy.store.tables.schema import CELL_KEYS, CELLS, TYPES
from symstudy.study.cell import Cell
from symstudy.study.columns import Hyperparameter, Kind
from symstudy.study.tabulate import beside, tabulate, unite

__all__ = [
    "cells_schema",
    "cells_table",
    "hyperparameter_of",
    "hyperparameters_in",
    "in_columns",
    "own_names",
    "read_cells",
    "read_schemas",
    "unite_schemas",
    "write_cells",
]

GROUP_ROWS = 65_536
"""Rows of a group of a large file."""
FIXED = frozenset(column.name for column in CELLS.columns)


def field_of(each: Hyperparameter) -> pa.Field:
    """Return a hyperparameter as a field of a file's schema, with its meaning, table and key."""
    about = {"meaning": each.meaning, "table": each.table, "key": each.key}
    return pa.field(each.name, TYPES[each.kind], metadata=about)


def hyperparameter_of(field: pa.Field) -> Hyperparameter:
    """Return the hyperparameter that a field of a file of cells holds."""
    about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    kind: Kind = next((kind for kind in get_args(Kind) if TYPES[kind] == field.type), "text")
    return Hyperparameter(
        field.name, kind, about.get("meaning", ""), about.get("table", ""), about.get("key", "")
    )


def cells_schema(hyperparameters: Iterable[Hyperparameter]) -> pa.Schema:
    """Return the schema of a file of cells with these hyperparameters."""
    own = CELLS.schema
    fields = [field_of(each) for each in hyperparameters]
    return pa.schema([*own, *fields], metadata=own.metadata)


def hyperparameters_in(schema: pa.Schema) -> list[Hyperparameter]:
    """Return the hyperparameters that a file of cells has columns for."""
    return [hyperparameter_of(field) for field in schema if field.name not in FIXED]


def cells_table(study: str, cells: Sequence[Cell], planned_at: Any) -> pa.Table:
    """Return the rows of `cells`, each with its typed hyperparameters.

    Raises:
        StudyFileError: If two keys of the cells would be one column.
    """
    columns = tabulate(cells, RESERVED, source=study)
    schema = cells_schema(item.column for item in columns)
    count = len(cells)
    arrays = [
        pa.array([study] * count, pa.string()),
        pa.array([cell.cell_id for cell in cells], pa.string()),
        pa.array([planned_at] * count, pa.timestamp("us")),
        pa.array([cell.config for cell in cells], pa.string()),
    ]
    for item in columns:
        values = pa.array(item.values, TYPES[item.column.kind])
        arrays.append(values.take(pa.array(item.places)))
    return pa.Table.from_arrays(arrays, schema=schema)


def write_cells(folder: StudyFolder, file: str, rows: pa.Table) -> None:
    """Write rows of cells to a file of the study called `file`, without its ending.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    starts = range(0, rows.num_rows, GROUP_ROWS)
    folder.write_groups(
        rows.schema,
        (rows.slice(start, GROUP_ROWS) for start in starts),
        CELLS.name,
        f"{file}.parquet",
        statistics=rows.num_rows >= STATISTICS_ROWS,
        keys=CELL_KEYS,
    )


def read_schemas(folder: StudyFolder, infos: Sequence[fs.FileInfo]) -> dict[str, pa.Schema]:
    """Return the schema of each of some files of cells, by path.

    Raises:
        FileNotFoundError: If one is gone.
        StoreError: If one is damaged.
    """

    def read(info: fs.FileInfo) -> tuple[str, pa.Schema]:
        try:
            return info.path, pq.read_schema(info.path, filesystem=folder.filesystem)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"every file of the results must be a whole Parquet file, but {info.path!r} is "
                f"damaged: {error}. Run the study again: it is set aside and made anew."
            ) from error

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(pool.map(read, infos))


def own_names(schema: pa.Schema, columns: Sequence[Hyperparameter]) -> dict[str, str]:
    """Return by which name of `columns` each hyperparameter of a file is read.

    It is another than the file's own where the files differ in case alone, or where another file
    has another key of the same name.
    """
    places = {(each.table, each.key, each.name.lower()): each.name for each in columns}
    names: dict[str, str] = {}
    for each in hyperparameters_in(schema):
        for word in (each.name.lower(), f"{each.table}_{each.name}".lower()):
            if (each.table, each.key, word) in places:
                names[each.name] = places[each.table, each.key, word]
                break
    return names


def unite_schemas(
    schemas: Iterable[pa.Schema], first: Iterable[Hyperparameter] = ()
) -> list[Hyperparameter]:
    """Return the hyperparameters of files that are read together, each once.

    Args:
        schemas: Schemas of the files.
        first: Hyperparameters that come before theirs, in this order.
    """
    found: dict[str, Hyperparameter] = {each.name.lower(): each for each in first}
    for schema in schemas:
        for each in hyperparameters_in(schema):
            one = each
            for _ in range(2):
                before = found.get(one.name.lower())
                if before is None:
                    found[one.name.lower()] = one
                    break
                if (before.table, before.key) == (each.table, each.key):
                    (wide,) = unite([before, one._replace(name=before.name)])
                    found[one.name.lower()] = wide
                    break
                one = beside(each, {one.name.lower()})
    return list(found.values())


def read_cells(
    folder: StudyFolder, schemas: dict[str, pa.Schema], columns: Sequence[Hyperparameter]
) -> Iterator[ds.Dataset]:
    """Yield the rows of some files of cells in the schema of `columns`, to be scanned.

    Args:
        folder: Folder of the study.
        schemas: Schema of each file, by path.
        columns: The hyperparameters that are wanted; what a file lacks is null.
    """
    wanted = cells_schema(columns).remove_metadata()
    types = {field.name: field.type for field in wanted}
    alike: list[str] = []
    others: list[str] = []
    for path, schema in schemas.items():
        names = own_names(schema, columns)
        fits = all(
            name == names.get(name, name) and types.get(name) == schema.field(name).type
            for name in schema.names
        )
        (alike if fits else others).append(path)
    form = parquet_format((), is_local=folder.is_local)
    if alike:
        yield ds.dataset(alike, schema=wanted, format=form, filesystem=folder.filesystem)
    for path in others:
        rows = pq.read_table(path, filesystem=folder.filesystem, page_checksum_verification=True)
        yield ds.dataset(in_columns(rows, columns).replace_schema_metadata(None))


def in_columns(rows: pa.Table, columns: Sequence[Hyperparameter]) -> pa.Table:
    """Return rows of a file of cells in the schema of `columns`; what they lack is null."""
    schema = cells_schema(columns)
    names = {new: old for old, new in own_names(rows.schema, columns).items()}
    arrays = []
    for field in schema:
        name = names.get(field.name, field.name if field.name in FIXED else None)
        if name is None or name not in rows.column_names:
            arrays.append(pa.nulls(rows.num_rows, field.type))
        else:
            arrays.append(rows[name].cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
