"""The measures that a study records of each hidden layer, by name; read without torch."""

from typing import Literal, NamedTuple

from symstudy.symmetry.thresholds import CURVE_THRESHOLDS, PRODUCT_VALUES

__all__ = [
    "ATTENTION_MEASURES",
    "EXTRA_MEASURES",
    "LAYER_MEASURES",
    "MEASURES",
    "Measure",
]


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
    Measure(
        "distinct_exact",
        "count",
        "clusters of neurons at 1e-6 of the largest norm: one for neurons equal up to round-off",
        "arXiv:2502.05300, Theorem 3",
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
    Measure("weight_largest", "number", "largest singular value of the incoming weights", ""),
    Measure(
        "weight_smallest",
        "number",
        "smallest singular value of the incoming weights above 0.01 of the largest",
        "",
    ),
    Measure(
        "balance",
        "number",
        "squared norm of the outgoing weights less that of the incoming ones and biases: constant "
        "in gradient flow for linear and ReLU neurons",
        "Du, Hu and Lee 2018, arXiv:1806.00900, Theorem 2.1",
    ),
    Measure(
        "product_rank",
        "count",
        "singular values of outgoing times incoming weights above 0.02 of the largest",
        "double rotation, arXiv:2502.05300, Eqs. 8-13",
    ),
    Measure(
        "product_rank_exact",
        "count",
        "singular values of outgoing times incoming weights above 1e-6 of the largest",
        "arXiv:2502.05300, Theorem 3",
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
"""What every study records of a layer of neurons, in the order in which it is computed."""


def pair_measures(pair: str, what: str, eqs: str) -> tuple[Measure, ...]:
    """Return the measures of one pair of matrices of an attention layer's heads."""
    return (
        Measure(
            f"{pair}_breaking",
            "count",
            f"sum over heads of the rank of {what}: singular values above 0.02 of the head's "
            "largest, and above 1e-8",
            eqs,
        ),
        Measure(
            f"{pair}_effective_rank",
            "number",
            f"sum over heads of exp of the entropy of the singular values of {what}",
            "Roy and Vetterli 2007",
        ),
        Measure(
            f"{pair}_stable_rank",
            "number",
            f"sum over heads of the squared singular values of {what} over the largest squared",
            "Rudelson and Vershynin 2007",
        ),
        Measure(f"{pair}_largest", "number", f"largest singular value of {what} of all heads", ""),
    )


ATTENTION_MEASURES: tuple[Measure, ...] = (
    Measure(
        "head_directions",
        "count",
        "heads of an attention layer times the directions of each: the largest degree of breaking",
        "",
    ),
    *pair_measures(
        "query_key", "W_Q W_K^T, biases as rows", "double rotation, arXiv:2502.05300, Eqs. 8-13"
    ),
    *pair_measures(
        "value_output", "W_V W_O, biases as rows", "double rotation, arXiv:2502.05300, Eqs. 8-13"
    ),
)
"""What every study records of an attention layer, in the order in which it is computed."""


def distance_of(kind: str, what: str) -> Measure:
    """Return the distance of one kind of symmetry."""
    return Measure(
        f"{kind}_distance",
        "number",
        f"distance from the symmetric states of the layer's {what}",
        "arXiv:2502.05300, Eq. 3",
    )


def breaking_of(kind: str, meaning: str) -> Measure:
    """Return the degree of breaking of one kind of symmetry."""
    return Measure(f"{kind}_breaking", "count", meaning, "arXiv:2502.05300, Eq. 14 and Table 1")


EXTRA_MEASURES: tuple[Measure, ...] = (
    distance_of("translation", "translations; depends on the gauge"),
    Measure(
        "translation_distance_normalised",
        "number",
        "the same over the norm of what is translated; from 0 to 1",
        "arXiv:2502.05300, Eq. 3",
    ),
    breaking_of(
        "translation", "columns with a mean above 0.02 of the largest; depends on the gauge"
    ),
    distance_of("scaling", "scalings: norm of the normalised blocks; depends on the gauge"),
    breaking_of("scaling", "normalised blocks that are not zero"),
    distance_of("rescaling", "rescalings: norm of its neurons; depends on the gauge"),
    Measure(
        "rescaling_orbit_distance",
        "number",
        "smallest distance on the orbit of rescalings: sqrt(sum 2 |incoming| |outgoing|)",
        "arXiv:2502.05300, Eq. 3, at the balanced point",
    ),
    breaking_of("rescaling", "neurons with |incoming| |outgoing| above 0.02 of the largest"),
    distance_of("rotation", "rotations: norm of what is rotated"),
    breaking_of("rotation", "singular values of what is rotated above 0.02 of the largest"),
    distance_of("permutation", "permutations: all neurons equal"),
    Measure(
        "permutation_distance_normalised",
        "number",
        "the same over the norm of the neurons; from 0 to 1",
        "arXiv:2502.05300, Eq. 3",
    ),
    breaking_of("permutation", "clusters of neurons, the dead one too, less one: exact"),
    distance_of("double_rotation", "double rotations: norm of both sides; depends on the gauge"),
    Measure(
        "double_rotation_orbit_distance",
        "number",
        "smallest distance on the orbit of double rotations: sqrt(2 sum sigma), from the singular "
        "values sigma of the product",
        "arXiv:2502.05300, Eqs. 8-13, in the balanced gauge",
    ),
    breaking_of(
        "double_rotation", "singular values of the product above 0.02 of the largest: its rank"
    ),
    Measure(
        "double_rotation_raw_breaking",
        "count",
        "eigenvalues of the sum of both Gram matrices above 0.02 of the largest; depends on the "
        "gauge",
        "arXiv:2502.05300, Eqs. 10-13",
    ),
    Measure(
        "double_rotation_effective_rank",
        "number",
        "exp of the entropy of the singular values of the product",
        "Roy and Vetterli 2007",
    ),
    Measure(
        "double_rotation_stable_rank",
        "number",
        "sum of the squared singular values of the product over the largest squared",
        "Rudelson and Vershynin 2007",
    ),
    distance_of("sign_flip", "sign flips: norm of its neurons"),
    breaking_of("sign_flip", "neurons with a norm above 0.02 of the largest"),
    Measure(
        "weight_stable_rank",
        "number",
        "sum of the squared singular values of the incoming weights over the largest squared",
        "Rudelson and Vershynin 2007",
    ),
    Measure(
        "stable_rank",
        "number",
        "sum of the squared singular values of the centred activations over the largest squared",
        "Rudelson and Vershynin 2007",
    ),
    *(
        Measure(
            f"{side}_rank",
            "count",
            f"singular values of the {side} matrix of all heads of an attention layer above 0.01 "
            "of the largest",
            "arXiv:2502.05300, Fig. 3",
        )
        for side in ("query", "key", "value", "output")
    ),
    *(
        Measure(
            f"{pair}_layer_breaking",
            "count",
            f"sum over heads of the singular values of {what} above 0.02 of the largest of all "
            "heads of the layer: heads that have shrunk count for nothing",
            "arXiv:2502.05300, Eqs. 8-13",
        )
        for pair, what in (("query_key", "W_Q W_K^T"), ("value_output", "W_V W_O"))
    ),
    Measure(
        "contributing_neurons",
        "count",
        "neurons with |incoming| |outgoing| above 0.02 of the largest, whatever the activation",
        "arXiv:2502.05300, Fig. 10, counted by contribution",
    ),
    Measure(
        "breaking_sorted_absolute",
        "count",
        "broken pairs among neurons adjacent in norm, at the absolute threshold 0.1",
        "arXiv:2502.05300, Eq. 14 and Fig. 2",
    ),
    Measure(
        "product_rank_absolute",
        "count",
        "singular values of outgoing times incoming weights above 0.1",
        "double rotation, arXiv:2502.05300, Eqs. 8-13",
    ),
    *(
        Measure(
            f"product_value_{place}",
            "number",
            f"singular value {place} of outgoing times incoming weights, from the largest; 0 where "
            "there are fewer",
            "double rotation, arXiv:2502.05300, Eqs. 8-13",
        )
        for place in range(1, PRODUCT_VALUES + 1)
    ),
)
"""What a study records too if `[probe] measures` names it; null where a layer has no such
symmetry."""

LAYER_MEASURES: tuple[Measure, ...] = (*MEASURES, *ATTENTION_MEASURES, *EXTRA_MEASURES)
"""All measures of layers; a layer has null for those of another kind of layer."""
