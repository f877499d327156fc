"""From columns of numbers to Parquet files, one a pack and table."""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.parquet import STATISTICS_ROWS
from symstudy.store.tables.cells import cells_table, write_cells
from symstudy.store.tables.named import with_metrics, with_named
from symstudy.store.tables.provenance import Provenance
from symstudy.store.tables.schema import (
    ACTIVATIONS,
    CERTIFICATES,
    HISTORY,
    LAYERS,
    PACKS,
    PLAN,
    PLAN_KEYS,
    REPRESENTATIONS,
    RUN_KEYS,
    RUNS,
    VECTOR,
    Table,
)
from symstudy.study.cell import Run
from symstudy.study.packs import Pack

__all__ = ["utc_now", "write_pack", "write_packs", "write_plan"]

GROUP_ROWS = 65_536
"""Rows of a group of a large plan."""
PACKS_ROWS = 2048
"""Rows of a group of a file of packs: what a worker reads to find its own."""

Columns = Mapping[str, Any]


def write_pack(  # noqa: PLR0913  # a pack has so many tables
    folder: StudyFolder,
    study: str,
    pack_id: str,
    runs: Sequence[Run],
    provenance: Provenance,
    *,
    run_columns: Columns,
    history: Columns,
    layers: Columns,
    representations: Columns | None = None,
    certificates: Columns | None = None,
    metrics: Mapping[str, str] | None = None,
) -> None:
    """Write the tables of a pack, `runs` last: a run counts once its row is there.

    A pack written again after a lost worker replaces its own files, since their name is the pack's.

    Args:
        folder: Of the study.
        study: Its name.
        pack_id: Names the files.
        runs: The runs, in the order of `run_columns`.
        provenance: Of the launch.
        run_columns: Outcome and final measures, by column.
        history: Rows of the history, by column.
        layers: Rows of the layers, by column.
        representations: Rows of the activations that are kept, by column, if any are.
        certificates: Rows of the certificates, by column, if a run was trained alone.
        metrics: Kind of each metric that the runs report, if they are those of a program.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    name = f"{pack_id}.parquet"
    parts = [(HISTORY, history), (LAYERS, layers)]
    if representations:
        parts.append((REPRESENTATIONS, representations))
    if certificates:
        parts.append((CERTIFICATES, certificates))
    for table, columns in parts:
        count = len(columns["run_id"]) if columns else 0
        rows = {**columns, "pack_id": [pack_id] * count}
        whole = whole_table(table, runs, metrics)
        folder.write_table(arrow_table(whole, rows, count), table.name, name)
    rows = {
        **identity_columns(study, runs),
        **run_columns,
        "history_rows": rows_of_runs(runs, history),
        "layers_rows": rows_of_runs(runs, layers),
        "representations_rows": rows_of_runs(runs, representations),
        "certificates_rows": rows_of_runs(runs, certificates),
        "pack_id": [pack_id] * len(runs),
        "finished_at": [utc_now()] * len(runs),
        **{
            field: [value] * len(runs)
            for field, value in provenance._asdict().items()
            if field != "python_version"
        },
    }
    whole = whole_table(RUNS, runs, metrics)
    folder.write_table(arrow_table(whole, rows, len(runs)), RUNS.name, name, keys=RUN_KEYS)


def whole_table(table: Table, runs: Sequence[Run], metrics: Mapping[str, str] | None) -> Table:
    """Return a table with the columns of its own that the runs of a pack have."""
    if metrics is not None:
        return with_metrics(table, metrics)
    return with_named(table, runs[0].cell.probe.measures if runs else ())


def rows_of_runs(runs: Sequence[Run], columns: Columns | None) -> list[int]:
    """Return how many rows each of `runs` has in a table of a pack."""
    counts = Counter(list(columns["run_id"]) if columns else [])
    return [counts[run.run_id] for run in runs]


def write_plan(
    folder: StudyFolder,
    study: str,
    file: str,
    runs: Sequence[Run],
    trials: Sequence[str] | None = None,
) -> None:
    """Write newly planned runs to the ledger, and before them their cells.

    Args:
        folder: Of the study.
        study: Its name.
        file: Name of the file, without its ending: that of the launch that planned the runs.
        runs: The runs.
        trials: What a search asked for with each, as JSON; None for a grid.

    Raises:
        StoreError: If the folder cannot be written to.
        StudyFileError: If two keys of the cells would be one column.
    """
    now = utc_now()
    # A plan whose cells are lost in between would be worth less than cells without a plan.
    cells = list({run.cell.cell_id: run.cell for run in runs}.values())
    write_cells(folder, file, cells_table(study, cells, now))

    def group(start: int) -> pa.Table:
        part = runs[start : start + GROUP_ROWS]
        rows: dict[str, Any] = {**identity_columns(study, part), "planned_at": [now] * len(part)}
        if trials is not None:
            rows["trial"] = list(trials[start : start + GROUP_ROWS])
        return arrow_table(PLAN, rows, len(part))

    # A group at a time: the columns of a million runs would take gigabytes.
    groups = (group(start) for start in range(0, len(runs), GROUP_ROWS))
    name = f"{file}.parquet"
    statistics = len(runs) >= STATISTICS_ROWS
    folder.write_groups(PLAN.schema, groups, PLAN.name, name, statistics=statistics, keys=PLAN_KEYS)


def write_packs(folder: StudyFolder, launch: str, packs: Sequence[Pack]) -> None:
    """Write which runs are trained together in a launch, for its workers to read.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    # Workers look for their pack by its identifier: sorted by it, a pack is in one group of rows or
    # two, and the statistics of the others tell that it is not there.
    ordered = sorted(packs, key=lambda pack: pack.pack_id)
    groups = (packs_group(part) for part in parts_of(ordered, PACKS_ROWS))
    rows = sum(len(pack.runs) for pack in ordered)
    folder.write_groups(
        PACKS.schema, groups, PACKS.name, f"{launch}.parquet", statistics=rows >= STATISTICS_ROWS
    )


