"""Conformance suite of launchers: what every launcher must do, whoever wrote it.

Subclass `LauncherConformance` in a test module and return the launcher from `make_launcher`::

    class TestMyLauncher(LauncherConformance):
        def make_launcher(self, config):
            return MyLauncher.from_options(config)
"""

import math
import os
import signal
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from symstudy.launch import (
    AbstractLauncher,
    AbstractPackSource,
    Event,
    LaunchConfig,
    LaunchEnded,
    LaunchPlanned,
    Listener,
    PackAssignment,
    PackEnded,
    PackLost,
    PackProgressed,
    PackReport,
    PackRetried,
    PackStarted,
    Summary,
    open_study_folder,
    read_traceback,
    run_study,
)
from symstudy.store import Store, verify
from symstudy.store.tables.provenance import current_provenance
from symstudy.store.tables.writer import write_packs
from symstudy.study import Pack, PackConfig, Study, make_study, plan_packs

__all__ = ["ChainedSource", "LauncherConformance", "pause", "small_study"]

PAUSE_S = 0.2
"""Time that `pause` takes, in seconds."""


def pause(run: object) -> bool:
    """Wait a moment, and end no run: a rule of `train.stop` that takes time without work."""
    del run
    time.sleep(PAUSE_S)
    return False


def small_study(*, seeds: int, size: int, seconds: float = 0.0, **model: Any) -> Study:
    """Return a study of one small network.

    Args:
        seeds: Number of its runs.
        size: Number of runs of a pack.
        seconds: How long a pack takes at least, which it spends in waiting.
        **model: Keys of its [model] table that win over a dense network of width 8.
    """
    dense = {"kind": "fcn", "depth": 2, "width": 8}
    train: dict[str, Any] = {"lr": 0.001, "batch_size": 16, "optimizer": "sgd", "steps": 20}
    probe = {"num": 4, "detail": 2, "samples": 16}
    if seconds:
        # The last probe asks no rule.
        pauses = math.ceil(seconds / (PAUSE_S * size))
        train |= {"steps": 20 * pauses, "stop": f"{__name__}:{pause.__name__}"}
        probe |= {"num": pauses + 1, "detail": pauses + 1}
    return make_study(
        {
            "schema": 1,
            "name": "conformance",
            "title": "A study that launchers are tested with",
            "model": model if "kind" in model else {**dense, **model},
            "data": {"kind": "teacher_student", "samples": 40, "test_samples": 30},
            "train": train,
            "probe": probe,
            "sweep": {"seed": seeds},
            "pack": {"size": size, "certify": 0, "device": "cpu"},
        }
    )


RunStudy = Callable[..., tuple[Summary, Store]]
"""Runs a study on the launcher under test, with listeners; returns counts and SQL access."""


class ChainedSource(AbstractPackSource):
    """Yields each pack only after the one before has ended, as a search does.

    Attributes:
        reports: Report of each pack that ended.
    """

    def __init__(self, packs: list[Pack], file: str) -> None:
        """Yield `packs`, whose runs are listed in the file `file` of `packs/`."""
        self.waiting = deque(packs)
        self.file = file
        self.is_free = True
        self.reports: list[PackReport] = []

    def next_assignment(self) -> PackAssignment | None:
        """Return the next pack, or None while one is in training."""
        if not self.is_free or not self.waiting:
            return None
        self.is_free = False
        return PackAssignment(self.waiting.popleft(), self.file)

    @property
    def is_over(self) -> bool:
        """Whether all packs have been yielded and have ended."""
        return self.is_free and not self.waiting

    def ended(self, report: PackReport) -> None:
        """Make the next pack available."""
        self.reports.append(report)
        self.is_free = True

    def lost(self, pack_id: str) -> None:
        """Make the next pack available."""
        del pack_id
        self.is_free = True


