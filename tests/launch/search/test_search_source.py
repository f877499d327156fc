"""When batches are asked for, with several workers and with one; what goes wrong meanwhile."""

import os
import signal
import subprocess
import sys
import time

import pytest

from symstudy.errors import StoreError
from symstudy.launch import InlineLauncher, run_study
from symstudy.launch.messages import PackReport
from symstudy.launch.search import BatchSettings, SearchSource, SearchState
from symstudy.store import StudyFolder, open_location, open_store, verify
from symstudy.study import load_study
from symstudy.testing.stores import plant_pack, plant_study

HUNT = {
    "method": "random",
    "space": {"train.lr": {"log": [1e-3, 0.3]}},
    "trials": 12,
    "batch": 2,
}


@pytest.fixture
def source_of(study_with, tmp_path):
    """Make the source of a search whose packs have one run each, for a number of workers."""

    def make(workers, search=HUNT, **tables):
        study = study_with(search, pack={"size": 1}, **tables)
        filesystem, path = open_location(str(tmp_path))
        folder = StudyFolder(filesystem, f"{path}/{study.name}")
        plant_study(folder, study)
        state = SearchState(study.search, folder)
        return SearchSource(state, BatchSettings(study.name, "launch", study.pack, workers, "cpu"))

    return make


def finish(source, assignment):
    """End a pack as a worker would have, with planted rows."""
    pack = assignment.pack
    plant_pack(
        source.state.folder, "small", pack.pack_id, list(pack.runs), lambda run: {"test_loss": 1.0}
    )
    source.ended(PackReport(pack_id=pack.pack_id, runs=1, failed=0, run_steps=1, seconds=0.0))


def ready_after(source, count, seconds=20.0):
    """Return how many packs wait, once they are `count` or time is up."""
    deadline = time.monotonic() + seconds
    while len(source.ready) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(source.ready)


def test_several_workers_never_wait_for_the_sampler(source_of):
    source = source_of(workers=3)
    taken = 0
    deadline = time.monotonic() + 20
    while taken < 3 and time.monotonic() < deadline:
        taken += source.next_assignment() is not None
    # Nothing has ended, and there is more to take.
    assert ready_after(source, 3) >= 3


def test_one_worker_gets_a_batch_when_the_last_one_has_ended(source_of):
    source = source_of(workers=1)
    first = source.next_assignment()
    second = source.next_assignment()
    assert len(source.state.trials[0]) == 2
    finish(source, first)
    time.sleep(0.2)
    assert len(source.state.trials[0]) == 2
    finish(source, second)
    assert source.next_assignment() is not None
    assert len(source.state.trials[0]) == 4


def test_a_search_that_has_to_wait_hands_out_nothing_and_is_not_over(source_of):
    bisection = {
        "method": "bisect",
        "objective": "gamma - 0.3",
        "space": {"train.gamma": {"linear": [0.0, 1.0]}},
        "batch": 1,
        "resolution": 0.2,
    }
    source = source_of(2, bisection, train={"lr": 0.1})
    assignments = [source.next_assignment() for _ in range(3)]
    assert source.next_assignment() is None
    for assignment in assignments[:2]:
        finish(source, assignment)
        assert source.next_assignment() is None
        assert not source.is_over
    finish(source, assignments[2])
    assert source.next_assignment() is not None


def test_it_ends_when_the_budget_is_spent(source_of):
    source = source_of(workers=2)
    count = 0
    while (assignment := source.next_assignment()) is not None:
        finish(source, assignment)
        count += 1
    assert count == 12
    assert source.is_over


def test_a_lost_pack_ends_what_depends_on_it(source_of):
    replication = {"method": "replicate", "looks": [2, 4], "high": 1.0}
    source = source_of(2, replication, train={"lr": 0.1})
    assignments = [source.next_assignment() for _ in range(2)]
    source.lost(assignments[0].pack.pack_id)
    finish(source, assignments[1])
    assert source.next_assignment() is None
    assert source.is_over


def test_what_goes_wrong_in_the_thread_is_raised_in_the_launcher(source_of, monkeypatch):
    source = source_of(workers=1)

    def full(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(source, "write_journal", full)
    with pytest.raises(StoreError, match="the disk is full"):
        source.next_assignment()


SCRIPT = """
import sys
from symstudy.launch import InlineLauncher, run_study
from symstudy.study import load_study
run_study(load_study(sys.argv[1]), sys.argv[2], InlineLauncher(device="cpu"))
"""
STUDY = """
schema = 1
name = "small"
[model]
kind = "fcn"
width = 16
[data]
kind = "teacher_student"
samples = 40
[train]
steps = 100000
batch_size = 8
[pack]
size = 2
[probe]
num = 4
detail = 2
[sweep]
seed = 2
[search]
method = "tpe"
objective = "test_loss"
trials = 6
batch = 2
[search.space]
"train.lr" = { log = [1e-4, 1e-2] }
"""


@pytest.mark.slow  # test_search_run.py ends a search at any batch, in this process
def test_a_driver_that_is_killed_loses_and_doubles_no_trial(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    study = load_study(path)
    run_study(study, str(tmp_path / "whole"), InlineLauncher(device="cpu"))
    driver = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), str(tmp_path / "killed")])
    runs = tmp_path / "killed" / "small" / "runs"
    while driver.poll() is None and len(list(runs.glob("*.parquet"))) < 2:
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    run_study(study, str(tmp_path / "killed"), InlineLauncher(device="cpu"))
    query = "select trial, run_id from planned order by all"
    whole, killed = (open_store(tmp_path / name) for name in ("whole", "killed"))
    assert killed.sql(query).rows == whole.sql(query).rows
    assert verify(killed.folders[0]).is_proven
