"""The `[search]` table: runs that are asked for as others end, where a grid is not enough.

The axes of `[sweep]` are the fixed grid around it: each of their combinations, a branch, has a
search of its own. What to ask for next is decided in `symstudy.launch.search`; here is what may be
asked for, and how a point of the space becomes a cell.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Lt

from symstudy.components import check_table
from symstudy.errors import Mistake, StudyFileError
from symstudy.study.cells import Cell, Run, expand_cells, expand_runs
from symstudy.study.space import Dimension, read_space
from symstudy.study.sweep import Axis

__all__ = [
    "Around",
    "ConfirmConfig",
    "HaltConfig",
    "Point",
    "Search",
    "SearchConfig",
    "read_search",
]

FORBID: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False}
EXAMPLES = 64
"""Points of each branch that stand for all when the cost of a search is estimated."""

Point = Mapping[str, Any]
"""Values by dotted field."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is searched for and how, as written in the `[search]` table of a study file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    method: Literal["tpe", "gp", "cmaes", "qmc", "random", "bisect", "replicate"]
    """Optuna's tpe or gp, cmaes, qmc (a Sobol sequence) or random; bisect closes in on where a
    condition changes; replicate adds seeds where a mean is undecided. Required."""
    objective: str
    """SQL expression over the columns of `runs`: what is minimised or maximised, what replicate
    takes the mean of, or for bisect a condition, or a number whose sign changes. Required."""
    feasible: str = "true"
    """SQL condition on a run; where it does not hold the run has no value."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Which values of the objective are sought."""
    trials: Annotated[int, Ge(1)] = 100
    """Points that are asked for at most in each branch (a combination of swept values); each is
    trained with every seed of the sweep."""
    batch: Annotated[int, Ge(1)] = 8
    """Points that are asked for together; for bisect those of a round."""
    reduce: Literal["mean", "median", "min", "max"] = "mean"
    """How the values of a point's seeds become one."""
    seed: Annotated[int, Ge(0)] = 0
    """Seed of the sampler."""
    resolution: Annotated[float, Gt(0), Lt(1)] = 0.01
    """bisect: width of the bracket at which it ends, as a share of the first."""
    looks: tuple[Annotated[int, Ge(2)], ...] | None = None
    """replicate: numbers of seeds at which an undecided branch is judged; the last is its budget.
    Required there."""
    low: float | None = None
    """replicate: lower end of the claimed range of the mean; none if not given."""
    high: float | None = None
    """replicate: upper end of the claimed range of the mean; none if not given."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.05
    """replicate: chance that any branch is ever decided wrongly, over all looks, at most."""


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    """How finds are held against chance, as written in the table `[search.confirm]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    beyond: float
    """A point whose value is better than this is trained again. Required."""
    seeds: Annotated[int, Ge(1)] = 5
    """New seeds that it is trained with; those of the sweep are trained again too if fields are set
    for it."""
    most: Annotated[int, Ge(1)] = 10
    """Points of each branch that are trained again at most, the first found first."""


@dataclass(frozen=True, kw_only=True)
class HaltConfig:
    """How hopeless runs are stopped early, as written in the table `[search.halt]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    measure: str
    """Column of `history` by which runs are compared, less being better unless the search
    maximises. Required."""
    reduction: Annotated[int, Ge(2)] = 3
    """One of so many runs goes on past a rung."""
    rungs: Annotated[int, Ge(1)] = 3
    """Number of rungs, at 1 / reduction, 1 / reduction^2, ... of the steps."""


MODELS = ("tpe", "gp", "cmaes", "qmc", "random")
KEYS_OF_METHOD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODELS, ("space", "direction", "trials", "batch", "reduce", "seed")),
    "bisect": ("space", "trials", "batch", "resolution"),
    "replicate": ("looks", "low", "high", "alpha"),
}
COMMON_KEYS = ("method", "objective", "feasible")
SUBTABLES = ("confirm", "halt")


