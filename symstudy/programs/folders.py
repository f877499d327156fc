"""The folder of a run of a program: its working directory, and what is kept there between attempts.

A run that is interrupted keeps its reports and its state there until its rows are written. What the
program writes itself stays.
"""

import contextlib
import itertools
import json
import shlex
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.programs.job import JOB_FILE
from symstudy.programs.metrics import MetricError
from symstudy.programs.reports import ReportFile, Rows
from symstudy.programs.states import StateError, read_head

__all__ = ["ENDED", "SPOILT", "STATE", "Attempt", "ProgramFolder", "report_line"]

SPOILT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What reading or writing a folder says that its program has deleted or replaced parts of."""
STATE = "saved.state"
ERROR = "error.json"
ENDED = "ended.json"
REPORTS = "reports-"
"""Before the run's identifier and a name of the attempt's own: nothing else writes to a file that
it cannot know, and a copy in the folder of another run is known for one."""


class Attempt(NamedTuple):
    """Files of an attempt.

    Attributes:
        reports: File of its reports; those that are kept are in it.
        start: Byte at which its own begin.
    """

    reports: Path
    start: int


class ProgramFolder:
    """The folder of one run of a program."""

    def __init__(self, path: Path, run_id: str) -> None:
        """Name the folder of a run; it is made by `begin`."""
        self.path = path
        self.run_id = run_id
        self.state = path / STATE
        self.error = path / ERROR
        self.ended = path / ENDED

    def begin(self, rows: Rows) -> Attempt:
        """Prepare an attempt, and add to `rows` what an earlier one reported that it goes on from.

        With a state, that is what was reported until it was saved; without, all of it if the
        program has files of its own to go on from, and else nothing.

        Raises:
            OSError: If the folder cannot be written to.
        """
        self.refuse_links()
        self.path.mkdir(parents=True, exist_ok=True)
        found = sorted(self.path.glob(f"{REPORTS}*.jsonl"))
        before = [path for path in found if path.is_file() and self.has(path)]
        if not before and not self.state.exists() and any(self.path.iterdir()):
            self.set_aside()
        kept = self.kept_reports(before)
        self.error.unlink(missing_ok=True)
        for line in kept:
            # What does not hold together is not gone on from.
            try:
                rows.add(line, rows.elapsed)
            except MetricError:
                break
        reports = self.path / f"{REPORTS}{self.run_id}-{uuid.uuid4().hex[:12]}.jsonl"
        content = b"".join(report_line(row.step, row.elapsed, row.values) for row in rows.rows)
        reports.write_bytes(content)
        rows.resume()
        self.delete_reports(before)
        return Attempt(reports, len(content))

    def refuse_links(self) -> None:
        """Check that what is written here stays here.

        Raises:
            OSError: If the folder, or a file of ours in it, is a link.
        """
        own = [path for path in self.path.glob("*") if self.is_ours(path)]
        for path in (self.path.parent, self.path, *own):
            if path.is_symlink():
                raise OSError(
                    f"the folder of a run must hold files, but {str(path)!r} is a link, which may "
                    f"lead anywhere. Remove it: rm {shlex.quote(str(path))}"
                )

    def kept_reports(self, before: list[Path]) -> list[bytes]:
        """Return the lines of earlier attempts that a new one goes on from."""
        if self.state.exists():
            try:
                head = read_head(self.state, self.run_id)
            except StateError:
                self.state.replace(self.state.with_suffix(".damaged"))
                return []
            path = self.path / Path(head.reports).name
            if head.reports.startswith(REPORTS) and path in before:
                return path.read_bytes()[: head.size].splitlines()
            return []
        own = [path for path in self.path.iterdir() if not self.is_ours(path)]
        if not own or not before:
            return []
        newest = max(before, key=lambda path: path.stat().st_mtime_ns)
        return ReportFile(newest).lines()

    def delete_reports(self, before: list[Path]) -> None:
        """Delete the reports of earlier attempts, but those that a state was saved beside."""
        needed = ""
        if self.state.exists():
            with contextlib.suppress(StateError):
                needed = read_head(self.state, self.run_id).reports
        for path in before:
            if path.name != needed:
                path.unlink(missing_ok=True)

    def is_ours(self, path: Path) -> bool:
        """Return whether a file of the folder is not the program's own."""
        return path.name in {JOB_FILE, ERROR, ENDED} or path.name.startswith((REPORTS, STATE))

    def has(self, reports: Path) -> bool:
        """Return whether a file of reports is this run's; runs of before had no name in theirs."""
        run_id = reports.stem.removeprefix(REPORTS).rpartition("-")[0]
        return run_id in ("", self.run_id)

    def set_aside(self) -> None:
        """Rename a folder that a run has left or spoilt, if it is there, and make an empty one."""
        for number in itertools.count(1):
            old = self.path.with_name(f"{self.path.name}.{number}")
            if not old.exists():
                with contextlib.suppress(FileNotFoundError):
                    self.path.rename(old)
                break
        self.path.mkdir(parents=True)

    def write_end(self, about: dict[str, Any], reports: Path) -> None:
        """Note how the run has ended, until its rows are written."""
        temporary = self.ended.with_suffix(".tmp")
        told = {**about, "run_id": self.run_id, "reports": reports.name}
        temporary.write_text(json.dumps(told), encoding="utf-8")
        temporary.replace(self.ended)

    def read_end(self, rows: Rows) -> dict[str, Any] | None:
        """Return how the run has ended, if it has, and add its reports to `rows`.

        What says so of another run has been put there by something else, and is no end of this one.
        """
        try:
            about: dict[str, Any] = json.loads(self.ended.read_text(encoding="utf-8"))
            if about["run_id"] != self.run_id:
                return None
            for line in ReportFile(self.path / Path(about["reports"]).name).lines():
                rows.add(line, rows.elapsed)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return about

    def clear(self) -> None:
        """Delete all but the program's own files, once the run's rows are written."""
        with contextlib.suppress(OSError):
            for path in self.path.iterdir():
                if self.is_ours(path):
                    path.unlink()
            # Only a folder without files of the program's own can go.
            self.path.rmdir()

    def read_error(self) -> dict[str, str]:
        """Return kind, text and traceback of the exception that ended it; empty if none."""
        try:
            about = json.loads(self.error.read_text(encoding="utf-8"))
            return {key: str(about[key]) for key in ("kind", "text", "traceback")}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def report_line(step: int, elapsed: float, values: dict[str, Any]) -> bytes:
    """Return a row of reports as a line of the file."""
    return json.dumps({"step": step, **values, "elapsed": elapsed}).encode() + b"\n"
