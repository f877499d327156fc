"""Forms of a scaling law y(x), and one of them fitted to points.

A form is fitted in log space with Huber's loss (`symstudy.statistics.fits`), so that a point counts
by its relative error.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from symstudy.statistics.fits import HUBER, OFFSET_STARTS, fit_parameters

__all__ = [
    "FORMS",
    "IS_PLAIN",
    "LOG_LAWS",
    "Array",
    "Form",
    "Law",
    "descend",
    "fit_law",
    "huber",
    "solve",
    "vector",
]

EXACT = 1e-12
"""Mean square of ln residuals that is taken for rounding: below, no form beats another."""

Array = NDArray[np.float64]


class Form(NamedTuple):
    """A form of a scaling law.

    Attributes:
        name: Name, as `--fit` takes it.
        formula: What it is, in plain text.
        parameters: Names of its parameters, the exponent first.
        fewest: Places that it needs.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]

    @property
    def fewest(self) -> int:
        """Places that the form needs: as many as it has parameters."""
        return len(self.parameters)


class Law(NamedTuple):
    """A form fitted to points.

    Attributes:
        form: The form.
        parameters: Value of each parameter.
        residuals: ln y less the fitted ln y, a point each.
        bic: Bayesian information criterion of the ln residuals; lower is better.
        starts: Starts of the optimiser; 1 where the problem is convex.
        agreed: Starts that reached the least loss.
        has_converged: Whether an optimiser that starts at the solution stays there.
    """

    form: Form
    parameters: Mapping[str, float]
    residuals: Array
    bic: float
    starts: int
    agreed: int
    has_converged: bool

    @property
    def exponent(self) -> float:
        """The exponent; of a broken law that before the break."""
        return self.parameters["exponent"]

    def predict(self, x: ArrayLike) -> Array:
        """Return the law at `x`."""
        values = np.asarray(x, float)
        law: Array = np.exp(LOG_LAWS[self.form.name](vector(self), np.log(values)))
        return law


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form("power", "y = amplitude x^exponent", ("exponent", "amplitude")),
            Form(
                "power+floor",
                "y = floor + amplitude x^exponent",
                ("exponent", "amplitude", "floor"),
            ),
            Form(
                "broken",
                "y = amplitude (x / break_at)^exponent, and exponent_after where x > break_at",
                ("exponent", "amplitude", "exponent_after", "break_at"),
            ),
        )
    }
)
"""The forms, by name."""


def power(theta: Array, log_x: Array) -> Array:
    """Return ln y of a power law with the parameters exponent and ln amplitude."""
    law: Array = theta[1] + theta[0] * log_x
    return law


def power_and_floor(theta: Array, log_x: Array) -> Array:
    """Return ln y of a power law above a floor; the third parameter is its logarithm."""
    law: Array = np.logaddexp(power(theta, log_x), theta[2])
    return law


def broken(theta: Array, log_x: Array) -> Array:
    """Return ln y of two power laws that meet: exponent, ln amplitude, exponent after, ln break."""
    apart = log_x - theta[3]
    law: Array = theta[1] + np.where(apart > 0, theta[2], theta[0]) * apart
    return law


LOG_LAWS: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType(
    {"power": power, "power+floor": power_and_floor, "broken": broken}
)


IS_PLAIN = frozenset(("exponent", "exponent_after"))
"""Parameters that are fitted as they are; of the others the logarithm is."""


class Solution(NamedTuple):
    """What an optimiser found.

    Attributes:
        theta: Parameters as they are fitted.
        starts: Number of starts.
        agreed: Starts that reached the least loss.
    """

    theta: Array
    starts: int
    agreed: int


def fit_law(form: str, x: ArrayLike, y: ArrayLike) -> Law:
    """Fit one form to positive points.

    Args:
        form: Name of a form.
        x: Abscissae, positive.
        y: Ordinates, positive.

    Raises:
        ValueError: If there are fewer different x than parameters, or a value is not positive.

    References:
        Hoffmann et al. 2022, Approach 3, for the loss and the starts. Caballero et al. 2023
        (arXiv:2210.14891) for broken laws: ours has one break, sharp, and no floor. Machado 1993
        (Econometric Theory 9) for the information criterion of the loss that is minimised, which
        no form with one parameter more can make worse.
    """
    wanted = FORMS[form]
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    is_positive = bool((xs > 0).all() and (ys > 0).all())
    if not is_positive or not np.isfinite([*xs, *ys]).all() or len(set(xs)) < wanted.fewest:
        raise ValueError(
            f"the form {form} needs {wanted.fewest} different positive places, but got x={xs}, "
            f"y={ys}"
        )
    log_x, log_y = np.log(xs), np.log(ys)
    found = solve(form, xs, ys)
    residuals = log_y - LOG_LAWS[form](found.theta, log_x)
    return Law(
        form=wanted,
        parameters=named(wanted, found.theta),
        residuals=residuals,
        bic=information(residuals, len(wanted.parameters)),
        starts=found.starts,
        agreed=found.agreed,
        has_converged=stays(form, found.theta, log_x, log_y),
    )