@dataclass(frozen=True, kw_only=True)
class Search:
    """A checked search.

    Attributes:
        config: The table's own keys.
        space: What may vary, a dimension a field; empty for replicate.
        confirm: How finds are trained again, if they are.
        confirm_set: Fields that a find is trained again with.
        halt: How hopeless runs are stopped, if they are.
        branches: Fixed values of each branch, by field; at least one.
        seeds: Seeds of each point; for replicate those of its budget.
        tables: `model`, `data`, `train` and `probe` as written.
    """

    config: SearchConfig
    space: tuple[Dimension, ...] = ()
    confirm: ConfirmConfig | None = None
    confirm_set: Point = dataclasses.field(default_factory=dict)
    halt: HaltConfig | None = None
    branches: tuple[Point, ...]
    seeds: tuple[int, ...]
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def num_runs(self) -> int:
        """Runs that are asked for at most, those that confirm finds left out."""
        points = 1 if self.config.method == "replicate" else self.config.trials
        return len(self.branches) * points * len(self.seeds)

    @property
    def num_confirming(self) -> int:
        """Runs that confirm finds, at most."""
        most = self.confirm.most if self.confirm else 0
        return len(self.branches) * most * len(self.confirming_seeds())

    def confirming_seeds(self) -> tuple[int, ...]:
        """Return the seeds that a find is trained again with: old ones too if fields are set."""
        if self.confirm is None:
            return ()
        first = max(self.seeds) + 1
        new = tuple(range(first, first + self.confirm.seeds))
        return self.seeds + new if self.confirm_set else new

    def cells(self, branch: int, points: Sequence[Point], *, confirms: bool = False) -> list[Cell]:
        """Return the cells of some points of a branch, in their order.

        Args:
            branch: Number of the branch.
            points: Values by field; all have the same fields.
            confirms: Whether the cells are those that confirm finds.

        Raises:
            StudyFileError: If one of them is not valid.
        """
        fixed = {**self.branches[branch], **(self.confirm_set if confirms else {})}
        return cells_of(self.tables, [{**point, **fixed} for point in points])

    def examples(self) -> list[Run]:
        """Return as many runs as may be asked for, at points spread over the space.

        What a search will ask for is not known; these are for estimates of cost.
        """
        if self.config.method == "replicate":
            cells = [self.cells(b, [{}])[0] for b in range(len(self.branches))]
            return expand_runs(cells, self.seeds)
        count = min(self.config.trials, EXAMPLES)
        runs: list[Run] = []
        for branch in range(len(self.branches)):
            size = len(self.space)
            points = [
                {d.field: d.at(share_of(place, i, size)) for i, d in enumerate(self.space)}
                for place in range(count)
            ]
            found = expand_runs(self.cells(branch, points), self.seeds)
            wanted = self.config.trials * len(self.seeds)
            runs += [found[i % len(found)] for i in range(wanted)]
            if self.confirm is not None:
                again = self.cells(branch, points[: self.confirm.most], confirms=True)
                runs += expand_runs(again, self.confirming_seeds())
        return runs


def share_of(place: int, dimension: int, dimensions: int) -> float:
    """Return coordinate `dimension` of the point number `place` of a spread-out sequence.

    References:
        Roberts 2018, "The unreasonable effectiveness of quasirandom sequences" (R_d): additive
        recurrence with the powers of the root of x^(d+1) = x + 1.
    """
    root = 2.0
    for _ in range(30):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    return math.fmod(0.5 + (place + 1) * root ** -(dimension + 1.0), 1.0)


def cells_of(
    tables: Mapping[str, Mapping[str, Any]],
    points: Sequence[Point],
    lines: Mapping[str, int] | None = None,
) -> list[Cell]:
    """Return the cells of `points`, which all have the same fields.

    Raises:
        StudyFileError: If one of them is not valid.
    """
    if not points:
        return []
    fields = tuple(points[0])
    axes = [Axis(fields, tuple(tuple(p[f] for f in fields) for p in points))] if fields else []
    grid, mistakes = expand_cells(tables, axes, lines or {})
    if mistakes:
        raise StudyFileError("search", mistakes)
    cells = [grid.cells[place] for place in grid.places]
    return cells if fields else cells * len(points)


class Around(NamedTuple):
    """What a study file says around its search.

    Attributes:
        tables: `model`, `data`, `train` and `probe` as written.
        axes: Axes of the sweep.
        seeds: Seeds of the sweep.
        is_seeded: Whether the sweep names its seeds.
    """

    tables: Mapping[str, Mapping[str, Any]]
    axes: Sequence[Axis]
    seeds: tuple[int, ...]
    is_seeded: bool

    @property
    def swept(self) -> set[str]:
        """Fields that the sweep varies."""
        return {name for axis in self.axes for name in axis.fields}


