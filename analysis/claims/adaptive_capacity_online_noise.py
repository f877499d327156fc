"""Noise on labels that is drawn anew at every step, without weight decay, and the network's size.

Nothing but the noise of SGD could make these networks smaller. A neuron that does nothing may keep
its incoming or its outgoing weights, so neurons are counted by the product of both norms, and the
count is the mean over the probes of the last tenth of the training.
"""

from symstudy.findings import Figure, Finding, claim
from symstudy.store import Store

from ..shared.capacity_sweeps import Measured, Sweep, draw_sweep, judge_sweep

MOST = 2.0
LAST = 0.9
SWEEP = Sweep(
    factor="standard deviation of the label noise",
    sign=-1,
    counted="contributing neurons",
    most=MOST,
)


def measure(db: Store) -> Measured:
    """Return the counts over the last tenth of every run of plain SGD on fresh, noisy samples."""
    frame = db.df(
        f"""
        select run_id, seed, width, label_noise as place, lr_over_batch, outcome,
               avg(contributing_neurons) as count, avg(breaking_sorted) as sorted,
               avg(rank) as rank
        from layers
        where data = 'teacher_student' and samples = 0 and layer = 1 and gamma = 0
              and optimizer = 'sgd' and schedule = 'constant' and momentum = 0
              and contributing_neurons is not null and step >= {LAST} * steps
        group by all
        order by all
        """
    )
    diverged = int(db.df("select count(*) as runs from runs where outcome != 'done'")["runs"][0])
    done = frame[frame["outcome"] == "done"]
    arms = [f"lr / batch = {ratio:.3g}" for ratio in done["lr_over_batch"]]
    columns = ["seed", "width", "place", "count", "sorted", "rank"]
    excluded = (("did not end as planned", diverged),) if diverged else ()
    return Measured(done[columns].assign(arm=arms).reset_index(drop=True), excluded)


@claim(
    title="Online label noise leaves a smaller network",
    statement=(
        "Under SGD on fresh samples, without weight decay, the noisier the labels, the fewer "
        "neurons a network keeps: noise restores symmetry."
    ),
    study="adaptive_capacity_noise",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
    rule=(
        "On no fewer than 3 seeds and 3 places, at every lr / batch: over noise of at most 2, "
        "Spearman's correlation of the noise and the mean number of contributing neurons of the "
        "first layer, over the probes of the last tenth of the steps, is at most -0.9, and a "
        "shuffle of the places within the seeds goes as far in at most 5 %. Refuted where it is "
        "not, and data about the nearest monotone means would go as little the claimed way in at "
        "most 5 %. Stronger noise, the paper's count of sorted pairs and the rank are reported "
        "beside."
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the direction of the count at every lr / batch."""
    return judge_sweep(measured, SWEEP)


def draw(measured: Measured) -> Figure:
    """Draw the counts against the noise."""
    return draw_sweep(measured, SWEEP)
