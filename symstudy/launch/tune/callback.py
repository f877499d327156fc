"""Tune callbacks: one turns what trials report into the events of a launch, one prints nothing."""

import json
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback

from symstudy.launch.events import Listener, PackEnded, PackLost, PackProgressed, PackRetried
from symstudy.launch.messages import PackReport
from symstudy.launch.source import AbstractPackSource
from symstudy.launch.tracebacks import last_line

__all__ = ["NoProgress", "TrialEvents"]


class TrialEvents(tune.Callback):
    """Tells a listener and the source of packs what the trials of an experiment report.

    Attributes:
        errors: Last line of the error of each pack that was given up.
    """

    def __init__(self, source: AbstractPackSource, tell: Listener) -> None:
        """Call `tell` with each event, then `source` with packs that ended."""
        self.source = source
        self.tell = tell
        self.errors: list[str] = []
        self.is_abandoned = False

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its callbacks, and listeners cannot be."""
        return {}

    def abandon(self) -> None:
        """Make the experiment end at its next step; safe in another thread."""
        self.is_abandoned = True

    def on_step_begin(self, iteration: int, trials: Any, **_: Any) -> None:
        """End the experiment if it is abandoned: Tune lets through what is no `Exception`."""
        del iteration, trials
        if self.is_abandoned:
            raise KeyboardInterrupt

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """Tell the progress or the end of a pack."""
        del iteration, trials
        if "report" in result:
            report = PackReport(**json.loads(result["report"]))
            self.tell(PackEnded(report=report))
            self.source.ended(report)
        elif result.get("run_steps"):
            self.tell(PackProgressed(pack_id=trial.config["pack"], run_steps=result["run_steps"]))

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Tell that a worker died and its pack is trained again."""
        del iteration, trials
        self.tell(PackRetried(pack_id=trial.config["pack"]))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Tell that a pack is given up."""
        del iteration, trials
        self.errors.append(reason_of(trial))
        self.tell(PackLost(pack_id=trial.config["pack"]))
        self.source.lost(trial.config["pack"])


class NoProgress(TrialProgressCallback):
    """Stands where Tune would put its own, which prints nothing here and keeps every trial."""

    def log_result(self, *_: Any, **__: Any) -> None:
        """Keep and print nothing."""

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Keep and print nothing."""


def reason_of(trial: Any) -> str:
    """Return the last line of the error of a trial's worker.

    `get_error` reads where Tune copies the file to later; it lies in the local folder first.
    """
    file = Path(trial.error_file) if trial.error_file else None
    text = file.read_text(encoding="utf-8") if file is not None and file.exists() else ""
    return last_line(text, "its worker left no message")
