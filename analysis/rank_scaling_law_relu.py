"""ReLU directions against weight decay: the power law of the rank in a nonlinear network.

On orthogonal inputs, with targets y_k >= 0 of disjoint supports and norms A k^-a, the minimum of
|Y - A relu(W X)|^2 + gamma |theta|^2 has one neuron direction for each norm above gamma: the
objective is at least that of the nuclear norm, and attains it because the singular vectors of Y are
not negative. So the number of directions is ceil((A / gamma)^(1/a)) - 1, at any width. They are
orthogonal there, so that it is the rank of the incoming weights.
"""

import dataclasses

import numpy as np
import pandas as pd

from symstudy.findings import Figure, Finding, SeedTest, claim
from symstudy.store import Store

from .evidence import converged
from .rank_scaling_law import MARGIN, finding_of, judge_law
from .rank_scaling_law_depth import Array, Measured, draw_laws

MAX_GRAD_RATIO = 1e-6


def measure(db: Store) -> Measured:
    """Return rank and neuron directions of every converged ReLU run on the axes."""
    frame = db.df(
        """
        select depth, exponent, amplitude, gamma, seed, input_dim as dim,
               weight_rank as rank, distinct_directions as directions,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where data = 'spectrum' and axes and depth = 2 and activation = 'relu' and gamma > 0
              and loss = 'squared_error' and input_scale = 1
        order by exponent, gamma, seed
        """
    )
    return Measured(*converged(frame, MAX_GRAD_RATIO))


@claim(
    title="ReLU directions fall with weight decay by the exact power law",
    statement=(
        "A two-layer ReLU network on orthogonal inputs and targets of disjoint supports with norms "
        "A k^-a keeps a number of neuron directions that falls as gamma^(-1/a)."
    ),
    study="rank_scaling_law_relu",
    reference="arXiv:2502.05300, adaptive capacity; exact: nuclear norm, in the file",
    rule=(
        "For each exponent a: ln(rank + 1/2) of the incoming weights, whose directions are "
        "orthogonal at the minimum, is fitted against ln gamma over ranks from 3 to 3/4 of the "
        "dimension, at no fewer than 6 values of gamma and 3 seeds, on runs with a gradient of at "
        "most 1e-6 of 1 + objective. Supported where the 90 % t interval of the slope over seeds "
        "lies within 0.07 of -1/a, refuted where it lies outside, for every a. The count of "
        "directions above 0.02 of the strongest is reported beside."
    ),
    tests=(
        SeedTest(
            rule=f"within {MARGIN} of *",
            level=0.9,
            margin=MARGIN,
            unit="d ln(rank + 1/2) / d ln gamma",
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare the fitted slope with the exact one, for each spectrum."""
    laws, beside = [], []
    for exponent, runs in measured.ranks.groupby("exponent"):
        exact = -1 / float(exponent)
        laws.append(judge_law(f"ReLU, a = {exponent:g}", runs, exact, level=0.9))
        counted = runs.assign(rank=runs["directions"])
        name = f"directions above 0.02 of the strongest, a = {exponent:g}"
        part = judge_law(name, counted, exact, level=0.9).part
        beside.append(dataclasses.replace(part, decides=False))
    finding = finding_of(laws, measured.ranks, measured.excluded)
    return dataclasses.replace(finding, parts=(*finding.parts, *beside))


def draw(measured: Measured) -> Figure:
    """Draw directions against gamma with fitted laws and exact steps."""

    def exact(gammas: Array, group: pd.DataFrame) -> Array:
        a, amplitude = float(group["exponent"].iloc[0]), float(group["amplitude"].iloc[0])
        counts: Array = np.ceil((amplitude / gammas) ** (1 / a)) - 1
        return np.minimum(counts, float(group["dim"].iloc[0]))

    return draw_laws(
        [("two-layer ReLU", measured.ranks, lambda a: -1 / a)],
        exact,
        "rank of the incoming weights + 1/2",
        "Rank that a two-layer ReLU network keeps at the best of several minima, against the "
        "weight decay, for targets with norms k^-a: points are means, bars span all seeds, lines "
        "are fitted, steps exact.",
    )
