"""Planted runs at the edge of what each rule claims, and at its middle.

Each plant turns one number of noise a seed, which is below 0 in half of the cases, into runs whose
median seed lies at the edge of the rule: there support and refutation are both wrong as often as
the level allows.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import (
    AbstractRule,
    Bound,
    Evidence,
    Exact,
    Explained,
    Flat,
    Grows,
    Match,
    Monotone,
    Paired,
    PowerLaw,
    Ratio,
)

__all__ = ["EDGES", "RUNS", "Edge"]

RUNS = Evidence()
CALM = 0.2
"""Noise away from the edge over that at it, so that all seeds lie on one side."""
FAR = 9.0
"""Shift that decides all signs."""
PLACES = np.array([8.0, 16.0, 32.0])
Numbers = NDArray[np.float64]
Plant = Callable[[Numbers], pd.DataFrame]


class Edge(NamedTuple):
    """A rule with runs at the edge of what it claims.

    Attributes:
        rule: The rule.
        at_edge: From noise to runs at the edge.
        true: From noise to runs for which it holds.
        false: From noise to runs for which it does not.
    """

    rule: AbstractRule
    at_edge: Plant
    true: Plant
    false: Plant


def sweep(values: Numbers | list[list[int]]) -> pd.DataFrame:
    """Return runs with the values of a table: a row a seed, a column a place."""
    table = np.asarray(values, float)
    return pd.DataFrame(
        {
            "seed": np.repeat(np.arange(len(table)), len(PLACES)),
            "width": np.tile(PLACES, len(table)),
            "rank": table.ravel(),
        }
    )


def powers(slopes: Numbers) -> pd.DataFrame:
    """Return ranks that go as a power of the width, a seed each."""
    return sweep(5.0 * PLACES ** np.asarray(slopes)[:, None])


def rising(noise: Numbers) -> pd.DataFrame:
    """Return ranks that rise with the width where the noise is positive, and else not quite."""
    return sweep([[1, 2, 3] if each > 0 else [2, 1, 3] for each in noise])


def levels(values: Numbers) -> pd.DataFrame:
    """Return a loss a seed."""
    return pd.DataFrame({"seed": range(len(values)), "loss": values})


def pairs(differences: Numbers) -> pd.DataFrame:
    """Return losses that differ between two optimisers."""
    first = pd.DataFrame({"seed": range(len(differences)), "loss": 1.0, "optimizer": "sgd"})
    return pd.concat([first, first.assign(loss=1.0 + differences, optimizer="adam")])


def matching(noise: Numbers) -> pd.DataFrame:
    """Return counts that are exact where the noise is positive."""
    rows = itertools.product(range(len(noise)), [0.1, 0.2])
    frame = pd.DataFrame(rows, columns=["seed", "gamma"])
    return frame.assign(count=np.where(noise[frame["seed"]] > 0, 3, 4), exact=3)


def tables(shares: Numbers) -> pd.DataFrame:
    """Return 4 x 3 tables in which the width explains a share of the variance of ln loss."""
    rows = itertools.product(range(len(shares)), [-3, -1, 1, 3], [-1, 0, 1])
    frame = pd.DataFrame(rows, columns=["seed", "width", "depth"])
    share = np.clip(shares, 0.0, 1.0)[frame["seed"]]
    # The variance of the widths is 5, that of the depths 2 / 3.
    logs = np.sqrt(share / 5) * frame["width"] + np.sqrt(1.5 * (1.0 - share)) * frame["depth"]
    return frame.assign(loss=np.exp(logs))


def edge(
    rule: AbstractRule, plant: Plant, at_edge: float, true: float, false: float, scale: float
) -> Edge:
    """Return the edge of a rule on a number a seed, at levels of that number."""
    return Edge(
        rule,
        lambda noise: plant(at_edge + scale * noise),
        lambda noise: plant(true + CALM * scale * noise),
        lambda noise: plant(false + CALM * scale * noise),
    )


def signs(rule: AbstractRule, plant: Plant) -> Edge:
    """Return the edge of a rule that a seed meets or not."""
    return Edge(rule, plant, lambda noise: plant(noise + FAR), lambda noise: plant(noise - FAR))


def ratios(logs: Numbers) -> pd.DataFrame:
    """Return ranks whose ratio between the farthest places has the given logarithm."""
    return powers(logs / np.log(4.0))


WIDTH = "width"
EDGES: dict[str, Edge] = {
    "Flat": edge(Flat(RUNS, "rank", along=WIDTH, within=0.1), powers, 0.1, 0.0, 0.25, 0.05),
    "Grows": edge(Grows(RUNS, "rank", along=WIDTH, at_least=0.5), powers, 0.5, 0.6, 0.4, 0.05),
    "Ratio": edge(
        Ratio(RUNS, "rank", along=WIDTH, within=0.1), ratios, np.log(1.1), 0.0, 0.25, 0.05
    ),
    "PowerLaw": edge(
        PowerLaw(RUNS, "rank", along=WIDTH, exponent=-1.0, within=0.07, min_places=3),
        powers, -0.93, -1.0, -0.8, 0.05,
    ),
    "Monotone": signs(Monotone(RUNS, "rank", along=WIDTH), rising),
    "Exact": signs(
        Exact(RUNS, "count", matches=(Match("count", "exact"),), along="gamma"), matching
    ),
    "Bound": edge(Bound(RUNS, "loss", at_most=1.0), levels, 1.0, -0.5, 2.5, 1.0),
    "Paired": edge(
        Paired(RUNS, "loss", between="optimizer", first="sgd", second="adam", at_least=0.2),
        pairs, 0.2, 1.7, -1.3, 1.0,
    ),
    "Explained": edge(
        Explained(RUNS, "loss", along=WIDTH, beside="depth", at_least=0.8),
        tables, 0.8, 0.9, 0.7, 0.05,
    ),
}  # fmt: skip
