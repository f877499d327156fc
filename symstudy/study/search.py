"""A search: runs that are asked for as others end, where a grid is not enough.

The axes of `[sweep]` are the fixed grid around it: each of their combinations, a branch, has a
search of its own. What to ask for next is decided in `symstudy.launch.search`; here is what may be
asked for, and how a point of the space becomes a cell.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symstudy.components import looking_in
from symstudy.errors import StudyFileError
from symstudy.study.cell import Cell, Run, expand_runs
from symstudy.study.dependent import NO_RULES, RuleError, Rules
from symstudy.study.expand import expand_cells
from symstudy.study.search_keys import ConfirmConfig, HaltConfig, SearchConfig
from symstudy.study.space import Dimension
from symstudy.study.sweep import Axis

__all__ = ["Point", "Search", "cells_of"]

EXAMPLES = 64
"""Points of each branch that stand for all when the cost of a search is estimated."""

Point = Mapping[str, Any]
"""Values by dotted field."""


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
        tables: `model`, `data`, `train` and `probe`, or `program` and `config`, as written.
        places: Folders in which code and files that they name are looked for.
        rules: Keys that follow from others.
    """

    config: SearchConfig
    space: tuple[Dimension, ...] = ()
    confirm: ConfirmConfig | None = None
    confirm_set: Point = dataclasses.field(default_factory=dict)
    halt: HaltConfig | None = None
    branches: tuple[Point, ...]
    seeds: tuple[int, ...]
    tables: Mapping[str, Mapping[str, Any]]
    places: tuple[Path, ...] = ()
    rules: Rules = NO_RULES

    @property
    def is_program(self) -> bool:
        """Whether its runs are those of a program of the user's own."""
        return "program" in self.tables

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
        points = [{**point, **fixed} for point in points]
        with looking_in(*self.places):
            return cells_of(self.tables, points, rules=self.rules)

    def active(self, branch: int, point: Point) -> Point:
        """Return a point without the fields whose condition does not hold there.

        Raises:
            StudyFileError: If a condition cannot be told there.
        """
        if not self.rules.conditions:
            return point
        try:
            with looking_in(*self.places):
                held = self.rules.applied(self.tables, {**point, **self.branches[branch]})
        except RuleError as error:
            raise StudyFileError("search", [self.rules.mistake(error, {})]) from error
        return {name: value for name, value in point.items() if name in held}

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
    rules: Rules = NO_RULES,
) -> list[Cell]:
    """Return the cells of `points`, which all have the same fields.

    Raises:
        StudyFileError: If one of them is not valid.
    """
    if not points:
        return []
    fields = tuple(points[0])
    axes = [Axis(fields, tuple(tuple(p[f] for f in fields) for p in points))] if fields else []
    grid, mistakes = expand_cells(tables, axes, lines or {}, rules)
    if mistakes:
        raise StudyFileError("search", mistakes)
    cells = [grid.cells[place] for place in grid.places]
    return cells if fields else cells * len(points)
