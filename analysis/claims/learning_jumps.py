"""The loss drops where a symmetry breaks: learning from a small start is a sequence of jumps.

A free function and no rule, since events in curves are held against draws of random times.
"""

from symstudy.findings import Figure, Finding, claim
from symstudy.store import Store

from ..shared.jumps import SEED_TESTS, finding_of, judge_deeper, judge_two_layers
from ..shared.trace_figures import draw_traces
from ..shared.traces import Measured, read_traces

ACTIVATION = "tanh"


def measure(db: Store) -> Measured:
    """Return every run of gradient descent on a teacher, over time."""
    return read_traces(db)


@claim(
    title="Learning jumps where symmetries break",
    statement=(
        "From a small start a tanh network learns in jumps, each of which breaks a symmetry: its "
        "loss falls where a direction of a hidden layer becomes large, one after the other, and "
        "stands still in between. From a large start there is no such thing."
    ),
    study="learning_jumps",
    reference="arXiv:2502.05300, Fig. 2 and Eq. 14",
    rule=(
        "Full-batch gradient descent without decay, tanh. A rank event is a probe at "
        "which the number of singular values above 0.1 of outgoing times incoming weights exceeds "
        "all before; v = -d ln loss / d ln t between two probes; S is the mean of v over a run's "
        "events. Its p-value is that of S among 2000 draws of as many times uniform in ln t; "
        "seeds are pooled by Fisher's method, arm by arm, with at least 3 seeds. Supported where "
        "p < 0.01 in every arm of initial scale at most 1e-3 (of deeper networks, at most 0.25, "
        "whose events are of the layer with the least rank), where the median seed's S also "
        "exceeds its placebo by a sign test at 5 %: the mean of v where the norm of all parameters "
        "crosses as many equally spaced levels; and, in every arm of two layers of scale at least "
        "0.3, there is no event or a sign test at 5 % shows the median seed's S to be at most 1.5 "
        "times the mean of v over ln t. Refuted where the pooled p of an S as small is below 0.01 "
        "at a small scale, or the median seed's placebo exceeds S there, or the median seed is "
        "shown to be above 1.5 at a large one, at 5 % after Bonferroni's correction for the number "
        "of parts; inconclusive otherwise. Reported beside, deciding nothing: at small scales the "
        "order of the directions, the times of the "
        "events (within a factor 2 of ln(sigma / s_0) / (4 sigma lr), s_0 the mean over random "
        "starts), the stretches with v > 1 (as many as the teacher has modes); the same p-value "
        "for pair events, of neurons adjacent in norm more than 0.1 apart; and for deeper "
        "networks from larger starts."
    ),
    tests=SEED_TESTS,
)
def judge(measured: Measured) -> Finding:
    """Test small starts and large ones of two layers, and small starts of deeper networks."""
    traces = tuple(t for t in measured.traces if t.activation == ACTIVATION)
    parts = [*judge_two_layers(traces, ACTIVATION), *judge_deeper(traces, ACTIVATION)]
    return finding_of(tuple(parts), measured)


def draw(measured: Measured) -> Figure:
    """Draw loss and events of one seed, a row of panels a depth, a column an initial scale."""
    depths = sorted({t.depth for t in measured.traces})
    return draw_traces(
        measured,
        [(ACTIVATION, depth) for depth in depths],
        "Training loss of the first seed of each arm. Dashed: a singular value of outgoing times "
        "incoming weights exceeds 0.1 (of the least layer, where there are several). Bars: a pair "
        "of neurons adjacent in norm is more than 0.1 apart, as the paper counts. Synthetic "
        "teacher.",
        [f"{depth} layers" for depth in depths],
    )