class Parts(NamedTuple):
    """The tables of a search, read one by one.

    Attributes:
        config: The table's own keys; None where they are wrong.
        space: What may vary.
        names: Fields of the space, as written.
        confirm: How finds are trained again, if they are.
        confirm_set: Fields that a find is trained again with.
        halt: How hopeless runs are stopped, if they are.
    """

    config: SearchConfig | None
    space: tuple[Dimension, ...]
    names: tuple[str, ...]
    confirm: ConfirmConfig | None
    confirm_set: dict[str, Any]
    halt: HaltConfig | None


def read_search(
    table: Mapping[str, Any], around: Around, lines: Mapping[str, int]
) -> tuple[Search | None, list[Mistake]]:
    """Return the search that a `[search]` table declares, or None and what is wrong with it.

    Args:
        table: As written, its space flat: dotted field to range or list.
        around: The rest of the study file.
        lines: Line of each dotted key.
    """
    parts, mistakes = read_parts(table, lines)
    config = parts.config
    if config is not None:
        found = method_mistakes(config, table, is_seeded=around.is_seeded)
        mistakes += [search_mistake(lines, key, what) for key, what in found]
    mistakes += [search_mistake(lines, key, what) for key, what in field_mistakes(parts, around)]
    if mistakes or config is None:
        return None, mistakes
    branches = tuple(grid(around.axes))
    places = {f"sweep.{name}": lines.get(f"search.space.{name}", 0) for name in parts.names}
    for values in ({}, parts.confirm_set) if parts.confirm else ({},):
        for branch in branches:
            fixed = {**branch, **values}
            found_there = space_mistakes(parts.space, around.tables, fixed, {**lines, **places})
            mistakes += [in_space(mistake, parts.names) for mistake in found_there]
    if mistakes:
        return None, mistakes
    return Search(
        config=config,
        space=parts.space,
        confirm=parts.confirm,
        confirm_set=dict(parts.confirm_set),
        halt=parts.halt,
        branches=branches,
        seeds=tuple(range(config.looks[-1])) if config.looks else around.seeds,
        tables={name: dict(values) for name, values in around.tables.items()},
    ), []


def search_mistake(lines: Mapping[str, int], key: str, what: str) -> Mistake:
    """Return a mistake in a key of the search, at its line or that of the table it is in."""
    name = f"search.{key}"
    heads = [name, *(f"search.{part}" for part in ("confirm.set", "confirm", "space"))]
    at = next((lines[head] for head in heads if name.startswith(head) and head in lines), 0)
    return Mistake(line=at or lines.get("search", 0), key=name, what=what)


def in_space(mistake: Mistake, names: Sequence[str]) -> Mistake:
    """Return a mistake in a cell of the space as one in the space, where it is about it."""
    name = mistake.key.removeprefix("sweep.")
    key = f"search.space.{name}" if name in names else mistake.key
    return dataclasses.replace(mistake, key=key)


def read_parts(table: Mapping[str, Any], lines: Mapping[str, int]) -> tuple[Parts, list[Mistake]]:
    """Return the tables of a search, and what is wrong with each by itself."""
    own = {key: value for key, value in table.items() if key not in ("space", *SUBTABLES)}
    config, mistakes = check_table(SearchConfig, own, "search", lines)
    read: dict[str, Any] = {"confirm": None, "halt": None}
    confirm_set: dict[str, Any] = {}
    for key, cls in (("confirm", ConfirmConfig), ("halt", HaltConfig)):
        values = table.get(key)
        if isinstance(values, dict):
            fields = {name: value for name, value in values.items() if name != "set"}
            confirm_set = values.get("set", {}) if key == "confirm" else confirm_set
            read[key], found = check_table(cls, fields, f"search.{key}", lines)
            mistakes.extend(found)
        elif values is not None:
            what = f"must be a table [search.{key}], but got {values!r}"
            mistakes.append(search_mistake(lines, key, what))
    space_table = table.get("space", {})
    if not isinstance(space_table, dict):
        what = f"must be a table [search.space], but got {space_table!r}"
        mistakes.append(search_mistake(lines, "space", what))
        space_table = {}
    space, found = read_space(space_table, lines)
    mistakes.extend(found)
    parts = Parts(config, space, tuple(space_table), read["confirm"], confirm_set, read["halt"])
    return parts, mistakes


