"""Studies of programs: a module beside the study file, and the run of a process as it sees it."""

import textwrap
import time

import pytest

from symstudy.launch import (
    InlineLauncher,
    LaunchPlanned,
    PackProgressed,
    open_study_folder,
    read_lease,
    request_stop,
    run_study,
)
from symstudy.programs.job import ProgramJob
from symstudy.programs.run import ProgramRun
from symstudy.store import Store
from symstudy.study import load_study

HEAD = """
schema = 1
name = "own"
"""
ENTRY = '[program]\nentry = "train:main"\n'


SAVES = """
import time
def main(run):
    saved = run.restore() or {"step": 0, "attempts": 0}
    attempts = saved["attempts"] + 1
    for step in range(saved["step"] + 1, 21):
        run.report(step, loss=float(step), attempt=attempts)
        if step % 3 == 0:
            run.save({"step": step, "attempts": attempts})
        if attempts == 1 and step >= 8:
            time.sleep(0.05)
"""


class StopAt:
    """Asks the launch to stop as soon as a step is reported."""

    def __init__(self, step):
        self.step = step
        self.folder = None

    def __call__(self, event):
        if isinstance(event, LaunchPlanned):
            self.folder = event.folder
        if isinstance(event, PackProgressed) and event.run_steps >= self.step:
            assert self.folder is not None
            lease = read_lease(self.folder)
            assert lease is not None
            request_stop(self.folder, lease.launch, "the test says so")


@pytest.fixture
def stop_at():
    """A listener that asks the launch to stop at a step."""
    return StopAt


@pytest.fixture
def saves():
    """A script that saves every third step, and says in which attempt it reports."""
    return SAVES


@pytest.fixture
def write_study(tmp_path):
    """Write a script `train.py` and a study file beside it; return the study."""

    def write(script, tables=ENTRY, overrides=()):
        (tmp_path / "train.py").write_text(textwrap.dedent(script))
        (tmp_path / "study.toml").write_text(HEAD + tables)
        return load_study(tmp_path / "study.toml", overrides=overrides)

    return write


@pytest.fixture
def run_programs(tmp_path, write_study):
    """Run a study of a program in this process; return what was done and SQL access to it."""

    def run(script, tables=ENTRY, **options):
        study = write_study(script, tables)
        results = str(tmp_path / "results")
        summary = run_study(study, results, InlineLauncher(device="cpu"), **options)
        return summary, Store([open_study_folder(results, study)])

    return run


@pytest.fixture
def job_of(tmp_path):
    """Return the job of an attempt at a run in a folder of its own."""

    def make(**values):
        fields = {
            "run_id": "r1",
            "seed": 3,
            "config": {"lr": 0.1},
            "device": "cpu",
            "folder": str(tmp_path),
            "reports": str(tmp_path / "reports-a.jsonl"),
            "state": str(tmp_path / "saved.state"),
            "error": str(tmp_path / "error.json"),
            "entry": "train:main",
            "began": time.time(),
            "elapsed": 0.0,
            "last_step": -1,
            "taken": {"seed": "a column of every study"},
        }
        return ProgramJob(**{**fields, **values})

    return make


@pytest.fixture
def run(job_of):
    """A run as its program sees it."""
    return ProgramRun(job_of())
