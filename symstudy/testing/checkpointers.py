"""A checkpointer that pauses a training, for tests of what goes on from its state."""

from typing import final

from symstudy.training.checkpoints import NextAction, State

__all__ = ["PausesOnce"]


@final
class PausesOnce:
    """Pauses a training at its n-th chance, and keeps its state in memory.

    Attributes:
        left: Chances until it pauses; never again after that.
        state: What was saved; None before.
    """

    def __init__(self, chances: int) -> None:
        """Pause at the last of so many chances."""
        self.left = chances
        self.state: State | None = None

    def load(self) -> State | None:
        """Return what was saved."""
        return self.state

    def next_action(self) -> NextAction:
        """Return to stop at the last chance, and to go on at all others."""
        self.left -= 1
        return NextAction.STOP if self.left == 0 else NextAction.GO_ON

    def save(self, state: State) -> None:
        """Keep a copy of `state`, whose arrays change again."""
        self.state = {name: array.copy() for name, array in state.items()}
