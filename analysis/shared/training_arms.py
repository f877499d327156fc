"""Runs of one network on a fixed identity task, by how they were trained.

`nothing` is gradient descent without regularisation, `decay` gradient descent with weight decay,
`noise` SGD on fresh batches without decay.
"""

from symstudy.findings import Evidence

__all__ = ["training_arms"]

MIN_BUDGET = 6.0
QUERY = """
    with probed as (
        select study, run_id, step, avg(rank) as rank, avg(effective_rank) as effective_rank,
               avg(rank) filter (layer = 1) as first_rank,
               avg(distinct_neurons) as distinct_neurons
        from layers
        group by all
    ),
    probes as (
        select probed.*, history.test_loss, history.step <= history.steps / 2 as is_early,
               history.step = history.steps as is_final
        from probed join history using (study, run_id, step)
    ),
    early as (
        select * from probes where is_early
        qualify step = max(step) over (partition by study, run_id)
    )
    select runs.study, runs.run_id, runs.seed, runs.width, runs.gamma,
           runs.lr / runs.batch_size as lr_over_batch,
           runs.outcome, runs.decay_budget,
           case when runs.samples = 0 and runs.gamma = 0 then 'noise'
                when runs.full_batch and runs.gamma > 0 then 'decay'
                when runs.full_batch then 'nothing' end as arm,
           final.rank, final.first_rank, final.effective_rank, final.distinct_neurons,
           final.test_loss, early.rank as early_rank, early.first_rank as early_first_rank,
           early.effective_rank as early_effective_rank,
           early.distinct_neurons as early_distinct_neurons, early.test_loss as early_test_loss
    from runs
    left join early using (study, run_id)
    left join (select * from probes where is_final) as final using (study, run_id)
    where runs.data = 'identity' and runs.optimizer = 'sgd' and runs.schedule = 'constant'
          and runs.label_noise = 0 and runs.depth > 1
"""


def training_arms(runs: Evidence) -> Evidence:
    """Return ranks, neurons and losses at the end and half-way, of plain SGD at a constant rate.

    Columns: arm, gamma, lr_over_batch, width, seed; rank, effective_rank and distinct_neurons
    (means over hidden layers), first_rank (of the first layer), test_loss; and each of these under
    `early_NAME`, at the last detailed probe of the first half of the steps.
    """
    counted = runs.of(QUERY).where("arm is not null").budget(MIN_BUDGET).alive()
    return counted.where("early_rank is not null and rank is not null", why="no earlier probe")
