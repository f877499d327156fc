"""Early stopping at rungs (ASHA), within a pack and across packs.

At a rung a run goes on if it is among the best 1 / reduction of all runs of its branch that have
reached the rung: of its own pack, and of the packs that had ended when its pack was ordered. What
was known then is written to `search/rungs/`, so that the pack can be trained again with the same
end; a pack that is ordered again after a death gets what it got before.

References:
    Li et al. 2020, arXiv:1810.05934 (ASHA). Here runs of a pack are compared with each other too,
    and runs that reached a rung later are not: they go by what was known when they began.
"""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.errors import StoreError
from symstudy.launch.search.trials import Trial
from symstudy.store import Store
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cell import Run
from symstudy.study.expand import read_cell
from symstudy.study.packs import Pack
from symstudy.study.search import Search
from symstudy.study.search_keys import HaltConfig

__all__ = ["Rungs", "read_rungs", "write_rungs"]

FOLDER = ("search", "rungs")


class Rungs:
    """Decides which runs of a pack stop at its rungs; a `StopRule` of training."""

    def __init__(
        self,
        config: HaltConfig,
        steps: Sequence[int],
        branches: NDArray[np.int64],
        earlier: Mapping[tuple[int, int], Sequence[float]],
        *,
        maximize: bool = False,
    ) -> None:
        """Prepare.

        Args:
            config: Measure and reduction.
            steps: Detailed probes of the runs.
            branches: Branch of each run of the pack; -1 for runs that are never stopped.
            earlier: Values of runs that have reached a rung before, by branch and step.
            maximize: Whether larger values are better.
        """
        self.config = config
        self.steps = set(rung_steps(config, steps))
        self.branches = branches
        self.earlier = earlier
        self.sign = -1.0 if maximize else 1.0

    def lanes(
        self, step: int, measures: dict[str, NDArray[Any]], alive: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return which of the runs `alive` stop now."""
        if step not in self.steps:
            return alive[:0]
        stopped: list[int] = []
        for branch in np.unique(self.branches[alive]).tolist():
            if branch < 0:
                continue
            mates = alive[self.branches[alive] == branch]
            values = self.sign * measures[self.config.measure][mates]
            before = self.sign * np.asarray(self.earlier.get((branch, step), ()), float)
            limit = cut_off(np.concatenate([before, values]), self.config.reduction)
            stopped += mates[values > limit].tolist()
        return np.array(sorted(stopped), np.int64)


def cut_off(values: NDArray[np.float64], reduction: int) -> float:
    """Return the quantile 1 / reduction of `values`: the largest of those that go on."""
    known = np.sort(values[np.isfinite(values)])
    if len(known) == 0:
        return float("inf")
    return float(known[max(1, len(known) // reduction) - 1])


def rung_steps(config: HaltConfig, steps: Sequence[int]) -> list[int]:
    """Return the rungs: the first of `steps` at or after 1 / reduction^k of the last, but it."""
    last = max(steps)
    found = set()
    for power in range(1, config.rungs + 1):
        after = [step for step in steps if step >= last / config.reduction**power]
        found.add(min(after))
    return sorted(found - {last})


def write_rungs(
    folder: StudyFolder, search: Search, packs: Sequence[Pack], trials: Sequence[Trial]
) -> None:
    """Write the values of earlier runs at their rungs for each pack that has no such file.

    Args:
        folder: Folder of the study.
        search: Search of the study, which stops runs early.
        packs: Packs of the search; one that has a file keeps it, so that a retry decides the same.
            A file that cannot be read is written anew: its pack has no rows yet.
        trials: Trials of the search.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    assert search.halt is not None, "only such searches have rungs"
    told = {path.rsplit("/", 1)[-1] for path in folder.list_files("/".join(FOLDER), ".json")}
    new = [
        pack
        for pack in packs
        if f"{pack.pack_id}.json" not in told or not is_told(folder, pack.pack_id)
    ]
    if not new:
        return
    branch_of = {
        run.run_id: trial.branch for trial in trials if trial.confirms is None for run in trial.runs
    }
    reader = program_values_at_rungs if search.is_program else values_at_rungs
    earlier = {
        f"{branch} {step}": values
        for (branch, step), values in sorted(reader(folder, search.halt, branch_of).items())
    }
    for pack in new:
        content = {
            **dataclasses.asdict(search.halt),
            "maximize": search.config.direction == "maximize",
            "branch_of": {run.run_id: branch_of.get(run.run_id, -1) for run in pack.runs},
            "earlier": earlier,
        }
        folder.write_bytes((json.dumps(content) + "\n").encode(), *FOLDER, f"{pack.pack_id}.json")


def values_at_rungs(
    folder: StudyFolder, halt: HaltConfig, branch_of: Mapping[str, int]
) -> dict[tuple[int, int], list[float]]:
    """Return the values of ended runs at each of their rungs, sorted, by branch and step."""
    # A detailed probe has the norm of the parameters; the measure was checked with the search.
    query = (
        f"select run_id, step, steps, ({halt.measure})::double from history "  # noqa: S608
        f"where theta_norm is not null and isfinite(({halt.measure})::double) "
        "and run_id in (select unnest(?))"
    )
    rows = Store([folder]).sql(query, [sorted(branch_of)]).rows
    probes: dict[int, set[int]] = {}
    for _, step, steps, _ in rows:
        probes.setdefault(steps, {steps}).add(step)
    rungs = {steps: rung_steps(halt, sorted(found)) for steps, found in probes.items()}
    values: dict[tuple[int, int], list[float]] = {}
    for run, step, steps, value in rows:
        if step in rungs[steps]:
            values.setdefault((branch_of[run], step), []).append(value)
    return {key: sorted(found) for key, found in values.items()}


def program_values_at_rungs(
    folder: StudyFolder, halt: HaltConfig, branch_of: Mapping[str, int]
) -> dict[tuple[int, int], list[float]]:
    """Return the values of ended runs of programs at each of their rungs, by branch and rung.

    A run's value at a rung is its first report of the metric at or after it.
    """
    store = Store([folder])
    if not store.sql("select 1 from runs_ended where outcome in ('done', 'stopped') limit 1").rows:
        return {}
    rows = store.sql(
        f"select run_id, step, ({halt.measure})::double as value from history "  # noqa: S608
        f"where isfinite(({halt.measure})::double) and run_id in (select unnest(?)) "
        "order by run_id, step",
        [sorted(branch_of)],
    ).rows
    configs = store.sql("select run_id, config from runs").rows
    steps = {run: read_cell(config).program.steps for run, config in configs if run in branch_of}
    values: dict[tuple[int, int], list[float]] = {}
    for run, of_run in itertools.groupby(rows, key=lambda row: row[0]):
        reports = [(step, value) for _, step, value in of_run]
        for rung in rung_steps(halt, range(1, steps[run] + 1)):
            after = [value for step, value in reports if step >= rung]
            if after:
                values.setdefault((branch_of[run], rung), []).append(after[0])
    return {key: sorted(found) for key, found in values.items()}


class Told(NamedTuple):
    """Settings and earlier values by which a pack stops runs at its rungs.

    Attributes:
        config: Measure and reduction.
        branch_of: Branch of each run of the pack; -1 for runs that are never stopped.
        earlier: Values of runs that had reached a rung before, by branch and step.
        maximize: Whether larger values are better.
    """

    config: HaltConfig
    branch_of: Mapping[str, int]
    earlier: Mapping[tuple[int, int], list[float]]
    maximize: bool


def read_told(folder: StudyFolder, pack_id: str) -> Told:
    """Return what `write_rungs` wrote for a pack.

    Raises:
        StoreError: If it is not there, or is something else: without it no run would be stopped.
    """
    name = folder.join(*FOLDER, f"{pack_id}.json")
    try:
        told = folder.read_json(*FOLDER, f"{pack_id}.json")
    except StoreError as error:
        raise StoreError(f"the rungs of a pack must be readable, but {error}") from error
    try:
        earlier = {
            (int(key.split()[0]), int(key.split()[1])): [float(value) for value in values]
            for key, values in told["earlier"].items()
        }
        return Told(
            HaltConfig(**{name: told[name] for name in ("measure", "reduction", "rungs")}),
            {str(run): int(branch) for run, branch in told["branch_of"].items()},
            earlier,
            told["maximize"] is True,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the rungs of a pack must be what symstudy writes, but {name!r} is not: "
            f"{type(error).__name__}: {error}."
        ) from error


def is_told(folder: StudyFolder, pack_id: str) -> bool:
    """Return whether what a pack was told of its rungs can be read."""
    try:
        read_told(folder, pack_id)
    except StoreError:
        return False
    return True


def read_rungs(folder: StudyFolder, pack_id: str, runs: Sequence[Run]) -> Rungs:
    """Return the rungs of runs of a pack: of all, or of the half that fits the memory.

    Raises:
        StoreError: If what `write_rungs` wrote cannot be read, or is not about these runs.
    """
    from symstudy.training.schedule import probe_steps

    told = read_told(folder, pack_id)
    unknown = [run.run_id for run in runs if run.run_id not in told.branch_of]
    if unknown:
        raise StoreError(f"the rungs of pack {pack_id!r} must be about run {unknown[0]!r}.")
    cell = runs[0].cell
    probes, is_detailed = probe_steps(cell.train.steps, cell.probe.num, cell.probe.detail)
    return Rungs(
        told.config,
        probes[is_detailed].tolist(),
        np.array([told.branch_of[run.run_id] for run in runs], np.int64),
        told.earlier,
        maximize=told.maximize,
    )
