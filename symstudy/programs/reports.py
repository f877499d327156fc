"""The reports of a run, read line by line as they come and checked: rows with typed metrics."""

import bisect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.programs.metrics import Kind, MetricError, check_step, checked, widened

__all__ = ["Metrics", "ReportFile", "Row", "Rows"]

CHUNK = 1 << 20


class Row(NamedTuple):
    """What was reported at one step.

    Attributes:
        step: The step.
        elapsed: Seconds since the run began, at the first report of the step.
        values: Metrics by name.
    """

    step: int
    elapsed: float
    values: dict[str, Any]


class Metrics(NamedTuple):
    """Metrics of a run.

    Attributes:
        kinds: Kind of column of each metric.
        last: Last value of each.
    """

    kinds: dict[str, Kind]
    last: dict[str, Any]


class Rows:
    """Reports of one run, a row a step, in the order of steps.

    Reports of an attempt that the run goes on from are kept up to where the new ones begin.

    Attributes:
        taken: What each name stands for that no metric may have.
        rows: The rows.
        has_ended: Whether the program's function has returned.
        was_signalled: Whether the program was sent SIGTERM, and looks whether it is to stop.
        is_resumed: Whether the next report is the first of an attempt.
    """

    def __init__(self, taken: Mapping[str, str]) -> None:
        """Begin with nothing; `taken` says what each name stands for that no metric may have."""
        self.taken = taken
        self.rows: list[Row] = []
        self.has_ended = self.was_signalled = False
        self.is_resumed = False

    def resume(self) -> None:
        """Begin a new attempt: what it reports takes the place of rows at its steps and later."""
        self.is_resumed = True
        self.has_ended = self.was_signalled = False

    def add(self, line: bytes, elapsed: float) -> None:
        """Add a line of JSON.

        Args:
            line: The report.
            elapsed: Seconds since the run began, where the line does not say.

        Raises:
            MetricError: If it is no report that the run can make.
        """
        if self.has_ended:
            raise MetricError("a run must report before its end, but its function had returned.")
        values = parsed(line)
        if values == {"end": True}:
            self.has_ended = True
            return
        if values == {"signalled": True}:
            self.was_signalled = True
            return
        if "step" not in values:
            raise MetricError(f'a report must have a "step", but got {shown(line)}.')
        step = check_step(values.pop("step"))
        at = values.pop("elapsed", elapsed)
        known = {name: value for name, value in values.items() if value is not None}
        metrics = checked(known, self.taken)
        if not metrics:
            raise MetricError(f"a report must have at least one metric, but got {shown(line)}.")
        self.place(step, float(at) if isinstance(at, int | float) else elapsed, metrics)

    def place(self, step: int, elapsed: float, metrics: dict[str, Any]) -> None:
        """Add checked metrics at a step.

        Raises:
            MetricError: If the step goes backwards, or a metric is there twice.
        """
        if self.is_resumed:
            self.is_resumed = False
            del self.rows[bisect.bisect_left(self.rows, step, key=lambda row: row.step) :]
        last = self.rows[-1] if self.rows else None
        if last is None or step > last.step:
            self.rows.append(Row(step, elapsed, metrics))
            return
        if step < last.step:
            raise MetricError(
                f"steps must not go backwards, but got {step} after {last.step}. Count on over "
                "epochs."
            )
        again = last.values.keys() & metrics.keys()
        if again:
            raise MetricError(
                f"a metric must be reported once a step, but {min(again)!r} was reported at step "
                f"{step} twice."
            )
        last.values.update(metrics)

    @property
    def last_step(self) -> int:
        """Step of the last row; -1 without any."""
        return self.rows[-1].step if self.rows else -1

    @property
    def elapsed(self) -> float:
        """Seconds at the last row."""
        return self.rows[-1].elapsed if self.rows else 0.0

    def metrics(self) -> Metrics:
        """Return kinds and last values of all metrics.

        Raises:
            MetricError: If one changes its type.
        """
        kinds: dict[str, Kind] = {}
        last: dict[str, Any] = {}
        for row in self.rows:
            for name, value in row.values.items():
                kinds[name] = widened(name, kinds.get(name), value)
                last[name] = value
        return Metrics(kinds, last)


class ReportFile:
    """A growing file of lines, read from where it was read to before."""

    def __init__(self, path: Path, start: int = 0) -> None:
        """Read the file at `path` from the byte `start` on; it need not be there yet."""
        self.path = path
        self.at = start
        self.partial = b""

    def lines(self) -> list[bytes]:
        """Return the whole lines that have been written since.

        Raises:
            OSError: If the file cannot be read.
        """
        found: list[bytes] = []
        while True:
            try:
                if self.path.stat().st_size <= self.at:
                    return found
                with self.path.open("rb") as file:
                    file.seek(self.at)
                    chunk = file.read(CHUNK)
            except FileNotFoundError:
                return found
            self.at += len(chunk)
            *whole, self.partial = (self.partial + chunk).split(b"\n")
            found.extend(line for line in whole if line.strip())


def parsed(line: bytes) -> dict[str, Any]:
    """Return a line as a table.

    Raises:
        MetricError: If it is none.
    """
    try:
        values = json.loads(line, object_pairs_hook=each_once)
    except MetricError:
        raise
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise MetricError(
            'a report must be one line of JSON, as {"step": 1, "loss": 0.5}, but got '
            f"{shown(line)}."
        )
    return values


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the table of JSON's pairs.

    Raises:
        MetricError: If a name is there twice, of which a table would keep the last.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise MetricError(f"a report must have each metric once, but {again!r} is there twice.")
    return values


def shown(line: bytes) -> str:
    """Return a line for a message."""
    return repr(line[:80].decode(errors="replace"))
