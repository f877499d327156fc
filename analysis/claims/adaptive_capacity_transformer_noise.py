"""Noise on the targets lowers the degree of attention."""

from symstudy.findings import Figure, Finding, claim
from symstudy.store import Store

from ..shared.attention_sweeps import Factor, Measured, draw_factor, judge_factor, measure_degrees

FACTOR = Factor(column="label_noise", label="the noise on the targets", sign=-1)


def measure(db: Store) -> Measured:
    """Return the degrees of attention where only the noise on the targets changes."""
    return measure_degrees(db, FACTOR)


@claim(
    title="Noise on the targets lowers the degree of attention",
    statement=(
        "The stronger the noise on the targets, drawn anew at every step, the fewer directions a "
        "small transformer keeps in its attention."
    ),
    study="adaptive_capacity_transformer",
    reference="arXiv:2502.05300, Fig. 10 (second row)",
    rule=(
        "On no fewer than 3 seeds and 3 places, with everything else as in the base, after Adam "
        "at the largest gamma: Spearman's correlation of the noise on the targets and the mean "
        "total degree of breaking (rank of W_Q W_K^T plus that of W_V W_O, summed over heads and "
        "layers, at 0.02 of each one's largest singular value) is at most -0.8, and a shuffle of "
        "the places within the seeds goes as far in at most 5 %. Refuted where it is not, and "
        "data about the nearest monotone means would go as little the claimed way in at most 5 %. "
        "Smaller gamma, AdamW, each pair alone and effective ranks are reported beside."
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the direction of the degree."""
    return judge_factor(measured, FACTOR)


def draw(measured: Measured) -> Figure:
    """Draw the degrees against the noise on the targets."""
    return draw_factor(measured, FACTOR)
