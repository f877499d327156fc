"""Stronger weight decay restores more symmetry: fewer distinct neurons at minima."""

from typing import NamedTuple

import pandas as pd

from symstudy.findings import PALETTE, Figure, Finding, claim, combine, error_bars, student_table
from symstudy.store import Store

from .evidence import converged, seed_table
from .monotone import judge_monotone

MAX_GRAD_RATIO = 1e-6
COLLAPSED = 1e-4


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a converged run of the largest width: gamma, width, seed, count, sorted, rank.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the counts at converged minima, at the largest width."""
    frame = db.df(
        f"""
        select gamma, width, seed, outcome, coalesce(grad_ratio, 1) as grad_ratio,
               case when max_norm < {COLLAPSED} then 0 else distinct_neurons end as count,
               case when max_norm < {COLLAPSED} then 0 else breaking_sorted end as sorted,
               case when max_norm < {COLLAPSED} then 0 else rank end as rank
        from runs
        where data = 'teacher_student' and optimizer = 'lbfgs' and depth = 2 and gamma > 0
              and activation = 'tanh' and label_noise = 0 and input_scale = 1
        order by all
        """
    )
    runs, excluded = converged(frame, MAX_GRAD_RATIO)
    widest = runs[runs["width"] == runs["width"].max()]
    return Measured(widest.reset_index(drop=True), excluded)


@claim(
    title="Weight decay restores symmetry",
    statement="The stronger the weight decay, the fewer distinct neurons a network keeps.",
    study="restoration_by_decay",
    reference="arXiv:2502.05300, Fig. 3 (right)",
    rule=(
        "At minima with a gradient of at most 1e-6 of 1 + objective, at the largest width and on "
        "no fewer than 3 seeds: Spearman's correlation of gamma and the mean number of distinct "
        "neurons is at most -0.9, and a shuffle of the gammas within the seeds goes as far in at "
        "most 5 %. Refuted where it is not, and data about the nearest monotone means would go as "
        "little the claimed way in at most 5 %. The paper's count of sorted pairs and the rank are "
        "reported beside."
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the direction of the count."""
    runs = measured.runs
    parts = (
        judge_monotone(
            "distinct neurons against gamma", seed_table(runs, "gamma", "count"), sign=-1
        ),
        judge_monotone(
            "broken pairs of sorted neighbours against gamma",
            seed_table(runs, "gamma", "sorted"),
            sign=-1,
            decides=False,
        ),
        judge_monotone(
            "rank of the representation against gamma",
            seed_table(runs, "gamma", "rank"),
            sign=-1,
            decides=False,
        ),
    )
    first = parts[0]
    means = runs.groupby("gamma")["count"].mean()
    told = ", ".join(f"{mean:.3g}" for mean in means)
    gammas = ", ".join(f"{gamma:.3g}" for gamma in means.index)
    return Finding(
        verdict=combine(parts),
        reason=f"{told} distinct neurons at gamma = {gammas}." if len(means) else "No minima.",
        effect=first.effect,
        interval=first.interval,
        unit=first.unit,
        seeds=runs["seed"].nunique(),
        threshold=first.rule,
        parts=parts,
        excluded=measured.excluded,
    )


def draw(measured: Measured) -> Figure:
    """Draw count, sorted pairs and rank against gamma."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
    drawn = []
    labels = {
        "count": "distinct neurons",
        "sorted": "broken pairs of sorted neighbours",
        "rank": "rank of the representation",
    }
    for place, (column, label) in enumerate(labels.items()):
        line = student_table(runs, "gamma", column)
        # A little apart, so that bars do not hide each other.
        axes.errorbar(
            line["gamma"] * 1.06 ** (place - 1),
            line["mean"],
            yerr=error_bars(line["low"], line["mean"], line["high"]),
            fmt="o-",
            capsize=2,
            color=PALETTE[place],
            label=label,
        )
        drawn.append(line.assign(panel=label))
    width = f"{runs['width'].iloc[0]:g}" if len(runs) else "no"
    axes.set(xscale="log", xlabel="weight decay gamma", ylabel="count", ylim=(0, None))
    axes.legend()
    return Figure(
        canvas,
        pd.concat(drawn),
        f"Distinct neurons of a tanh student of width {width} at the best of several minima "
        "against the weight decay, with the paper's count of broken pairs and the rank: mean over "
        "seeds with 95 % t intervals.",
    )