class LauncherConformance(ABC):
    """Tests that a launcher keeps the contract of `AbstractLauncher`.

    Attributes:
        long_s: Seconds that a pack takes which is to be stopped, longer than workers take to hear
            of a stop; a launcher that hears of it at once may say fewer.
    """

    long_s = 12.0

    @abstractmethod
    def make_launcher(self, config: PackConfig) -> AbstractLauncher:
        """Return the launcher to test, not yet in its `with` block."""

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes that train packs now; overridden by launchers that have some."""
        return []

    @pytest.fixture
    def run(self, tmp_path: Path) -> RunStudy:
        """Run a study on the launcher; return what was done and SQL access to it."""

        def launch(study: Study, *listeners: Listener) -> tuple[Summary, Store]:
            launcher = self.make_launcher(study.pack)
            summary = run_study(study, str(tmp_path), launcher, listeners=listeners)
            return summary, Store([open_study_folder(str(tmp_path), study)])

        return launch

    def test_every_pack_is_accounted_for_once(self, run: RunStudy) -> None:
        """Each pack ends once, and the ledger proves that every run has."""
        summary, store = run(small_study(seeds=6, size=2))
        packs = [report.pack_id for report in summary.reports]
        assert len(packs) == len(set(packs)) == 3
        assert (summary.done, summary.failed) == (6, 0)
        assert verify(store.folders[0]).is_proven

    def test_events_come_in_order(self, run: RunStudy) -> None:
        """The plan comes first, and each pack starts, progresses and ends."""
        events: list[Event] = []
        run(small_study(seeds=4, size=2), events.append)
        assert isinstance(events[0], LaunchPlanned)
        assert isinstance(events[-1], LaunchEnded)
        for pack in events[0].packs:
            kinds = [type(event) for event in events if pack_of(event) == pack.pack_id]
            assert kinds[0] is PackStarted
            assert kinds[-1] is PackEnded
            assert set(kinds[1:-1]) <= {PackProgressed, PackRetried}

    def test_packs_that_depend_on_others_are_served(self, tmp_path: Path) -> None:
        """The source hears of an ended pack before it is asked for the next."""
        study = small_study(seeds=3, size=1)
        folder = open_study_folder(str(tmp_path), study)
        packs = plan_packs(study.runs(), study.pack)
        write_packs(folder, "chain", packs)
        config = LaunchConfig(
            study=study.name,
            location=folder.path,
            launch="chain",
            pack=study.pack,
            provenance=current_provenance(Path.cwd()),
        )
        source = ChainedSource(packs, "chain")
        events: list[Event] = []
        launcher = self.make_launcher(study.pack)
        launcher.prepare(study)
        with launcher:
            launcher.launch(config, source, events.append)
        assert [report.pack_id for report in source.reports] == [pack.pack_id for pack in packs]

    def test_an_exception_of_a_model_is_a_row_with_its_traceback(self, run: RunStudy) -> None:
        """An exception of user code fails its runs, and not the launch."""
        wrong = small_study(seeds=1, size=1, kind="symstudy.testing.failing:FailsInTraining")
        summary, store = run(wrong)
        assert (summary.done, summary.failed) == (0, 1)
        ((run_id, outcome),) = store.sql("select run_id, outcome from runs").rows
        assert outcome == "error"
        assert "Traceback (most recent call last)" in read_traceback(store.folders[0], run_id)

    def test_ctrl_c_stops_with_the_state_kept_and_the_next_launch_goes_on(
        self, run: RunStudy
    ) -> None:
        """Ctrl-C saves packs in training; the next launch ends them."""
        study = small_study(seeds=2, size=2, seconds=self.long_s)
        interrupt = Once(PackProgressed, lambda: os.kill(os.getpid(), signal.SIGINT))
        summary, store = run(study, interrupt)
        assert summary.stopped == "stopped by SIGINT"
        assert summary.done == 0
        assert store.folders[0].list_files("checkpoints", ".safetensors")
        again, store = run(study)
        assert again.done == 2
        assert verify(store.folders[0]).is_proven

    def test_a_worker_that_dies_costs_no_run(self, run: RunStudy) -> None:
        """A pack whose worker is killed is trained again."""
        if type(self).worker_processes is LauncherConformance.worker_processes:
            pytest.skip("this launcher trains in the calling process: it has no worker to lose")
        events: list[Event] = []
        study = small_study(seeds=2, size=2, seconds=self.long_s)
        summary, store = run(study, events.append, Once(PackProgressed, self.kill_worker))
        assert any(isinstance(event, PackRetried) for event in events)
        assert summary.done == 2
        assert verify(store.folders[0]).is_proven

    def test_the_calling_process_is_left_as_it_was(self, run: RunStudy) -> None:
        """Torch's threads, the working directory and signal handlers stay as they were."""
        import torch

        before = (torch.get_num_threads(), Path.cwd(), signal.getsignal(signal.SIGINT))
        run(small_study(seeds=1, size=1))
        assert (torch.get_num_threads(), Path.cwd(), signal.getsignal(signal.SIGINT)) == before

    def test_it_is_made_from_the_options_of_the_program(self) -> None:
        """The class takes the options of `symstudy run`."""
        config = PackConfig(device="cpu")
        kind = type(self.make_launcher(config))
        assert isinstance(kind.from_options(config, address=None, workers=1), kind)

    def kill_worker(self) -> None:
        """Kill one process that trains."""
        self.worker_processes()[0].kill()


class Once:
    """A listener that acts at the first event of a kind."""

    def __init__(self, kind: type[Event], act: Callable[[], object]) -> None:
        """Call `act` at the first event of `kind`."""
        self.kind = kind
        self.act = act
        self.has_acted = False

    def __call__(self, event: Event) -> None:
        """Act, if it is time."""
        if isinstance(event, self.kind) and not self.has_acted:
            self.has_acted = True
            self.act()


def pack_of(event: Event) -> str:
    """Return the pack of an event; empty for one about the whole launch."""
    match event:
        case PackStarted(assignment=assignment):
            return assignment.pack.pack_id
        case PackEnded(report=report):
            return report.pack_id
        case PackProgressed() | PackRetried() | PackLost():
            return event.pack_id
    return ""
