"""State of a search: its trials and their results, read from the study's folder."""

from typing import Any

from symstudy.errors import QueryError, UserError
from symstudy.launch.search.answer import answer_of
from symstudy.launch.search.methods import propose
from symstudy.launch.search.packages import check_packages
from symstudy.launch.search.trials import (
    EvaluatedTrial,
    Result,
    Trial,
    make_trials,
    read_trials,
    runs_of,
)
from symstudy.store import Store
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cell import Run
from symstudy.study.search import Search

__all__ = ["SearchState"]


class SearchState:
    """Trials of a search with their results; proposes further ones.

    What it asks for is a function of the search's table and of the rows of plan and runs alone, so
    it is the same after a restart.
    """

    def __init__(self, search: Search, folder: StudyFolder, *, retry: bool = False) -> None:
        """Read the trials of earlier launches.

        Args:
            search: Search of the study.
            folder: Folder of the study; it may not be there yet.
            retry: Whether failed runs count as not ended.

        Raises:
            UserError: If the objective or the condition is no SQL over the columns of `runs`.
            StoreError: If the results cannot be read.
            LaunchError: If a package is missing that its method needs.
        """
        check_packages(search.config.method)
        self.search = search
        self.folder = folder
        self.retry = retry
        self.trials: list[list[Trial]] = [[] for _ in search.branches]
        self.results: dict[str, Result] = {}
        check_expressions(search, folder)
        if folder.exists():
            for trial in read_trials(folder, search):
                self.trials[trial.branch].append(trial)
            self.refresh()

    @property
    def runs(self) -> list[Run]:
        """Runs of all trials so far."""
        return runs_of(trial for trials in self.trials for trial in trials)

    def refresh(self) -> None:
        """Read the results of runs that have ended since.

        Raises:
            StoreError: If they cannot be read.
        """
        waiting = [run.run_id for run in self.runs if run.run_id not in self.results]
        if not waiting:
            return
        for run, outcome, step, value in self.read_results(waiting):
            if self.retry and outcome not in ("done", "stopped"):
                continue
            has_value = outcome in ("done", "stopped") and value is not None
            self.results[run] = Result(outcome, float(value) if has_value else None, step)

    def read_results(self, waiting: list[str]) -> list[tuple[Any, ...]]:
        """Return run, outcome, steps and value of those of the runs `waiting` that have ended.

        Raises:
            UserError: If the objective is over metrics that no program has reported.
            StoreError: If the results cannot be read.
        """
        store = Store([self.folder])
        rest = "where run_id in (select unnest(?))"
        try:
            return store.sql(select_results(self.search, rest), [waiting]).rows
        except QueryError:
            if not self.search.is_program:
                raise
        # Metrics are columns once they have been reported.
        rows = store.sql(
            f"select run_id, outcome, steps_done, null from runs {rest}",  # noqa: S608
            [waiting],
        ).rows
        if any(outcome in ("done", "stopped") for _, outcome, _, _ in rows):
            check_expressions(self.search, self.folder)
        return rows

    def asked(self, branch: int) -> list[EvaluatedTrial]:
        """Return the trials of a branch with their results, by number."""
        return [
            EvaluatedTrial(trial, tuple(self.results.get(run.run_id) for run in trial.runs))
            for trial in self.trials[branch]
        ]

    @property
    def answers(self) -> list[str]:
        """What has been found so far, a sentence for each branch of a search that finds points."""
        asked = [self.asked(branch) for branch in range(len(self.search.branches))]
        told = [answer_of(self.search, branch, trials) for branch, trials in enumerate(asked)]
        return [sentence for sentence in told if sentence]

    def is_done(self) -> bool:
        """Return whether no run is open and the method proposes nothing more."""
        return all(run.run_id in self.results for run in self.runs) and not any(
            propose(self.search, branch, self.asked(branch))
            for branch in range(len(self.search.branches))
        )

    def ask(self) -> list[Trial]:
        """Propose the next trials of each branch and add them to the state.

        Returns:
            New trials; none where all branches have to wait for runs, or are done.
        """
        new: list[Trial] = []
        for branch in range(len(self.search.branches)):
            asked = self.asked(branch)
            first = 1 + max((a.trial.number for a in asked), default=-1)
            proposals = propose(self.search, branch, asked)
            trials = make_trials(self.search, branch, first, proposals)
            self.trials[branch] += trials
            new += trials
        return new


def select_results(search: Search, rest: str) -> str:
    """Return the SQL query for outcome, steps and objective value of runs."""
    config = search.config
    # Written by whoever wrote the study, for a connection that can only read.
    return (
        "select run_id, outcome, steps_done, "  # noqa: S608
        f"case when ({config.feasible}) and isfinite(({config.objective})::double) "
        f"then ({config.objective})::double end as value from runs {rest}"
    )


def check_expressions(search: Search, folder: StudyFolder) -> None:
    """Check that objective and condition are SQL expressions over the columns of the results.

    Raises:
        UserError: If not.
    """
    store = Store([folder])
    if search.is_program and not has_metrics(store):
        # What programs report is known when the first of them has ended.
        return
    config = search.config
    expressions = [
        ("objective", config.objective, "double", "runs"),
        ("feasible", config.feasible, "boolean", "runs"),
    ]
    if search.halt is not None:
        expressions.append(("halt.measure", search.halt.measure, "double", "history"))
    more = ", and with what the programs reported" if search.is_program else ""
    for key, expression, kind, table in expressions:
        try:
            store.sql(f"select ({expression})::{kind} from {table} limit 0")  # noqa: S608
        except QueryError as error:
            reason = str(error).split(": ", 1)[-1].split("\n\n")[0]
            raise UserError(
                f"search.{key} must be an SQL expression over the columns of {table}, but got "
                f"{expression!r}: {reason}. List the columns with: symstudy list columns{more}"
            ) from error


def has_metrics(store: Store) -> bool:
    """Return whether a run has ended as planned, so that what programs report is a column."""
    ended = "select count(*) from runs_ended where outcome in ('done', 'stopped')"
    return bool(store.sql(ended).rows[0][0])
