"""From columns of numbers to Parquet files, one a pack and table."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from symstudy.store.folder import StudyFolder
from symstudy.store.provenance import Provenance
from symstudy.store.schema import (
    CERTIFICATES,
    HISTORY,
    LAYERS,
    PACKS,
    PLAN,
    RUNS,
    Table,
    hyperparameters,
)
from symstudy.study.cells import Run
from symstudy.study.packs import Pack

__all__ = ["utc_now", "write_pack", "write_packs", "write_plan"]

Columns = Mapping[str, Any]


def write_pack(
    folder: StudyFolder,
    study: str,
    pack_id: str,
    runs: Sequence[Run],
    provenance: Provenance,
    *,
    run_columns: Columns,
    history: Columns,
    layers: Columns,
    certificates: Columns | None = None,
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
        certificates: Rows of the certificates, by column, if a run was trained alone.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    name = f"{pack_id}.parquet"
    parts = [(HISTORY, history), (LAYERS, layers)]
    if certificates:
        parts.append((CERTIFICATES, certificates))
    for table, columns in parts:
        count = len(columns["run_id"]) if columns else 0
        rows = {**columns, "pack_id": [pack_id] * count}
        folder.write_table(arrow_table(table, rows, count), table.name, name)
    rows = {
        **identity_columns(study, runs),
        **run_columns,
        "pack_id": [pack_id] * len(runs),
        "finished_at": [utc_now()] * len(runs),
        **{
            field: [value] * len(runs)
            for field, value in provenance._asdict().items()
            if field != "python_version"
        },
    }
    folder.write_table(arrow_table(RUNS, rows, len(runs)), RUNS.name, name)


def write_plan(folder: StudyFolder, study: str, launch: str, runs: Sequence[Run]) -> None:
    """Write newly planned runs to the ledger, as the file of the launch that planned them.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    rows = {**identity_columns(study, runs), "planned_at": [utc_now()] * len(runs)}
    folder.write_table(arrow_table(PLAN, rows, len(runs)), PLAN.name, f"{launch}.parquet")


def write_packs(folder: StudyFolder, launch: str, packs: Sequence[Pack]) -> None:
    """Write which runs are trained together in a launch, for its workers to read.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    pairs = [(pack.pack_id, run) for pack in packs for run in pack.runs]
    rows = {
        "pack_id": [pack_id for pack_id, _ in pairs],
        "run_id": [run.run_id for _, run in pairs],
        "seed": [run.seed for _, run in pairs],
        "config": [run.cell.config for _, run in pairs],
    }
    # A row group a pack: a worker reads its own runs and skips the rest by their statistics.
    sizes = [len(pack.runs) for pack in packs]
    table = arrow_table(PACKS, rows, len(pairs))
    folder.write_table(table, PACKS.name, f"{launch}.parquet", row_groups=sizes)


def identity_columns(study: str, runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return identity and hyperparameters of `runs`, by column."""
    by_cell: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.cell.cell_id not in by_cell:
            by_cell[run.cell.cell_id] = hyperparameters(run.cell)
    rows = [by_cell[run.cell.cell_id] for run in runs]
    names = rows[0] if rows else {}
    return {
        "run_id": [run.run_id for run in runs],
        "cell_id": [run.cell.cell_id for run in runs],
        "study": [study] * len(runs),
        "seed": [run.seed for run in runs],
        **{name: [row[name] for row in rows] for name in names},
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
    if pa.types.is_list(kind):
        return pa.array(
            [None if row is None else list(row) for row in np.asarray(values).tolist()], kind
        )
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return pa.array(values, kind, mask=~np.isfinite(values))
    if isinstance(values, np.ndarray) and values.dtype.kind == "i" and pa.types.is_integer(kind):
        return pa.array(values, kind, mask=values < 0)
    return pa.array(values, kind)


def utc_now() -> datetime.datetime:
    """Return the time, UTC, without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
