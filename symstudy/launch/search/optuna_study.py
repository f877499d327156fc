"""Optuna's samplers, run on an in-memory study that is rebuilt from the trials for each batch."""

import warnings
from collections.abc import Iterator
from typing import Any

from symstudy.launch.search.history import History
from symstudy.launch.search.trials import EvaluatedTrial
from symstudy.study.search import Point, Search

__all__ = ["ask_optuna", "distributions", "frozen_trial"]


def ask_optuna(history: History) -> Iterator[Point]:
    """Yield points from the study that the trials so far make, without end.

    Points that were asked for and have not ended are running trials, which the samplers keep away
    from.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = history.search
    study = optuna.create_study(
        direction=search.config.direction,
        sampler=make_sampler(search, history.seed(str(len(history.trials)))),
    )
    for asked, value in zip(history.trials, history.values(history.trials), strict=True):
        study.add_trial(frozen_trial(search, asked, value))
    space = distributions(search)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = study.ask(space).params
        # To as many digits as the study's cells have.
        yield {d.field: d.at(d.share(params[d.field])) for d in search.space}


def make_sampler(search: Search, seed: int) -> Any:
    """Return the Optuna sampler of the search's method."""
    import optuna

    if search.config.method == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.samplers.GPSampler(seed=seed)


def distributions(search: Search) -> dict[str, Any]:
    """Return the search space as Optuna distributions."""
    from optuna import distributions as known

    found: dict[str, Any] = {}
    for d in search.space:
        if d.kind == "choice":
            found[d.field] = known.CategoricalDistribution(d.values)
        elif d.is_integer:
            found[d.field] = known.IntDistribution(int(d.low), int(d.high), log=d.kind == "log")
        else:
            found[d.field] = known.FloatDistribution(d.low, d.high, log=d.kind == "log")
    return found


def frozen_trial(search: Search, asked: EvaluatedTrial, value: float | None) -> Any:
    """Return a trial as an Optuna trial: running, complete, failed, or pruned if it was stopped.

    A field whose condition does not hold in it is no parameter of it, so a sampler that models
    parameters by themselves learns each from the trials that have it.

    Args:
        search: Search of the study.
        asked: The trial.
        value: Its objective; without one it has failed for Optuna.
    """
    from optuna.trial import TrialState, create_trial

    point = asked.trial.point
    known: dict[str, Any] = {"state": TrialState.COMPLETE, "value": value}
    if asked.is_open:
        known = {"state": TrialState.RUNNING}
    elif value is None:
        known = {"state": TrialState.FAIL}
    elif asked.is_stopped:
        known = {"state": TrialState.PRUNED, "intermediate_values": {asked.step: value}}
    attributes: dict[str, Any] = {
        "trial": asked.trial.number,
        "branch": asked.trial.branch,
        "cell": asked.trial.cell.cell_id,
    }
    if asked.trial.confirms is not None:
        attributes["confirms"] = asked.trial.confirms
    return create_trial(
        params=dict(point),
        distributions={d: found for d, found in distributions(search).items() if d in point},
        user_attrs=attributes,
        **known,
    )
