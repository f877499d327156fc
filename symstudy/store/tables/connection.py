"""The read-only SQL connection to one or more studies.

A query may use a limited share of memory and time, so that a mistake in one does not stop the
machine for everybody on it.

Files are handed to DuckDB as Arrow datasets, so its own access to files and network can be switched
off altogether: a query can neither read nor write anything but the tables it is given. Each
connection sees the files there were when it was opened; if one of them is gone, since small files
were merged, it is opened anew.
"""

import inspect
import json
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from symstudy.errors import QueryError, StoreError, choices
from symstudy.identity import digest
from symstudy.measures import EXTRA_MEASURES
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import find_studies
from symstudy.store.files.manifest import ATTEMPTS, list_tables, read_again
from symstudy.store.files.rewriting import united_schema
from symstudy.store.files.sealed import find_broken
from symstudy.store.tables.cells import (
    cells_schema,
    in_columns,
    read_cells,
    read_schemas,
    unite_schemas,
)
from symstudy.store.tables.keys import KEYS, damaged_error, find_once, read_keys
from symstudy.store.tables.limits import (
    MEMORY,
    TIMEOUT_S,
    check_limits,
    is_out_of_memory,
    memory_error,
    timeout_error,
)
from symstudy.store.tables.scanning import parquet_format, with_dictionaries
from symstudy.store.tables.schema import (
    CELL_KEYS,
    CELLS,
    HISTORY,
    LAYERS,
    PLAN,
    RENAMED,
    RESERVED,
    RUNS,
    TABLES,
    Table,
)
from symstudy.store.tables.version_4 import derive_cells
from symstudy.store.tables.view_statements import VIEWS, view_statements
from symstudy.study.columns import builtin_hyperparameters, builtin_names

__all__ = ["Answer", "Store", "open_store"]

LOCKS = (
    # DuckDB knows no sizes of Arrow's files, and would hash the million rows of runs and not those
    # of the cells: the views have the smaller table on the right, which is the one that is hashed.
    "set disabled_optimizers = 'build_side_probe_side'",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set python_enable_replacements = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    "set lock_configuration = true",
)