def field_mistakes(parts: Parts, around: Around) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for fields that are in two places."""
    for name in parts.names:
        head, _, rest = name.partition(".")
        given = around.tables.get(head, {})
        if name in around.swept:
            yield f"space.{name}", "must be searched or swept, but is in [sweep] too"
        elif rest in given:
            what = f"must be searched or fixed, but is {given[rest]!r} in [{head}]"
            yield f"space.{name}", f"{what}. Leave it out there"
    for name in parts.confirm_set:
        if name in around.swept or name in parts.names:
            what = "must be a fixed field, but it is searched or swept"
            yield f"confirm.set.{name}", what


def method_mistakes(
    config: SearchConfig, table: Mapping[str, Any], *, is_seeded: bool
) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for what the method does not read, or lacks."""
    method = config.method
    allowed = (*COMMON_KEYS, *KEYS_OF_METHOD[method])
    if method in MODELS:
        allowed += SUBTABLES
    for key in table:
        if key not in allowed and (key in SUBTABLES or key in vars(config) or key == "space"):
            yield key, f"must be left out for {method}, which reads {', '.join(allowed)}"
    ranges = table.get("space", {})
    yield from space_of_method(method, ranges if isinstance(ranges, dict) else {})
    if method == "replicate":
        yield from looks_mistakes(config, is_seeded=is_seeded)


def space_of_method(method: str, ranges: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield key and mistake where a method cannot search a space."""
    if method in MODELS and not ranges:
        yield "space", 'must name at least one field, such as "train.gamma" = { log = [1e-4, 1] }'
    if method == "bisect" and len(ranges) != 1:
        yield "space", f"must name the one field that is bisected, but has {len(ranges)}"
    if method == "cmaes" and len(ranges) == 1:
        yield "space", "must name at least two fields for cmaes, but has 1"
    if method in ("bisect", "cmaes"):
        for name, values in ranges.items():
            if isinstance(values, list):
                yield f"space.{name}", f"must be a range for {method}, but got a list"


def looks_mistakes(config: SearchConfig, *, is_seeded: bool) -> Iterable[tuple[str, str]]:
    """Yield key and mistake for the looks and the range of replicate."""
    looks = config.looks or ()
    if not looks:
        yield "looks", "must be given for replicate, such as [5, 10, 20, 40]"
    elif looks[0] < 2 or list(looks) != sorted(set(looks)):
        yield "looks", f"must be growing numbers of at least 2 seeds, but got {list(looks)}"
    if config.low is None and config.high is None:
        yield "low", "at least one of search.low and search.high must be given"
    elif config.low is not None and config.high is not None and config.low >= config.high:
        yield "high", f"must be above search.low = {config.low}, but got {config.high}"
    if is_seeded:
        yield "looks", "gives the seeds of replicate; leave sweep.seed out"


def grid(axes: Sequence[Axis]) -> Iterable[dict[str, Any]]:
    """Yield the values of every combination of the axes' places, in grid order."""
    if not axes:
        yield {}
        return
    for point in axes[0].points:
        for rest in grid(axes[1:]):
            yield {**dict(zip(axes[0].fields, point, strict=True)), **rest}


def space_mistakes(
    space: Sequence[Dimension],
    tables: Mapping[str, Mapping[str, Any]],
    fixed: Point,
    lines: Mapping[str, int],
) -> list[Mistake]:
    """Return what is wrong with a space: an end of a field that is valid nowhere.

    Fields may depend on each other, as a batch on the number of samples, so each end is tried where
    all others are at their lower ends, and where they are at their upper ones.
    """
    others = [{d.field: d.ends[side] for d in space} for side in (0, -1)]
    found: list[Mistake] = []
    ends: list[Point] = [{d.field: end} for d in space for end in d.ends]
    for end in ends or [{}]:
        wrong: list[Mistake] = []
        for other in others:
            try:
                cells_of(tables, [{**other, **end, **fixed}], lines)
            except StudyFileError as error:
                wrong = wrong or list(error.mistakes)
            else:
                wrong = []
                break
        found += wrong
    return found
