from types import SimpleNamespace
from typing import Any

import pytest

from symstudy.cli.progress import RunDisplay, progress_text
from symstudy.launch import Board, Launch, Order, PackReport
from symstudy.study import plan_packs


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    return plan_packs(study.runs(), study.pack)


def test_a_plain_line_has_runs_lanes_speed_and_time_left(packs, capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("symstudy.cli.progress.time.monotonic", lambda: next(clock))
    board = Board(6, 2, clock=iter(range(0, 1000, 20)).__next__)
    board.expect(packs, 2)
    with RunDisplay() as display:
        folder: Any = SimpleNamespace(name="small")
        display.announced(
            Launch(
                folder=folder,
                planned=6,
                ended=2,
                packs=packs,
                workers=2,
                device="cpu",
                board=board,
            )
        )
        first = packs[0].pack_id
        for observer in (board, display):
            observer.ordered(Order(packs[0], "x"))
            observer.progressed(first, 20)
            observer.ended(PackReport(pack_id=first, runs=2, failed=1, run_steps=40, seconds=1.0))
            observer.ordered(Order(packs[1], "x"))
            observer.retried(packs[1].pack_id)
    said = capsys.readouterr().err
    assert "small: 6 runs, 2 ended before; 4 left in 2 packs on 2 cpu workers" in said
    assert "4/6 runs, 1 failed" in said
    assert "steps/s" in said
    assert "left" in said
    assert "a worker died; its pack of 2 runs" in said


def test_a_line_without_a_basis_for_time_says_so(packs):
    board = Board(4, 0, clock=iter(range(0, 1000, 20)).__next__)
    board.expect(packs, 1)
    assert progress_text(board.snapshot()).endswith("0 lanes, 0 steps/s, ? left")
