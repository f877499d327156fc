"""Trials of a search, rebuilt from the plan and the rows of runs; no other state is kept.

A trial is one point of the space in one branch, with its seeds; each of its runs stands in the plan
with the trial as JSON. A trial of the ledger belongs to a search if its point lies in the search's
space and still makes the cell that was planned: a search whose study has changed starts anew and
leaves the old runs where they are.
"""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from symstudy.errors import StudyFileError
from symstudy.identity import canonical_json, run_id
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.ledger import read_column
from symstudy.study.cell import Cell, Run
from symstudy.study.search import Point, Search

__all__ = [
    "REDUCERS",
    "EvaluatedTrial",
    "Proposal",
    "Result",
    "Trial",
    "make_trials",
    "read_trials",
]

REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
}
"""How the values of the runs of a trial become one, by the name in the study file."""


class Proposal(NamedTuple):
    """A point that a search method proposes to train next.

    Attributes:
        point: Values of the searched fields, by field.
        seeds: Seeds of its runs.
        confirms: Number of the trial that it confirms with new seeds; None for a new point.
    """

    point: Point
    seeds: tuple[int, ...]
    confirms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A proposed point with its number and its runs.

    Attributes:
        branch: Number of the branch.
        number: Number of the trial in its branch, from 0.
        point: Values of the searched fields, by field.
        confirms: Number of the trial that it confirms with new seeds; None for a new point.
        cell: Cell with the values of the point.
        runs: Runs of the cell, one per seed.
    """

    branch: int
    number: int
    point: Point
    confirms: int | None
    cell: Cell
    runs: tuple[Run, ...]

    def to_json(self) -> str:
        """Return the trial as the JSON text that its runs have in the plan."""
        values = {"branch": self.branch, "number": self.number, "point": dict(self.point)}
        if self.confirms is not None:
            values["confirms"] = self.confirms
        return canonical_json(values)


class Result(NamedTuple):
    """Outcome and objective value of a run that ended.

    Attributes:
        outcome: Name of the outcome, such as `done`.
        value: Value of the objective; None where it has none.
        step: Number of optimiser steps taken.
    """

    outcome: str
    value: float | None
    step: int


class EvaluatedTrial(NamedTuple):
    """A trial with the results of its runs so far.

    Attributes:
        trial: The trial.
        results: Result of each run, in their order; None for one that has not ended.
    """

    trial: Trial
    results: tuple[Result | None, ...]

    @property
    def is_open(self) -> bool:
        """Whether a run has not ended."""
        return None in self.results

    @property
    def is_stopped(self) -> bool:
        """Whether a run was stopped early."""
        return any(result is not None and result.outcome == "stopped" for result in self.results)

    @property
    def num_diverged(self) -> int:
        """Number of runs that diverged."""
        return sum(result is not None and result.outcome == "diverged" for result in self.results)

    @property
    def is_infeasible(self) -> bool:
        """Whether every run took its steps and none has a value."""
        ended = all(r is not None and r.outcome in {"done", "stopped"} for r in self.results)
        return ended and not self.values

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the runs that have one."""
        return tuple(
            result.value
            for result in self.results
            if result is not None and result.value is not None
        )

    @property
    def step(self) -> int:
        """Smallest number of steps among the runs that ended."""
        return min((result.step for result in self.results if result is not None), default=0)

    def value(self, reduce: str) -> float | None:
        """Return the objective reduced over the runs; None while one is open or if none has it."""
        if self.is_open or not self.values:
            return None
        return REDUCERS[reduce](self.values)


def make_trials(
    search: Search, branch: int, first: int, proposals: Sequence[Proposal]
) -> list[Trial]:
    """Return the trials of `proposals`, numbered from `first`.

    Raises:
        StudyFileError: If a point makes no valid cell.
    """
    trials = []
    for number, proposal in enumerate(proposals, first):
        confirms = proposal.confirms is not None
        (cell,) = search.cells(branch, [proposal.point], confirms=confirms)
        trials.append(
            Trial(
                branch=branch,
                number=number,
                point=proposal.point,
                confirms=proposal.confirms,
                cell=cell,
                runs=tuple(Run(run_id(cell.identity, s), cell, s) for s in proposal.seeds),
            )
        )
    return trials


def read_trials(folder: StudyFolder, search: Search) -> list[Trial]:
    """Return the trials of the ledger that belong to `search`, by branch and number.

    Raises:
        StoreError: If the ledger cannot be read.
    """
    table = read_column(folder, "plan", ("run_id", "cell_id", "seed", "trial"))
    seeds: dict[tuple[str, str], dict[int, str]] = {}
    for row in table.filter(table["trial"].is_valid()).to_pylist():
        seeds.setdefault((row["trial"], row["cell_id"]), {})[row["seed"]] = row["run_id"]
    trials: dict[tuple[int, int], Trial] = {}
    for (text, cell_id), run_ids in seeds.items():
        values = json.loads(text)
        cell = own_cell(search, values)
        if cell is None or cell.cell_id != cell_id:
            continue
        trial = Trial(
            branch=values["branch"],
            number=values["number"],
            point=values["point"],
            confirms=values.get("confirms"),
            cell=cell,
            runs=tuple(Run(run_ids[seed], cell, seed) for seed in sorted(run_ids)),
        )
        trials.setdefault((trial.branch, trial.number), trial)
    return [trials[key] for key in sorted(trials)]


def own_cell(search: Search, values: Mapping[str, object]) -> Cell | None:
    """Return the cell of a trial of the ledger, or None if its point is not of `search`."""
    branch, point = values["branch"], values["point"]
    assert isinstance(branch, int)
    assert isinstance(point, dict)
    known = {d.field: d for d in search.space}
    if branch >= len(search.branches) or not point.keys() <= known.keys():
        return None
    if not all(known[name].holds(value) for name, value in point.items()):
        return None
    # A field whose condition does not hold is left out; its value would change nothing.
    whole = {name: point.get(name, d.ends[0]) for name, d in known.items()}
    try:
        if search.active(branch, whole).keys() != point.keys():
            return None
        (cell,) = search.cells(branch, [point], confirms="confirms" in values)
    except StudyFileError:
        return None
    return cell


def runs_of(trials: Iterable[Trial]) -> list[Run]:
    """Return the runs of `trials`, each once."""
    return list({run.run_id: run for trial in trials for run in trial.runs}.values())
