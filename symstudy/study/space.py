"""The space of a search: fields and the ranges that they are taken from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from symstudy.components.check import SMALLEST, is_too_small
from symstudy.errors import Mistake
from symstudy.study.sweep import is_pair, without_condition

__all__ = ["Dimension", "Space", "read_space"]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One field of a space.

    Attributes:
        field: Dotted name, such as `train.gamma`.
        kind: `log` or `linear` for a range, `choice` for a list.
        low: Lower end of a range.
        high: Upper end of a range.
        is_integer: Whether only integers are taken.
        values: Of a list.
    """

    field: str
    kind: Literal["log", "linear", "choice"]
    low: float = 0.0
    high: float = 1.0
    is_integer: bool = False
    values: tuple[Any, ...] = ()

    @property
    def ends(self) -> tuple[Any, ...]:
        """Both ends of a range, or all values of a list."""
        if self.kind == "choice":
            return self.values
        return (int(self.low), int(self.high)) if self.is_integer else (self.low, self.high)

    def at(self, share: float) -> Any:
        """Return the value at a share from 0 to 1 of the way through the dimension.

        Integers and the values of a list have equal parts of the way, on the range's own scale.
        """
        if self.kind == "choice":
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        low, high = self.edges
        x = low + share * (high - low)
        value = math.exp(x) if self.kind == "log" else x
        if self.is_integer:
            return int(min(max(round(value), self.low), self.high))
        # Nine digits say more than any search resolves, and are the same on every machine.
        return min(max(float(f"{value:.9g}"), self.low), self.high)

    def share(self, value: Any) -> float:
        """Return where a value lies, from 0 to 1; the middle of its part for a list."""
        if self.kind == "choice":
            return (self.values.index(value) + 0.5) / len(self.values)
        low, high = self.edges
        return ((math.log(value) if self.kind == "log" else value) - low) / (high - low)

    def holds(self, value: Any) -> bool:
        """Return whether a value may be asked for."""
        if self.kind == "choice":
            return value in self.values
        is_number = isinstance(value, int if self.is_integer else float)
        return is_number and bool(self.low <= value <= self.high)

    @property
    def edges(self) -> tuple[float, float]:
        """The ends on the range's own scale; half an integer further out for integers."""
        margin = 0.5 if self.is_integer else 0.0
        low, high = self.low - margin, self.high + margin
        return (math.log(low), math.log(high)) if self.kind == "log" else (low, high)


class Space(NamedTuple):
    """What a search varies.

    Attributes:
        dimensions: A dimension a field.
        conditions: For each field that is searched only where a condition holds, the condition.
    """

    dimensions: tuple[Dimension, ...]
    conditions: dict[str, Any]


def read_space(
    table: Mapping[str, Any],
    lines: Mapping[str, int],
    is_whole: Callable[[str], bool | None] = lambda _: None,
) -> tuple[Space, list[Mistake]]:
    """Return the dimensions that the flat `[search.space]` table declares, and what is wrong.

    Args:
        table: Dotted field to a range `{log = [low, high]}` or `{linear = [low, high]}`, or a list;
            a range may have a condition beside it, and so may `{values = [...]}`.
        lines: Line of each dotted key of the file.
        is_whole: Whether a field is of whole numbers; None where nothing says.
    """
    space: list[Dimension] = []
    conditions: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for name, value in table.items():
        key = f"search.space.{name}"
        try:
            plain, condition = without_condition(value)
            whole = is_whole(name) if isinstance(plain, dict) else None
            space.append(read_dimension(name, plain, is_whole=whole))
            if condition is not None:
                conditions[name] = condition
        except ValueError as error:
            line = lines.get(key, lines.get("search.space", lines.get("search", 0)))
            mistakes.append(Mistake(line=line, key=key, what=str(error)))
    return Space(tuple(space), conditions), mistakes


def read_dimension(name: str, value: object, *, is_whole: bool | None = None) -> Dimension:
    """Return one dimension; of integers where both ends are, unless the field is not of such.

    Args:
        name: Dotted name of the field.
        value: Range or list as written.
        is_whole: Whether the field is of whole numbers; None where nothing says.

    Raises:
        ValueError: If it is not one; says what must hold.
    """
    if isinstance(value, list):
        texts = [repr(item) for item in value]
        if len(value) < 2 or len(set(texts)) < len(texts):
            raise ValueError(f"must list at least two different values, but got {value!r}")
        if not all(isinstance(item, str | int | float | bool) for item in value):
            raise ValueError(f"must list numbers, strings or booleans, but got {value!r}")
        return Dimension(field=name, kind="choice", values=tuple(value))
    kind: Literal["log", "linear"] = (
        "log" if isinstance(value, dict) and "log" in value else "linear"
    )
    ends = value.get(kind) if isinstance(value, dict) else None
    if not isinstance(value, dict) or set(value) != {kind} or not is_pair(ends):
        raise ValueError(
            "must be {log = [low, high]}, {linear = [low, high]} or a list of values, but got "
            f"{value!r}"
        )
    assert isinstance(ends, list), "a pair is a list"
    low, high = ends
    if not low < high:
        raise ValueError(f"the first end must be below the second, but got {low!r} and {high!r}")
    if kind == "log" and low <= 0:
        raise ValueError(f"a log range must start above 0, but got {low!r}")
    if any(map(is_too_small, (low, high))):
        raise ValueError(
            f"the ends of a range must be 0, or at least {SMALLEST:.3g} in size, as training "
            f"tells them from 0, but got {low!r} and {high!r}"
        )
    is_integer = isinstance(low, int) and isinstance(high, int) and is_whole is not False
    if is_integer and is_whole is None and high - low == 1:
        raise ValueError(
            f"must say whether numbers between are meant: type [{float(low)!r}, {float(high)!r}] "
            f"for these, or the list [{low}, {high}], but got {value!r}"
        )
    return Dimension(
        field=name,
        kind=kind,
        low=low if is_integer else float(low),
        high=high if is_integer else float(high),
        is_integer=is_integer,
    )
