"""Reading kept activations, and writing and counting the pairs of runs that were compared."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from symstudy.identity import digest
from symstudy.measures.catalogue import PAIR_MEASURES, find_pair_measure
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables, read_again
from symstudy.store.tables.connection import Store
from symstudy.store.tables.keys import ENDED, damaged_error
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import PAIRS, REPRESENTATIONS, Table, pair_columns
from symstudy.store.tables.writer import arrow_table, utc_now

__all__ = ["Probed", "ended_packs", "measured_pairs", "read_activations", "write_pairs"]


class Probed(NamedTuple):
    """The activations of a run, by step and hidden layer.

    Attributes:
        layers: For each step, the activations `[samples, neurons]` of each layer.
    """

    layers: Mapping[int, Mapping[int, NDArray[np.float32]]]

    @property
    def last(self) -> int:
        """Step of the last probe."""
        return max(self.layers)


def ended_packs(folder: StudyFolder) -> dict[str, str]:
    """Return the pack whose rows count of every run that has ended for good."""
    query = f"select run_id, pack_id from runs_ended where outcome in {ENDED}"  # noqa: S608  # our own
    return dict(Store([folder]).sql(query).rows)


def measured_pairs(folder: StudyFolder, settings: str) -> set[tuple[str, str]]:
    """Return the runs of every pair that was measured with some settings.

    Raises:
        StoreError: If the results cannot be read.
    """
    columns = ("run_a", "run_b", "pair_settings")
    rows = read_column(folder, PAIRS.name, columns).group_by(list(columns)).aggregate([])
    return {
        (row["run_a"], row["run_b"]) for row in rows.to_pylist() if row["pair_settings"] == settings
    }


def read_activations(folder: StudyFolder, packs: Mapping[str, str]) -> dict[str, Probed]:
    """Return the activations that were kept of some runs; a run without any is left out.

    Args:
        folder: Of the study.
        packs: For each run the pack whose rows count.

    Raises:
        StoreError: If a file is damaged or missing.
    """

    def read() -> pa.Table:
        listing = list_tables(folder, [REPRESENTATIONS.name])
        if listing.lost:
            raise damaged_error(listing.lost)
        paths = listing.paths(REPRESENTATIONS.name)
        if not paths:
            return REPRESENTATIONS.schema.empty_table()
        rows = ds.dataset(
            paths, schema=REPRESENTATIONS.schema, format="parquet", filesystem=folder.filesystem
        )
        return rows.to_table(filter=ds.field("run_id").isin(list(packs)))

    table = read_again(read)
    found: dict[str, dict[int, dict[int, NDArray[np.float32]]]] = {}
    columns = {
        name: table[name].to_pylist() for name in table.column_names if name != "activations"
    }
    for place in range(table.num_rows):
        run = columns["run_id"][place]
        if columns["pack_id"][place] != packs[run]:
            continue
        flat = table["activations"][place].values.to_numpy(zero_copy_only=False)
        shape = columns["num_samples"][place], columns["num_neurons"][place]
        layers = found.setdefault(run, {}).setdefault(columns["step"][place], {})
        layers[columns["layer"][place]] = flat.reshape(shape)
    return {run: Probed(steps) for run, steps in found.items()}


def write_pairs(
    folder: StudyFolder,
    study: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    between: Iterable[str],
    measures: Collection[str],
    settings: str,
) -> None:
    """Write some pairs, all of their rows or none.

    Args:
        folder: Of the study.
        study: Its name.
        rows: What was measured, by column; all rows of a pair are among them.
        between: Keys that pairs differ in.
        measures: Names of the measures.
        settings: Hash of what the rows follow from.

    Raises:
        StoreError: If they cannot be written.
    """
    pairs = sorted({(row["run_a"], row["run_b"]) for row in rows})
    # The same pairs again have the same name: a file replaces itself.
    name = digest(f"pairs|{settings}|{pairs}")
    now = utc_now()
    shared = {
        "study": study,
        "pair_between": json.dumps(list(between)),
        "pair_settings": settings,
        "measured_at": now,
    }
    table = whole_table(measures)
    columns = {
        column.name: [shared.get(column.name, row.get(column.name)) for row in rows]
        for column in table.columns
    }
    folder.write_table(arrow_table(table, columns, len(rows)), PAIRS.name, f"{name}.parquet")


def whole_table(measures: Collection[str]) -> Table:
    """Return the table of pairs with the columns of measures of the user's own."""
    built = {item.name for item in PAIR_MEASURES}
    own = [find_pair_measure(name) for name in measures if name not in built]
    more = [column for item in own for column in pair_columns(item.name, item.meaning, item.source)]
    return PAIRS._replace(columns=(*PAIRS.columns, *more))
