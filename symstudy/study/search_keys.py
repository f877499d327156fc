"""The keys of the `[search]` table and of its tables `confirm` and `halt`."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

__all__ = [
    "COMMON_KEYS",
    "KEYS_OF_METHOD",
    "MODELS",
    "SUBTABLES",
    "ConfirmConfig",
    "HaltConfig",
    "SearchConfig",
]

FORBID: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is searched for and how, as written in the `[search]` table of a study file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    method: Literal["tpe", "gp", "cmaes", "qmc", "random", "bisect", "replicate"]
    """Optuna's tpe or gp, cmaes, qmc (a Sobol sequence) or random; bisect closes in on where a
    condition changes; replicate adds seeds where a median is undecided. Required."""
    objective: str
    """SQL expression over the columns of `runs`: what is minimised or maximised, what replicate
    takes the median of, or for bisect a condition, or a number whose sign changes. Required."""
    feasible: str = "true"
    """SQL condition on a run; where it does not hold the run has no value."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Which values of the objective are sought."""
    trials: Annotated[int, Ge(1)] = 100
    """Points that are asked for at most in each branch (a combination of swept values); each is
    trained with every seed of the sweep."""
    batch: Annotated[int, Ge(1)] = 8
    """Points that are asked for together; for bisect those of a round."""
    reduce: Literal["mean", "median", "min", "max"] = "mean"
    """How the values of a point's seeds become one."""
    seed: Annotated[int, Ge(0)] = 0
    """Seed of the sampler."""
    resolution: Annotated[float, Gt(0), Lt(1)] = 0.01
    """bisect: width of the bracket at which it ends, as a share of the first."""
    looks: tuple[Annotated[int, Ge(2)], ...] | None = None
    """replicate: numbers of seeds at which an undecided branch is judged; the last is its budget.
    Required there."""
    low: float | None = None
    """replicate: lower end of the claimed range of the median; none if not given."""
    high: float | None = None
    """replicate: upper end of the claimed range of the median; none if not given."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.05
    """replicate: chance that any branch is ever decided wrongly, over all looks, at most."""


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    """How finds are held against chance, as written in the table `[search.confirm]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    beyond: float
    """A point whose value is better than this is trained again. Required."""
    seeds: Annotated[int, Ge(1)] = 5
    """New seeds that it is trained with; those of the sweep are trained again too if fields are set
    for it."""
    most: Annotated[int, Ge(1)] = 10
    """Points of each branch that are trained again at most, the first found first."""


@dataclass(frozen=True, kw_only=True)
class HaltConfig:
    """How hopeless runs are stopped early, as written in the table `[search.halt]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID

    measure: str
    """Column of `history` by which runs are compared, less being better unless the search
    maximises. Required."""
    reduction: Annotated[int, Ge(2)] = 3
    """One of so many runs goes on past a rung."""
    rungs: Annotated[int, Ge(1)] = 3
    """Number of rungs, at 1 / reduction, 1 / reduction^2, ... of the steps."""


MODELS = ("tpe", "gp", "cmaes", "qmc", "random")
"""Methods that ask for points of a space by the values of earlier ones, or by a sequence."""
KEYS_OF_METHOD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODELS, ("space", "direction", "trials", "batch", "reduce", "seed")),
    "bisect": ("space", "trials", "batch", "resolution"),
    "replicate": ("looks", "low", "high", "alpha"),
}
"""Keys that a method reads beside those that all read."""
COMMON_KEYS = ("method", "objective", "feasible")
"""Keys that every method reads."""
SUBTABLES = ("confirm", "halt")
"""Tables within the table of a search."""
