"""How many steps fit into a chunk of training: about half a second's worth, by measured time."""

__all__ = ["ChunkLength"]

CHUNK_S = 0.5
"""A chunk is to last so long; slower steps than measured may double it."""
GROWTH = 8
"""A chunk is at most so many times as long as the one before: the first steps say little."""
LARGEST = 1 << 30
"""Steps of a chunk that costs nothing, as one of runs that have all ended."""


class ChunkLength:
    """Chooses the length of the next chunk from how long the last one took.

    When chunks end depends on the machine and its load; so no number of a run may depend on it.

    Attributes:
        steps: Of the next chunk, at least 1.
    """

    def __init__(self) -> None:
        """Begin with a single step."""
        self.steps = 1

    def record(self, steps: int, seconds: float) -> None:
        """Note that a chunk of `steps` steps took `seconds`."""
        fitting = steps * CHUNK_S / max(seconds, 1e-9)
        self.steps = max(1, int(min(fitting, GROWTH * self.steps, LARGEST)))
