"""L-BFGS to a certified stationary point, from several initial states."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from symstudy.components import component
from symstudy.optimizers.config import NOT_KNOWN, AbstractOptimizer

__all__ = ["MINIMISER_STEPS", "Lbfgs"]

MINIMISER_STEPS = 3_000
"""Steps after which lbfgs has mostly ended; tanh networks of 16 to 64 neurons took 300 to 5,000."""


@component
class Lbfgs(AbstractOptimizer):
    """L-BFGS on the full objective in float64; the run is the best point of several starts."""

    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]] = "minimiser"
    no_polish: ClassVar[str] = "ends at a minimum by itself"

    kind: Literal["lbfgs"] = "lbfgs"
    """L-BFGS to a stationary point, in float64."""
    restarts: Annotated[int, Ge(1)] = 3
    """Initial states that lbfgs starts from; the run is the best of the points that it finds."""

    @property
    def starts(self) -> int:
        """From how many initial states a run is minimised."""
        return self.restarts

    def passes(self, steps: int) -> int:
        """Return the steps that one start takes: little more than one pass over the data each."""
        return min(steps, MINIMISER_STEPS)

    def effective_rate(self, rate: float) -> float:
        """Return NaN: whether it has converged is what `grad_ratio` says."""
        del rate
        return NOT_KNOWN
