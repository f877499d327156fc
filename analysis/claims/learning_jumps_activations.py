"""The loss drops where a symmetry breaks, for polynomial and sinusoidal networks too."""

from symstudy.findings import All, Evidence, Figure, claim
from symstudy.findings.conclude import Measured

from ..shared.jump_figures import draw_jumps
from ..shared.jumps import deeper, jump_rules

ACTIVATIONS = ("polynomial", "sin")


@claim(
    title="Learning jumps for other activations too",
    statement=(
        "Polynomial and sinusoidal networks of five layers learn from small starts as tanh "
        "networks do: their loss falls where neurons come apart, faster than where the network "
        "merely grows, and in the same order."
    ),
    study="learning_jumps_activations",
    reference="arXiv:2502.05300, Figs. 7 and 8, and Eq. 14",
)
def learning_jumps_activations(runs: Evidence) -> All:
    """Both activations hold what `learning_jumps` asks of tanh."""
    return All(*(rule for name in ACTIVATIONS for rule in jump_rules(runs, name)))


def draw(measured: Measured) -> Figure:
    """Draw losses with their events, and the contrasts with what is claimed."""
    return draw_jumps(measured, {name: deeper(Evidence(), name) for name in ACTIVATIONS})
