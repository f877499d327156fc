"""The loss drops where a symmetry breaks, for polynomial and sinusoidal networks too.

A free function and no rule, as `learning_jumps`: events in curves are held against random times.
"""

from symstudy.findings import Figure, Finding, Part, claim
from symstudy.store import Store

from ..shared.jumps import SEED_TESTS, finding_of, judge_deeper, judge_two_layers
from ..shared.trace_figures import draw_traces
from ..shared.traces import Measured, read_traces

ACTIVATIONS = ("polynomial", "sin")


def measure(db: Store) -> Measured:
    """Return every run of gradient descent on a teacher, over time."""
    return read_traces(db)


@claim(
    title="Learning jumps for other activations too",
    statement=(
        "Polynomial and sinusoidal networks learn from small starts as tanh networks do: their "
        "loss falls where a direction of the hidden layer becomes large. From a large start there "
        "is no such thing."
    ),
    study="learning_jumps_activations",
    reference="arXiv:2502.05300, Figs. 7 and 8, and Eq. 14",
    rule=(
        "That of learning_jumps, for each of z + 0.25 z^2 and sin z, two layers: rank events "
        "coincide with drops of the loss (pooled p < 0.01), and better than as many crossings of "
        "levels by the norm do, in every arm of initial scale at most 1e-3, of deeper networks "
        "0.25; in every arm of scale at least 0.3 there is no event, or the median seed's loss "
        "falls at most 1.5 times as fast at them as at times uniform in ln t, by a sign test at "
        "5 %. Refuted where an arm shows the opposite, after Bonferroni's correction for the "
        "number of arms. Order, times and number of the jumps, and pair events, are reported "
        "beside as there."
    ),
    tests=SEED_TESTS,
)
def judge(measured: Measured) -> Finding:
    """Test small starts and large ones of each activation."""
    parts: list[Part] = []
    for activation in ACTIVATIONS:
        parts += judge_two_layers(measured.traces, activation)
        parts += judge_deeper(measured.traces, activation)
    return finding_of(tuple(parts), measured)


def draw(measured: Measured) -> Figure:
    """Draw loss and events of one seed, a row of panels an activation, a column a start."""
    found = {t.activation for t in measured.traces}
    rows = [(name, 2) for name in ACTIVATIONS if name in found]
    titles = {"polynomial": "z + 0.25 z^2", "sin": "sin z"}
    return draw_traces(
        measured,
        rows,
        "Training loss of the first seed of each arm. Dashed: a singular value of outgoing times "
        "incoming weights exceeds 0.1. Bars: a pair of neurons adjacent in norm is more than 0.1 "
        "apart, as the paper counts. Synthetic teacher.",
        [titles[name] for name, _ in rows],
    )
