"""Whether every run has all the rows that it was written with, each once.

The row of a run, which is written last, says how many rows it has in `history`, in `layers`, in
`representations` and in `certificates`. A row that is there twice beside one that is lost leaves
that number as it is, so rows are told apart by their keys too. Rows of version 4 say no numbers:
there a run is held against others of its pack that took as many steps, which share its probes and
its layers. A row that does not say how many `representations` it has is held against them as well,
and must have some at each probe of its layers where its cell asks for them. How many `certificates`
an older row had, nothing tells.
"""

from string import Template

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables
from symstudy.store.tables.connection import Store
from symstudy.store.tables.limits import CLOSED, MEMORY
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import (
    CERTIFICATES,
    HISTORY,
    LAYERS,
    PAIRS,
    REPRESENTATIONS,
    RUNS,
    Table,
)

__all__ = ["COUNTED", "has_all_rows", "incomplete_runs"]

COUNTED = (HISTORY, LAYERS, REPRESENTATIONS, CERTIFICATES)
"""Tables of which the row of a run says how many rows it has."""

ROW_KEYS = {
    RUNS.name: ("run_id", "pack_id"),
    HISTORY.name: ("run_id", "pack_id", "step"),
    LAYERS.name: ("run_id", "pack_id", "step", "layer"),
    REPRESENTATIONS.name: ("run_id", "pack_id", "step", "layer"),
    CERTIFICATES.name: ("run_id", "pack_id", "measure"),
}
"""Columns that tell one row of a table from another."""

PART_ROWS = 50_000_000
"""Rows of a table that are held against each other at a time: their hashes take 1.2 GB."""

# A list for each run takes DuckDB half the time that `count(distinct ...)` does.
ROWS = """
with in_history as (
    select run_id, pack_id, count(*) as num, count(*) - list_unique(list(step)) as again,
        max(step) as last
    from history_files group by all
),
in_layers as (
    select run_id, pack_id, count(*) as num,
        count(*) - list_unique(list(step * 65536 + layer)) as again
    from layers_files group by all
),
in_representations as (
    select run_id, pack_id, count(*) as num,
        count(*) - list_unique(list(step * 65536 + layer)) as again
    from representations_files group by all
),
in_certificates as (
    select run_id, pack_id, count(*) as num, count(*) - count(distinct measure) as again
    from certificates_files group by all
),
in_runs as (
    select run_id, pack_id, count(*) as num, count(*) - 1 as again
    from runs_keys group by all having count(*) > 1
)"""
"""How many rows each run has in every table, and how many of them are of the keys of another."""

INCOMPLETE = Template("""
$rows,
asked as (
    select cell_id, any_value(config->>'$$.probe.representations')::bigint as samples
    from cells_files where config like '%representations%' group by all
),
-- At each of these steps a run has kept something, where its cell asks for it.
detailed as (
    select run_id, pack_id, count(distinct step) as num
    from layers_files
    semi join (select run_id, pack_id from run_rows where representations_rows is null)
        using (run_id, pack_id)
    where exists (select 1 from representations_files) or exists (select 1 from pairs_files)
    group by all
),
counted as (
    select
        run_rows.study, run_id, run_rows.pack_id, steps_done, h.last,
        outcome in ('done', 'stopped') as has_ended,
        history_rows, layers_rows, representations_rows, certificates_rows,
        coalesce(h.num, 0) as of_history, coalesce(h.again, 0) as again_history,
        coalesce(l.num, 0) as of_layers, coalesce(l.again, 0) as again_layers,
        coalesce(r.num, 0) as of_representations, coalesce(r.again, 0) as again_representations,
        coalesce(c.num, 0) as of_certificates, coalesce(c.again, 0) as again_certificates,
        case when asked.samples > 0 then coalesce(d.num, 0) else 0 end as of_detailed,
        coalesce(i.num, 1) > 1 as is_twice
    from run_rows
    left join in_history as h using (run_id, pack_id)
    left join in_layers as l using (run_id, pack_id)
    left join in_representations as r using (run_id, pack_id)
    left join in_certificates as c using (run_id, pack_id)
    left join in_runs as i using (run_id, pack_id)
    left join detailed as d using (run_id, pack_id)
    left join asked using (cell_id)
),
expected as (
    select
        *,
        coalesce(history_rows, max(of_history) over alike) as wanted_history,
        coalesce(
            layers_rows,
            -- A whole pack without layers stands out where others of the study have them.
            greatest(max(of_layers) over alike, least(1, max(of_layers) over (partition by study)))
        ) as wanted_layers,
        coalesce(
            representations_rows,
            case when of_detailed > 0
                then greatest(max(of_representations) over alike, of_detailed)
                else of_representations end
        ) as wanted_representations
    from counted
    window alike as (partition by pack_id, has_ended, steps_done)
),
told as (
    select
        *,
        (has_ended and (last is null or last <> steps_done)) or again_history > 0
            or ((has_ended or history_rows is not null) and of_history <> wanted_history)
            as lacks_history,
        again_layers > 0
            or ((has_ended or history_rows is not null) and of_layers <> wanted_layers)
            as lacks_layers,
        again_representations > 0
            or (representations_rows is null and of_representations < wanted_representations)
            or of_representations <> representations_rows as lacks_representations,
        -- A launch that died may have left some of a pack that a later one has not certified.
        again_certificates > 0 or of_certificates < certificates_rows as lacks_certificates
    from expected
),
-- One run of a pack is trained once more alone, and which follows from the pack: so all of its runs
-- are trained again, and one of them alone.
whole as (
    select *, has_ended and bool_or(coalesce(lacks_certificates, false))
        over (partition by study, pack_id) as lost_certificates
    from told
)
select run_id, pack_id, list_filter(
    [
        case when is_twice then 'runs' end,
        case when lacks_history then 'history' end,
        case when lacks_layers then 'layers' end,
        case when lacks_representations then 'representations' end,
        case when lost_certificates then 'certificates' end
    ],
    lambda name: name is not null
) as tables
from whole
where is_twice or lacks_history or lacks_layers or lacks_representations or lost_certificates
order by pack_id, run_id
""").substitute(rows=ROWS)


