"""Scaling laws of the lines of a figure: fitted, or the reason why not."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from symstudy.errors import UserError, unknown_name
from symstudy.plots.labels import number_label
from symstudy.plots.points import Points, keys_of, read_units
from symstudy.plots.source import Source
from symstudy.statistics.scaling_forms import FORMS
from symstudy.statistics.scaling_laws import ScalingFit, fit_scaling

__all__ = ["FITS", "GroupLaw", "fit_lines", "law_words", "read_form"]

NONE = "none"
FITS = (*FORMS, NONE)
"""What `--fit` takes."""


class GroupLaw(NamedTuple):
    """The law of one line.

    Attributes:
        group: Values of the columns that tell the line from others.
        fit: What was fitted; None where nothing could be.
        reason: Why nothing was fitted; of what was fitted, what was left out or not held out, and
            whether it could be off at all. Empty if there is nothing to say.
    """

    group: Mapping[str, Any]
    fit: ScalingFit | None
    reason: str = ""

    @property
    def exponent(self) -> float:
        """The fitted exponent.

        Raises:
            UserError: If nothing could be fitted.
        """
        return self.fitted.law.exponent

    @property
    def fitted(self) -> ScalingFit:
        """The fit.

        Raises:
            UserError: If there is none.
        """
        if self.fit is None:
            raise UserError(f"a law must have been fitted, but it was not: {self.reason}.")
        return self.fit

    def to_json(self) -> dict[str, Any]:
        """Return all numbers, unrounded, as plain values."""
        values: dict[str, Any] = {"group": dict(self.group), "reason": self.reason}
        fit = self.fit
        if fit is None:
            return {**values, "form": None}
        law = fit.law
        return {
            **values,
            "form": law.form.name,
            "formula": law.form.formula,
            "parameters": dict(law.parameters),
            "intervals": {
                name: {"low": one.low, "high": one.high, "level": one.level}
                if math.isfinite(one.high)
                else None
                for name, one in fit.intervals.items()
            },
            "intervals_from": fit.source,
            "places": fit.places,
            "seeds": fit.seeds,
            "values": fit.num_values,
            "bic": {rival.form.name: rival.bic for rival in fit.rivals},
            "starts": law.starts,
            "agreed": law.agreed,
            "has_converged": law.has_converged,
            "held_out": [
                {"x": x, "error": math.expm1(error), "log_error": error}
                for x, error in zip(fit.held_out, fit.errors, strict=True)
            ],
        }


def read_form(text: str) -> str:
    """Return the name of a form, or `none`.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if text not in FITS:
        raise unknown_name("--fit", text, FITS)
    return text


def fit_lines(source: Source, points: Points, form: str, hold_out: int) -> tuple[GroupLaw, ...]:
    """Return the law of each line of a figure; none at all where none is asked for.

    Raises:
        UserError: If places are texts, or so many cannot be held out.
    """
    if form == NONE:
        return ()
    selection = points.selection
    if not selection.has_numeric_x:
        raise UserError(
            f"a law must be along numbers, but {selection.x} holds "
            f"{selection.columns.kinds[selection.x].lower()}. Type --fit none."
        )
    if hold_out < 0:
        raise UserError(f"--hold-out must be at least 0, but got {hold_out}. Type --hold-out 1.")
    units = read_units(source, points)
    keys = keys_of(selection)[1:]
    if not keys:
        return (fit_group({}, units, form, hold_out),)
    laws = []
    for values, rows in units.groupby(keys, dropna=False, sort=True):
        group = dict(zip(selection.by, values, strict=True))
        laws.append(fit_group(group, rows, form, hold_out))
    return tuple(laws)


def fit_group(group: Mapping[str, Any], rows: pd.DataFrame, form: str, hold_out: int) -> GroupLaw:
    """Return the law of one line."""
    is_place = rows["place"] > 0
    total = (rows["value"] * rows["count"]).groupby(rows["place"]).sum()
    low = sorted(place for place, value in total.items() if place > 0 and not value > 0)
    left = rows[is_place]
    places = left["place"].nunique()
    if low:
        shown = ", ".join(number_label(float(place)) for place in low[:3])
        return GroupLaw(group, None, f"the mean is not positive at {shown}")
    if places < FORMS[form].fewest:
        needed = FORMS[form].fewest
        return GroupLaw(group, None, f"{places} positive places, and {form} needs {needed}")
    plain = left.astype({"place": float, "value": float})
    fit = fit_scaling(plain, form, hold_out)
    remarks = remarks_on(fit, rows["place"].nunique() - places, hold_out)
    return GroupLaw(group, fit, "; ".join(remarks))


def remarks_on(fit: ScalingFit, dropped: int, hold_out: int) -> list[str]:
    """Return what a reader must know of a fit that left places out, or was to hold some out."""
    form, remarks = fit.law.form, []
    if dropped:
        remarks.append(f"{dropped} place{'s' * (dropped > 1)} at 0 or below not in the fit")
    if fit.places == form.fewest:
        remarks.append(
            f"{form.name} has as many parameters as there are places, and goes through any "
            f"{fit.places}"
        )
    if hold_out and not fit.held_out:
        remarks.append(
            f"none held out: {max(fit.places - hold_out, 0)} would be left, and {form.name} is "
            f"predicted from {form.fewest + 1} or more"
        )
    return remarks


def law_words(law: GroupLaw) -> str:
    """Return the exponent with its interval in a few characters; why there is none, otherwise."""
    if law.fit is None:
        return f"no law: {law.reason}"
    parameters, intervals = law.fit.law.parameters, law.fit.intervals
    told = [with_interval(r"\alpha", parameters["exponent"], intervals["exponent"])]
    if "exponent_after" in parameters:
        second = with_interval(
            r"\alpha'", parameters["exponent_after"], intervals["exponent_after"]
        )
        told.append(f"{second} above {number_label(parameters['break_at'])}")
    if "floor" in parameters:
        told.append(f"floor {number_label(parameters['floor'])}")
    return ", ".join(told)


def with_interval(symbol: str, value: float, interval: Any) -> str:
    """Return a number with its interval, if it has one."""
    ends = ""
    if math.isfinite(interval.high):
        ends = f" [{number_label(interval.low)}, {number_label(interval.high)}]"
    return f"${symbol}$ = {number_label(value)}{ends}"
