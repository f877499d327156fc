"""The rules of docs/design/faults.md, each held by a test that fails if its line is taken out."""

import math

import numpy as np
import pytest

from symstudy.errors import LaunchError
from symstudy.identity import pack_id
from symstudy.launch import LaunchConfig, PackStarted, train_assigned_pack
from symstudy.launch.checkpointing import CheckpointWriter
from symstudy.launch.lease import TAKEN_OVER, Lease
from symstudy.store import StudyFolder, open_location, planned_runs
from symstudy.store.files.checkpoints import list_checkpoints, write_checkpoint
from symstudy.store.tables.ledger import read_pack
from symstudy.store.tables.provenance import current_provenance
from symstudy.store.tables.writer import write_packs
from symstudy.study import plan_packs
from symstudy.training.checkpoints import NextAction


@pytest.fixture
def folder(tmp_path):
    filesystem, path = open_location(str(tmp_path))
    return StudyFolder(filesystem, f"{path}/small")


@pytest.fixture
def config_of(folder, tmp_path):
    """Return the settings of the launch `mine`."""

    def make(study):
        return LaunchConfig(
            study=study.name,
            location=folder.path,
            launch="mine",
            pack=study.pack,
            provenance=current_provenance(tmp_path),
        )

    return make


def give_lease(folder, launch):
    folder.write_json(Lease(launch, "elsewhere", 1, "now", 0)._asdict(), "control", "lease.json")


@pytest.mark.parametrize("fails", [False, True])
def test_a_worker_writes_no_row_for_a_driver_that_was_replaced(
    study_of, folder, config_of, failing_model, monkeypatch, fails
):
    # However slow the machine is, the worker looks at the lease only when it is about to write.
    monkeypatch.setattr("symstudy.launch.stop_poll.POLL_S", math.inf)
    study = study_of(model=failing_model if fails else {})
    (pack,) = plan_packs(study.runs(), study.pack)
    write_packs(folder, "mine", [pack])
    give_lease(folder, "other")
    report = train_assigned_pack(config_of(study), pack.pack_id, "mine")
    assert report.paused == TAKEN_OVER
    assert folder.list_files("runs", ".parquet") == []
    give_lease(folder, "mine")
    assert train_assigned_pack(config_of(study), pack.pack_id, "mine").paused == ""
    assert len(folder.list_files("runs", ".parquet")) == 1


def test_a_pack_in_training_stops_and_saves_nothing_when_its_driver_was_replaced(
    study_of, folder, config_of, monkeypatch
):
    monkeypatch.setattr("symstudy.launch.stop_poll.POLL_S", 0.0)
    study = study_of()
    runs = study.runs()
    writer = CheckpointWriter(config_of(study), folder, "aa", runs, lambda: False)
    give_lease(folder, "mine")
    assert writer.next_action() is NextAction.GO_ON
    give_lease(folder, "other")
    assert writer.next_action() is NextAction.STOP
    assert writer.reason == TAKEN_OVER
    writer.save({"x": np.zeros(1)})
    assert list_checkpoints(folder) == []


def test_runs_and_packs_are_in_the_ledger_before_they_are_trained(study_of, folder, run_inline):
    seen = []

    def look(event):
        if isinstance(event, PackStarted):
            pack, file, _ = event.assignment
            run_ids = {run.run_id for run in pack.runs}
            assert run_ids <= planned_runs(folder)
            assert {run.run_id for run in read_pack(folder, file, pack.pack_id)} == run_ids
            seen.append(pack.pack_id)

    run_inline(study_of(sweep={"seed": 4}, pack={"size": 2}), listeners=[look])
    assert len(seen) == 2


def test_a_half_trained_pack_is_trained_on_as_it_was_packed(study_of, folder, run_inline, recorder):
    study = study_of(sweep={"seed": 6}, pack={"size": 3})
    runs = study.runs()
    half = [runs[4].run_id, runs[0].run_id]
    write_checkpoint(folder, pack_id(half), half, {"x": np.zeros(1)})
    summary, _ = run_inline(study, listeners=[recorder])
    first, *others = recorder.assignments
    assert first.pack.pack_id == pack_id(half)
    assert [run.run_id for run in first.pack.runs] == half
    assert not any(run.run_id in half for other in others for run in other.pack.runs)
    assert summary.done == 6


def test_a_launch_that_cannot_be_planned_writes_nothing(study_of, folder, run_inline, monkeypatch):
    def refuse(*_):
        raise LaunchError("no room")

    monkeypatch.setattr("symstudy.launch.session.plan_launch", refuse)
    with pytest.raises(LaunchError, match="no room"):
        run_inline(study_of())
    assert not folder.exists()
