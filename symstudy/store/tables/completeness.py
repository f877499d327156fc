"""Whether every run has all the rows that it was written with.

The row of a run, which is written last, says how many rows it has in `history`, in `layers` and in
`representations`. Rows of version 4 do not: there a run is held against others of its pack that
took as many steps, which share its probes and its layers. Where a row does not say how many
`representations` it has, these are not counted.
"""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables
from symstudy.store.tables.connection import Store
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import HISTORY, LAYERS, REPRESENTATIONS, RUNS

__all__ = ["has_all_rows", "incomplete_runs"]

INCOMPLETE = """
with counted as (
    select
        run_rows.study, run_id, run_rows.pack_id, steps_done, history_rows, layers_rows,
        representations_rows, coalesce(r.num, 0) as in_representations,
        outcome in ('done', 'stopped') as has_ended,
        coalesce(h.num, 0) as in_history, coalesce(l.num, 0) as in_layers,
        h.last, coalesce(p.repeats, 0) as repeats
    from run_rows
    left join (
        select run_id, pack_id, count(*) as num, max(step) as last from history_files group by all
    ) as h using (run_id, pack_id)
    left join (
        -- Steps of a program are its own: each is there once.
        select run_id, pack_id, count(*) - count(distinct step) as repeats
        from history_files
        semi join (
            select run_id, pack_id from run_rows where engine = 'program'
        ) as programs using (run_id, pack_id)
        group by all
    ) as p using (run_id, pack_id)
    left join (
        select run_id, pack_id, count(*) as num from layers_files group by all
    ) as l using (run_id, pack_id)
    left join (
        select run_id, pack_id, count(*) as num from representations_files group by all
    ) as r using (run_id, pack_id)
),
expected as (
    select
        *,
        coalesce(history_rows, max(in_history) over alike) as rows_of_history,
        coalesce(
            layers_rows,
            -- A whole pack without layers stands out where others of the study have them.
            greatest(max(in_layers) over alike, least(1, max(in_layers) over (partition by study)))
        ) as rows_of_layers
    from counted
    window alike as (partition by pack_id, has_ended, steps_done)
)
select run_id, pack_id
from expected
where
    (has_ended and (last is null or last <> steps_done))
    or repeats > 0
    or in_representations <> representations_rows
    or ((has_ended or history_rows is not null)
        and (in_history <> rows_of_history or in_layers <> rows_of_layers))
order by pack_id, run_id
"""


def incomplete_runs(store: Store) -> pa.Table:
    """Return run and pack of the runs of a study that lack rows, or have too many.

    Args:
        store: Access to this study alone.
    """
    return store.arrow(INCOMPLETE)


def has_all_rows(folder: StudyFolder) -> bool:
    """Return whether a study has as many rows as its runs were written with, in sum.

    It costs three columns and no row of the large tables; where it is False, a row that a dead
    worker has left may be the reason.
    """
    counted = (HISTORY, LAYERS, REPRESENTATIONS)
    runs = read_column(folder, RUNS.name, tuple(f"{table.name}_rows" for table in counted))
    for table in counted:
        column = runs[f"{table.name}_rows"]
        if column.null_count and table is REPRESENTATIONS:
            continue
        if column.null_count:
            return False
        paths = list_tables(folder, [table.name]).paths(table.name)
        there = 0
        if paths:
            there = ds.dataset(
                paths, schema=table.schema, format="parquet", filesystem=folder.filesystem
            ).count_rows()
        if there != (pc.sum(column).as_py() or 0):
            return False
    return True
