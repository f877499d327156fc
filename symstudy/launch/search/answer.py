"""What a search has found: its best point, or where its condition changes."""

from collections.abc import Sequence

from symstudy.launch.search.bisection import find_bracket
from symstudy.launch.search.trials import EvaluatedTrial
from symstudy.study.search import Point, Search
from symstudy.study.search_keys import MODELS

__all__ = ["answer_of"]


def answer_of(search: Search, branch: int, asked: Sequence[EvaluatedTrial]) -> str:
    """Return in a sentence what the ended trials of a branch say; empty for replicated grids.

    Args:
        search: The search.
        branch: Number of the branch.
        asked: Its trials, with their results.
    """
    fixed = search.branches[branch]
    where = f"at {told(fixed)}, " if fixed else ""
    if search.config.method == "bisect":
        return where + bisected(search, asked)
    return where + best(search, asked) if search.config.method in MODELS else ""


def bisected(search: Search, asked: Sequence[EvaluatedTrial]) -> str:
    """Return between which values the condition changes, or that it does not."""
    (dimension,) = search.space
    objective = search.config.objective
    bracket = find_bracket(search, asked)
    if bracket is not None:
        low, high = dimension.at(bracket.low), dimension.at(bracket.high)
        return f"{objective!r} changes between {dimension.field} = {low} and {high}"
    values = sorted((a.trial.point[dimension.field], a.values) for a in asked if a.values)
    if not values:
        return f"{objective!r} has no value at any point"
    (first, said), (last, _) = values[0], values[-1]
    holds = "" if 2 * sum(value > 0 for value in said) > len(said) else "not "
    return (
        f"{objective!r} is {holds}above 0 at both ends, {dimension.field} = {first} and {last}: "
        "a bisection needs ends that differ"
    )


def best(search: Search, asked: Sequence[EvaluatedTrial]) -> str:
    """Return the best point and its value."""
    config = search.config
    values = [(a.value(config.reduce), a) for a in asked if a.trial.confirms is None]
    valued = [(value, a) for value, a in values if value is not None]
    if not valued:
        return f"none of {len(values)} points has a value of {config.objective!r}"
    choose = min if config.direction == "minimize" else max
    value, found = choose(valued, key=lambda pair: pair[0])
    seeds = len(found.values)
    of_seeds = f", the {config.reduce} of {seeds} seeds" if seeds > 1 else ""
    return (
        f"best of {len(valued)} points: {told(found.trial.point)}, with {config.objective!r} = "
        f"{value:.6g}{of_seeds}"
    )


def told(point: Point) -> str:
    """Return a point in words."""
    return ", ".join(f"{field} = {value}" for field, value in point.items())
