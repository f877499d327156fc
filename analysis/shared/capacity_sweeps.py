"""Distinct neurons of the first hidden layer against one factor of the task: what claims share.

The paper counts sorted neighbours apart by more than an absolute threshold, and the rank of the
representation should tell the same: they are reported beside the count, which has a ceiling, the
width, where the effective rank has none.
"""

from symstudy.findings import AbstractRule, Evidence, Monotone, Reported

__all__ = ["capacity_rules", "minima"]

BASE = {
    "input_scale": ("input_scale", 1.0),
    "teacher_width": ("teacher", "usual"),
    "label_noise": ("label_noise", 0.0),
}
"""Where each factor stands while another one changes: a column and its value."""
MIN_PLACES = 3
"""Fewest places of the factor that are evidence at the gamma that is judged."""
BESIDE = {
    "sorted": "broken pairs of sorted neighbours",
    "sorted_absolute": "broken pairs of sorted neighbours at 0.1",
    "kept_rank": "rank of the representation",
    "spread": "effective rank of the representation",
}
COUNTS = """
    select runs.*, layers.rank as kept_rank,
           layers.distinct_neurons as count, layers.breaking_sorted as sorted,
           layers.breaking_sorted_absolute as sorted_absolute, layers.effective_rank as spread,
           case when runs.teacher_width = mode(runs.teacher_width) over () then 'usual'
                else 'other' end as teacher
    from (
        select * replace (case when optimizer = 'lbfgs' then grad_ratio else 0 end as grad_ratio)
        from runs
        where data = 'teacher_student' and optimizer in ('lbfgs', 'adam') and gamma > 0
              and noise_mode = 'fixed' and samples > 0
    ) as runs
    left join (
        select study, run_id, max_norm, distinct_neurons, breaking_sorted,
               breaking_sorted_absolute, rank, effective_rank
        from layers
        where is_final and layer = 1
    ) as layers using (study, run_id)
"""
"""Counts of each run at its end. The step of Adam is no minimum: of its runs those count whose
neurons have merged."""


def minima(runs: Evidence, factor: str) -> Evidence:
    """Return the counts at minima where only `factor` changes.

    The other factors are at scale 1 of the inputs, no noise, and the teacher's width that most runs
    have. Seeds all of whose places have every neuron, or none, distinct are left out: such a count
    cannot show on what it depends. Of several gammas the largest counts at which three places are
    evidence.

    Args:
        runs: All runs of a study.
        factor: Column that changes: input_scale, teacher_width or label_noise.
    """
    others = [at for other, at in BASE.items() if other != factor]
    base = " and ".join(f"{column} = {value!r}" for column, value in others)
    query = f"""
        with counts as ({COUNTS}), flagged as (select *, {base} as is_swept from counts)
        select *, not is_swept
               or min(count) filter (where is_swept) over (partition by seed) < width
               and max(count) filter (where is_swept) over (partition by seed) > 0 as can_move
        from flagged
    """
    counted = runs.of(query).converged(grad_ratio=1e-6)
    counted = counted.where("can_move", why="every neuron, or none, distinct at all places")
    counted = counted.merged().alive().complete(*BASE, "gamma", "width")
    for column, value in others:
        counted = counted.at(column, value)
    # One gamma for all places: which places are evidence differs from one gamma to the next, so
    # that a mean over all of them would differ from place to place by that alone.
    return counted.at_largest("gamma", over=factor, places=MIN_PLACES)


def capacity_rules(
    counted: Evidence, along: str, sign: int, *, name: str = "distinct neurons", by: str = ""
) -> tuple[AbstractRule, ...]:
    """Return the rules of a count that goes one way: it decides, sorted pairs and rank do not.

    Args:
        counted: Runs with the columns count and those of `BESIDE`.
        along: The factor.
        sign: 1 if the count is to grow with it, -1 if to fall.
        name: What is counted.
        by: Column whose values are judged apart; none if empty.
    """
    apart = (by,) if by else ()
    return (
        Monotone(counted, "count", along=along, sign=sign, by=apart, name=name),
        *(
            Reported(Monotone(counted, value, along=along, sign=sign, by=apart, name=label))
            for value, label in BESIDE.items()
        ),
    )
