"""The `[sweep]` table: what varies, as axes of a grid."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from symstudy.errors import Mistake

__all__ = ["Axis", "Sweep", "read_sweep", "without_condition"]

MOST_RUNS = 1_000_000
"""Runs of a study at most, unless `sweep.max_runs` allows more: to plan so many takes a minute and
two gigabytes."""
MOST_VALUES = 1_000_000
"""Values of a range at most."""
ROUNDING = 1e-9
"""Relative error of a value of a range that is taken for rounding."""
LARGEST_SEED = 2**32 - 1
"""Seeds are words of the random number generator's key, and integers of every store."""


@dataclass(frozen=True)
class Axis:
    """Fields that move together, and the values they take.

    Attributes:
        fields: Dotted names, such as `train.gamma`; several where axes are zipped.
        points: For each place on the axis, one value a field.
    """

    fields: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Sweep:
    """What a study varies.

    Attributes:
        axes: The grid's axes, the last one varying fastest.
        seeds: Replicates of every cell.
        conditions: For each field that varies only where a condition holds, the condition.
    """

    axes: tuple[Axis, ...] = ()
    seeds: tuple[int, ...] = (0,)
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_sweep(
    table: Mapping[str, Any],
    lines: Mapping[str, int],
    is_whole: Callable[[str], bool | None] = lambda _: None,
) -> tuple[Sweep, list[Mistake]]:
    """Return the axes that the flat `[sweep]` table declares, and what is wrong with it.

    Args:
        table: Dotted field (or `seed`, `zip`) to values or a range.
        lines: Line of each dotted key of the file.
        is_whole: Whether a field is of whole numbers; None where nothing says.
    """
    mistakes: list[Mistake] = []

    def wrong(key: str, what: str) -> None:
        name = f"sweep.{key}"
        mistakes.append(Mistake(line=lines.get(name, lines.get("sweep", 0)), key=name, what=what))

    values: dict[str, tuple[Any, ...]] = {}
    conditions: dict[str, Any] = {}
    seeds: tuple[int, ...] = (0,)
    most = MOST_RUNS
    # The limit first: it bounds the seeds too.
    for key, value in sorted(table.items(), key=lambda item: item[0] != "max_runs"):
        try:
            if key == "max_runs":
                most = read_limit(value)
            elif key == "seed":
                seeds = read_seeds(value, most)
            elif key != "zip":
                plain, conditions[key] = without_condition(value)
                whole = is_whole(key) if isinstance(plain, dict) else None
                values[key] = read_values(plain, is_whole=whole)
        except ValueError as error:
            wrong(key, str(error))
    conditions = {key: condition for key, condition in conditions.items() if condition is not None}
    groups = list(read_zip(table.get("zip", []), values, wrong))
    axes = make_axes(values, groups)
    for axis in axes:
        for key, what in axis_mistakes(axis, conditions):
            wrong(key, what)
    if too_many := excess(axes, seeds, most, is_bound=bool(conditions)):
        mistakes.append(Mistake(line=lines.get("sweep", 0), key="sweep", what=too_many))
    return Sweep(tuple(axes), seeds, conditions), mistakes


