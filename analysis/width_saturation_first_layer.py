"""The rank of the first layer saturates with width under weight decay."""

import pandas as pd

from symstudy.findings import Figure, Finding, claim, combine
from symstudy.store import Store

from .width_saturation import FLAT, TESTS, judge_flat, judge_growth, judge_spread
from .width_saturation_noise import Measured, describe
from .width_saturation_noise import draw as draw_arms
from .width_saturation_noise import measure as measure_arms


def measure(db: Store) -> Measured:
    """Return the runs of gradient descent on a fixed data set, with and without decay."""
    runs, excluded = measure_arms(db)
    return Measured(runs[runs["arm"] != "noise"].reset_index(drop=True), excluded)


@claim(
    title="The first layer's rank saturates with width under weight decay",
    statement=(
        "Past some width, the rank of the first hidden layer and the test error do not depend on "
        "the width under weight decay; without it the rank keeps growing."
    ),
    study="width_saturation_noise",
    reference="arXiv:2502.05300, Fig. 9",
    rule=(
        "Over the upper half of the widths (at least 3), on no fewer than 3 seeds, for gradient "
        "descent on a fixed data set; runs with gamma > 0 count only with a decay budget of at "
        "least 6. At the largest gamma the 90 % t interval over seeds of the slope of ln rank of "
        "the first layer against ln width lies within +-0.1, and the ratio of the test losses of "
        "any two widths within 1 +- 0.1. At gamma = 0 the slope is at least 0.5. All must hold; "
        "refuted where an interval lies wholly on the other side."
    ),
    tests=TESTS,
)
def judge(measured: Measured) -> Finding:
    """Test flatness with decay and growth without, of the first layer."""
    runs = measured.runs
    regular, free = runs[runs["arm"] == "decay"], runs[runs["arm"] == "nothing"]
    strongest = regular[regular["gamma"] == regular["gamma"].max()]
    gamma = f"{strongest['gamma'].iloc[0]:g}" if len(strongest) else "none"
    parts = (
        judge_flat(
            strongest, "first_rank", f"rank of the first layer against width at gamma = {gamma}"
        ),
        judge_spread(strongest, f"test loss over saturated widths at gamma = {gamma}"),
        judge_growth(free.assign(rank=free["first_rank"])),
    )
    first = parts[0]
    return Finding(
        verdict=combine(parts),
        reason=describe(parts, "weight decay"),
        effect=first.effect,
        interval=first.interval,
        unit=first.unit,
        seeds=strongest["seed"].nunique() if len(strongest) else 0,
        threshold=f"within +-{FLAT}",
        parts=parts,
        excluded=measured.excluded,
    )


def draw(measured: Measured) -> Figure:
    """Draw ranks and test loss with and without weight decay."""
    figure = draw_arms(measured)
    caption = (
        "Gradient descent with weight decay and without: ranks and test loss after training, mean "
        "over seeds with 95 % t intervals. The grey line is the width itself."
    )
    return Figure(figure.canvas, pd.DataFrame(figure.drawn), caption)
