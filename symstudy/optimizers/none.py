"""No optimiser: every run is measured as it begins."""

from typing import ClassVar, Literal

from symstudy.components import component
from symstudy.optimizers.config import AbstractOptimizer

__all__ = ["Untrained"]


@component
class Untrained(AbstractOptimizer):
    """No training: every run is measured as it begins."""

    trains_by: ClassVar[Literal["steps", "minimiser", "nothing"]] = "nothing"
    no_polish: ClassVar[str] = "goes nowhere"

    kind: Literal["none"] = "none"
    """No training: every run is measured as it begins."""

    @property
    def can_pad(self) -> bool:
        """Nothing moves."""
        return True

    def effective_rate(self, rate: float) -> float:
        """Return 0: nothing decays."""
        del rate
        return 0.0
