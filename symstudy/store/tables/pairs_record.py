"""Whether every pair of runs that a study has compared is there, with all of its rows.

How many pairs there are, `study.json` says since they were last measured. How many rows a pair has
follows from the activations that its two runs have kept: at each probe of both, and at the last of
each, a row for every layer of the one beside every layer of the other.
"""

from collections.abc import Collection
from typing import NamedTuple

import pyarrow as pa

from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.connection import Store

__all__ = ["PairLoss", "lacking_pairs", "read_pair_loss", "record_pairs"]

RECORD = "pairs"
"""What `study.json` has of them: hash of the settings, and number of pairs."""

LACKING = """
with kept as (
    select run_id, step, count(distinct layer) as num
    from representations_files
    semi join (select run_id, pack_id from run_rows) using (run_id, pack_id)
    group by all
),
ends as (select run_id, max(step) as step from kept group by all),
-- What was measured twice, as by two drivers, counts as it was measured last.
measured as (
    select run_a, run_b, pair_settings, measured_at, count(*) as num,
        count(distinct (step_a, step_b, layer_a, layer_b)) as num_keys
    from pairs_files group by run_a, run_b, pair_settings, measured_at
    qualify row_number() over (
        partition by run_a, run_b, pair_settings order by measured_at desc) = 1
),
at_both as (
    select run_a, run_b, pair_settings, sum(a.num * b.num) as num
    from measured
    join kept as a on a.run_id = run_a
    join kept as b on b.run_id = run_b and b.step = a.step
    group by all
),
at_ends as (
    select run_a, run_b, pair_settings,
        case when a.step = b.step then 0 else first_kept.num * second_kept.num end as num
    from measured
    join ends as a on a.run_id = run_a
    join ends as b on b.run_id = run_b
    join kept as first_kept on first_kept.run_id = run_a and first_kept.step = a.step
    join kept as second_kept on second_kept.run_id = run_b and second_kept.step = b.step
)
select run_a, run_b, pair_settings
from measured
left join at_both using (run_a, run_b, pair_settings)
left join at_ends using (run_a, run_b, pair_settings)
where measured.num <> num_keys
    -- Where a run has lost what it has kept, it is trained again first.
    or measured.num <> at_ends.num + coalesce(at_both.num, 0)
order by run_a, run_b
"""


class PairLoss(NamedTuple):
    """What the table `pairs` lacks.

    Attributes:
        pairs: Pairs that were measured, or could not be, and are in no file.
        partial: Pairs of which rows are lost, or there twice.
        is_recorded: Whether it is known how many pairs there are.
    """

    pairs: int
    partial: int
    is_recorded: bool


def record_pairs(folder: StudyFolder, settings: str, count: int) -> None:
    """Record in `study.json` how many pairs of runs that have ended a study has.

    Args:
        folder: Of the study.
        settings: Hash of what the rows of a pair follow from.
        count: Number of pairs, those included that could not be measured.

    Raises:
        StoreError: If it cannot be written.
    """
    values = folder.read_study()
    record = {"settings": settings, "count": count}
    if values and values.get(RECORD) != record:
        folder.write_study({**values, RECORD: record})


def lacking_pairs(store: Store) -> pa.Table:
    """Return the runs and settings of each pair of which rows are lost, or there twice.

    Args:
        store: Access to this study alone.
    """
    return store.arrow(LACKING)


def read_pair_loss(folder: StudyFolder, store: Store, incomplete: Collection[str]) -> PairLoss:
    """Return what the table `pairs` of a study lacks.

    Args:
        folder: Of the study.
        store: Access to it alone.
        incomplete: Runs that lack rows: what they have kept does not say what their pairs have.

    Raises:
        StoreError: If the results cannot be read.
    """
    record = folder.read_study().get(RECORD)
    has_rows = bool(store.tables.files[RECORD])
    if not record and not has_rows:
        return PairLoss(0, 0, is_recorded=True)
    lacking = lacking_pairs(store).to_pylist() if has_rows else []
    partial = sum(
        row["run_a"] not in incomplete and row["run_b"] not in incomplete for row in lacking
    )
    if not record or type(record.get("count")) is not int:
        return PairLoss(0, partial, is_recorded=False)
    ((there,),) = store.sql(
        "select count(distinct (run_a, run_b)) from pairs_files where pair_settings = ?",
        [str(record.get("settings"))],
    ).rows
    return PairLoss(max(0, record["count"] - there), partial, is_recorded=True)
