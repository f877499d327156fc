"""Runs that end before their last step: converged, stopped by a rule, or given up by a search.

Shapes: K runs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from numpy.typing import NDArray

from symstudy.outcomes import Outcome
from symstudy.training.checkpoints import State, restore_array

__all__ = ["EarlyEnds", "NewlyEnded", "OwnReasons", "StopRule"]

REASON_BYTES = 300
"""Bytes of the reason of a rule of the user's own that are kept."""
OwnReasons = Callable[[NDArray[np.int64]], Mapping[int, str]]
"""Returns which of some runs a rule of the user's own ends now, with the reason of each."""


@runtime_checkable
class StopRule(Protocol):
    """Decides which runs of a pack are not worth going on with."""

    def lanes(
        self, step: int, measures: dict[str, NDArray[Any]], alive: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return which of the runs `alive` stop now; asked at each detailed probe but the last.

        A pack that is trained on from a checkpoint asks from there on only.

        Args:
            step: Steps taken.
            measures: Columns of the history at this probe, an entry a run of the pack; NaN for the
                runs that are not alive.
            alive: Places in the pack of the runs still training.
        """


class NewlyEnded(NamedTuple):
    """The runs that end at a probe.

    Attributes:
        converged: Those whose gradient has become small enough.
        stopped: Those that were given up.
    """

    converged: Int64[np.ndarray, " converged"]
    stopped: Int64[np.ndarray, " stopped"]


class EarlyEnds:
    """Which runs of a pack have ended before their last step, and at which.

    Args of the constructor: `train.converged` of each run, 0 for never.

    Attributes:
        step_K: Steps that the run took, or -1 where it has not ended so.
        is_stopped_K: Whether it was given up; else it has converged.
        reason_KB: Why a rule of the user's own has ended it, in UTF-8; zeros for no such rule.
    """

    def __init__(self, converged_K: NDArray[np.float64]) -> None:
        """Begin with no run ended."""
        self.converged_K = converged_K
        self.step_K: Int64[np.ndarray, " runs"] = np.full(len(converged_K), -1, np.int64)
        self.is_stopped_K: Bool[np.ndarray, " runs"] = np.zeros(len(converged_K), np.bool_)
        self.reason_KB: UInt8[np.ndarray, "runs bytes"] = np.zeros(
            (len(converged_K), REASON_BYTES), np.uint8
        )

    def update(
        self,
        step: int,
        measures: Mapping[str, NDArray[Any]],
        alive: Int64[np.ndarray, " alive"],
        stop_rule: StopRule | None,
        own_reasons: OwnReasons | None = None,
    ) -> NewlyEnded:
        """Return which of the runs `alive` end at `step`, and note it.

        Args:
            step: Steps taken, at a detailed probe.
            measures: Columns of the history there, an entry a run of the pack.
            alive: The runs still training.
            stop_rule: What gives runs up, if anything does.
            own_reasons: What asks the rule of the user's own, if there is one; before `stop_rule`.

        Raises:
            ValueError: If `stop_rule` names a run that is not alive.
        """
        threshold_K = self.converged_K
        is_converged_K = (threshold_K > 0) & (measures["grad_ratio"] <= threshold_K)
        converged, rest = alive[is_converged_K[alive]], alive[~is_converged_K[alive]]
        ended = own_reasons(rest) if own_reasons is not None else {}
        for lane, reason in ended.items():
            text = np.frombuffer(reason.encode()[:REASON_BYTES], np.uint8)
            self.reason_KB[lane, : len(text)] = text
        own, rest = rest[np.isin(rest, list(ended))], rest[~np.isin(rest, list(ended))]
        stopped = rest[:0]
        if stop_rule is not None and len(rest):
            stopped = np.unique(np.asarray(stop_rule.lanes(step, dict(measures), rest), np.int64))
            strangers = np.setdiff1d(stopped, rest)
            if len(strangers):
                raise ValueError(
                    f"a StopRule must name runs that are alive, but got {strangers.tolist()}"
                )
        stopped = np.concatenate([own, stopped])
        self.step_K[converged] = self.step_K[stopped] = step
        self.is_stopped_K[stopped] = True
        return NewlyEnded(converged, stopped)

    def reason(self, lane: int) -> str:
        """Return why a run was stopped."""
        told = self.reason_KB[lane]
        text = told[told > 0].tobytes().decode(errors="ignore")
        return text or Outcome.STOPPED.value

    def state(self) -> State:
        """Return what `restore` needs."""
        return {"step": self.step_K, "is_stopped": self.is_stopped_K, "reason": self.reason_KB}

    def restore(self, state: State) -> None:
        """Take over a `state`.

        Raises:
            UnfitStateError: If it is of other runs.
        """
        restore_array(state, "step", self.step_K)
        restore_array(state, "is_stopped", self.is_stopped_K)
        restore_array(state, "reason", self.reason_KB)
