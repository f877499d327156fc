"""Rungs of programs: a run is given up at its first report at or after a rung, by a metric."""

from collections.abc import Mapping, Sequence
from typing import final

from symstudy.launch.search.rungs import cut_off, read_told, rung_steps
from symstudy.outcomes import Outcome
from symstudy.programs.reports import Row
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cell import Run
from symstudy.study.search_keys import HaltConfig

__all__ = ["ProgramRungs", "read_program_rungs"]


@final
class ProgramRungs:
    """Gives a run up where its metric at a rung is worse than those of earlier runs allow."""

    def __init__(
        self,
        config: HaltConfig,
        rungs: Sequence[int],
        earlier: Mapping[int, Sequence[float]],
        *,
        maximize: bool,
    ) -> None:
        """Prepare.

        Args:
            config: Metric and reduction.
            rungs: Steps of the rungs.
            earlier: Values of runs that have reached a rung before, by its step.
            maximize: Whether larger values are better.
        """
        self.config = config
        self.left = sorted(rungs)
        self.earlier = earlier
        self.sign = -1.0 if maximize else 1.0

    def stops(self, rows: list[Row]) -> str:
        """Return why the run is given up; empty to go on."""
        while self.left and rows and rows[-1].step >= self.left[0]:
            rung = self.left[0]
            value = value_at(rows, rung, self.config.measure)
            if value is None:
                return ""
            self.left.pop(0)
            import numpy as np

            before = [self.sign * each for each in self.earlier.get(rung, ())]
            limit = cut_off(np.array([*before, self.sign * value]), self.config.reduction)
            if not self.sign * value <= limit:
                return Outcome.STOPPED.value
        return ""


def value_at(rows: Sequence[Row], rung: int, metric: str) -> float | None:
    """Return the first value of a metric at or after a rung; None before it was reported."""
    for row in rows:
        if row.step >= rung and metric in row.values:
            return float(row.values[metric])
    return None


def read_program_rungs(folder: StudyFolder, pack_id: str, run: Run) -> ProgramRungs | None:
    """Return the rungs of a run of a pack, or None if it is never stopped.

    Raises:
        StoreError: If what `write_rungs` wrote cannot be read.
    """
    told = read_told(folder, pack_id)
    branch = told.branch_of.get(run.run_id, -1)
    if branch < 0:
        return None
    steps = range(1, run.cell.program.steps + 1)
    earlier = {step: values for (of, step), values in told.earlier.items() if of == branch}
    return ProgramRungs(
        told.config, rung_steps(told.config, steps), earlier, maximize=told.maximize
    )
