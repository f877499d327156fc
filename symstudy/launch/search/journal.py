"""A copy of a search for optuna-dashboard: `search/journal.log` in the study's folder.

The ledger and the rows decide; the journal shows them, and nothing is ever read from it. So each
launch makes it anew, which mends a journal that is missing, damaged, or older or newer than the
ledger, and leaves no trial running that is not.
"""

import json
from collections.abc import Generator
from typing import Any

from optuna import Study, Trial, create_study, logging
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from symstudy.launch.search.optuna_study import frozen_trial
from symstudy.launch.search.state import SearchState
from symstudy.launch.search.trials import EvaluatedTrial
from symstudy.store.files.folder import StudyFolder
from symstudy.study.search import Point

__all__ = ["JOURNAL", "Journal"]

JOURNAL = ("search", "journal.log")


class Lines(BaseJournalBackend):
    """An Optuna journal in memory, written to the study's folder as a whole."""

    def __init__(self) -> None:
        """Start with an empty journal."""
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the lines from a number on."""
        yield from self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines."""
        self.logs.extend(json.loads(json.dumps(logs)))

    def content(self) -> bytes:
        """Return the journal as the bytes that Optuna's `JournalFileBackend` reads."""
        lines = (json.dumps(log, separators=(",", ":")) + "\n" for log in self.logs)
        return "".join(lines).encode()


class Journal:
    """Writes the trials of a search as an Optuna journal, with one Optuna study per branch."""

    def __init__(self, name: str, state: SearchState) -> None:
        """Create one Optuna study per branch.

        Args:
            name: Name of the study.
            state: State of its search.
        """
        logging.set_verbosity(logging.ERROR)
        self.state = state
        self.lines = Lines()
        storage = JournalStorage(self.lines)
        self.studies: list[Study] = [
            create_study(
                storage=storage,
                study_name=f"{name}{branch_title(values)}",
                direction=state.search.config.direction,
            )
            for values in state.search.branches
        ]
        self.ended: set[tuple[int, int]] = set()
        self.running: dict[tuple[int, int], Trial] = {}

    def update(self) -> None:
        """Add new trials and the results of ended ones; calling it again changes nothing."""
        for branch, study in enumerate(self.studies):
            for place, asked in enumerate(self.state.asked(branch)):
                if (branch, place) not in self.ended:
                    self.tell(study, (branch, place), asked)

    def tell(self, study: Study, key: tuple[int, int], asked: EvaluatedTrial) -> None:
        """Add one trial to its Optuna study, or report its result."""
        frozen = frozen_trial(
            self.state.search, asked, asked.value(self.state.search.config.reduce)
        )
        trial = self.running.get(key)
        if frozen.state is not TrialState.RUNNING:
            self.ended.add(key)
            if trial is None:
                study.add_trial(frozen)
                return
            for step, value in frozen.intermediate_values.items():
                trial.report(value, step)
            value = frozen.value if frozen.state is TrialState.COMPLETE else None
            study.tell(trial, value, frozen.state, skip_if_finished=True)
            del self.running[key]
        elif trial is None:
            study.enqueue_trial(dict(frozen.params), user_attrs=dict(frozen.user_attrs))
            self.running[key] = study.ask(dict(frozen.distributions))

    def write(self, folder: StudyFolder) -> None:
        """Update the journal and write it to the study's folder.

        Raises:
            StoreError: If it cannot be written.
        """
        self.update()
        folder.write_bytes(self.lines.content(), *JOURNAL)


def branch_title(values: Point) -> str:
    """Return the swept values of a branch as the end of an Optuna study's name."""
    text = ", ".join(f"{field} = {value}" for field, value in values.items())
    return f": {text}" if text else ""
