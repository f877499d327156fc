"""The processes of one attempt at a run: started as one group, ended together."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from symstudy.programs.job import VARIABLE

__all__ = ["ProgramProcess", "end_marked"]

MOST_OUTPUT = 64 * 1024
"""Bytes of what a program prints that are kept: the last ones."""
CHUNK = 65_536
GUARD = Path(__file__).with_name("guard.py")


class ProgramProcess:
    """A program in a session of its own, with all that it starts.

    What it prints is read as it comes, so that it never waits, and the end of it is kept.
    """

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        """Start `command` in `folder` with the environment `variables`.

        Raises:
            OSError: If no process can be started.
        """
        self.mark = f"{VARIABLE}={variables[VARIABLE]}"
        self.kept = bytearray()
        self.printed = 0
        self.has_ended = False
        guarded = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *command]
        self.process = subprocess.Popen(  # noqa: S603  # the user's own program
            guarded,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self.read_output, daemon=True)
        self.reader.start()

    def read_output(self) -> None:
        """Keep the end of what the program prints: the body of a thread."""
        assert self.process.stdout is not None, "a pipe"
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self.process.stdout.fileno(), CHUNK):
                self.printed += len(chunk)
                self.kept += chunk
                del self.kept[:-MOST_OUTPUT]

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while it runs."""
        return self.process.poll()

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def dump(self) -> None:
        """End it so that Python prints where each of its threads is."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGABRT)
        self.wait(2.0)

    def end(self) -> None:
        """End all its processes, those that have left its session too; once."""
        if self.has_ended:
            return
        self.has_ended = True
        self.signal(signal.SIGKILL)
        end_marked(self.mark, after=self.process.pid)
        self.process.wait()
        self.reader.join(1.0)
        if self.process.stdout is not None and not self.reader.is_alive():
            self.process.stdout.close()

    @property
    def output(self) -> str:
        """The end of what it has printed."""
        text = bytes(self.kept).decode(errors="replace")
        cut = self.printed - len(self.kept)
        return f"[{cut} bytes before are left out]\n{text}" if cut > 0 else text


def end_marked(mark: str, *, after: int = 0) -> None:
    """End every process whose environment has the variable `mark`, NAME=value, until none is left.

    A process of a run has it from its start, whatever session or parent it has now.

    Args:
        mark: The variable.
        after: Process that all of them were started after; 0 if that is not known.
    """
    for _ in range(20):
        found = list(marked_processes(mark, after))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def marked_processes(mark: str, after: int) -> Iterator[int]:
    """Yield the processes of this user whose environment has `mark`, where the system tells."""
    wanted = mark.encode() + b"\0"
    try:
        names = [entry.name for entry in Path("/proc").iterdir()]
        newest = int(Path("/proc/loadavg").read_text(encoding="utf-8").split()[-1])
    except (OSError, ValueError):
        return
    # Numbers grow until they begin anew, so few have to be looked at. psutil does not know the
    # newest, and would read the environment of every process of a node at each end of a run.
    least = after if newest >= after else 0
    for pid in (int(name) for name in names if name.isdigit()):
        if pid < least:
            continue
        with contextlib.suppress(OSError):
            content = Path(f"/proc/{pid}/environ").read_bytes()
            if content.startswith(wanted) or b"\0" + wanted in content:
                yield pid
