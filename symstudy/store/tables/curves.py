"""Learning curves of chosen runs, from the files of their packs alone."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from symstudy.errors import UserError, choices
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.connection import Store
from symstudy.store.tables.packed import paths_of_packs
from symstudy.store.tables.schema import HISTORY, RENAMED

__all__ = ["PackedRun", "curve_measures", "read_curves"]


class PackedRun(NamedTuple):
    """A run, and where its rows are.

    Attributes:
        study: Name of its study.
        run_id: Its identifier.
        pack_id: Pack that it was trained in.
    """

    study: str
    run_id: str
    pack_id: str


def curve_measures(store: Store) -> tuple[str, ...]:
    """Return the measures of `history`, as its view calls them."""
    keys = ("run_id", "pack_id", "step")
    built_in = [column.name for column in HISTORY.columns if column.name not in keys]
    return (*built_in, *store.own_columns(HISTORY))


def read_curves(store: Store, runs: Sequence[PackedRun], measure: str) -> pa.Table:
    """Return study, run_id, step and value of a measure, at every probe of some runs, in order.

    Through the view this takes as long as reading the history of all runs: DuckDB does not know
    which file a run is in. Each pack has a file of its own; only merged ones are looked through.

    Args:
        store: Access to the studies.
        runs: The runs.
        measure: One of `curve_measures`.

    Raises:
        UserError: If there is no such measure.
        StoreError: If a file turns out to be damaged.
    """
    known = curve_measures(store)
    if measure not in known:
        raise UserError(
            f"a measure of learning curves must be a column of history, but got {measure!r}. "
            f"{choices(measure, known)}"
        )
    parts = [CURVES.empty_table()]
    for folder in store.folders:
        study = store.tables.study_of(folder)
        own = [run for run in runs if run.study == study]
        if own:
            parts.append(read_of_study(store, folder, own, measure))
    table = pa.concat_tables(parts)
    return table.sort_by([("study", "ascending"), ("run_id", "ascending"), ("step", "ascending")])


CURVES = pa.schema(
    [
        ("study", pa.string()),
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("value", pa.float64()),
    ]
)


def read_of_study(
    store: Store, folder: StudyFolder, runs: Sequence[PackedRun], measure: str
) -> pa.Table:
    """Return the same of runs of one study."""
    own = {shown: name for name, shown in store.tables.aliases.items()}.get(measure, measure)
    old = RENAMED[HISTORY.name].get(own)
    names = [own] if old is None else [own, old]
    schema = pa.schema(
        [("run_id", pa.string()), ("pack_id", pa.string()), ("step", pa.int64())]
        + [(name, pa.float64()) for name in names]
    )
    paths = paths_of_packs(
        store.tables.narrow[id(folder), "runs"],
        (info.path for info in store.tables.infos(folder, HISTORY.name)),
        {run.pack_id for run in runs},
    )
    if not paths:
        return CURVES.empty_table()
    wanted = pa.array(sorted({run.run_id for run in runs}))
    dataset = ds.dataset(paths, schema=schema, format="parquet", filesystem=folder.filesystem)
    rows = dataset.to_table(filter=pc.field("run_id").isin(wanted))
    value = rows[own] if old is None else pc.coalesce(rows[own], rows[old])
    # A row that a dead worker has left is in a pack that does not count for the run.
    pairs = {(run.run_id, run.pack_id) for run in runs}
    found = zip(rows["run_id"].to_pylist(), rows["pack_id"].to_pylist(), strict=True)
    table = pa.table(
        [
            pa.array([runs[0].study] * rows.num_rows, pa.string()),
            rows["run_id"],
            rows["step"],
            value,
        ],
        schema=CURVES,
    )
    return table.filter(pa.array([pair in pairs for pair in found], pa.bool_()))
