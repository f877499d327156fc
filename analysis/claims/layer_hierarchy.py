"""Symmetry breaking and rank of representations from layer to layer, of networks that learn images.

The paper counts, in each hidden layer, the pairs of neurons next to each other in norm whose
distance over sqrt 2 is above one absolute threshold, and shows that the rank of the layer's
representation goes the same way: high in early layers, low in late ones. A seed has one number for
each statement: Spearman's correlation over its hidden layers. Other counts and ranks are reported
beside, since the paper's count is of raw distances and depends on the threshold.

The networks are those of the paper's kind: trained until they fit their images, with a rate that
goes to 0. They are no minima, and neurons may still merge if they are trained for longer.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Figure, Reported, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, medians
from symstudy.plots.panels import Line, Panel, draw_panels
from symstudy.statistics.correlations import rank_correlations

Array = NDArray[np.float64]

AT_LEAST = 0.6
"""Spearman's correlation that is called following: of four layers 0.8 or 1."""
MIN_BUDGET = 6.0
FITTED = 0.98
"""Share of its training images that a network must have learned: its training has converged."""
IMAGES = ("fashion_mnist", "mnist", "mnist_5k", "cifar10", "svhn", "digits", "images")
COUNTS = {
    "breaking": "breaking_sorted_absolute",
    "ranks": "effective_rank",
    "relative": "breaking_sorted",
    "exact": "distinct_neurons",
    "products": "product_rank",
    "thresholds": "rank",
}
"""Measures of each layer, by the name of the list of them over the layers of a run."""
LISTS = ", ".join(f"list({measure} order by layer) as {name}" for name, measure in COUNTS.items())
QUERY = f"""
    with by_layer as (
        select study, run_id, {LISTS}
        from layers
        where is_final and breaking_sorted_absolute is not null and effective_rank is not null
        group by study, run_id
    )
    select runs.*, {", ".join(COUNTS)}
    from runs
    left join by_layer using (study, run_id)
    where runs.data in {IMAGES} and optimizer is not null and gamma > 0
"""
SHOWN = {
    "breaking": "broken pairs (absolute)",
    "ranks": "effective rank",
    "exact": "distinct neurons",
    "products": "rank of the product",
}


@claim(
    title="Breaking and rank fall together from layer to layer",
    statement=(
        "In a trained network of equal layers more symmetries are broken in early layers than in "
        "late ones, and the rank of a layer's representation follows the breaking."
    ),
    study="layer_hierarchy",
    reference="arXiv:2502.05300, Figs. 4 and 14",
)
def layer_hierarchy(runs: Evidence) -> All:
    """Over the layers of the median seed breaking falls, and rank goes as breaking does."""
    orders = hierarchies(runs).complete("data", "gamma").at_largest("gamma")
    by = ("data",)
    over = "correlation over layers of"

    def high(value: str, name: str) -> Bound:
        return Bound(orders, value, at_least=AT_LEAST, by=by, name=f"{over} {name}")

    def low(value: str, name: str) -> Bound:
        return Bound(orders, value, at_most=-AT_LEAST, by=by, name=f"{over} {name}")

    return All(
        high("following", "broken pairs and effective rank"),
        low("falling", "broken pairs and depth"),
        Reported(low("falling_rank", "effective rank and depth")),
        Reported(high("following_relative", "broken pairs at a relative threshold and rank")),
        Reported(high("following_exact", "distinct neurons and effective rank")),
        Reported(high("following_products", "product rank and effective rank")),
        Reported(high("following_threshold", "broken pairs and rank above 0.01")),
        Shown(hierarchies(runs), ("data", "gamma", *SHOWN)),
    )


def hierarchies(runs: Evidence) -> Evidence:
    """Return the runs that have learned, with their correlations over layers."""
    counted = runs.of(QUERY).done().learned().budget(MIN_BUDGET).alive()
    counted = counted.where(
        f"train_accuracy >= {FITTED}", why=f"fits fewer than {FITTED:.0%} of its training images"
    )
    counted = counted.where("len(breaking) >= 4", why="fewer than four layers with both measures")
    counted = counted.where(
        "list_max(breaking) > list_min(breaking)", why="as many pairs are broken in every layer"
    )
    return counted.derive(
        following=following,
        falling=falling,
        falling_rank=falling_rank,
        following_relative=following_relative,
        following_exact=following_exact,
        following_products=following_products,
        following_threshold=following_threshold,
    )


def over_layers(x: Array, y: Array) -> float:
    """Return Spearman's correlation of two measures over layers; 0 where one does not change."""
    return float(rank_correlations(np.asarray(x, float), np.asarray(y, float)))


def following(breaking: Array, ranks: Array) -> float:
    """Return how rank goes with broken pairs: what the paper shows."""
    return over_layers(breaking, ranks)


def falling(breaking: Array) -> float:
    """Return how broken pairs go with depth."""
    return over_layers(np.arange(len(breaking)), breaking)  # type: ignore[arg-type]  # frozen


def falling_rank(ranks: Array) -> float:
    """Return how the effective rank goes with depth."""
    return over_layers(np.arange(len(ranks)), ranks)  # type: ignore[arg-type]  # frozen


def following_relative(relative: Array, ranks: Array) -> float:
    """Return how rank goes with pairs broken at 0.02 of the layer's largest norm."""
    return over_layers(relative, ranks)


def following_exact(exact: Array, ranks: Array) -> float:
    """Return how rank goes with the exact count of distinct neurons."""
    return over_layers(exact, ranks)


def following_products(products: Array, ranks: Array) -> float:
    """Return how rank goes with the rank of outgoing times incoming weights."""
    return over_layers(products, ranks)


def following_threshold(breaking: Array, thresholds: Array) -> float:
    """Return how the number of singular values above 0.01 of the largest goes with broken pairs."""
    return over_layers(breaking, thresholds)


def draw(measured: Measured) -> Figure:
    """Draw counts and ranks against the layer, a line a data set, and what decides."""
    rows = measured.data.rows(hierarchies(Evidence()))
    panels = [] if rows.empty else [panel(rows, *each) for each in SHOWN.items()]
    return draw_panels(
        [*panels, *deciding_panels(measured)],
        "Broken pairs and ranks of each hidden layer at the end of training, median over seeds "
        "with its exact interval, at the largest gamma that counts; and the correlations over the "
        "layers of each seed, with what is claimed shaded. The paper's panels have broken pairs "
        "and rank high in early layers and low in late ones.",
    )


def panel(rows: pd.DataFrame, value: str, label: str) -> Panel:
    """Return the panel of one measure against the layer."""
    strongest = rows[rows["gamma"] == rows["gamma"].max()]
    long = strongest[["data", "seed", value]].explode(value)
    layer = long.groupby(level=0).cumcount().to_numpy() + 1
    long = long.reset_index(drop=True).assign(layer=layer)
    long[value] = long[value].astype(float)
    return Panel(
        name=value,
        title=label,
        x="layer",
        x_label="hidden layer",
        y_label=label,
        lines=[
            Line(f"data = {data}", {"data": data}, medians(each, "layer", value))
            for data, each in long.groupby("data")
        ],
        is_log_x=False,
        is_log_y=False,
    )
