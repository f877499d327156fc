"""What a program may report: a step and named numbers or truths."""

import math
import operator
import re
from collections.abc import Mapping
from typing import Any, Literal

from symstudy.quantities import LARGEST_EXACT

__all__ = [
    "CONVERGED",
    "Kind",
    "MetricError",
    "check_step",
    "checked",
    "kind_of",
    "plain_value",
    "widened",
]

Kind = Literal["count", "number", "truth"]
CONVERGED = "converged"
"""Metric that says whether a run counts as converged: claims read it."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
LARGEST_STEP = 2**63
"""Steps from this on do not fit a column."""


class MetricError(ValueError):
    """A report that a run cannot make; the run fails."""


def check_step(step: object) -> int:
    """Return the step of a report.

    Raises:
        MetricError: If it is no integer from 0 on.
    """
    try:
        found = -1 if isinstance(step, bool) else operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        found = -1
    if not 0 <= found < LARGEST_STEP:
        raise MetricError(f"the step of a report must be an integer from 0 on, but got {step!r}.")
    return found


def checked(metrics: Mapping[str, Any], taken: Mapping[str, str]) -> dict[str, Any]:
    """Return metrics as they are recorded: plain values, by names in small letters.

    SQL does not tell `Loss` from `loss`, so nor do we.

    Args:
        metrics: Values by name.
        taken: What each name stands for that no metric may have.

    Raises:
        MetricError: If one cannot be recorded.
    """
    found: dict[str, Any] = {}
    for given, value in metrics.items():
        name = check_name(given, taken)
        if name in found:
            raise MetricError(
                f"metrics must differ in more than case, since SQL takes {given!r} and another for "
                "one column. Report one of them under another name."
            )
        found[name] = plain_value(given, value)
    return found


def check_name(name: object, taken: Mapping[str, str]) -> str:
    """Return the name of a metric as its column has it: in small letters.

    Args:
        name: The name.
        taken: What each name stands for that no metric may have.

    Raises:
        MetricError: If it is none, or another column's.
    """
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        plain = re.sub(r"\W", "_", str(name))
        raise MetricError(
            "a metric must be named by letters, digits and _, since it is a column of SQL, but got "
            f"{name!r}. Report it as {plain!r}."
        )
    if name.lower() in taken:
        raise MetricError(
            f"a metric must have a name of its own, but {name!r} is {taken[name.lower()]}. Report "
            f"it as {'program_' + name!r}, or not at all."
        )
    return name.lower()


def plain_value(name: str, value: Any) -> bool | int | float:
    """Return the value of a metric as a number or a truth of Python; of infinities NaN.

    Args:
        name: The metric.
        value: A number, a truth, or an array or tensor of one.

    Raises:
        MetricError: If it is something else.
    """
    if not isinstance(value, bool | int | float) and hasattr(value, "item"):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            shape = tuple(getattr(value, "shape", ()))
            raise MetricError(
                f"a metric must be one number, but {name!r} is an array of shape {shape}. Report "
                f"its mean, or each entry under a name of its own."
            ) from None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST_EXACT:
            raise MetricError(
                "a metric must be a whole number of at most 2^53 in size, so that no column rounds "
                f"it, but {name!r} is {value}. Report it as float({name}), rounded, or in two "
                f"parts: {name} // 2**32 and {name} % 2**32."
            )
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else math.nan
    raise MetricError(
        f"a metric must be a number, or true or false, but {name!r} is {str(value)[:60]!r}, of "
        f"type {type(value).__name__}. Leave it out, or write it to a file in the run's folder."
    )


def kind_of(value: float) -> Kind:
    """Return the kind of column that holds a plain value."""
    if isinstance(value, bool):
        return "truth"
    return "count" if isinstance(value, int) else "number"


def widened(name: str, before: Kind | None, value: float) -> Kind:
    """Return the kind of a metric's column once it holds `value` too.

    Raises:
        MetricError: If truths and numbers are mixed.
    """
    kind = kind_of(value)
    if name == CONVERGED and kind != "truth":
        raise MetricError(f"{CONVERGED!r} must be true or false, but got {value!r}.")
    if before is None or before == kind:
        return kind
    if "truth" in (before, kind):
        words = {"truth": "true or false", "count": "a number", "number": "a number"}
        raise MetricError(
            f"a metric must keep its type, but {name!r} was {words[before]} and is {value!r} now."
        )
    return "number"
