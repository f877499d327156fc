"""Scaling laws y(x): forms that compete, intervals by the jackknife over seeds, held-out scales.

Forms (`symstudy.statistics.scaling_forms`) are fitted to the mean over seeds at each place. An
interval comes from leaving out one seed after the other, which keeps the seeds whole: a seed shares
its teacher and its data over all places.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from symstudy.statistics.intervals import TIED, Interval, all_alike
from symstudy.statistics.scaling_forms import (
    FORMS,
    IS_PLAIN,
    LOG_LAWS,
    Array,
    Law,
    descend,
    fit_law,
    solve,
    vector,
)

__all__ = ["ScalingFit", "compare_laws", "fit_scaling"]

LEVEL = 0.95


class ScalingFit(NamedTuple):
    """A law fitted to seeds along an axis, with what it is worth.

    Attributes:
        law: Fitted to the means over seeds of all places.
        intervals: 95 % interval of each parameter; infinite where nothing gives one.
        source: What the intervals rest on: `seeds`, `residuals` or `nothing`.
        places: Number of places.
        seeds: Number of seeds, or of groups of seeds, that were left out one after the other.
        num_values: Number of values of seeds that the means were taken of.
        held_out: Places that were held out, the largest.
        predicted: Law fitted without them, None where too few places are left.
        errors: At each held-out place ln y less its prediction.
        rivals: The best law of each form that the places suffice for, best BIC first.
    """

    law: Law
    intervals: Mapping[str, Interval]
    source: str
    places: int
    seeds: int
    num_values: int
    held_out: tuple[float, ...]
    predicted: Law | None
    errors: tuple[float, ...]
    rivals: tuple[Law, ...]


def fit_scaling(points: pd.DataFrame, form: str, hold_out: int = 1) -> ScalingFit:
    """Fit a form to values of seeds, with intervals, rivals and the largest places held out.

    Args:
        points: A row a place and seed (or group of seeds), with the columns place, unit, count
            (seeds of the group) and value (their mean).
        form: Name of the form.
        hold_out: How many of the largest places are held out for the prediction; the law itself is
            fitted to all.

    Raises:
        ValueError: If the places do not suffice for the form, or are not positive.
    """
    means = place_means(points)
    x, y = means.index.to_numpy(float), means.to_numpy(float)
    law = fit_law(form, x, y)
    units = points["unit"].nunique()
    intervals, source = jackknife(points, law) if units > 1 else ({}, "")
    if not intervals:
        intervals, source = by_residuals(law, x)
    predicted, held, errors = predict_held_out(form, x, y, hold_out)
    return ScalingFit(
        law=law,
        intervals=MappingProxyType(intervals),
        source=source,
        places=len(x),
        seeds=units,
        num_values=int(points["count"].sum()),
        held_out=held,
        predicted=predicted,
        errors=errors,
        rivals=compare_laws(x, y),
    )


def place_means(points: pd.DataFrame) -> pd.Series:
    """Return the mean over seeds at each place, in ascending order."""
    total = (points["value"] * points["count"]).groupby(points["place"]).sum()
    return total / points["count"].groupby(points["place"]).sum()


def compare_laws(x: Array, y: Array) -> tuple[Law, ...]:
    """Return the law of each form that has fewer parameters than there are places, best first."""
    places = len(set(x.tolist()))
    laws = [fit_law(name, x, y) for name, form in FORMS.items() if form.fewest < places]
    return tuple(sorted(laws, key=lambda law: law.bic))


def predict_held_out(
    form: str, x: Array, y: Array, hold_out: int
) -> tuple[Law | None, tuple[float, ...], tuple[float, ...]]:
    """Return the law without the largest places, these, and ln y less the prediction at each."""
    kept = len(x) - hold_out
    if hold_out < 1 or kept <= FORMS[form].fewest:
        return None, (), ()
    law = fit_law(form, x[:kept], y[:kept])
    errors = np.log(y[kept:]) - np.log(law.predict(x[kept:]))
    return law, tuple(map(float, x[kept:])), tuple(map(float, errors))


def jackknife(points: pd.DataFrame, law: Law) -> tuple[dict[str, Interval], str]:
    """Return the t interval of each parameter by leaving out one seed after the other.

    Empty if the law cannot be fitted without one of them, or does not depend on which is left out.

    References:
        Efron and Tibshirani 1993, ch. 11. For means and slopes it is the t interval over seeds.
    """
    values = points["value"] * points["count"]
    totals = values.groupby(points["place"]).sum()
    counts = points["count"].groupby(points["place"]).sum()
    found = []
    for _, rows in points.groupby("unit"):
        left_count = counts.sub(rows.set_index("place")["count"], fill_value=0)
        left_total = totals.sub(values[rows.index].set_axis(rows["place"]), fill_value=0)
        means = (left_total / left_count)[left_count > 0]
        if len(means) < law.form.fewest:
            return {}, ""
        found.append(refit(law, means.index.to_numpy(float), means.to_numpy(float)))
    table = np.array(found)
    if all(all_alike(column) for column in table.T):
        return {}, ""
    units = len(table)
    error = np.sqrt((units - 1) / units * ((table - table.mean(0)) ** 2).sum(0))
    margin = stats.t.ppf(0.5 + LEVEL / 2, units - 1) * error
    return in_units(law, margin, units), "seeds"


def refit(law: Law, x: Array, y: Array) -> Array:
    """Return the parameters of a law, as they are fitted, on points that differ a little.

    The optimiser starts at the law: the loss of a power law alone has no other minimum.
    """
    name = law.form.name
    if name == "power":
        return solve(name, x, y).theta
    return descend(name, vector(law), np.log(x), np.log(y))


def by_residuals(law: Law, x: Array) -> tuple[dict[str, Interval], str]:
    """Return t intervals by the scatter of the points about the law: what there is for one seed.

    Points without any scatter say nothing of how far the law is off.
    """
    names = law.form.parameters
    freedom = len(x) - len(names)
    unknown = {name: Interval(-math.inf, math.inf, LEVEL) for name in names}
    if freedom < 1 or float(np.abs(law.residuals).max()) <= TIED:
        return unknown, "nothing"
    theta, log_x = vector(law), np.log(x)
    steps = np.eye(len(theta)) * 1e-5
    form = LOG_LAWS[law.form.name]
    slopes = [(form(theta + step, log_x) - form(theta - step, log_x)) / 2e-5 for step in steps]
    jacobian = np.stack(slopes, axis=1)
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    variance = float(law.residuals @ law.residuals) / freedom
    margin = stats.t.ppf(0.5 + LEVEL / 2, freedom) * np.sqrt(variance * np.diag(inverse))
    return in_units(law, margin, 0), "residuals"


def in_units(law: Law, margin: Sequence[float] | Array, units: int) -> dict[str, Interval]:
    """Return intervals of fitted parameters in units of x and y."""
    intervals = {}
    with np.errstate(over="ignore"):
        for name, middle, half in zip(law.form.parameters, vector(law), margin, strict=True):
            low, high = float(middle - half), float(middle + half)
            if name not in IS_PLAIN:
                low, high = float(np.exp(low)), float(np.exp(high))
            intervals[name] = Interval(low, high, LEVEL, units)
    return intervals
