"""A Tune scheduler that starts packs in order and lets ended ones go."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler

__all__ = ["PackScheduler"]


class PackScheduler(FIFOScheduler):
    """Starts packs in the order in which they are suggested.

    Tune keeps each trial that has ended, in a set and as text in the state of the experiment, about
    10 KB a trial. Nothing asks for them: the store says which packs have ended.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Drop the trials that have ended, then choose the first that waits."""
        # Schedulers are given a wrapper, which keeps all but a few attributes from them.
        drop_terminated(vars(tune_controller).get("_tune_controller", tune_controller))
        return super().choose_trial_to_run(tune_controller)


def drop_terminated(controller: Any) -> None:
    """Drop what a Tune controller keeps of terminated trials; those that failed stay."""
    kept: set[Any] = vars(controller).get("_stopped_trials", set())
    unsaved: set[Any] = vars(controller).get("_trials_to_cache", set())
    state: dict[str, str] = vars(controller).get("_trial_metadata", {})
    for trial in kept:
        unsaved.discard(trial)
        state.pop(trial.trial_id, None)
    kept.clear()
