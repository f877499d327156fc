"""Conserved balances: what gradient flow keeps of linear and ReLU layers, and SGD loses as lr.

A neuron whose activation satisfies f(c z) = c f(z), c > 0, may be rescaled, so gradient flow keeps
|outgoing|^2 - |incoming|^2 - bias^2 of every such neuron. A step of gradient descent changes the
sum Q over a layer by lr^2 times the same difference of the gradients, so over a fixed time the
drift is of the order lr. With weight decay Q falls as exp(-4 gamma t), t = lr times steps. A tanh
layer has no such law.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    SeedTest,
    claim,
    combine,
    error_bars,
    legend_beside,
    log_slope,
    log_ticks,
    seed_part,
)
from symstudy.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CONSERVING = ("linear", "relu")
CONTROL = "tanh"
MARGIN = 0.1
FREE_SLOPE = 0.5
ACCURACY = 1e-3
MIN_RATES = 4
MIN_SEEDS = 3


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        layers: One row a run and hidden layer: activation, depth, width, layer, gamma, lr, time,
            seed, first and last, the balance before and after training.
        excluded: Runs left out, by why.
    """

    layers: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the balance of every layer before and after training by plain gradient descent."""
    frame = db.df(
        """
        select run_id, coalesce(activation, 'linear') as activation, depth, width, layer, gamma,
               lr, lr * steps as time, seed, outcome, arg_min(balance, step) as first,
               arg_max(balance, step) as last, max(step) as step, steps
        from layers
        where optimizer = 'sgd' and momentum = 0 and full_batch and schedule = 'constant'
              and dtype = 'float64'
        group by all
        order by all
        """
    )
    failed = (frame["outcome"] != "done") | (frame["step"] < frame["steps"])
    excluded = []
    if failed.any():
        count = frame.loc[failed, "run_id"].nunique()
        excluded.append(("did not end as planned", int(count)))
    kept = frame[~failed].drop(columns=["run_id", "outcome", "step", "steps"])
    return Measured(kept.reset_index(drop=True), tuple(excluded))


@claim(
    title="The balance of linear and ReLU layers is conserved",
    statement=(
        "Gradient descent keeps the squared norm of a linear or ReLU layer's outgoing weights less "
        "that of its incoming ones up to a drift of the order of the learning rate, and with "
        "weight decay multiplies it by exp(-4 gamma t); for tanh layers it is not kept."
    ),
    study="conservation_laws",
    reference="Du, Hu and Lee 2018, arXiv:1806.00900; decay and order of the drift: in the file",
    rule=(
        "All runs train to one time lr times steps, with no fewer than 4 learning rates and 3 "
        "seeds. The drift of a seed at one learning rate is the root mean square, over depths, "
        "widths and layers, of the change of the balance. Linear and ReLU at gamma = 0: the slope "
        "of ln drift against ln lr lies within 1 +- 0.1 by its 95 % t interval over seeds, refuted "
        "where it lies outside. Linear and ReLU at gamma > 0: at the smallest learning rate the "
        "balance over its initial value times exp(-4 gamma t) deviates from 1 by at most 1e-3, "
        "the worst layer of a seed, by the upper end of the interval; refuted where the lower end "
        "is above. Tanh at gamma = 0: the slope is below 0.5 by its interval, refuted where above."
    ),
    tests=(
        SeedTest(rule=f"slope 1 +- {MARGIN}", margin=MARGIN, unit="d ln drift / d ln lr"),
        SeedTest(rule=f"within {ACCURACY:g} of 1", unit="largest relative deviation of a layer"),
        SeedTest(rule=f"slope below {FREE_SLOPE}", unit="d ln drift / d ln lr"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the order of the drift, the decay, and the control."""
    layers = measured.layers
    free = layers[layers["gamma"] == 0]
    decayed = layers[layers["gamma"] > 0]
    parts = (
        *(judge_order(free[free["activation"] == name], name) for name in CONSERVING),
        *(judge_decay(decayed[decayed["activation"] == name], name) for name in CONSERVING),
        judge_control(free[free["activation"] == CONTROL]),
    )
    orders = [part for part in parts[:2] if part.effect is not None]
    worst = max(orders, key=lambda part: abs((part.effect or 0.0) - 1.0), default=None)
    told = [
        f"{part.name}: {part.verdict.label} ({part.effect:.3g})"
        for part in parts
        if part.effect is not None
    ]
    return Finding(
        verdict=combine(parts),
        reason="; ".join(told) + "." if told else "No sweep of the learning rate at one time.",
        effect=worst.effect if worst else None,
        interval=worst.interval if worst else None,
        unit="d ln drift / d ln lr, worst activation",
        seeds=layers["seed"].nunique(),
        threshold=f"1 +- {MARGIN}",
        parts=parts,
        excluded=measured.excluded,
    )


