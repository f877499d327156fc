"""Whether neural collapse needs symmetry: with the symmetries of parameters, and with syre.

Both arms have the same weight decay. In one the penalty is on the weights themselves, and states
whose neurons are equal or dead attract; in the other it is on the weights less a frozen random
vector, which removes every symmetry (arXiv:2408.15495). Of several strengths of syre the largest is
compared; the others are in the results. NC1 is the ratio of traces: that by the pseudo-inverse
explodes where the class means lose a dimension, as they do at strong decay. Images are given, so a
verdict is about training on these.
"""

# mypy: disable-error-code="arg-type"
# The keywords of both arms are one dictionary; the rule is frozen, comments are not a part of it.

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Figure, Given, Paired, Reported, Shown, claim
from symstudy.findings.conclude import Measured

from ..shared.collapse_figures import draw_collapse

STRETCH = 0.25
"""Share of the steps, the last, in which every training image was right at every probe."""
LESS = math.log(1.05)
"""Without symmetry NC1 is 1.05 times as large at least."""
ALIKE = 0.02
"""Test accuracy that may be lost without symmetry."""
BROKEN = 0.99
"""Share of distinct neurons without symmetry at least: the symmetry is removed."""
RESTORED = 0.95
"""Share of distinct neurons with symmetry at most: there is something to remove."""
ARM = """
    case when syre = 0 then 'with' when syre = max(syre) over () then 'without' else 'between' end
"""
COLUMNS = {
    "symmetry": ARM,
    "distinct_share": "mean_distinct_neurons / mean_neurons",
    "fitted_share": "zero_error_steps / steps_done",
}


@claim(
    title="Neural collapse needs symmetry",
    statement=(
        "Trained on without training error at the same weight decay, a classifier whose symmetries "
        "are removed collapses less: its features vary more within classes against between them, "
        "fewer eigenvalues of theirs stand out, and the more so the stronger the decay."
    ),
    study="neural_collapse",
    reference="arXiv:2502.05300, Figs. 5, 11, 12 and 13",
)
def neural_collapse(runs: Evidence) -> All:
    """NC1 is larger and the eigengap smaller without symmetry, in pairs of a seed."""
    fitted = evidence_of(runs)
    arms: dict[str, Any] = {"between": "symmetry", "first": "with", "second": "without"}
    by = ("gamma",)
    conditions = (
        Paired(fitted, "test_accuracy", **arms, at_least=-ALIKE, by=by),
        Bound(fitted.at("symmetry", "without"), "distinct_share", at_least=BROKEN, by=by),
        Bound(fitted.at("symmetry", "with"), "distinct_share", at_most=RESTORED, by=by),
    )
    main = (
        Paired(fitted, "nc1_trace", **arms, is_log=True, at_least=LESS, by=by, name="NC1"),
        Paired(
            fitted, "feature_eigengap", **arms, is_log=True, at_most=0.0, by=by, name="eigengap"
        ),
        Bound(pairs_of(runs), "dose", at_least=0.0, name="ln NC1 gained from least to most decay"),
    )
    beside = ("nc1", "nc2", "nc3", "feature_effective_rank", "feature_eigengap_centred")
    names = {"nc1": "NC1 by the pseudo-inverse", "nc2": "NC2", "nc3": "NC3"}
    return All(
        Given(All(*main), *conditions),
        *(
            Reported(
                Paired(
                    fitted, value, **arms, is_log=True, at_least=0.0, by=by,
                    name=names.get(value, ""),
                )
            )
            for value in beside
        ),
        Shown(fitted, ("symmetry", "gamma", "feature_spectrum", "feature_correlation")),
    )  # fmt: skip


def evidence_of(runs: Evidence) -> Evidence:
    """Return the runs that have trained on without an error for long enough."""
    return (
        runs.where("syre is not null and gamma > 0")
        .define(**COLUMNS)
        .budget(6)
        .where(
            f"zero_error_steps >= {STRETCH} * steps_done",
            why="a training image was wrong in the last quarter of the steps",
        )
        .complete("gamma", "syre")
    )


def pairs_of(runs: Evidence) -> Evidence:
    """Return a row a seed, with what removing symmetry adds to ln NC1 at most and least decay."""
    return evidence_of(runs).per(dose=dose)


def dose(
    gamma: NDArray[np.float64], symmetry: NDArray[np.object_], nc1_trace: NDArray[np.float64]
) -> float:
    """Return ln NC1 without less with symmetry at the largest gamma, less that at the smallest.

    NaN where a pair is missing, or there is one gamma only.
    """
    table = pd.DataFrame({"gamma": gamma, "symmetry": symmetry, "value": np.log(nc1_trace)})
    pairs = table.pivot_table(index="gamma", columns="symmetry", values="value")
    if not {"with", "without"} <= set(pairs.columns):
        return float("nan")
    gained = (pairs["without"] - pairs["with"]).dropna()
    return float(gained.iloc[-1] - gained.iloc[0]) if len(gained) > 1 else float("nan")


def draw(measured: Measured) -> Figure:
    """Draw spectra and correlations with and without symmetry, and what decides."""
    return draw_collapse(measured, evidence_of(Evidence()))
