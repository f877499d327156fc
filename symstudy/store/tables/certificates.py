"""The verdict on packs: whether runs that were trained once more alone have the pack's numbers."""

from typing import NamedTuple

from symstudy.store.tables.connection import Store

__all__ = ["ROUNDING", "Certificate", "read_certificate"]

ROUNDING = 1e-3
"""Largest relative deviation that passes for rounding, where torch has trained: the size of a
batched product decides the order of its sums. What the compiled kernels train must be equal."""
NOTHING = 1e-12
"""Deviations below this pass for rounding too: a number that is zero but for rounding has no
relative error."""


class Certificate(NamedTuple):
    """How runs that were trained once more alone compare with their packs.

    Attributes:
        runs: Number of these runs.
        measures: Number of final measures that were compared.
        largest: Number of runs of the largest pack.
        deviation: Largest absolute deviation.
        relative: Relative deviation of the comparison that is worst against its tolerance.
        tolerance: Its tolerance.
        measure: Its measure.
        run_id: Its run.
        outside: Number of comparisons outside their tolerance.
    """

    runs: int
    measures: int
    largest: int | None
    deviation: float | None
    relative: float | None
    tolerance: float | None
    measure: str | None
    run_id: str | None
    outside: int

    @property
    def holds(self) -> bool:
        """Whether every comparison is within its tolerance; True where there is none."""
        return self.outside == 0


def read_certificate(store: Store) -> Certificate:
    """Return the verdict on the packs of a store; what diverged alone counts as a deviation."""
    if not store.sql("select 1 from certificates_files limit 1").rows:
        return Certificate(0, 0, None, None, None, None, None, None, 0)
    # The view `certificates` has the hyperparameters too, which take ten times as long to plan for.
    pack = "study, run_id, pack_id" if len(store.folders) > 1 else "run_id, pack_id"
    (row,) = store.sql(
        f"""
        with beside as (
            select
                run_id, measure, pack_size, engine, abs(packed - alone) as deviation,
                case when packed = alone then 0
                    else abs(packed - alone) / greatest(abs(alone), 1e-300) end as relative
            from certificates_files join run_rows using ({pack})
        ),
        compared as (
            select
                run_id, measure, pack_size, deviation,
                coalesce(relative, 'infinity') as relative,
                case when engine like '%compiled' then 0 else ? end as tolerance,
                engine not like '%compiled' and coalesce(deviation <= ?, false) as is_nothing
            from beside
        ),
        judged as (
            select *, relative > tolerance and not is_nothing as is_outside from compared
        )
        select
            count(distinct run_id), count(distinct measure), max(pack_size), max(deviation),
            arg_max(struct_pack(r := relative, t := tolerance, m := measure, i := run_id),
                    struct_pack(o := is_outside, r := relative)),
            count(*) filter (is_outside)
        from judged
        """,  # noqa: S608  # names of our own
        [ROUNDING, NOTHING],
    ).rows
    runs, measures, largest, deviation, worst, outside = row
    worst = worst or {"r": None, "t": None, "m": None, "i": None}
    return Certificate(
        runs=runs,
        measures=measures,
        largest=largest,
        deviation=deviation,
        relative=worst["r"],
        tolerance=worst["t"],
        measure=worst["m"],
        run_id=worst["i"],
        outside=outside,
    )
