"""Noise on labels that is drawn anew at every step, without weight decay, and the network's size.

Nothing but the noise of SGD could make these networks smaller. A neuron that does nothing may keep
its incoming or its outgoing weights, so neurons are counted by the product of both norms, and the
count is the mean over the probes of the last tenth of the training. A seed all of whose neurons
contribute at every noise is no evidence: such a count cannot show on what it depends.
"""

from symstudy.findings import All, Evidence, Monotone, Reported, claim

from ..shared.capacity_sweeps import capacity_rules

MOST = 2.0
"""Largest noise that the claim is about; beyond, fluctuations hide which neurons matter."""
QUERY = """
    select runs.*, last.* exclude (study, run_id),
           min(count) over seeds < width or max(count) over seeds > width as can_move
    from runs
    left join (
        select study, run_id, avg(contributing_neurons) as count, avg(breaking_sorted) as sorted,
               avg(breaking_sorted_absolute) as sorted_absolute, avg(rank) as kept_rank,
               avg(effective_rank) as spread
        from layers
        where layer = 1 and step >= 0.9 * steps
        group by all
    ) as last using (study, run_id)
    where runs.data = 'teacher_student' and runs.samples = 0 and runs.gamma = 0
          and runs.optimizer = 'sgd' and runs.schedule = 'constant' and runs.momentum = 0
    window seeds as (partition by seed, lr_over_batch, width)
"""


@claim(
    title="Online label noise leaves a smaller network",
    statement=(
        "Under SGD on fresh samples, without weight decay, the noisier the labels, the fewer "
        "neurons a network keeps: noise restores symmetry."
    ),
    study="adaptive_capacity_noise",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
)
def adaptive_capacity_online_noise(runs: Evidence) -> All:
    """The count of the median seed falls with noise up to 2, at every lr / batch."""
    every = runs.of(QUERY).done().where("count is not null", why="neurons not counted over time")
    every = every.where("can_move", why="every neuron contributes at all places")
    claimed = every.where(f"label_noise <= {MOST}")
    neurons, rate = "contributing neurons", "lr_over_batch"
    return All(
        *capacity_rules(claimed, "label_noise", -1, name=neurons, by=rate),
        Reported(
            Monotone(
                every,
                "count",
                along="label_noise",
                sign=-1,
                by=(rate,),
                name=f"{neurons}, noise beyond {MOST:g} too,",
            )
        ),
    )