def axis_mistakes(axis: Axis, conditions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and mistake for values that are there twice, and for zipped fields that differ."""
    counted = Counter(repr(point) for point in axis.points)
    again = next((text for text, count in counted.items() if count > 1), None)
    if again is not None:
        yield axis.fields[0], f"must hold different values, but {again} is there twice"
    if len({repr(conditions.get(name)) for name in axis.fields}) > 1:
        names = ", ".join(axis.fields)
        yield "zip", f"must zip axes with the same `when`, but {names} differ in it"


def excess(axes: Sequence[Axis], seeds: Sequence[int], most: int, *, is_bound: bool = False) -> str:
    """Return what is wrong with a grid of more runs than may be; empty if it has not so many.

    The cells are counted, not made.

    Args:
        axes: Axes of the grid.
        seeds: Replicates of each cell.
        most: Runs at most.
        is_bound: Whether axes have conditions, so that there may be fewer cells.
    """
    counts = [len(axis.points) for axis in axes]
    cells = math.prod(counts)
    runs = cells * len(seeds)
    if runs <= most:
        return ""
    grid = (
        f"{cells:,} cells ({' x '.join(map(str, counts))})"
        if len(counts) > 1
        else f"{cells:,} cells"
    )
    grid = f"up to {grid}" if is_bound else grid
    return (
        f"must ask for at most {most:,} runs, but {grid} x {len(seeds):,} seeds are {runs:,}. Take "
        f"fewer values, or allow for them with sweep.max_runs={runs}: a million runs take a minute "
        "and 2 GB to plan"
    )


def read_zip(
    zipped: object, values: Mapping[str, Sequence[Any]], wrong: Callable[[str, str], None]
) -> Iterator[tuple[str, ...]]:
    """Yield the groups of fields that move together; `wrong` is told what is wrong with them."""
    if not (isinstance(zipped, list) and all(is_names(group) for group in zipped)):
        wrong(
            "zip",
            'must be a list of lists of fields, as in [["train.lr", "train.steps"]], '
            f"but got {zipped!r}",
        )
        return
    named = [name for group in zipped for name in group]
    for name in dict.fromkeys(name for name in named if named.count(name) > 1):
        wrong("zip", f"must name each field once, but {name!r} is there twice")
    for group in zipped:
        missing = [name for name in group if name not in values]
        lengths = {name: len(values[name]) for name in group if name in values}
        if missing:
            wrong("zip", f"must name swept fields, but {missing[0]!r} is not in [sweep]")
        elif len(set(lengths.values())) > 1:
            sizes = ", ".join(f"{name} has {size}" for name, size in lengths.items())
            wrong("zip", f"must name axes of one length, but {sizes}")
        else:
            yield tuple(group)


def make_axes(
    values: Mapping[str, tuple[Any, ...]], groups: Sequence[tuple[str, ...]]
) -> list[Axis]:
    """Return an axis for each field, or for each group of fields that move together."""
    together = {name for group in groups for name in group}
    axes = []
    for name, items in values.items():
        if name not in together:
            axes.append(Axis((name,), tuple((item,) for item in items)))
        for group in groups:
            if group[0] == name:
                points = tuple(zip(*(values[member] for member in group), strict=True))
                axes.append(Axis(group, points))
    return axes


def is_names(group: object) -> bool:
    """Return whether `group` is a list of strings."""
    return isinstance(group, list) and all(isinstance(name, str) for name in group)


def read_limit(value: object) -> int:
    """Return the most runs that a study may ask for."""
    if not (is_integer(value) and value >= 1):
        raise ValueError(f"must be a number of runs, at least 1, but got {value!r}")
    return value


def read_seeds(value: object, most: int = MOST_RUNS) -> tuple[int, ...]:
    """Return the seeds of `5` (0 to 4) or of a list; at most `most`."""
    if is_integer(value) and value >= 1:
        if value > min(most, LARGEST_SEED + 1):
            hint = f". For that one seed type seed=[{value}]" if value <= LARGEST_SEED else ""
            raise ValueError(
                f"must be at most {min(most, LARGEST_SEED + 1):,} seeds, but got {value:,}{hint}"
            )
        return tuple(range(value))
    if isinstance(value, list) and value:
        seeds = [seed for seed in value if is_integer(seed)]
        if len(seeds) == len(value) == len(set(seeds)) and min(seeds) >= 0:
            if max(seeds) > LARGEST_SEED:
                raise ValueError(f"must be seeds below 2^32, but got {max(seeds)}")
            return tuple(seeds)
    raise ValueError(
        "must be a number of seeds, at least 1, or a list of different integers from 0 on, but "
        f"got {value!r}"
    )


def is_integer(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer, and not true or false."""
    return isinstance(value, int) and not isinstance(value, bool)


def without_condition(value: object) -> tuple[object, object]:
    """Return the values of an axis without its condition, and the condition; None if it has none.

    Raises:
        ValueError: If the table holds neither values nor a range.
    """
    if not isinstance(value, dict) or not value.keys() & {"when", "values"}:
        return value, None
    rest = {key: item for key, item in value.items() if key != "when"}
    if rest.keys() == {"values"} and isinstance(rest["values"], list):
        return rest["values"], value.get("when")
    if not rest or "values" in rest:
        raise ValueError(
            "must be {values = [0.0, 0.9], when = \"train.optimizer == 'sgd'\"}, or a range with "
            f"`when`, but got {value!r}"
        )
    return rest, value["when"]


def read_values(value: object, *, is_whole: bool | None = None) -> tuple[Any, ...]:
    """Return the values of a list, or of a range {log = [lo, hi], num = n} or {linear = ...}.

    Args:
        value: As written.
        is_whole: Whether the field is of whole numbers; None where nothing says.

    Raises:
        ValueError: If it is neither; says what must hold.
    """
    if isinstance(value, list):
        if not value:
            raise ValueError("must hold at least one value, but the list is empty")
        return tuple(value)
    if isinstance(value, dict):
        return read_range(value, is_whole=is_whole)
    raise ValueError(
        f"must be a list or a range such as {{log = [1e-4, 1e-1], num = 7}}, but got {value!r}"
    )


def read_range(table: Mapping[str, Any], *, is_whole: bool | None) -> tuple[Any, ...]:
    """Return the values of a range; integers where both ends are and the field is of such."""
    kind = "log" if "log" in table else "linear"
    ends = table.get(kind)
    num = table.get("num")
    if set(table) != {kind, "num"} or not is_pair(ends):
        raise ValueError(
            f"must be {{log = [low, high], num = n}} or {{linear = [low, high], num = n}}, but got "
            f"{dict(table)!r}"
        )
    assert isinstance(ends, list), "a pair is a list"
    low, high = ends
    if not (isinstance(num, int) and not isinstance(num, bool) and num >= 2):
        raise ValueError(f"`num` must be an integer of at least 2, but got {num!r}")
    if num > MOST_VALUES:
        raise ValueError(f"`num` must be at most {MOST_VALUES:,}, but got {num:,}")
    if not low < high:
        raise ValueError(f"the first end must be below the second, but got {low!r} and {high!r}")
    if kind == "log" and low <= 0:
        raise ValueError(f"a log range must start above 0, but got {low!r}")
    shares = [i / (num - 1) for i in range(num)]
    if kind == "log":
        exact = [math.exp(math.log(low) + s * (math.log(high) - math.log(low))) for s in shares]
    else:
        exact = [low + s * (high - low) for s in shares]
    if isinstance(low, int) and isinstance(high, int) and is_whole is not False:
        if is_whole is None and any(abs(x - round(x)) > ROUNDING * abs(x) for x in exact):
            raise ValueError(
                f"must say whether whole numbers are meant: for any others type [{float(low)!r}, "
                f"{float(high)!r}], for whole ones a list, but got {dict(table)!r}"
            )
        return tuple(dict.fromkeys(round(x) for x in exact))
    # Six digits: enough for a range, and the same on every machine.
    return tuple(float(f"{x:.6g}") for x in exact)


def is_pair(ends: object) -> bool:
    """Return whether `ends` is two finite numbers."""
    return (
        isinstance(ends, list)
        and len(ends) == 2
        and all(isinstance(e, int | float) and not isinstance(e, bool) for e in ends)
        and all(math.isfinite(e) for e in ends)
    )
