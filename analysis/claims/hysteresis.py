"""Weight decay turned up destroys what a deep linear network has learned; turned down it stays so.

For one singular value sigma of the target, the balanced critical points s of a network of D = 3
linear layers under gamma |W|^2 solve sigma = s + gamma s^(-1/3). The upper branch ends at the
spinodal gamma_sp = (sigma / 4)^(4/3) 3, where s = sigma / 4; zero is a stable point at every
gamma > 0. So a loop in gamma has two branches: on the way up the network stays on the upper one and
collapses at gamma_sp; on the way down it starts from zero and stays there.

The two ways are trained gamma by gamma, from a large start and from a small one. That is the loop
itself: from a large start gradient descent finds the upper branch wherever it exists, as a network
that follows it does; and on the way down the weights are those that the last decay has left, which
is less than the small start, so that what the small start does not recover they do not either.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize

from symstudy.findings import PALETTE, Figure, Finding, Part, SeedTest, claim, combine, seed_part
from symstudy.store import Store

from . import depth_gap
from .depth_gap import FINEST_STEP, spinodal

DEPTH = 3
MARGIN = 0.02
SMALLEST_SHARE = 0.1
NOTHING = 0.02


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a converged run of three layers: gamma, seed, way (`up` from the large start,
            `down` from the small one), amplitude, and the largest learned value `learned`, 0 where
            there is none.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the converged runs of three layers that the claim depth_gap is judged by."""
    runs, excluded = depth_gap.measure(db)
    kept = runs[runs["depth"] == DEPTH].reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "gamma": kept["gamma"],
            "seed": kept["seed"],
            "way": kept["start"].map({"large": "up", "small": "down"}),
            "amplitude": kept["amplitude"],
            "learned": kept["largest"].fillna(0.0),
        }
    )
    return Measured(frame, excluded)


def upper_branch(gamma: float, sigma: float) -> float:
    """Return the learned value on the upper branch, or 0 beyond its end."""
    if gamma >= spinodal(DEPTH, sigma):
        return 0.0
    return float(
        optimize.brentq(lambda s: s + gamma * s ** (-1.0 / DEPTH) - sigma, sigma / 4.0, sigma)
    )


