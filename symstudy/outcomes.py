"""How a run can end: as data, not as an exception."""

from enum import Enum

__all__ = ["Outcome"]


class Outcome(Enum):
    """The end of a run; the value is a sentence for a reader, with its remedy.

    A diverged, failed or stopped run is a row like any other and is not trained again unless asked
    for.
    """

    DONE = "The run took all its steps, or converged as train.converged asks."
    STOPPED = "The search gave the run up before its last step; its measures are those of its stop."
    DIVERGED = "The loss stopped being a number below 1e12; try a smaller train.lr."
    OUT_OF_MEMORY = "The run did not fit the memory even alone; try a smaller model.width."
    ERROR = "The model or data raised an exception; see the run's reason."

    @property
    def is_done(self) -> bool:
        """Whether the run ended as planned."""
        return self is Outcome.DONE

    @property
    def is_failed(self) -> bool:
        """Whether the run ended otherwise than as planned, and nobody decided that it should."""
        return self not in {Outcome.DONE, Outcome.STOPPED}
