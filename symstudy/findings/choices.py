"""What a declared table of runs is made by: conditions, choices of rows, columns worked out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

__all__ = ["Derived", "Exclusion", "Grouped", "Selection"]


@dataclass(frozen=True)
class Exclusion:
    """A condition that a run must meet to be evidence.

    Attributes:
        condition: SQL over the columns of the source; null counts as false.
        why: What is wrong with a run that does not meet it.
    """

    condition: str
    why: str


@dataclass(frozen=True)
class Selection:
    """A choice of runs by the value of a column, among runs that are evidence.

    Attributes:
        column: Column that is looked at.
        pick: `value`, `largest`, `smallest` or `above`.
        value: The value, for `value` and `above`.
        over: Column of which there must be `places` values at the largest; none if empty.
        places: Fewest values of `over`.
    """

    column: str
    pick: Literal["value", "largest", "smallest", "above"]
    value: Any = None
    over: str = ""
    places: int = 0

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that are looked at."""
        return (self.column, self.over) if self.over else (self.column,)

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows that are chosen."""
        values = frame[self.column]
        if self.pick == "above":
            return frame[values > self.value]
        if self.pick == "value" or frame.empty:
            return frame[values == self.value] if self.pick == "value" else frame
        if self.over:
            known = frame.groupby(self.column)[self.over].nunique()
            enough = known.index[known >= self.places]
            # Where no value has enough places, the rule says of the largest that it lacks them.
            values = values.where(values.isin(enough)) if len(enough) else values
        return frame[values == (values.max() if self.pick == "largest" else values.min())]

    @property
    def words(self) -> str:
        """The choice in words, for a rule."""
        if self.pick == "value":
            shown = f"{self.value:g}" if isinstance(self.value, int | float) else str(self.value)
            return f"{self.column} = {shown}"
        if self.pick == "above":
            return f"{self.column} > {self.value:g}"
        enough = f" with at least {self.places} values of {self.over}" if self.over else ""
        return f"the {self.pick} {self.column}{enough}"


class Derived(NamedTuple):
    """A column that is worked out from others.

    Attributes:
        name: Name of the column.
        function: From the columns named by its parameters to a value, a row at a time.
    """

    name: str
    function: Callable[..., Any]

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that the function takes."""
        return parameters(self.function)

    def before(self, wanted: dict[str, None]) -> dict[str, None]:
        """Return the columns that it takes to know those of `wanted`."""
        if self.name not in wanted:
            return wanted
        return dict.fromkeys([*(name for name in wanted if name != self.name), *self.needs])

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with the column, if the columns that it takes were read."""
        if not set(self.needs) <= set(frame):
            return frame
        rows = frame[list(self.needs)].itertuples(index=False)
        return frame.assign(**{self.name: [self.function(*row) for row in rows]})


class Grouped(NamedTuple):
    """Numbers that are worked out from all rows of a group, which becomes one row.

    Attributes:
        keys: Columns whose values make a group.
        functions: Name of each new column, and the function from arrays, the columns named by its
            parameters over the rows of a group, to its value.
    """

    keys: tuple[str, ...]
    functions: tuple[tuple[str, Callable[..., Any]], ...]

    def before(self, wanted: dict[str, None]) -> dict[str, None]:
        """Return the columns that it takes to make the groups and their numbers."""
        del wanted
        needs = [name for _, function in self.functions for name in parameters(function)]
        return dict.fromkeys([*self.keys, *needs])

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a row a group."""
        rows = [
            [*key, *(apply_to(function, group) for _, function in self.functions)]
            for key, group in frame.groupby(list(self.keys), dropna=False)
        ]
        return pd.DataFrame(rows, columns=[*self.keys, *(name for name, _ in self.functions)])


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the columns that a function takes."""
    return tuple(inspect.signature(function).parameters)


def apply_to(function: Callable[..., Any], rows: pd.DataFrame) -> Any:
    """Return a function of the columns of `rows`, as arrays."""
    return function(*(rows[name].to_numpy() for name in parameters(function)))
