"""A simpler teacher leaves a smaller network, at minima under weight decay."""

from symstudy.findings import Figure, Finding, claim
from symstudy.store import Store

from ..shared.capacity_sweeps import Measured, Sweep, draw_sweep, judge_sweep, measure_minima

SWEEP = Sweep(factor="width of the teacher", sign=1)


def measure(db: Store) -> Measured:
    """Return the counts at minima where only the teacher changes."""
    return measure_minima(db, "teacher_width")


@claim(
    title="A simpler teacher leaves a smaller network",
    statement=(
        "The simpler its teacher, the fewer distinct neurons a student keeps: it ends in the "
        "symmetry class that the task asks for."
    ),
    study="adaptive_capacity",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
    rule=(
        "At minima with a gradient of at most 1e-6 of 1 + objective (or after Adam), on no fewer "
        "than 3 seeds and 3 places, with everything else as in the base: Spearman's correlation of "
        "the teacher's width and the mean number of distinct neurons of the first layer is at "
        "least 0.9, and a shuffle of the places within the seeds goes as far in at most 5 %. "
        "Refuted where it is not, and data about the nearest monotone means would go as little the "
        "claimed way in at most 5 %. The paper's count of sorted pairs and the rank are reported "
        "beside."
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the direction of the count."""
    return judge_sweep(measured, SWEEP)


def draw(measured: Measured) -> Figure:
    """Draw the counts against the teacher."""
    return draw_sweep(measured, SWEEP)
