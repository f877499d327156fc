"""Queries of the user, in a process of their own that is ended where they do not end.

DuckDB looks between batches of rows whether it is to stop, and counts the memory of these. A
function that makes one text of a gigabyte is neither stopped nor counted, so what a user types is
run where it can be ended from outside.
"""

import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from symstudy.errors import QueryError, UserError
from symstudy.explore.answers import to_json
from symstudy.store import open_store
from symstudy.store.tables.limits import check_limits, timeout_error

__all__ = ["SqlBox"]

START_S = 60.0
"""Seconds in which the process must have opened the results."""
GRACE_S = 3.0
"""Seconds beyond its time in which a query may be stopped by DuckDB itself."""
BESIDE_BYTES = 2 * 2**30
"""Memory of the process beside what DuckDB may use."""


class SqlBox:
    """A process that answers queries about some results; not to be shared by threads.

    Attributes:
        locations: Folders of studies, or their parents.
        memory: Memory that a query may use.
        timeout_s: Seconds that it may take.
        process: Answers queries; None until there is one.
        changes: Which state of the results it has opened.
    """

    def __init__(self, locations: Sequence[str], *, memory: str, timeout_s: float) -> None:
        """See the class."""
        self.locations = tuple(locations)
        self.memory = memory
        self.timeout_s = timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self.changes = -1

    def ask(self, query: str, most_rows: int, changes: int) -> dict[str, Any]:
        """Return the first rows of an answer, as JSON values.

        Args:
            query: One SELECT statement.
            most_rows: Rows of the answer.
            changes: Grows whenever rows were added to the results.

        Raises:
            QueryError: If it is not one, is refused, or does not end within its time and memory.
            UserError: If the results cannot be read.
        """
        self.start()
        asked = {
            "query": query,
            "rows": most_rows,
            "timeout_s": self.timeout_s,
            "is_other": changes != self.changes,
        }
        self.changes = changes
        try:
            found = self.exchange(asked, self.timeout_s + GRACE_S)
        except TimeoutError as error:
            raise timeout_error(query, self.timeout_s) from error
        if found["error"]:
            raise QueryError(found["error"])
        return found

    def start(self) -> None:
        """Start the process, and wait until it has opened the results, unless it is there.

        Raises:
            QueryError: If it cannot.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self.close()
        settings = json.dumps([self.locations, self.memory, START_S])
        command = [sys.executable, "-P", "-m", "symstudy.explore.box", settings]
        self.process = subprocess.Popen(  # noqa: S603  # our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            opened = self.exchange(None, START_S)
        except TimeoutError as error:
            raise QueryError(
                f"results must open within {START_S:g} s, but did not. Use: symstudy query RESULTS"
            ) from error
        if opened["error"]:
            self.close()
            raise QueryError(opened["error"])

    def exchange(self, asked: object, timeout_s: float) -> dict[str, Any]:
        """Send something to the process, and return its answer; end it where it has none.

        Raises:
            QueryError: If it has ended.
            TimeoutError: If it does not answer.
        """
        process = self.process
        assert process is not None, "it is started"
        assert process.stdin is not None, "it has pipes"
        assert process.stdout is not None, "it has pipes"
        with contextlib.suppress(BrokenPipeError):
            if asked is not None:
                process.stdin.write(to_json(asked) + b"\n")
                process.stdin.flush()
        try:
            line = read_line(process.stdout.fileno(), timeout_s)
        except TimeoutError:
            self.close()
            raise
        if not line.endswith(b"\n"):
            self.close()
            raise QueryError(
                f"a query must fit {self.memory} of memory, but this one has ended its process. "
                "Ask for less, or use: symstudy query RESULTS SQL --memory 16GB"
            )
        found: dict[str, Any] = json.loads(line)
        return found

    def kill(self) -> None:
        """End the process, for whoever waits for its answer; may be called by any thread."""
        if (process := self.process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process, and what it is asked."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self.process = None


def read_line(file: int, timeout_s: float) -> bytes:
    """Return what a pipe holds up to the end of a line, or of the pipe.

    Raises:
        TimeoutError: If neither comes in time.
    """
    end = time.monotonic() + timeout_s
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        while not parts or (parts[-1] and not parts[-1].endswith(b"\n")):
            if not selector.select(end - time.monotonic()):
                raise TimeoutError
            parts.append(os.read(file, 2**20))
    return b"".join(parts)


def answer_queries(locations: Sequence[str], memory: str, timeout_s: float) -> None:
    """Answer queries that come in lines of JSON, until there are no more."""
    answers = sys.stdout.buffer
    # What others print would be an answer.
    sys.stdout = sys.stderr
    most = check_limits(memory, timeout_s) + BESIDE_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    def tell(**values: Any) -> None:
        answers.write(to_json(values) + b"\n")
        answers.flush()

    try:
        store = open_store(*locations, memory=memory, timeout_s=timeout_s)
    except UserError as error:
        tell(error=str(error))
        return
    tell(error="")
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            store.timeout_s = asked["timeout_s"]
            if asked["is_other"]:
                store.connect()
            tell(**store.first(asked["query"], asked["rows"])._asdict(), error="")
        except UserError as error:
            tell(error=str(error))
        except MemoryError:
            tell(error=f"a query must fit {memory} of memory, but does not. Ask for less.")


if __name__ == "__main__":
    answer_queries(*json.loads(sys.argv[1]))
