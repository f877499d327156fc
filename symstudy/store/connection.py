"""The read-only SQL connection to one or more studies.

Files are handed to DuckDB as Arrow datasets, so its own access to files and network can be switched
off altogether: a query can neither read nor write anything but the tables it is given. Each
connection sees the files there were when it was opened.
"""

import inspect
import string
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from symstudy.errors import QueryError, StoreError, choices
from symstudy.identity import digest
from symstudy.store.folder import StudyFolder, find_studies
from symstudy.store.schema import (
    CURVE_MEASURES,
    FINAL_LAYER_MEASURES,
    HYPERPARAMETERS,
    RUNS,
    TABLES,
)
from symstudy.symmetry.catalogue import CURVE_THRESHOLDS

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
        self.files = {name: self.list_table(name) for name in TABLES}
        self.connection = duckdb.connect(":memory:")
        for name, table in TABLES.items():
            self.connection.register(f"{name}_files", self.dataset(name, table.schema))
        for statement in view_statements():
            self.connection.execute(statement)
        for statement in LOCKS:
            self.connection.execute(statement)

    def list_table(self, name: str) -> list[tuple[StudyFolder, str]]:
        """Return the files of the table `name` in every study.

        Raises:
            StoreError: If one of them is damaged.
        """
        files = [
            (folder, path)
            for folder in self.folders
            for path in folder.list_files(name, ".parquet")
        ]
        damaged = [path for folder, path in files if not folder.is_whole(path)]
        if damaged:
            raise damaged_error(damaged)
        return files

    def dataset(self, name: str, schema: pa.Schema) -> Any:
        """Return the rows of the table `name` of every study as something DuckDB can scan."""
        parts = []
        for filesystem in {
            id(folder.filesystem): folder.filesystem for folder in self.folders
        }.values():
            paths = [path for folder, path in self.files[name] if folder.filesystem is filesystem]
            if paths:
                options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
                form = ds.ParquetFileFormat(default_fragment_scan_options=options)
                parts.append(ds.dataset(paths, schema=schema, format=form, filesystem=filesystem))
        if not parts:
            return schema.empty_table()
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of which rows there are: it changes when a pack is added or written again."""
        runs = [
            f"{folder.name}/{path.rsplit('/', 1)[-1]}/{folder.filesystem.get_file_info(path).size}"
            for folder, path in self.files["runs"]
        ]
        return digest("\n".join(sorted(runs)))

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
        try:
            relation = self.connection.sql(query, params=plain or None)
            table = relation.to_arrow_table() if relation is not None else None
        except duckdb.Error as error:
            if "CRC" in str(error) or "Parquet" in str(error):
                raise self.damage(error) from error
            raise query_error(query, error) from error
        except (OSError, pa.ArrowInvalid) as error:
            raise self.damage(error) from error
        if table is None:
            raise QueryError("SQL must return rows, but the statement returned none.")
        return table

    def damage(self, error: Exception) -> StoreError:
        """Return the error that names the files which cannot be read through."""
        damaged = []
        for name in TABLES:
            for folder, path in self.files[name]:
                if not is_sound(folder, path):
                    damaged.append(path)
        return damaged_error(damaged) if damaged else StoreError(str(error))

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of every table and view, for completion and help."""
        rows = self.sql(
            "select table_name, column_name from information_schema.columns "
            "where table_name not like '%_files' order by table_name, ordinal_position"
        ).rows
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(table, []).append(column)
        return found


READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def open_store(*locations: str | Path) -> Store:
    """Return read-only SQL access to the studies at `locations` (`results` if none is given).

    Args:
        locations: Folders of studies, or their parents, local or as URIs such as `s3://bucket/results`.

    Raises:
        StoreError: If there is no study, or a file of one is damaged.
    """
    return Store(find_studies([str(location) for location in locations or ("results",)]))


def is_sound(folder: StudyFolder, path: str) -> bool:
    """Return whether a Parquet file can be read through, its checksums included."""
    import pyarrow.parquet as pq

    try:
        with folder.filesystem.open_input_file(path) as file:
            pq.read_table(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return False
    return True


def damaged_error(paths: Sequence[str]) -> StoreError:
    """Return the error that names damaged files and what to do about them."""
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return StoreError(
        f"every file of the results must be a whole Parquet file, but these are damaged: {shown}. "
        "Run the study again: it sets them aside and repeats their runs, and nothing else."
    )


def query_error(query: str, error: duckdb.Error) -> QueryError:
    """Return DuckDB's message in our form, with what exists where a name does not."""
    text = str(error)
    hint = ""
    if "Table with name" in text:
        name = text.split("Table with name ", 1)[1].split(" ", 1)[0]
        hint = f" {choices(name, VIEWS)}"
    return QueryError(f"SQL must be a query that DuckDB accepts, but got {query!r}: {text}{hint}")


def view_statements() -> list[str]:
    """Return the statements that make the views, with their lists of columns filled in."""
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
        if name in {column.name for column in RUNS.columns} and name != "lr"
    ]
    means = ",\n    ".join(
        f"avg({name}) as {name}, avg({name}) - {margin.format(name)} as {name}_low, "
        f"avg({name}) + {margin.format(name)} as {name}_high"
        for name in kept
    )
    values = {
        "hyperparameters": hyper,
        "thresholds": f"[{', '.join(map(str, CURVE_THRESHOLDS))}]",
        "means": means,
    }
    folder = resources.files("symstudy.store") / "views"
    return [
        string.Template((folder / f"{name}.sql").read_text(encoding="utf-8")).substitute(values)
        for name in VIEWS
    ]