def drift_table(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the drift, a row a seed and a column a learning rate; only seeds with all of them."""
    if layers.empty or not np.allclose(layers["time"], layers["time"].iloc[0], rtol=0.01):
        return pd.DataFrame()
    squares = layers.assign(square=(layers["last"] - layers["first"]) ** 2)
    table = squares.pivot_table(index="seed", columns="lr", values="square", aggfunc="mean")
    return table.dropna().pow(0.5)


def slopes_of(layers: pd.DataFrame) -> list[float]:
    """Return the slope of ln drift against ln lr for each seed; none where there is no sweep."""
    table = drift_table(layers)
    if len(table) < MIN_SEEDS or table.shape[1] < MIN_RATES:
        return []
    return [log_slope(table.columns.to_numpy(float), row.to_numpy()) for _, row in table.iterrows()]


def judge_order(layers: pd.DataFrame, activation: str) -> Part:
    """Test that the drift is of the first order in the learning rate."""
    name = f"drift against lr, {activation}"
    rule = f"slope 1 +- {MARGIN}"
    return seed_part(
        name,
        slopes_of(layers),
        low=1 - MARGIN,
        high=1 + MARGIN,
        level=0.95,
        rule=rule,
        unit="d ln drift / d ln lr",
    )


def judge_decay(layers: pd.DataFrame, activation: str) -> Part:
    """Test that weight decay multiplies the balance by exp(-4 gamma t)."""
    name = f"balance over exp(-4 gamma t), {activation}"
    rule = f"within {ACCURACY:g} of 1"
    finest = layers[layers["lr"] == layers["lr"].min()]
    deviation = decay_deviation(finest)
    worst = deviation.groupby(finest["seed"]).max()
    return seed_part(
        name,
        worst,
        high=ACCURACY,
        level=0.95,
        rule=rule,
        unit="largest relative deviation of a layer",
        min_seeds=MIN_SEEDS,
    )


def decay_deviation(layers: pd.DataFrame) -> pd.Series:
    """Return by how much the balance of each layer deviates from its exponential decay."""
    expected = layers["first"] * np.exp(-4 * layers["gamma"] * layers["time"])
    return (layers["last"] / expected - 1).abs()


def judge_control(layers: pd.DataFrame) -> Part:
    """Test that the balance of tanh layers changes however small the learning rate is."""
    name = f"drift against lr, {CONTROL}"
    rule = f"slope below {FREE_SLOPE}"
    return seed_part(
        name,
        slopes_of(layers),
        high=FREE_SLOPE,
        level=0.95,
        rule=rule,
        unit="d ln drift / d ln lr",
    )


def draw(measured: Measured) -> Figure:
    """Draw the drift, and the deviation from exponential decay, against the learning rate."""
    import matplotlib.pyplot as plt

    layers = measured.layers
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.7), layout="constrained")
    free = layers[layers["gamma"] == 0]
    decayed = layers[layers["gamma"] > 0].copy()
    # The same drift, of a balance that should have stayed at 1.
    decayed["last"], decayed["first"] = 1 + decay_deviation(decayed), 1.0
    drawn = [
        draw_panel(left, free, "drift", "change of the balance"),
        draw_panel(right, decayed, "decay", "relative deviation from exp(-4 gamma t)"),
    ]
    left.set_title("Without weight decay")
    right.set_title("With weight decay")
    legend_beside(right, "")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Change of the balance of hidden layers over a fixed time lr times steps, root mean square "
        "over layers, geometric mean over seeds with the range of the seeds. Dotted: slope 1.",
    )


def draw_panel(axes: "Axes", layers: pd.DataFrame, panel: str, label: str) -> pd.DataFrame:
    """Draw the drift of each activation against the learning rate."""
    rows = []
    for place, (activation, group) in enumerate(layers.groupby("activation")):
        table = drift_table(group)
        if table.empty:
            continue
        rates = table.columns.to_numpy(float)
        mean = np.exp(np.log(table).mean())
        axes.errorbar(
            rates,
            mean,
            yerr=error_bars(table.min(), mean, table.max()),
            fmt="o-",
            capsize=2,
            color=PALETTE[place],
            label=str(activation),
        )
        if activation == CONSERVING[0]:
            axes.plot(
                rates,
                mean.iloc[-1] * rates / rates[-1] * 0.4,
                color="0.5",
                linestyle=":",
                label="slope 1",
            )
        rows.append(
            pd.DataFrame(
                {
                    "panel": panel,
                    "activation": activation,
                    "lr": rates,
                    "mean": mean.to_numpy(),
                    "low": table.min().to_numpy(),
                    "high": table.max().to_numpy(),
                }
            )
        )
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel=label)
    log_ticks(axes, sorted(layers["lr"].unique().tolist()))
    return pd.concat(rows) if rows else pd.DataFrame()
