"""The read-only SQL connection to one or more studies.

Files are handed to DuckDB as Arrow datasets, so its own access to files and network can be switched
off altogether: a query can neither read nor write anything but the tables it is given. Each
connection sees the files there were when it was opened; if one of them is gone, since small files
were merged, it is opened anew.
"""

import inspect
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from symstudy.errors import QueryError, StoreError, choices
from symstudy.identity import digest
from symstudy.store.files.folder import StudyFolder, find_studies
from symstudy.store.files.manifest import ATTEMPTS, list_tables, read_again
from symstudy.store.files.sealed import find_broken
from symstudy.store.tables.keys import KEYS, damaged_error, find_once, read_keys
from symstudy.store.tables.schema import (
    CURVE_MEASURES,
    FINAL_LAYER_MEASURES,
    HYPERPARAMETERS,
    RUNS,
    TABLES,
    Table,
)
from symstudy.symmetry.thresholds import CURVE_THRESHOLDS

__all__ = ["Answer", "Store", "open_store"]

VIEWS = (
    "runs",
    "configurations",
    "history",
    "layers",
    "count_curve",
    "cells",
    "certificates",
    "planned",
    "missing",
)
INNER_VIEWS = ("runs_ended", "planned_runs")
"""Views of our own, which are not listed."""

LOCKS = (
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set python_enable_replacements = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, two terms of
# Cornish-Fisher.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


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

    Args of the constructor: the studies' folders. Not to be shared by threads.

    Attributes:
        folders: The studies' folders.
        queries: Every query that was run.

    Example:
        >>> store = open_store("results")  # doctest: +SKIP
        >>> store.df("select width, avg(test_loss) from runs group by all")  # doctest: +SKIP
    """

    def __init__(self, folders: Sequence[StudyFolder]) -> None:
        """See the class.

        Raises:
            StoreError: If a file of a study is damaged.
        """
        self.folders = tuple(folders)
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
            self.connection.register(f"{name}_files", rows)
        several = len(self.folders) > 1
        clauses = {
            "pack": "study, pack_id" if several else "pack_id",
            "but_study": "exclude (study)" if several else "",
        }
        for keys in KEYS:
            name = keys.table.name
            once = self.once[name]
            self.connection.register(f"{name}_keys", self.keys[name])
            if once.superseded is not None:
                self.connection.register(f"{name}_superseded", once.superseded)
            for rows in ("files", "keys"):
                clauses[f"{name}_{rows}_once"] = once.clause(f"{name}_{rows}", f"{name}_superseded")
        for statement in (*view_statements(clauses), *LOCKS):
            self.connection.execute(statement)

    def read_files(self) -> None:
        """Find the files of every table, and read the columns that say which rows count.

        Raises:
            FileNotFoundError: If one is gone in the meantime.
            StoreError: If one of them is damaged.
        """
        self.files = self.list_files()
        self.narrow = {
            (id(folder), keys.table.name): read_keys(
                folder, self.infos(folder, keys.table.name), keys
            )
            for folder in self.folders
            for keys in KEYS
        }
        self.keys = {
            keys.table.name: pa.concat_tables(
                self.narrow[id(folder), keys.table.name] for folder in self.folders
            )
            for keys in KEYS
        }
        self.once = {keys.table.name: find_once(keys, self.keys[keys.table.name]) for keys in KEYS}
        self.datasets = {name: self.dataset(table) for name, table in TABLES.items()}

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
        """Return what DuckDB answers."""
        relation = self.connection.sql(query, params=parameters or None)
        return relation.to_arrow_table() if relation is not None else None

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
            "where not regexp_matches(table_name, '_(files|keys|superseded|ended|runs)$') "
            "order by table_name, ordinal_position"
        ).rows
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(table, []).append(column)
        return found


READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
DICTIONARIES = {
    "runs": ("study", "pack_id", "outcome"),
    "history": ("run_id", "pack_id"),
    "layers": ("run_id", "pack_id"),
    "certificates": (),
    "plan": ("study",),
}
"""Columns of a few values that are read as numbers."""


def open_store(*locations: str | Path) -> Store:
    """Return read-only SQL access to the studies at `locations` (`results` if none is given).

    Args:
        locations: Folders of studies, or their parents, local or as URIs such as `s3://bucket/results`.

    Raises:
        StoreError: If there is no study, or a file of one is damaged.
    """
    return Store(find_studies([str(location) for location in locations or ("results",)]))


def with_dictionaries(table: Table) -> tuple[pa.Schema, list[str]]:
    """Return the schema in which a table is read, and its columns that are dictionaries there.

    A run has a hundred rows of history: joined as dictionaries they take half the time.
    """
    names = DICTIONARIES[table.name]
    schema = table.schema
    text = pa.dictionary(pa.int32(), pa.string())
    for name in names:
        schema = schema.set(schema.get_field_index(name), pa.field(name, text))
    return schema, list(names)


def parquet_format(dictionaries: Sequence[str], *, is_local: bool) -> ds.ParquetFileFormat:
    """Return how files are read: checked, and from far away in few large pieces."""
    options = ds.ParquetFragmentScanOptions(
        page_checksum_verification=True, pre_buffer=not is_local
    )
    return ds.ParquetFileFormat(
        default_fragment_scan_options=options, dictionary_columns=list(dictionaries)
    )


def query_error(query: str, error: duckdb.Error) -> QueryError:
    """Return DuckDB's message in our form, with what exists where a name does not."""
    text = str(error)
    hint = ""
    if "Table with name" in text:
        name = text.split("Table with name ", 1)[1].split(" ", 1)[0]
        hint = f" {choices(name, VIEWS)}"
    return QueryError(f"SQL must be a query that DuckDB accepts, but got {query!r}: {text}{hint}")


def view_statements(clauses: Mapping[str, str]) -> list[str]:
    """Return the statements that make the views, with their lists of columns filled in.

    Args:
        clauses: What depends on the results: what a pack is known by, and what follows the names of
            tables, so that each run is there once.
    """
    hyper = ", ".join(column.name for column in HYPERPARAMETERS)
    quantiles = f"[{', '.join(map(str, T_QUANTILES))}]"
    margin = (
        f"(case when count({{0}}) > 31 then 1.96 + 2.372 / (count({{0}}) - 1) "
        f"when count({{0}}) > 1 then {quantiles}[count({{0}}) - 1] end "
        f"* stddev_samp({{0}}) / sqrt(count({{0}})))"
    )
    measures = [column.name for column in (*CURVE_MEASURES, *FINAL_LAYER_MEASURES)]
    kept = [
        name
        for name in measures
        if name in {column.name for column in RUNS.columns} and name != "learning_rate"
    ]
    means = ",\n    ".join(
        f"avg({name}) as {name}, avg({name}) - {margin.format(name)} as {name}_low, "
        f"avg({name}) + {margin.format(name)} as {name}_high"
        for name in kept
    )
    values = {
        **clauses,
        "hyperparameters": hyper,
        # They are the same in all runs of a cell: to group by them all would cost ten times more.
        "same_hyperparameters": ", ".join(
            f"any_value({column.name}) as {column.name}" for column in HYPERPARAMETERS
        ),
        "thresholds": f"[{', '.join(map(str, CURVE_THRESHOLDS))}]",
        "means": means,
    }
    folder = resources.files("symstudy.store.tables") / "views"
    return [
        string.Template((folder / f"{name}.sql").read_text(encoding="utf-8")).substitute(values)
        for name in (*INNER_VIEWS, *VIEWS)
    ]
