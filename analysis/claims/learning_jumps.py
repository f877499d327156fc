"""The loss drops where a symmetry breaks: learning from a small start is a sequence of jumps."""

from symstudy.findings import All, Evidence, Figure, claim
from symstudy.findings.conclude import Measured

from ..shared.jump_figures import draw_jumps
from ..shared.jumps import deeper, jump_rules

ACTIVATION = "tanh"


@claim(
    title="Learning jumps where symmetries break",
    statement=(
        "From a small start a tanh network of five layers learns in jumps, each of which breaks a "
        "symmetry: its loss falls where neurons come apart, faster than where the network merely "
        "grows, and drops and breaking pairs follow each other in the same order."
    ),
    study="learning_jumps",
    reference="arXiv:2502.05300, Fig. 2 and Eq. 14",
)
def learning_jumps(runs: Evidence) -> All:
    """Breaking pairs beat events that any growing network has, in speed and in order."""
    return All(*jump_rules(runs, ACTIVATION))


def draw(measured: Measured) -> Figure:
    """Draw losses with their events, and the contrasts with what is claimed."""
    return draw_jumps(measured, {ACTIVATION: deeper(Evidence(), ACTIVATION)})