class Answer(NamedTuple):
    """What a query returned.

    Attributes:
        columns: Names.
        rows: Values, as Python objects.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Store:
    """Read-only access to the results of one or more studies.

    Args of the constructor: the studies' folders, and the limits. Not to be shared by threads.

    Attributes:
        folders: The studies' folders.
        memory: Memory that a query may use, such as `4GB`.
        timeout_s: Seconds that a query may take.
        hyperparameters: The hyperparameters of the studies: those that are columns of the views.
        queries: Every query that was run.

    Example:
        >>> store = open_store("results")  # doctest: +SKIP
        >>> store.df("select width, avg(test_loss) from runs group by all")  # doctest: +SKIP
    """

    def __init__(
        self,
        folders: Sequence[StudyFolder],
        *,
        memory: str = MEMORY,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """See the class.

        Raises:
            StoreError: If a file of a study is damaged.
            QueryError: If `memory` or `timeout_s` is no limit.
        """
        self.folders = tuple(folders)
        self.memory = memory
        self.timeout_s = timeout_s
        self.memory_bytes = check_limits(memory, timeout_s)
        self.queries: list[str] = []
        self.connect()

    def connect(self) -> None:
        """List the files there are now, and make the tables and views over them.

        Raises:
            StoreError: If a file of a study is damaged.
        """
        self.__dict__.pop("fingerprint", None)
        read_again(self.read_files)
        self.connection = duckdb.connect(":memory:")
        for name, rows in self.datasets.items():
            self.connection.register(f"{SQL_NAMES.get(name, name)}_files", rows)
        several = len(self.folders) > 1
        clauses = {
            "pack": "study, pack_id" if several else "pack_id",
            "cell": "study, cell_id" if several else "cell_id",
            "but_study": "exclude (study)" if several else "",
        }
        for keys in KEYS:
            name = SQL_NAMES.get(keys.table.name, keys.table.name)
            once = self.once[keys.table.name]
            self.connection.register(f"{name}_keys", self.keys[keys.table.name])
            if once.superseded is not None:
                self.connection.register(f"{name}_superseded", once.superseded)
            for rows in ("files", "keys"):
                clauses[f"{name}_{rows}_once"] = once.clause(f"{name}_{rows}", f"{name}_superseded")
        names = [each.name for each in self.hyperparameters]
        self.connection.execute("set memory_limit = ?", [self.memory])
        measures = {table: [each.name for each in fields] for table, fields in self.named.items()}
        for statement in (*view_statements(clauses, names, measures), *LOCKS):
            self.connection.execute(statement)

    def read_files(self) -> None:
        """Find the files of every table, and read the columns that say which rows count.

        Raises:
            FileNotFoundError: If one is gone in the meantime.
            StoreError: If one of them is damaged.
        """
        self.files = self.list_files()
        self.derived = self.derive_cells()
        self.narrow = {
            (id(folder), keys.table.name): read_keys(
                folder, self.infos(folder, keys.table.name), keys
            )
            for folder in self.folders
            for keys in KEYS
        }
        for folder in self.folders:
            if (rows := self.derived.get(id(folder))) is not None:
                at = (id(folder), CELLS.name)
                own = rows.select(CELL_KEYS).replace_schema_metadata(None)
                self.narrow[at] = pa.concat_tables([self.narrow[at], own]).combine_chunks()
        self.keys = {
            keys.table.name: pa.concat_tables(
                self.narrow[id(folder), keys.table.name] for folder in self.folders
            )
            for keys in KEYS
        }
        self.once = {keys.table.name: find_once(keys, self.keys[keys.table.name]) for keys in KEYS}
        self.datasets = {CELLS.name: self.cells()}
        self.named = self.named_fields()
        tables = (table for table in TABLES.values() if table is not CELLS)
        self.datasets.update({table.name: self.dataset(table) for table in tables})

    def infos(self, folder: StudyFolder, table: str) -> list[fs.FileInfo]:
        """Return the files of a table of a study."""
        return [info for at, info in self.files[table] if at is folder]

    def list_files(self) -> dict[str, list[tuple[StudyFolder, fs.FileInfo]]]:
        """Return the files of every table in every study.

        Raises:
            FileNotFoundError: If one is gone in the meantime.
            StoreError: If one of them is damaged.
        """
        files: dict[str, list[tuple[StudyFolder, fs.FileInfo]]] = {name: [] for name in TABLES}
        damaged: list[str] = []
        for folder in self.folders:
            listing = list_tables(folder)
            damaged.extend(listing.lost)
            for name, infos in listing.files.items():
                files[name].extend((folder, info) for info in infos)
                if name not in {keys.table.name for keys in KEYS}:
                    paths = [info.path for info in infos]
                    damaged.extend(find_broken(folder.is_whole, paths))
        if damaged:
            raise damaged_error(damaged)
        return files

    def derive_cells(self) -> dict[int, pa.Table]:
        """Return the cells of studies that have them in their plan, by the folder's identity."""
        found = {}
        for folder in self.folders:
            if folder.version == 4:
                paths = [info.path for info in self.infos(folder, PLAN.name)]
                found[id(folder)] = derive_cells(folder, paths)
        return {at: rows for at, rows in found.items() if rows is not None}

    def cells(self) -> Any:
        """Return the cells of every study as something DuckDB can scan.

        `hyperparameters` is then what they have columns for.
        """
        schemas = {
            id(folder): read_schemas(folder, self.infos(folder, CELLS.name))
            for folder in self.folders
        }
        every = [schema for of_study in schemas.values() for schema in of_study.values()]
        every += [rows.schema for rows in self.derived.values()]
        self.hyperparameters = tuple(unite_schemas(every, first=builtin_hyperparameters(RESERVED)))
        parts: list[ds.Dataset] = []
        for folder in self.folders:
            parts.extend(read_cells(folder, schemas[id(folder)], self.hyperparameters))
            if (rows := self.derived.get(id(folder))) is not None:
                wanted = in_columns(rows, self.hyperparameters).replace_schema_metadata(None)
                parts.append(ds.dataset(wanted))
        if not parts:
            return cells_schema(self.hyperparameters).remove_metadata().empty_table()
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    def named_fields(self) -> dict[str, list[pa.Field]]:
        """Return the columns of measures that are not built in, by table, as the files have them.

        Files are looked at only where a cell names such a measure.
        """
        cells = self.datasets[CELLS.name]
        rows = cells if isinstance(cells, pa.Table) else cells.to_table(columns=["measures"])
        texts = pc.unique(rows["measures"]).to_pylist()
        named = {name for text in texts for name in json.loads(text or "[]")}
        if named <= {measure.name for measure in EXTRA_MEASURES}:
            return {}
        found: dict[str, list[pa.Field]] = {}
        for table in (RUNS, HISTORY, LAYERS):
            schemas = [
                schema
                for folder in self.folders
                for schema in read_schemas(folder, self.infos(folder, table.name)).values()
            ]
            united = united_schema(table.name, schemas)
            found[table.name] = [field for field in united if field.name not in table.schema.names]
        return found

    def column_of(self, key: str) -> str | None:
        """Return the column that holds a key of a study file, such as `train.lr`; None without.

        Args:
            key: Table and key, with a point between them.
        """
        table, _, name = key.partition(".")
        known = builtin_names(RESERVED).get((table, name))
        if known is not None:
            return known.name
        own = [each for each in self.hyperparameters if (each.table, each.key) == (table, name)]
        return own[0].name if own else None

    @property
    def swept(self) -> tuple[str, ...]:
        """The columns of what varies in the studies, by what these say of themselves."""
        keys = [key for folder in self.folders for key in folder.read_study().get("swept", ())]
        names = [self.column_of(key) for key in keys]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def study_of(self, folder: StudyFolder) -> str:
        """Return the name of a study, as its rows have it."""
        for keys in KEYS:
            names = self.narrow[id(folder), keys.table.name]["study"]
            if len(names):
                return str(names[0])
        return folder.name

    def dataset(self, table: Table) -> Any:
        """Return the rows of `table` of every study as something DuckDB can scan.

        Of several studies each row of a table without a study gets its own: the same run may be in
        two of them, in packs of the same name.
        """
        schema, texts = with_dictionaries(table)
        for field in self.named.get(table.name, ()):
            schema = schema.append(field)
        for old in RENAMED.get(table.name, {}).values():
            schema = schema.append(pa.field(old, pa.float64()))
        is_nameless = len(self.folders) > 1 and "study" not in schema.names
        if is_nameless:
            schema = schema.append(pa.field("study", pa.string()))
        parts = []
        for folder in self.folders:
            paths = [info.path for info in self.infos(folder, table.name)]
            if not paths:
                continue
            form = parquet_format(texts, is_local=folder.is_local)
            if is_nameless:
                constant = ds.field("study") == self.study_of(folder)
                fragments = [
                    form.make_fragment(path, folder.filesystem, partition_expression=constant)
                    for path in paths
                ]
                parts.append(ds.FileSystemDataset(fragments, schema, form, folder.filesystem))
            else:
                parts.append(
                    ds.dataset(paths, schema=schema, format=form, filesystem=folder.filesystem)
                )
        if not parts:
            return schema.empty_table()
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of which rows there are: it changes when a pack is added or written again.

        Merging files does not change it.
        """
        packs = self.connection.sql(
            "select study, pack_id, cast(finished_at as varchar), count(*) from runs_keys "
            "group by all order by all"
        ).fetchall()
        return digest("\n".join("|".join(map(str, pack)) for pack in packs))

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> Answer:
        """Return the answer to one SELECT statement.

        Raises:
            QueryError: If it is not one, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        table = self.arrow(query, parameters)
        columns = [column.to_pylist() for column in table.columns]
        return Answer(tuple(table.column_names), list(zip(*columns, strict=True)))

    def df(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Return the answer as a pandas frame; integers with nulls become float64, for seaborn.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        frame = self.arrow(query, parameters).to_pandas()
        return pd.DataFrame(frame)

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the answer as an Arrow table.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        try:
            statements = self.connection.extract_statements(query)
        except duckdb.Error as error:
            raise query_error(query, error) from error
        if len(statements) != 1 or statements[0].type not in READING:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise QueryError(
                f"SQL must be one SELECT statement, since results are read-only, but got {kinds}."
            )
        self.queries.append(inspect.cleandoc(query))
        plain = [value.item() if hasattr(value, "item") else value for value in parameters]
        for left in reversed(range(ATTEMPTS)):
            try:
                table = self.run(query, plain)
                break
            except (duckdb.Error, OSError, pa.ArrowException) as error:
                if not left or not self.is_stale():
                    raise self.failure(query, error) from error
            # Files were merged, or a pack was written again, under our hands.
            self.connect()
        if table is None:
            raise QueryError("SQL must return rows, but the statement returned none.")
        return table

    def run(self, query: str, parameters: Sequence[Any]) -> pa.Table | None:
        """Return what DuckDB answers.

        Raises:
            QueryError: If it takes more time, or more memory for its rows, than it may.
        """
        timer = threading.Timer(self.timeout_s, self.connection.interrupt)
        timer.daemon = True
        start = time.monotonic()
        timer.start()
        try:
            relation = self.connection.sql(query, params=parameters or None)
            return None if relation is None else self.gather(relation)
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            if time.monotonic() - start >= self.timeout_s and "nterrupt" in str(error):
                raise timeout_error(query, self.timeout_s) from error
            if is_out_of_memory(error):
                raise memory_error(query, self.memory) from error
            raise
        finally:
            timer.cancel()
            # A thread that is left when Python ends takes the process down with it.
            timer.join()

    def gather(self, relation: duckdb.DuckDBPyRelation) -> pa.Table:
        """Return the rows of an answer, which take no more memory than a query may.

        Raises:
            QueryError: If they take more.
        """
        reader = relation.to_arrow_reader(BATCH_ROWS)
        batches: list[pa.RecordBatch] = []
        size = 0
        for batch in reader:
            size += batch.nbytes
            if size > self.memory_bytes:
                raise memory_error(self.queries[-1], self.memory)
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)

    def is_stale(self) -> bool:
        """Return whether a file that this connection reads is gone or not what it was."""
        for files in self.files.values():
            for folder in self.folders:
                known = {info.path: info for at, info in files if at is folder}
                now = folder.filesystem.get_file_info(list(known))
                for info in now:
                    before = known[info.path]
                    if (info.size, info.mtime_ns) != (before.size, before.mtime_ns):
                        return True
        return False

    def failure(self, query: str, error: Exception) -> StoreError | QueryError:
        """Return what to raise for an error of DuckDB or Arrow: damaged files, or a mistake."""
        if isinstance(error, duckdb.Error) and not any(
            word in str(error) for word in ("CRC", "Parquet", "Couldn't", "Arrow", "IOError")
        ):
            return query_error(query, error)
        return self.damage(error)

    def damage(self, error: Exception) -> StoreError:
        """Return the error that names the files which cannot be read through."""
        damaged = [
            path
            for folder in self.folders
            for files in self.files.values()
            for path in find_broken(
                folder.is_sound, [info.path for at, info in files if at is folder]
            )
            # What is gone has been merged.
            if folder.filesystem.get_file_info(path).type == fs.FileType.File
        ]
        return damaged_error(damaged) if damaged else StoreError(str(error))

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of every table and view, for completion and help."""
        rows = self.sql(
            "select table_name, column_name from information_schema.columns "
            "where table_name in (select unnest(?)) order by table_name, ordinal_position",
            [list(VIEWS)],
        ).rows
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(table, []).append(column)
        return found


READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
SQL_NAMES = {CELLS.name: "cells"}
"""What tables are called in SQL, where it is not their own name."""
BATCH_ROWS = 100_000
"""Rows of an answer that are fetched together."""
"""Columns of a few values that are read as numbers."""


def open_store(*locations: str | Path, memory: str = MEMORY, timeout_s: float = TIMEOUT_S) -> Store:
    """Return read-only SQL access to the studies at `locations` (`results` if none is given).

    Args:
        locations: Folders of studies, or their parents, local or as URIs such as `s3://bucket/results`.
        memory: Memory that a query may use, such as `500MB` or `16GB`.
        timeout_s: Seconds that a query may take.

    Raises:
        StoreError: If there is no study, or a file of one is damaged.
        QueryError: If a limit is none.
    """
    folders = find_studies([str(location) for location in locations or ("results",)])
    return Store(folders, memory=memory, timeout_s=timeout_s)


def query_error(query: str, error: duckdb.Error) -> QueryError:
    """Return DuckDB's message in our form, with what exists where a name does not."""
    text = str(error)
    hint = ""
    if "Table with name" in text:
        name = text.split("Table with name ", 1)[1].split(" ", 1)[0]
        hint = f" {choices(name, VIEWS)}"
    return QueryError(f"SQL must be a query that DuckDB accepts, but got {query!r}: {text}{hint}")
