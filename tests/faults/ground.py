"""A study that faults are injected into: its children, its files, and what must hold afterwards.

Every launch runs in a child process of its own, forked from one that has everything imported and
has trained nothing, so that it can be killed at any instant and costs no start.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from symstudy.errors import LaunchError, StoreError
from symstudy.launch import InlineLauncher, run_study
from symstudy.store import open_store, verify
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import find_studies
from symstudy.study import Study, make_study

__all__ = ["Ground", "make_small_study"]

VOLATILE = (
    *("pack_id", "seconds", "finished_at", "host", "git_sha", "git_dirty"),
    # Which pack is certified follows from the packs of a launch.
    "certificates_rows",
)
"""Columns that two launches of one study may differ in."""
QUIT, REFUSED, BROKEN = 0, 3, 4
"""How a child ends: it ran to its end, it raised what a user would be told, or anything else."""

Setup = Callable[[], None]


def make_small_study(**pack: Any) -> Study:
    """Return a study of a second: 24 runs in 6 packs, of two widths, one optimiser with moments."""
    return make_study(
        {
            "schema": 1,
            "name": "small",
            "title": "A small study under fire",
            "model": {"kind": "fcn", "depth": 2, "width": 8},
            "data": {"kind": "teacher_student", "samples": 40, "test_samples": 30},
            "train": {"optimizer": "adam", "lr": 0.01, "batch_size": 8, "steps": 3000},
            "probe": {"num": 8, "detail": 3, "samples": 16},
            "sweep": {"model.width": [8, 12], "train.gamma": [0.0, 1e-3, 1e-2], "seed": 4},
            "pack": {"size": 4, "certify": 1, "checkpoint": 0.001, "device": "cpu", **pack},
        }
    )


class Ground:
    """One study in one folder, trained again and again by children that may die.

    Attributes:
        study: The study.
        results: Where its folder is made.
        expected: Its rows when nothing disturbs it.
    """

    def __init__(self, study: Study, results: Path, expected: dict[str, Any] | None = None) -> None:
        """Prepare; without `expected`, the study is trained once undisturbed."""
        self.study = study
        self.results = results
        self.results.mkdir(parents=True, exist_ok=True)
        if expected is None:
            calm = Ground(study, results / "undisturbed", {})
            assert calm.run() == QUIT, "an undisturbed study must end"
            expected = calm.rows()
        self.expected = expected

    @property
    def marker(self) -> Path:
        """A file that is there once the fault of this child has happened."""
        return self.results / "happened"

    def mark(self) -> None:
        """Take note, in a child, that the fault happens now."""
        self.marker.touch()

    def has_happened(self) -> bool:
        """Return whether the last fault has happened, and forget it."""
        found = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return found

    @property
    def folder(self) -> StudyFolder:
        """The study's folder."""
        (folder,) = find_studies([str(self.results / self.study.name)])
        return folder

    def files(self, *suffixes: str) -> list[Path]:
        """Return the files of the study that hold anything of it, sorted."""
        place = self.results / self.study.name
        return sorted(
            path
            for path in place.rglob("*")
            if path.is_file()
            and path.suffix in (suffixes or (".parquet", ".json", ".safetensors"))
            and path.parent.name != "control"
        )

    def start(self, setup: Setup | None = None) -> int:
        """Start a launch in a child; return the child's process.

        Args:
            setup: Called in the child first: injects what is to happen to it.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        status = BROKEN
        try:
            if setup:
                setup()
            run_study(self.study, str(self.results), InlineLauncher(device="cpu"), retry=True)
            status = QUIT
        except (StoreError, LaunchError):
            status = REFUSED
        except BaseException:  # noqa: BLE001  # a child must never return into the caller's code
            traceback.print_exc()
        finally:
            os._exit(status)

    def wait(self, child: int) -> int:
        """Return how a child ended: its status, or minus the signal that killed it."""
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def run(self, setup: Setup | None = None) -> int:
        """Run a launch in a child and return how it ended."""
        return self.wait(self.start(setup))

    def run_and_kill(self, seconds: float) -> int:
        """Run a launch in a child and kill it after a while, if it has not ended by then."""
        child = self.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        self.mark()
        os.kill(child, signal.SIGKILL)
        return self.wait(child)

    def rows(self) -> dict[str, Any]:
        """Return the rows of the study, of all tables, but what may differ between launches."""
        store = open_store(self.results)
        columns = {
            "runs": f"* exclude ({', '.join(VOLATILE)})",
            "history": "*",
            "layers": "*",
        }
        return {
            table: store.sql(f"select {chosen} from {table} order by run_id").rows
            if table == "runs"
            else store.sql(
                f"select {chosen} from {table} order by run_id, step"
                + (", layer" if table == "layers" else "")
            ).rows
            for table, chosen in columns.items()
        }

    def check(self) -> None:
        """Assert that the study is whole: proven, nothing twice, equal to the undisturbed one."""
        found = verify(self.folder)
        assert found.is_proven, found
        assert found.account.done == len(self.study.runs()), found.account
        for table, rows in self.rows().items():
            assert rows == self.expected[table], (
                f"{table} differ from those of an undisturbed study"
            )
        left = [path.name for path in self.files(".safetensors")]
        assert not left, f"checkpoints of packs that have ended are left: {left}"


@contextlib.contextmanager
def no_fork_warnings() -> Iterator[None]:
    """Silence Python's warning that a process with threads forks; its threads hold no lock then."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
