"""Fits: slopes of logarithms, power laws, monotone means."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

__all__ = ["FittedLaw", "fit_power_law", "huber_line", "isotonic", "log_slope", "seed_slopes"]

HUBER = 0.1
"""Residuals of ln y beyond this count linearly: a tenth is 10 % of y."""

OFFSET_STARTS = 27
"""Starts of a fit with an offset: those of `fit_parameters`."""

Array = NDArray[np.float64]


def seed_slopes(table: pd.DataFrame) -> Array:
    """Return the slope of ln value against ln column for each row of `table`, a seed.

    One number a seed: seeds are independent, so a t interval of these is one of the slope, and with
    five seeds it keeps its level where a percentile bootstrap does not.

    Args:
        table: A row a seed and a column a place on the axis; positive.
    """
    if table.empty:
        return np.zeros(0)
    places = np.log(table.columns.to_numpy(float))
    centred = places - places.mean()
    slopes: Array = np.log(table.to_numpy(float)) @ centred / (centred @ centred)
    return slopes


def log_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the least-squares slope of ln y against ln x; NaN below two positive points."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = (xs > 0) & (ys > 0) & np.isfinite(xs) & np.isfinite(ys)
    if len(set(xs[keep].tolist())) < 2:
        return float("nan")
    return float(np.polyfit(np.log(xs[keep]), np.log(ys[keep]), 1)[0])


def isotonic(values: ArrayLike, *, sign: int = 1) -> Array:
    """Return the nearest values in least squares that grow (`sign` 1) or fall (-1) throughout.

    References:
        Barlow, Bartholomew, Bremner and Brunk 1972.
    """
    fitted: Array = optimize.isotonic_regression(np.asarray(values, float), increasing=sign > 0).x
    return fitted


class FittedLaw(NamedTuple):
    """A fitted law y = offset + amplitude x^exponent.

    Attributes:
        exponent: Dimensionless.
        amplitude: In units of y, at x = 1.
        offset: In units of y; 0 where none was fitted.
        residuals: ln y less the fitted ln y, a point each.
        held_out: ln y less its prediction at the largest x, from a fit without it; NaN below 4
            points.
        agreement: Share of the starts that reached the best loss.
    """

    exponent: float
    amplitude: float
    offset: float
    residuals: Array
    held_out: float
    agreement: float

    def predict(self, x: ArrayLike) -> Array:
        """Return the law at `x`."""
        law: Array = self.offset + self.amplitude * np.asarray(x, float) ** self.exponent
        return law


def fit_power_law(x: ArrayLike, y: ArrayLike, *, with_offset: bool = False) -> FittedLaw:
    """Fit a power law to positive points in log space with Huber's loss from several starts.

    Args:
        x: Abscissae, positive.
        y: Ordinates, positive.
        with_offset: Whether to fit y = offset + amplitude x^exponent with an offset of at least 0.

    Raises:
        ValueError: If there are fewer than 2 different abscissae (3 with an offset), or a number is
            not positive and finite.

    References:
        Hoffmann et al. 2022, Approach 3 (Huber loss of log residuals, many starts); the held-out
        largest scale follows the advice of Besiroglu et al. 2024 (arXiv:2404.10102) to show what a
        fit predicts.
    """
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    needed = 3 if with_offset else 2
    is_positive = all(((each > 0) & np.isfinite(each)).all() for each in (xs, ys))
    if len(set(xs.tolist())) < needed or not is_positive:
        raise ValueError(
            f"a power law needs {needed} positive points at different x, but got x={xs}, y={ys}"
        )
    exponent, amplitude, offset, agreement = fit_parameters(xs, ys, with_offset=with_offset)
    law = offset + amplitude * xs**exponent
    held_out = float("nan")
    if len(set(xs.tolist())) > needed + 1:
        last = xs.argmax()
        keep = np.arange(len(xs)) != last
        b, a, e, _ = fit_parameters(xs[keep], ys[keep], with_offset=with_offset)
        held_out = float(np.log(ys[last]) - np.log(e + a * xs[last] ** b))
    return FittedLaw(exponent, amplitude, offset, np.log(ys) - np.log(law), held_out, agreement)


def fit_parameters(x: Array, y: Array, *, with_offset: bool) -> tuple[float, float, float, float]:
    """Return exponent, amplitude, offset and the agreement of the starts.

    Without an offset the loss is convex, so reweighted least squares find its only minimum.
    """
    slope, intercept = huber_line(np.log(x), np.log(y))
    if not with_offset:
        return slope, float(np.exp(intercept)), 0.0, 1.0

    def residual(parameters: Array) -> Array:
        log_law = np.logaddexp(parameters[1] + parameters[0] * np.log(x), parameters[2])
        difference: Array = np.log(y) - log_law
        return difference

    starts = [
        np.array([slope * factor, intercept + shift, np.log(y.min()) - drop])
        for factor in (0.5, 1.0, 2.0)
        for shift in (-1.0, 0.0, 1.0)
        for drop in (0.01, 1.0, 4.0)
    ]
    fits = [
        optimize.least_squares(residual, start, loss="huber", f_scale=HUBER) for start in starts
    ]
    best = min(fits, key=lambda fit: fit.cost)
    agreement = np.mean([fit.cost <= best.cost * (1 + 1e-6) + 1e-12 for fit in fits])
    return float(best.x[0]), float(np.exp(best.x[1])), float(np.exp(best.x[2])), float(agreement)


def huber_line(x: Array, y: Array) -> tuple[float, float]:
    """Return slope and intercept of the line with the least Huber loss.

    It is found by reweighted least squares.

    References:
        Huber 1981, ch. 7.8 (modified weights; the loss falls at every step).
    """
    weights = np.ones_like(x)
    slope = intercept = 0.0
    for _ in range(200):
        total = weights.sum()
        mean_x, mean_y = (weights @ x) / total, (weights @ y) / total
        before = slope
        slope = float(weights @ ((x - mean_x) * (y - mean_y)) / (weights @ (x - mean_x) ** 2))
        intercept = float(mean_y - slope * mean_x)
        size = np.abs(y - intercept - slope * x)
        weights = np.minimum(1.0, HUBER / np.maximum(size, 1e-300))
        if abs(slope - before) <= 1e-12 * max(1.0, abs(slope)):
            break
    return slope, intercept
