"""Taking failed runs back: they are missing again, and the next launch trains them."""

import uuid
from collections.abc import Sequence

import pyarrow as pa

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.lock import locked
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import RUNS
from symstudy.store.tables.settling import drop_rows

__all__ = ["take_back"]

FOLDER = "taken_back"


def take_back(folder: StudyFolder, pairs: Sequence[tuple[str, str]]) -> None:
    """Take the rows of some runs out of the tables of a study, into `taken_back/`.

    The rows are kept there before they go; broken off in between, a run is still there, and can be
    taken back again.

    Args:
        folder: Of the study.
        pairs: Run and pack of each row of `runs` that is to go.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    with locked(folder):
        rows = read_column(folder, RUNS.name, RUNS.schema.names)
        wanted = set(pairs)
        keys = zip(rows["run_id"].to_pylist(), rows["pack_id"].to_pylist(), strict=True)
        gone = rows.filter(pa.array([key in wanted for key in keys], pa.bool_()))
        if gone.num_rows == 0:
            return
        folder.write_table(gone, FOLDER, f"{uuid.uuid4().hex}.parquet")
        drop_rows(folder, gone.select(["run_id", "pack_id"]))
