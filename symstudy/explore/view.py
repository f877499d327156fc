"""What the page has chosen to look at: conditions on columns, as SQL."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from symstudy.errors import UserError, choices
from symstudy.explore.columns import PageColumn
from symstudy.store import quoted

__all__ = [
    "Condition",
    "RequestError",
    "View",
    "column_in",
    "conditions",
    "literal",
    "read_view",
    "where",
]

MOST_VALUES = 1000
"""Values of one condition."""


class RequestError(UserError, ValueError):
    """A request of the page that cannot be answered as it is."""


class Condition(NamedTuple):
    """What a column must hold.

    Attributes:
        column: Its name.
        values: Any of these; None for a range.
        low: From here.
        high: To here.
    """

    column: str
    values: tuple[Any, ...] | None
    low: float = -math.inf
    high: float = math.inf

    def sql(self) -> str:
        """Return the condition as SQL."""
        name = quoted(self.column)
        if self.values is None:
            return f"{name} between {literal(self.low)} and {literal(self.high)}"
        plain = [literal(value) for value in self.values if value is not None]
        parts = [f"{name} in ({', '.join(plain)})"] if plain else []
        if None in self.values:
            parts.append(f"{name} is null")
        return f"({' or '.join(parts)})" if len(parts) > 1 else "".join(parts) or "false"


class View(NamedTuple):
    """The runs that are looked at.

    Attributes:
        conditions: All must hold.
        columns: The columns there are, by name.
    """

    conditions: tuple[Condition, ...]
    columns: Mapping[str, PageColumn]

    def column(self, name: object) -> PageColumn:
        """Return a column of runs.

        Raises:
            RequestError: If there is none of that name.
        """
        return column_in(self.columns, name)

    def number(self, name: object) -> PageColumn:
        """Return a column of numbers.

        Raises:
            RequestError: If there is none of that name.
        """
        column = self.column(name)
        if column.kind != "number":
            raise RequestError(
                f"what is averaged must be a number, but {column.name!r} is {column.kind}. "
                "Choose another measure."
            )
        return column

    def without(self, column: str) -> "View":
        """Return the same without the conditions on a column."""
        return self._replace(
            conditions=tuple(each for each in self.conditions if each.column != column)
        )

    def only(self, *columns: str) -> "View":
        """Return the same with the conditions on some columns alone."""
        return self._replace(
            conditions=tuple(each for each in self.conditions if each.column in columns)
        )

    def with_values(self, column: str, *values: Any) -> "View":
        """Return the same with a column held at some values."""
        return self._replace(conditions=(*self.conditions, Condition(column, values)))

    @property
    def varying(self) -> list[str]:
        """The swept hyperparameters that are not held at one value."""
        held = {each.column for each in self.conditions if each.values and len(each.values) == 1}
        return [c.name for c in self.columns.values() if c.is_swept and c.name not in held]


def column_in(columns: Mapping[str, PageColumn], name: object) -> PageColumn:
    """Return a column by its name.

    Raises:
        RequestError: If there is none of that name.
    """
    if not isinstance(name, str) or name not in columns:
        raise RequestError(
            f"a column must be one of runs, but got {name!r}. {choices(str(name), list(columns))}"
        )
    return columns[name]


def read_view(values: object, columns: Mapping[str, PageColumn]) -> View:
    """Return the conditions that a request names.

    Args:
        values: From a column to `{"values": [...]}` or `{"low": ..., "high": ...}`; of any type.
        columns: The columns there are.

    Raises:
        RequestError: If it is of another form.
    """
    if not isinstance(values, dict):
        raise RequestError(f"filters must be an object, but got {values!r}. Reset the filters.")
    return View(tuple(read_condition(column_in(columns, k), v) for k, v in values.items()), columns)


def read_condition(column: PageColumn, values: object) -> Condition:
    """Return a condition that a request names.

    Raises:
        RequestError: If it is of another form.
    """
    if isinstance(values, dict) and isinstance(listed := values.get("values"), list):
        if len(listed) > MOST_VALUES or not all(is_plain(value) for value in listed):
            raise RequestError(
                f"a filter must name up to {MOST_VALUES:,} plain values, but that of "
                f"{column.name!r} does not. Reset the filters."
            )
        return Condition(column.name, tuple(fit(value, column) for value in listed))
    if isinstance(values, dict) and column.kind == "number":
        low, high = values.get("low"), values.get("high")
        if is_end(low) and is_end(high):
            return Condition(
                column.name,
                None,
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
            )
    raise RequestError(
        f"a filter must hold values or a range of numbers, but that of {column.name!r} is "
        f"{values!r}. Reset the filters."
    )


def is_plain(value: object) -> bool:
    """Return whether a value can be one of a column."""
    return value is None or isinstance(value, bool | int | float | str)


def is_end(value: object) -> bool:
    """Return whether a value can be the end of a range."""
    return value is None or (type(value) in {int, float} and not math.isnan(float(str(value))))


def fit(value: Any, column: PageColumn) -> Any:
    """Return a value in the type of its column: JavaScript has no large integers, NaN or infinity.

    Raises:
        RequestError: If it is of another type.
    """
    if value is None or (column.kind == "text" and isinstance(value, str)):
        return value
    if column.kind == "truth" and isinstance(value, bool):
        return value
    if column.kind == "number" and not isinstance(value, bool):
        try:
            return value if isinstance(value, int | float) else number_of(value)
        except ValueError:
            pass
    raise RequestError(
        f"values of {column.name!r} must be of the kind {column.kind}, but got {value!r}. Reset "
        "the filters."
    )


def number_of(text: str) -> int | float:
    """Return the number that a text is.

    Raises:
        ValueError: If it is none.
    """
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def literal(value: Any) -> str:
    """Return a value as SQL writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"'{value}'::double"
    escaped = str(value).replace("'", "''")
    return f"'{escaped}'"


def conditions(view: View, *more: str) -> list[str]:
    """Return what must hold for the runs of a view, with conditions of ours before."""
    return [*more, *(condition.sql() for condition in view.conditions)]


def where(view: View, *more: str) -> str:
    """Return the same as what follows WHERE."""
    return " and ".join(conditions(view, *more)) or "true"
