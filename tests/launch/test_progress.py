"""The numbers behind a progress line, from events."""

from types import SimpleNamespace
from typing import Any

import pytest

from symstudy.launch import (
    LaunchPlanned,
    LaunchProgress,
    PackAssignment,
    PackEnded,
    PackLost,
    PackProgressed,
    PackReport,
    PackRetried,
    PacksPlanned,
    PackStarted,
)
from symstudy.launch.progress import parse_snapshot
from symstudy.study import plan_packs


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    return plan_packs(study.runs(), study.pack)


@pytest.fixture
def progress(packs):
    clock = iter(range(0, 1000, 10))
    progress = LaunchProgress(clock=lambda: next(clock))
    folder: Any = SimpleNamespace(name="small")
    progress(
        LaunchPlanned(
            folder=folder, planned=6, ended=2, packs=tuple(packs), workers=2, device="cpu"
        )
    )
    return progress


def started(pack):
    return PackStarted(assignment=PackAssignment(pack, "x"))


def ended(pack, **fields):
    report = {"runs": len(pack.runs), "failed": 0, "run_steps": 40, "seconds": 1.0, **fields}
    return PackEnded(report=PackReport(pack_id=pack.pack_id, **report))


def test_lanes_steps_share_and_time_left(progress, packs):
    progress(started(packs[0]))
    progress(PackProgressed(pack_id=packs[0].pack_id, run_steps=20))
    seen = progress.snapshot()
    assert (seen.lanes, seen.packs, seen.ended, seen.run_steps) == (2, 1, 2, 20)
    assert seen.share == pytest.approx(0.25)
    assert seen.seconds_left == pytest.approx(30.0)
    assert seen.steps_per_second == pytest.approx(2.0)


def test_ended_packs_count_by_outcome(progress, packs):
    progress(ended(packs[0], failed=1, stopped=1))
    seen = progress.snapshot()
    assert (seen.ended, seen.failed, seen.stopped) == (4, 1, 1)
    assert seen.share == pytest.approx(0.5)


def test_a_paused_pack_is_not_ended(progress, packs):
    progress(started(packs[0]))
    progress(ended(packs[0], paused="cancelled"))
    seen = progress.snapshot()
    assert (seen.ended, seen.lanes) == (2, 0)
    assert seen.share == 0.0
    assert seen.seconds_left is None


def test_a_died_worker_loses_the_share_of_its_pack(progress, packs):
    progress(started(packs[0]))
    progress(PackProgressed(pack_id=packs[0].pack_id, run_steps=20))
    progress(PackRetried(pack_id=packs[0].pack_id))
    assert progress.snapshot().share == 0.0
    assert progress.snapshot().retried == 1


def test_a_lost_pack_trains_no_more(progress, packs):
    progress(started(packs[0]))
    progress(PackLost(pack_id=packs[0].pack_id))
    assert progress.snapshot().lanes == 0


def test_a_further_batch_of_a_search_adds_to_the_work(study_of, progress, packs):
    progress(ended(packs[0]))
    more = plan_packs(study_of(sweep={"seed": [7, 8]}, pack={"size": 2}).runs(), study_of().pack)
    progress(PacksPlanned(packs=tuple(more)))
    assert progress.snapshot().share < 0.5


def test_what_is_published_is_json(progress):
    assert set(progress.to_json()) == set(progress.snapshot()._asdict())


def test_r5_progress_of_another_form_is_no_progress():
    told = LaunchProgress().to_json()
    assert parse_snapshot({"launch": "a", **told}) is not None
    for key, wrong in (("share", "1"), ("planned", None), ("seconds", float("nan")), ("lanes", [])):
        assert parse_snapshot({**told, key: wrong}) is None
    assert parse_snapshot({}) is None
