"""Contract of rules that stop a run of a program before its end."""

from typing import Protocol, runtime_checkable

from symstudy.programs.reports import Row

__all__ = ["RowRule"]


@runtime_checkable
class RowRule(Protocol):
    """Decides whether a run is not worth going on with."""

    def stops(self, rows: list[Row]) -> str:
        """Return why the run is given up, empty to go on; asked after each report.

        Args:
            rows: Its reports so far, by step.
        """
