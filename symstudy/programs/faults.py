"""Why an attempt at a run has failed, by how its process ended."""

import signal
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from symstudy.outcomes import Outcome

__all__ = ["LONGEST_REASON", "Fault", "fault_of"]

LONGEST_REASON = 500
INNERMOST_FIRST = "(most recent call first):"
"""How faulthandler begins the calls of a thread."""
MEMORY_ERRORS = ("MemoryError", "OutOfMemoryError")


class Fault(NamedTuple):
    """Why an attempt has failed.

    Attributes:
        outcome: How the run has ended, if it is not begun again.
        reason: A sentence.
        traceback: What the program left of what went wrong.
    """

    outcome: Outcome
    reason: str
    traceback: str


def fault_of(code: int, error: Mapping[str, str], output: str) -> Fault:
    """Return why a process has failed that ended with another status than 0.

    Args:
        code: Its exit status, negative for a signal.
        error: Kind, text and traceback of its exception, if its function raised one.
        output: The end of what it has printed.
    """
    if error:
        is_memory = error["kind"] in MEMORY_ERRORS
        outcome = Outcome.OUT_OF_MEMORY if is_memory else Outcome.ERROR
        reason = f"{error['kind']}: {error['text']}"[:LONGEST_REASON]
        return Fault(outcome, reason, error["traceback"])
    lines = output.strip().splitlines()
    said = f": {telling(lines)}" if lines else " and printed nothing"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = ", as where memory runs out" if name == "SIGKILL" else ""
        return Fault(Outcome.ERROR, f"ended by {name}{hint}{said}"[:LONGEST_REASON], output)
    return Fault(Outcome.ERROR, f"exit status {code}{said}"[:LONGEST_REASON], output)


def telling(lines: Sequence[str]) -> str:
    """Return the line that says most: the last, or where Python was that a signal has ended."""
    for before, line in pairwise(lines):
        if before.startswith("Current thread ") and before.endswith(INNERMOST_FIRST):
            return line.strip()
    return lines[-1].strip()
