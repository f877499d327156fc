"""Results of schema version 4: hyperparameters stood in every row of `plan` and of `runs`.

Their cells are derived from the plan when they are opened. What writes to such a study writes them
down first, and the study is of the present version from then on; no other file is touched, since
tables are read by name. `runs.lr` held the rate of the last step there and is not read.
"""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables
from symstudy.store.tables.cells import cells_schema, write_cells
from symstudy.store.tables.hyperparameters import RESERVED
from symstudy.store.tables.schema import CELLS, PLAN, SCHEMA_VERSION, TYPES
from symstudy.study.columns import (
    Hyperparameter,
    builtin_hyperparameters,
    builtin_names,
    own_column,
    plain,
)
from symstudy.study.tabulate import unite

__all__ = ["derive_cells", "migrate"]

FILE = "version-4"
"""Name of the file of cells that is derived from plans of version 4."""
OLD_NAMES = {"layers": "attention_layers", "epsilon": "adam_epsilon"}
"""Columns of version 4 by their present names."""
OLD_KEYS = {("model", "attention_layers"): "layers", ("train", "adam_epsilon"): "epsilon"}
"""Present keys of what the configuration called otherwise."""
NOT_HYPERPARAMETERS = frozenset((*PLAN.schema.names, *CELLS.schema.names, *OLD_NAMES.values()))


def derive_cells(folder: StudyFolder, paths: list[str]) -> pa.Table | None:
    """Return the cells of those files of a plan that have version 4; None if there is none.

    Args:
        folder: Folder of the study.
        paths: Files of its plan.

    Raises:
        FileNotFoundError: If one is gone.
        StoreError: If one cannot be read.
    """
    parts = [rows for path in paths if (rows := first_rows(folder, path)) is not None]
    if not parts:
        return None
    rows = pa.concat_tables(parts, promote_options="default")
    rows = rows.take(first_places(rows))
    return with_configurations(rows)


def first_rows(folder: StudyFolder, path: str) -> pa.Table | None:
    """Return the first row of each cell of a plan of version 4; None if it is of another."""
    try:
        file = pq.ParquetFile(path, filesystem=folder.filesystem, page_checksum_verification=True)
        with file:
            if (file.metadata.metadata or {}).get(b"symstudy_schema") != b"4":
                return None
            rows = file.read()
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"every file of the results must be a whole Parquet file, but {path!r} is damaged: "
            f"{error}. Run the study again: it is set aside and made anew."
        ) from error
    return rows.take(first_places(rows))


def first_places(rows: pa.Table) -> pa.Array:
    """Return where each cell stands first."""
    places = pa.table({"cell": rows["cell_id"], "at": pa.array(range(rows.num_rows), pa.int64())})
    return places.group_by("cell").aggregate([("at", "min")])["at_min"].combine_chunks().sort()


def with_configurations(rows: pa.Table) -> pa.Table:
    """Return rows of a plan of version 4 as rows of cells.

    What version 4 had no column for is taken from the configuration, such as arguments of a user's
    own module.
    """
    columns = {each.name: each for each in builtin_hyperparameters(RESERVED)}
    arrays: dict[str, pa.Array] = {}
    for name, each in columns.items():
        old = OLD_NAMES.get(name, name)
        if old in rows.column_names and name not in NOT_HYPERPARAMETERS:
            arrays[name] = rows[old].cast(TYPES[each.kind])
    found = [dict(pairs_of_config(text)) for text in rows["config"].to_pylist()]
    others = unite(column for pairs in found for column in pairs)
    of_name = [{each.name: value for each, value in pairs.items()} for pairs in found]
    for column in others:
        if column.name in arrays:
            continue
        values = [pairs.get(column.name) for pairs in of_name]
        if column.kind == "text":
            values = [None if value is None else str(value) for value in values]
        arrays[column.name] = pa.array(values, TYPES[column.kind])
        columns.setdefault(column.name, column)
    kept = [columns[name] for name in columns if name in arrays]
    fixed = [rows[name].cast(CELLS.schema.field(name).type) for name in CELLS.schema.names]
    return pa.Table.from_arrays(
        [*fixed, *(arrays[each.name] for each in kept)], schema=cells_schema(kept)
    )


def pairs_of_config(text: str) -> Iterator[tuple[Hyperparameter, object]]:
    """Yield column and value of every key of a configuration of version 4."""
    known = builtin_names(RESERVED)
    for table, values in json.loads(text).items():
        for key, value in values.items():
            if key == "arguments":
                for own, argument in value.items():
                    yield own_column(table, own, argument, RESERVED), plain(argument)
                continue
            column = known.get((table, OLD_KEYS.get((table, key), key)))
            if column is not None:
                yield column, plain(value)


def migrate(folder: StudyFolder) -> list[str]:
    """Write down the cells of a study of version 4, which is of the present version from then on.

    Broken off in between, it is done again by the next call. The caller holds the study's lock.

    Returns:
        What was done, in sentences.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    if folder.version != 4:
        return []
    rows = derive_cells(folder, list_tables(folder, [PLAN.name]).paths(PLAN.name))
    if rows is not None:
        write_cells(folder, FILE, rows)
    study = folder.read_study()
    if study:
        folder.write_study({**study, "schema_version": SCHEMA_VERSION})
    return [f"{folder.path} was of schema version 4 and is of version {SCHEMA_VERSION} now"]
