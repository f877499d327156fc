"""The planned cells of a study, as compaction copies them beside the runs that it merges."""

from collections.abc import Sequence
from typing import final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.cells import cells_schema, in_columns, unite_schemas
from symstudy.store.tables.copies import are_distinct, copy_name, is_copy
from symstudy.store.tables.schema import TYPES

__all__ = ["PlannedCells"]


@final
class PlannedCells:
    """The cells of a study, to copy their hyperparameters beside runs.

    Attributes:
        ids: Identifier of each cell, each once.
        copies: Their hyperparameters, under the names of the copies; none if names clash.
    """

    def __init__(self, folder: StudyFolder, paths: Sequence[str]) -> None:
        """Read some files of cells, but none that is damaged.

        Args:
            folder: Folder of the study.
            paths: Files of its cells.

        Raises:
            FileNotFoundError: If one is gone.
        """
        files = [
            pq.read_table(path, filesystem=folder.filesystem, page_checksum_verification=True)
            for path in paths
            if folder.is_sound(path)
        ]
        columns = unite_schemas(rows.schema for rows in files)
        wanted = [in_columns(rows.drop_columns(["config"]), columns) for rows in files]
        # Of a cell that two launches have planned the first counts, as in the views.
        rows = pa.concat_tables([*wanted, cells_schema(columns).empty_table()])
        rows = rows.sort_by([("planned_at", "ascending")])
        places = pa.array(range(rows.num_rows), pa.int64())
        firsts = pa.table({"cell": rows["cell_id"], "at": places}).group_by("cell")
        rows = rows.take(firsts.aggregate([("at", "min")])["at_min"].combine_chunks())
        self.ids = rows["cell_id"].combine_chunks()
        kept = columns if are_distinct(columns) else []
        self.copies = pa.table(
            [rows[each.name].combine_chunks() for each in kept],
            schema=pa.schema([(copy_name(each), TYPES[each.kind]) for each in kept]),
        )

    def knows(self, cells: pa.Array) -> bool:
        """Return whether there are copies for all of some cells, by their identifiers."""
        are_known = pc.all(pc.is_in(cells, self.ids), min_count=0).as_py()
        return bool(are_known) and self.copies.num_columns > 0

    def beside(self, rows: pa.Table) -> pa.Table:
        """Return runs, whose cells are all known, with copies of their hyperparameters."""
        # To find few among many costs less than to make a table of the many for each few.
        own = pc.is_in(self.ids, pc.unique(rows["cell_id"]))
        copies = self.copies.filter(own)
        places = pc.index_in(rows["cell_id"], self.ids.filter(own))
        kept = rows.select([name for name in rows.column_names if not is_copy(name)])
        for field in copies.schema:
            kept = kept.append_column(field, copies[field.name].take(places))
        return kept

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of runs with copies."""
        fields = [field for field in schema if not is_copy(field.name)]
        return pa.schema([*fields, *self.copies.schema], metadata=schema.metadata)