def incomplete_runs(store: Store) -> pa.Table:
    """Return run and pack of the runs of a study that lack rows, or have too many.

    Their column `tables` lists the tables whose rows are not those that the run was written with.

    Args:
        store: Access to this study alone.
    """
    return store.arrow(INCOMPLETE)


def has_all_rows(folder: StudyFolder) -> bool:
    """Return whether a study has as many rows as its runs were written with, in sum, each once.

    It costs no measure of any row; where it is False, a row that a dead worker has left may be the
    reason, or, once in thousands of studies of a hundred million rows, two keys of one hash.
    """
    names = {table.name: f"{table.name}_rows" for table in COUNTED}
    runs = read_column(folder, RUNS.name, ("run_id", "pack_id", *names.values()))
    with duckdb.connect(":memory:") as connection:
        connection.execute("set memory_limit = ?", [MEMORY])
        for setting in CLOSED:
            connection.execute(setting)
        if not are_told_apart(connection, runs, RUNS, runs.num_rows):
            return False
        return all(
            has_rows(connection, folder, table, runs[names[table.name]]) for table in COUNTED
        )


def has_rows(
    connection: duckdb.DuckDBPyConnection,
    folder: StudyFolder,
    table: Table,
    wanted: pa.ChunkedArray,
) -> bool:
    """Return whether a table has as many rows as runs say, in sum, each once.

    Args:
        connection: What counts them.
        folder: Of the study.
        table: One of `COUNTED`.
        wanted: How many rows each run says that it has; null where it does not say so.
    """
    paths = list_tables(folder, [table.name]).paths(table.name)
    if wanted.null_count and table is REPRESENTATIONS:
        # Where a study has kept none, its runs lack none.
        return not paths and not list_tables(folder, [PAIRS.name]).paths(PAIRS.name)
    if wanted.null_count and table is not CERTIFICATES:
        return False
    says = not wanted.null_count
    num = pc.sum(wanted).as_py() or 0
    if not paths:
        return not says or num == 0
    # A schema of the keys alone: files are opened twice as fast.
    schema = pa.schema([table.schema.field(name) for name in ROW_KEYS[table.name]])
    rows = ds.dataset(paths, schema=schema, format="parquet", filesystem=folder.filesystem)
    if not says:
        num = rows.count_rows()
    return are_told_apart(connection, rows, table, num)


def are_told_apart(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table | ds.Dataset, table: Table, num: int
) -> bool:
    """Return whether a table has `num` rows, no two of which have the same keys.

    Of many rows a part of the runs is looked at at a time, since what is distinct stays in memory.
    """
    connection.register("rows", rows)
    parts = 1 + num // PART_ROWS
    keys = ", ".join(ROW_KEYS[table.name])
    there = 0
    for part in range(parts):
        where = f"where hash(run_id) % {parts} = {part}" if parts > 1 else ""
        # Their hashes take DuckDB a third of the time that the keys themselves do.
        found = connection.sql(
            f"select count(*), count(distinct hash({keys})) from rows {where}"  # noqa: S608  # names of our own
        ).fetchall()
        (all_rows, distinct), *_ = found
        if all_rows != distinct:
            return False
        there += all_rows
    return there == num
