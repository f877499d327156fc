"""The tables of a study for each combination of the values that they depend on."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from symstudy.errors import Mistake
from symstudy.study.dependent import NO_RULES, RuleError, Rules
from symstudy.study.sweep import Axis

__all__ = ["Written", "idle_axes", "write_tables"]


class Written(NamedTuple):
    """The different forms of a table.

    Attributes:
        tables: Each as a study file would have it.
        places: For each combination of the points of the axes that decide it, which form it has.
        strides: By how much a step along each axis moves the index in `places`.
        held: Fields whose condition holds in some form.
    """

    tables: list[dict[str, Any]]
    places: list[int]
    strides: list[int]
    held: set[str]

    def at(self, place: Sequence[int]) -> int:
        """Return which form the table has at a place of the grid, one index an axis."""
        index = sum(i * stride for i, stride in zip(place, self.strides, strict=True))
        return self.places[index]


def write_tables(
    name: str,
    tables: Mapping[str, Mapping[str, Any]],
    axes: Sequence[Axis],
    rules: Rules,
    lines: Mapping[str, int],
) -> tuple[Written, list[Mistake]]:
    """Return the forms of the table `name`, and what is wrong with the rules of its keys.

    Args:
        name: Name of the table.
        tables: All tables of the study as written.
        axes: Axes of the sweep.
        rules: Keys that follow from others.
        lines: Line of each dotted key.
    """
    strides = axis_strides(name, axes, rules)
    if not rules.of_table(name):
        forms = list(table_variants(name, tables.get(name, {}), axes))
        return Written(forms, list(range(len(forms))), strides, set()), []
    found: dict[str, int] = {}
    written = Written([], [], strides, set())
    mistakes: dict[str, Mistake] = {}
    wanted = rules.of_table(name)
    for point in points_of([axes[i] for i in moving(name, axes, rules)]):
        try:
            values = rules.applied(tables, point, wanted)
        except RuleError as error:
            # One of each rule tells enough.
            mistakes.setdefault(error.name, rules.mistake(error, lines))
            continue
        written.held.update(rules.conditions.keys() & values.keys())
        own = {key.partition(".")[2]: v for key, v in values.items() if is_in(key, name)}
        at = found.setdefault(repr(sorted(own.items())), len(written.tables))
        if at == len(written.tables):
            written.tables.append({**tables.get(name, {}), **own})
        written.places.append(at)
    return written, list(mistakes.values())


def idle_axes(rules: Rules, written: Iterable[Written]) -> tuple[str, ...]:
    """Return the axes whose condition holds in no form of any table."""
    held = {name for table in written for name in table.held}
    return tuple(name for name in rules.conditions if name not in held)


def is_in(field: str, table: str) -> bool:
    """Return whether a dotted field is in a table."""
    return field.startswith(f"{table}.")


def moving(table: str, axes: Sequence[Axis], rules: Rules = NO_RULES) -> list[int]:
    """Return which axes decide a table."""
    deciding = rules.deciding(table)
    return [
        i
        for i, axis in enumerate(axes)
        if any(is_in(field, table) or field in deciding for field in axis.fields)
    ]


def points_of(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """Yield the values by field of each combination of the points of `axes`, in grid order."""
    fields = [field for axis in axes for field in axis.fields]
    for points in itertools.product(*(axis.points for axis in axes)):
        yield dict(zip(fields, itertools.chain.from_iterable(points), strict=True))


def axis_strides(table: str, axes: Sequence[Axis], rules: Rules = NO_RULES) -> list[int]:
    """Return by how much a step along each axis moves the index of the table's variants."""
    strides = [0] * len(axes)
    stride = 1
    for i in reversed(moving(table, axes, rules)):
        strides[i] = stride
        stride *= len(axes[i].points)
    return strides


def table_variants(
    name: str, table: Mapping[str, Any], axes: Sequence[Axis]
) -> Iterator[dict[str, Any]]:
    """Yield the table for each combination of the values swept in it, in grid order."""
    for point in points_of([axes[i] for i in moving(name, axes)]):
        own = {key.partition(".")[2]: value for key, value in point.items() if is_in(key, name)}
        yield {**table, **own}
