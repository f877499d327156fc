"""The progress line of `symstudy run`."""

from types import SimpleNamespace
from typing import Any

import pytest

from symstudy.cli.progress import RunDisplay, progress_text
from symstudy.kernels.cache import cache_folder
from symstudy.launch import (
    LaunchPlanned,
    LaunchProgress,
    PackAssignment,
    PackEnded,
    PackProgressed,
    PackReport,
    PackRetried,
    PackStarted,
)
from symstudy.study import plan_packs


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    return plan_packs(study.runs(), study.pack)


@pytest.fixture
def plan(packs):
    folder: Any = SimpleNamespace(name="small")
    return LaunchPlanned(
        folder=folder, planned=6, ended=2, packs=tuple(packs), workers=2, device="cpu"
    )


def test_a_plain_line_has_runs_lanes_speed_and_time_left(plan, packs, capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("symstudy.cli.progress.time.monotonic", lambda: next(clock))
    first, second = packs
    report = PackReport(pack_id=first.pack_id, runs=2, failed=1, run_steps=40, seconds=1.0)
    with RunDisplay() as display:
        display(plan)
        display(PackStarted(assignment=PackAssignment(first, "x")))
        display(PackProgressed(pack_id=first.pack_id, run_steps=20))
        display(PackEnded(report=report))
        display(PackStarted(assignment=PackAssignment(second, "x")))
        display(PackRetried(pack_id=second.pack_id))
    said = capsys.readouterr().err
    assert "small: 6 runs, 2 ended before; 4 left in 2 packs on 2 cpu workers" in said
    assert "4/6 runs, 1 failed" in said
    assert "steps/s" in said
    assert "left" in said
    assert "a worker died; its pack of 2 runs" in said


def test_a_line_without_a_basis_for_time_says_so(plan):
    progress = LaunchProgress(clock=iter(range(0, 1000, 20)).__next__)
    progress(plan)
    assert progress_text(progress.snapshot()).endswith("0 lanes, 0 steps/s, ? left")


@pytest.mark.parametrize(
    ("engine", "is_here", "says"),
    [("auto", True, True), ("torch", True, False), ("auto", False, False)],
)
def test_a_machine_without_compiled_kernels_is_told_that_they_are_compiled(
    plan, packs, capsys, monkeypatch, tmp_path, engine, is_here, says
):
    monkeypatch.setenv("SYMSTUDY_KERNEL_CACHE", str(tmp_path))
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("symstudy.cli.progress.time.monotonic", lambda: next(clock))
    with RunDisplay(engine=engine, is_here=is_here) as display:
        display(plan)
        display(PackStarted(assignment=PackAssignment(packs[0], "x")))
        display(PackProgressed(pack_id=packs[0].pack_id, run_steps=20))
    said = capsys.readouterr().err.splitlines()
    told = [line for line in said if "compiling kernels, once on this machine" in line]
    assert len(told) == (2 if says else 0)
    assert "steps/s" in said[-1]


def test_the_kernels_are_there_once_they_are_compiled(plan, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SYMSTUDY_KERNEL_CACHE", str(tmp_path))
    index = cache_folder() / "kernels_x" / "lanes.train_lanes-153.py311.nbi"
    index.parent.mkdir()
    index.touch()
    with RunDisplay() as display:
        display(plan)
    assert "compiling" not in capsys.readouterr().err
