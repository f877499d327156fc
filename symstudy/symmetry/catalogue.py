"""The measures that a study records of each hidden layer, by name; read without torch."""

from typing import Literal, NamedTuple

__all__ = ["CURVE_THRESHOLDS", "EPSILON_DIRECTION", "EPSILON_RELATIVE", "MEASURES", "Measure"]

EPSILON_RELATIVE = 0.02
"""Threshold of symmetry breaking, relative to the largest neuron of the layer."""

EPSILON_DIRECTION = 0.05
"""Threshold of the distance of two unit directions."""

CURVE_THRESHOLDS = (0.001, 0.003, 0.01, 0.02, 0.03, 0.1, 0.3)
"""Relative thresholds at which neurons are also counted, since a count depends on its threshold."""

RANK_THRESHOLD = 0.01
"""Singular values above this share of the largest count towards a threshold rank."""


class Measure(NamedTuple):
    """One number per run, probe and hidden layer.

    Attributes:
        name: Column of the store.
        kind: `count` (int), `number` (float) or `curve` (a count at each of `CURVE_THRESHOLDS`).
        meaning: What it is, in one line.
        source: Where it is defined.
    """

    name: str
    kind: Literal["count", "number", "curve"]
    meaning: str
    source: str


MEASURES: tuple[Measure, ...] = (
    Measure("neurons", "count", "neurons of the layer: its width", ""),
    Measure(
        "max_norm", "number", "norm of the largest neuron (incoming weights, bias, outgoing)", ""
    ),
    Measure("squared_norm", "number", "sum of the squared norms of the neurons", ""),
    Measure(
        "breaking_sorted",
        "count",
        "broken pairs among neurons adjacent in norm: the paper's degree of symmetry breaking",
        "arXiv:2502.05300, Eq. 14",
    ),
    Measure(
        "distinct_neurons",
        "count",
        "single-linkage clusters of neurons without the dead one, at 0.02 of the largest norm",
        "exact form of arXiv:2502.05300, Eq. 14",
    ),
    Measure("living_neurons", "count", "neurons with a norm above 0.02 of the largest", ""),
    Measure(
        "min_distance",
        "number",
        "smallest distance of two living neurons of different clusters",
        "arXiv:2502.05300, Conjecture 1",
    ),
    Measure(
        "distinct_curve",
        "curve",
        f"distinct neurons at the relative thresholds {', '.join(map(str, CURVE_THRESHOLDS))}",
        "exact form of arXiv:2502.05300, Eq. 14",
    ),
    Measure(
        "distinct_directions",
        "count",
        "clusters of balanced directions; for ReLU and linear neurons only",
        "neurons modulo rescaling, arXiv:2502.05300, Table 1",
    ),
    Measure(
        "weight_rank",
        "count",
        "singular values of the incoming weights above 0.01 of the largest",
        "",
    ),
    Measure(
        "weight_effective_rank",
        "number",
        "exp of the entropy of the squared singular values of the incoming weights",
        "Roy and Vetterli 2007",
    ),
    Measure(
        "product_rank",
        "count",
        "singular values of outgoing times incoming weights above 0.02 of the largest",
        "double rotation, arXiv:2502.05300, Eqs. 8-13",
    ),
    Measure(
        "rank",
        "count",
        "singular values of the centred activations on test inputs above 0.01 of the largest",
        "",
    ),
    Measure(
        "effective_rank",
        "number",
        "exp of the entropy of the squared singular values of the centred activations",
        "Roy and Vetterli 2007",
    ),
)
