"""The four answers that data can give to a claim."""

from enum import Enum

__all__ = ["Verdict"]


class Verdict(Enum):
    """What the data say of a claim; the value is a sentence for a reader."""

    SUPPORTED = "The data meet the rule."
    REFUTED = "The data break the rule, in this setting."
    INCONCLUSIVE = "The data cannot decide by the rule."
    UNTESTED = "There are no data that the rule is about."

    @property
    def label(self) -> str:
        """The verdict as one word."""
        return self.name.lower()