@claim(
    title="What weight decay destroyed does not come back",
    statement=(
        "Turned up, weight decay makes a linear network of three layers collapse at once, at the "
        "end of the branch on which it has learned something; turned down again, the network "
        "stays collapsed at every decay: a hysteresis loop."
    ),
    study="depth_gap",
    reference=(
        "arXiv:2502.05300, symmetry restoration; exact: Schatten-2/3 quasi-norm, derived in the "
        "file"
    ),
    rule=(
        "Three linear layers, runs with a gradient of at most 1e-6 of 1 + objective, no fewer than "
        "3 seeds, 90 % t intervals over seeds; all must hold. Way up, collapse: the geometric "
        "middle of the last gamma at which a large start has learned something and the first at "
        "which it has not, no more than 5 % apart, over the spinodal, lies within 1 +- 0.02. Way "
        "up, before it: the learned value at that last gamma over the exact one lies within "
        "1 +- 0.02. Way down: the share of gammas, of at least a tenth of the spinodal and at most "
        "that last one, at which a small start learns something, is at most 0.02."
    ),
    tests=(
        SeedTest(rule=f"within 1 +- {MARGIN}", level=0.9, margin=MARGIN, unit="over the exact one"),
        SeedTest(rule=f"at most {NOTHING}", level=0.9, unit="share of gammas"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test both ends of the loop, and the branch before the collapse."""
    loops = [loop_of(rows) for _, rows in measured.runs.groupby("seed")]
    parts = (
        ratio_part("collapse on the way up", [loop.collapse for loop in loops]),
        ratio_part("learned before the collapse", [loop.before for loop in loops]),
        exact_part(
            seed_part(
                "recovered on the way down",
                [loop.recovered for loop in loops],
                high=NOTHING,
                rule=f"at most {NOTHING}",
                unit="share of gammas",
            )
        ),
    )
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g})" if part.effect is not None else "")
        for part in parts
    ]
    return Finding(
        verdict=combine(parts),
        reason="; ".join(told) + ".",
        effect=parts[0].effect,
        interval=parts[0].interval,
        unit="gamma of the collapse over the exact one",
        seeds=len(loops),
        threshold=f"within 1 +- {MARGIN}",
        parts=parts,
        excluded=measured.excluded,
    )


class Loop(NamedTuple):
    """The loop of one seed; NaN where it cannot be told.

    Attributes:
        collapse: Gamma of the collapse over the spinodal.
        before: Learned value at the last gamma before it, over the exact one.
        recovered: Share of the gammas of the loop at which the way down has learned something.
    """

    collapse: float
    before: float
    recovered: float


def loop_of(rows: pd.DataFrame) -> Loop:
    """Return the loop of the runs of one seed."""
    sigma = float(rows["amplitude"].iloc[0])
    end = spinodal(DEPTH, sigma)
    up = rows[rows["way"] == "up"].set_index("gamma")["learned"].sort_index()
    kept = up[up > 0]
    if kept.empty:
        return Loop(np.nan, np.nan, np.nan)
    last = float(kept.index.max())
    beyond = up.index[up.index > last]
    is_fine = len(beyond) > 0 and beyond.min() <= FINEST_STEP * last
    exact = upper_branch(last, sigma)
    down = rows[(rows["way"] == "down") & rows["gamma"].between(SMALLEST_SHARE * end, last)]
    return Loop(
        collapse=float(np.sqrt(last * beyond.min())) / end if is_fine else np.nan,
        before=float(kept[last]) / exact if exact > 0 else np.nan,
        recovered=float((down["learned"] > 0).mean()) if len(down) else np.nan,
    )


def ratio_part(name: str, values: list[float]) -> Part:
    """Test that a ratio to what is exact is 1."""
    return exact_part(
        seed_part(
            name,
            values,
            low=1 - MARGIN,
            high=1 + MARGIN,
            rule=f"within 1 +- {MARGIN}",
            unit="over the exact one",
        )
    )


def exact_part(part: Part) -> Part:
    """Return `part` without a p-value: seeds that all end at one exact point measure no chance."""
    return replace(part, p_value=None)


def draw(measured: Measured) -> Figure:
    """Draw both ways and the exact branches."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    sigma = float(runs["amplitude"].iloc[0]) if len(runs) else 1.0
    end = spinodal(DEPTH, sigma)
    gammas = end * np.append(np.linspace(0.0, 0.999, 200), np.linspace(0.9991, 1.0, 40))
    branch = np.array([upper_branch(gamma, sigma) or sigma / 4.0 for gamma in gammas])
    lower = np.linspace(1e-6, sigma / 4.0, 200)
    canvas, axis = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    axis.plot(gammas, branch, color="0.35", linewidth=1.2, label="exact, stable")
    axis.plot([0.0, 1.25 * end], [0.0, 0.0], color="0.35", linewidth=1.2)
    axis.plot(
        (sigma - lower) * lower ** (1.0 / DEPTH),
        lower,
        color="0.35",
        linewidth=1.0,
        linestyle=":",
        label="exact, unstable",
    )
    marks = {"up": ("o", PALETTE[0], 0.8), "down": ("v", PALETTE[3], -0.8)}
    for way, (marker, color, turn) in marks.items():
        rows = runs[runs["way"] == way]
        means = rows.groupby("gamma")["learned"].mean()
        axis.plot(
            rows["gamma"],
            rows["learned"],
            linestyle="none",
            marker=marker,
            markersize=5,
            color=color,
            label=f"gamma turned {way}, from a {'large' if way == 'up' else 'small'} start",
        )
        if len(means) > 6:
            place = len(means) // 3
            tip, tail = sorted(means.index[place : place + 2].tolist(), reverse=way == "up")
            axis.annotate(
                "",
                xy=(tip, means[tip] + 0.045 * sigma * turn),
                xytext=(tail, means[tail] + 0.045 * sigma * turn),
                arrowprops={"arrowstyle": "->", "color": color},
            )
    axis.axvline(end, color="0.6", linestyle="--", linewidth=1.0, label="spinodal")
    axis.set(
        xlabel="weight decay gamma",
        ylabel="largest learned singular value",
        xlim=(0.0, 1.25 * end),
        ylim=(-0.1 * sigma, 1.02 * sigma),
    )
    canvas.legend(*axis.get_legend_handles_labels(), loc="outside right upper")
    return Figure(
        canvas,
        runs.assign(panel="loop"),
        "Largest singular value that three linear layers have learned of a target's 1, every run. "
        "Turned up (circles) decay collapses the network at the end of the stable branch, the "
        "spinodal; turned down (triangles), it does not recover.",
    )
