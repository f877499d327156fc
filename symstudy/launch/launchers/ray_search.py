"""What ties a Tune experiment to a source of packs: one class asks for packs, one tells of them."""

import json
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from symstudy.launch.job import PackReport
from symstudy.launch.launchers.base import Observer
from symstudy.launch.source import AbstractPackSource

__all__ = ["PackSearcher", "Relay"]


class PackSearcher(Searcher):
    """Hands out the packs of a source as configurations of trials."""

    def __init__(
        self, source: AbstractPackSource, observer: Observer, resources: dict[str, float]
    ) -> None:
        """Ask `source`, and tell `observer` of each pack; each takes `resources`."""
        super().__init__(metric=None, mode=None)
        self.resources = resources
        self.source = source
        self.observer = observer

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune writes its searcher to its state, and the store holds ours."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack; None if others have to end first."""
        del trial_id
        order = self.source.next_order()
        if order is None:
            return Searcher.FINISHED if self.source.is_over else None
        self.observer.ordered(order)
        return {
            "pack": order.pack.pack_id,
            "file": order.file,
            "certified": order.certified,
            "resources": self.resources,
        }

    def on_trial_complete(self, trial_id: str, *_: Any, **__: Any) -> None:
        """Nothing to do: the relay has passed the report on."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class Relay(tune.Callback):
    """Passes on what trials report.

    Attributes:
        errors: What the lost packs died of.
    """

    def __init__(self, source: AbstractPackSource, observer: Observer) -> None:
        """Tell `source` and `observer`."""
        self.source = source
        self.observer = observer
        self.errors: list[str] = []
        self.is_abandoned = False

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune writes its callbacks to its state, and an observer is alive."""
        return {}

    def abandon(self) -> None:
        """Have the experiment end at its next step; may be called by another thread."""
        self.is_abandoned = True

    def on_step_begin(self, iteration: int, trials: Any, **_: Any) -> None:
        """End the experiment if it is abandoned: Tune lets through what is no `Exception`."""
        del iteration, trials
        if self.is_abandoned:
            raise KeyboardInterrupt

    def on_step_end(self, iteration: int, trials: Any, **_: Any) -> None:
        """Let go of packs that have ended: Tune keeps what every trial ever said.

        The list is Tune's own; so 5,000 packs would cost it 250 MB, and each step a look at all.
        """
        del iteration
        ended = [trial for trial in trials if trial.status == "TERMINATED"]
        for trial in ended:
            metadata = trial.run_metadata
            metadata.last_result, metadata.metric_analysis, metadata.metric_n_steps = {}, {}, {}
            trial.invalidate_json_state()
        if ended:
            # One stays: the experiment's table is made of something.
            trials[:] = [trial for trial in trials if trial.status != "TERMINATED"] or ended[-1:]

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """Tell of progress, or of the end of a pack."""
        del iteration, trials
        if "report" in result:
            report = PackReport(**json.loads(result["report"]))
            self.observer.ended(report)
            self.source.ended(report)
        elif result.get("run_steps"):
            self.observer.progressed(trial.config["pack"], result["run_steps"])

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Tell of a worker that died."""
        del iteration, trials
        self.observer.retried(trial.config["pack"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Tell of a pack that is given up."""
        del iteration, trials
        self.errors.append(last_line(trial.get_error()))
        self.observer.lost(trial.config["pack"])
        self.source.lost(trial.config["pack"])


def last_line(error: BaseException | None) -> str:
    """Return the last line of what a worker raised."""
    lines = str(error).strip().splitlines() if error is not None else []
    return lines[-1] if lines else type(error).__name__