def parts_of(packs: Iterable[Pack], rows: int) -> Iterator[list[Pack]]:
    """Yield `packs` in their order, so many together that they have at least `rows` runs."""
    part: list[Pack] = []
    count = 0
    for pack in packs:
        part.append(pack)
        count += len(pack.runs)
        if count >= rows:
            yield part
            part, count = [], 0
    if part:
        yield part


def packs_group(packs: Sequence[Pack]) -> pa.Table:
    """Return the rows of some packs, as they stand in a file of packs."""
    runs = [run for pack in packs for run in pack.runs]
    rows = {
        "pack_id": [pack.pack_id for pack in packs for _ in pack.runs],
        "run_id": [run.run_id for run in runs],
        "seed": [run.seed for run in runs],
        "config": [run.cell.config for run in runs],
    }
    return arrow_table(PACKS, rows, len(runs))


def identity_columns(study: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Return what `runs` are known by, by column."""
    return {
        "run_id": [run.run_id for run in runs],
        "cell_id": [run.cell.cell_id for run in runs],
        "study": [study] * len(runs),
        "seed": [run.seed for run in runs],
    }


def arrow_table(table: Table, columns: Columns, count: int) -> pa.Table:
    """Return `columns` in the types of `table`; what is not given, not finite or -1 is null.

    Raises:
        ValueError: If a column is not one of the table's.
    """
    known = {column.name for column in table.columns}
    extra = [name for name in columns if name not in known]
    if extra:
        raise ValueError(f"columns of {table.name!r} must be in its schema, but got {extra}")
    arrays = []
    for field in table.schema:
        if field.name in columns:
            arrays.append(arrow_array(columns[field.name], field.type))
        else:
            arrays.append(pa.nulls(count, field.type))
    return pa.Table.from_arrays(arrays, schema=table.schema)


def arrow_array(values: Any, kind: pa.DataType) -> pa.Array:
    """Return `values` as an Arrow array of type `kind`."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if pa.types.is_list(kind) and kind != ACTIVATIONS:
        return vector_array(values, kind) if kind == VECTOR else curve_array(values, kind)
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        # Counts of several kinds of layers: NaN where a kind has none, -1 where it is not known.
        is_no_count = pa.types.is_integer(kind) & (values < 0)
        return pa.array(values, kind, mask=~np.isfinite(values) | is_no_count)
    if isinstance(values, np.ndarray) and values.dtype.kind == "i" and pa.types.is_integer(kind):
        return pa.array(values, kind, mask=values < 0)
    if pa.types.is_string(kind):
        values = [storable(text) for text in values]
    return pa.array(values, kind)


def storable(text: str | None) -> str | None:
    r"""Return a text as UTF-8 has it: half a character, as of a file's name, as `\udce9`."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def curve_array(values: Any, kind: pa.DataType) -> pa.Array:
    """Return rows of counts as lists of type `kind`."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        # A table that mixes kinds of layers: a row without a curve is NaN throughout.
        is_missing = np.isnan(values).all(axis=1)
        rows = np.where(is_missing[:, None], 0, values).astype(np.int64).tolist()
        return pa.array(rows, kind, mask=is_missing)
    return pa.array([None if row is None else list(row) for row in values.tolist()], kind)


def vector_array(rows: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """Return rows of numbers as lists: what is not finite is null, and a row of nothing else too.

    Args:
        rows: An array of numbers each, or NaN where there is none.
        kind: Type of the lists.
    """
    vectors = [np.atleast_1d(np.asarray(row, np.float64)) for row in rows]
    lists = [
        pa.array(vector, kind.value_type, mask=~np.isfinite(vector)).to_pylist()
        if np.isfinite(vector).any()
        else None
        for vector in vectors
    ]
    return pa.array(lists, kind)


def utc_now() -> datetime.datetime:
    """Return the time, UTC, without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