def solve(form: str, x: Array, y: Array) -> Solution:
    """Return the parameters with the least Huber loss of ln residuals."""
    if form == "broken":
        return fit_broken(np.log(x), np.log(y))
    exponent, amplitude, floor, agreement = fit_parameters(x, y, with_offset=form != "power")
    if form == "power":
        return Solution(np.array([exponent, math.log(amplitude)]), 1, 1)
    tiny = float(np.finfo(float).tiny)
    theta = np.array([exponent, *np.log(np.maximum([amplitude, floor], tiny))])
    return Solution(theta, OFFSET_STARTS, round(agreement * OFFSET_STARTS))


def fit_broken(log_x: Array, log_y: Array) -> Solution:
    """Fit two lines that meet: between two neighbouring places the loss is smooth in the break."""
    places = np.unique(log_x)
    ends = list(itertools.pairwise(places))
    inner = ends[1:-1] or ends

    def residual(theta: Array) -> Array:
        return log_y - broken(theta, log_x)

    fits = []
    for low, high in inner:
        for share in (0.25, 0.75):
            start = np.array([*two_lines(log_x, log_y, low + share * (high - low))])
            bounds = ([-np.inf, -np.inf, -np.inf, low], [np.inf, np.inf, np.inf, high])
            fits.append(
                optimize.least_squares(residual, start, loss="huber", f_scale=HUBER, bounds=bounds)
            )
    best = min(fits, key=lambda fit: float(fit.cost))
    agreed = sum(fit.cost <= best.cost * (1 + 1e-6) + 1e-12 for fit in fits)
    return Solution(np.asarray(best.x, float), len(fits), int(agreed))


def two_lines(log_x: Array, log_y: Array, at: float) -> tuple[float, float, float, float]:
    """Return the least-squares lines that meet at `at`: slope, height, slope after, and `at`."""
    apart = log_x - at
    design = np.stack([np.minimum(apart, 0), np.ones_like(apart), np.maximum(apart, 0)], axis=1)
    before, height, after = np.linalg.lstsq(design, log_y, rcond=None)[0]
    return float(before), float(height), float(after), float(at)


def named(form: Form, theta: Array) -> Mapping[str, float]:
    """Return parameters by name, in units of x and y."""
    return MappingProxyType(
        {
            name: float(value) if name in IS_PLAIN else float(np.exp(value))
            for name, value in zip(form.parameters, theta, strict=True)
        }
    )


def vector(law: Law) -> Array:
    """Return the parameters of a law as they are fitted."""
    tiny = float(np.finfo(float).tiny)
    return np.array(
        [
            value if name in IS_PLAIN else math.log(max(value, tiny))
            for name, value in law.parameters.items()
        ]
    )


def huber(residuals: Array) -> float:
    """Return the mean Huber loss, twice: the mean square where all residuals are small."""
    size = np.abs(residuals)
    return float(np.mean(np.where(size <= HUBER, size**2, 2 * HUBER * size - HUBER**2)))


def information(residuals: Array, parameters: int) -> float:
    """Return the BIC of ln residuals under Huber's loss; lower is better."""
    count = len(residuals)
    return count * math.log(max(huber(residuals), EXACT)) + parameters * math.log(count)


def stays(form: str, theta: Array, log_x: Array, log_y: Array) -> bool:
    """Return whether an optimiser that starts at a solution finds no smaller loss."""
    before = huber(log_y - LOG_LAWS[form](theta, log_x))
    after = huber(log_y - LOG_LAWS[form](descend(form, theta, log_x, log_y), log_x))
    return before - after <= 1e-6 * before + EXACT


def descend(form: str, start: Array, log_x: Array, log_y: Array) -> Array:
    """Return the parameters of a form where an optimiser ends that starts at `start`."""

    def residual(theta: Array) -> Array:
        difference: Array = log_y - LOG_LAWS[form](theta, log_x)
        return difference

    fit = optimize.least_squares(residual, start, loss="huber", f_scale=HUBER)
    return np.asarray(fit.x, float)
