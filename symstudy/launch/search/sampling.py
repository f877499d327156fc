"""Samplers: the next points of a search by TPE, Gaussian process, CMA-ES, Sobol or at random.

The sampler of each batch is made anew from the trials so far, and its random numbers are keyed by
the search's seed, the branch and the number of the trial: nothing is carried over in memory, so a
search goes on after a restart as it would have, and with one worker it can be repeated.
"""

from collections.abc import Callable, Iterator, Sequence

from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch.search.evolution import evolve
from symstudy.launch.search.history import History
from symstudy.launch.search.optuna_study import ask_optuna
from symstudy.launch.search.sequences import random_points, sobol_points
from symstudy.launch.search.trials import EvaluatedTrial, Proposal
from symstudy.study.search import Point, Search

__all__ = ["sample"]

TRIES = 30
"""Number of points drawn per point that is wanted before a sampler counts as exhausted."""

SAMPLERS: dict[str, Callable[[History], Iterator[Point]]] = {
    "tpe": ask_optuna,
    "gp": ask_optuna,
    "cmaes": evolve,
    "qmc": sobol_points,
    "random": random_points,
}
"""From a method to what yields its points, with or without an end; points that were asked for
before are passed over."""


def sample(search: Search, branch: int, asked: Sequence[EvaluatedTrial]) -> list[Proposal]:
    """Propose the next batch of points, and finds to confirm with new seeds.

    Raises:
        LaunchError: If no point of the space is valid.
    """
    hunts = [a for a in asked if a.trial.confirms is None]
    proposals = confirmations(search, asked)
    count = min(search.config.batch, search.config.trials - len(hunts))
    if count <= 0:
        return proposals
    known = {a.trial.cell.cell_id for a in hunts}
    points: list[Point] = []
    invalid: StudyFileError | None = None
    history = History(search, branch, tuple(hunts))
    for tried, point in enumerate(SAMPLERS[search.config.method](history), 1):
        try:
            (cell,) = search.cells(branch, [point])
        except StudyFileError as error:
            invalid = error
        else:
            if cell.cell_id not in known:
                known.add(cell.cell_id)
                points.append(search.active(branch, point))
        if len(points) == count or tried >= TRIES * count:
            break
    if invalid is not None and not points and not hunts:
        raise LaunchError(
            f"search.space must hold valid points, but none of {TRIES * count} was: "
            f"{invalid.mistakes[0].key} {invalid.mistakes[0].what}. Narrow the space."
        ) from invalid
    return [Proposal(point, search.seeds) for point in points] + proposals


def confirmations(search: Search, asked: Sequence[EvaluatedTrial]) -> list[Proposal]:
    """Propose to train the finds again, with new seeds and the fields of `[search.confirm]`.

    A find is a trial whose value is better than `beyond`. They are taken in the order of their
    numbers among those that have ended, so an earlier one that ends later is not left out as long
    as there are places.
    """
    confirm = search.confirm
    if confirm is None:
        return []
    done = {a.trial.confirms for a in asked if a.trial.confirms is not None}
    seeds = search.confirming_seeds()
    finds = [
        a.trial
        for a in asked
        if a.trial.confirms is None
        and a.trial.number not in done
        and is_find(search, a.value(search.config.reduce))
    ]
    places = max(0, confirm.most - len(done))
    return [Proposal(trial.point, seeds, trial.number) for trial in finds[:places]]


def is_find(search: Search, value: float | None) -> bool:
    """Return whether a value is better than the threshold of `[search.confirm]`."""
    assert search.confirm is not None
    if value is None:
        return False
    if search.config.direction == "minimize":
        return value < search.confirm.beyond
    return value > search.confirm.beyond
