"""A Tune scheduler that starts packs in order, lets ended ones go and keeps on after any death."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from symstudy.launch.tune.worker_death import retry_after_worker_death

__all__ = ["PackScheduler"]


class PackScheduler(FIFOScheduler):
    """Starts packs in the order in which they are suggested.

    Tune keeps each trial that has ended, with all that it reported, and again as text in the state
    of the experiment: 50 KB a trial, and a look at all of them in each step. Nothing asks for them:
    the store says which packs have ended.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See to it that a worker that Ray ends is started again, whatever Ray calls its end."""
        retry_after_worker_death(unwrap(tune_controller))
        super().on_trial_add(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Drop the trials that have ended, then choose the first that waits."""
        drop_terminated(unwrap(tune_controller))
        return super().choose_trial_to_run(tune_controller)


def unwrap(controller: Any) -> Any:
    """Return the Tune controller itself.

    Schedulers are given a wrapper, which keeps all but a few attributes from them.
    """
    return vars(controller).get("_tune_controller", controller)


def drop_terminated(controller: Any) -> None:
    """Drop what a Tune controller keeps of terminated trials; those that failed stay."""
    trials = controller.get_trials()
    ended = [trial for trial in trials if trial.status == Trial.TERMINATED]
    sets = [vars(controller).get(name, set()) for name in ("_stopped_trials", "_trials_to_cache")]
    state: dict[str, str] = vars(controller).get("_trial_metadata", {})
    for trial in ended:
        state.pop(trial.trial_id, None)
        for kept in sets:
            kept.discard(trial)
    if ended:
        # The list is Tune's own. One stays: the experiment's table is made of something.
        live = [trial for trial in trials if trial.status != Trial.TERMINATED]
        trials[:] = live or ended[-1:]
