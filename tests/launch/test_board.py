"""The numbers behind a progress line."""

import pytest

from symstudy.launch import Board, Order, PackReport
from symstudy.study import plan_packs


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    return plan_packs(study.runs(), study.pack)


@pytest.fixture
def board(packs):
    clock = iter(range(0, 1000, 10))
    board = Board(6, 2, clock=lambda: next(clock))
    board.expect(packs, 2)
    return board


def report(pack, **fields):
    return PackReport(
        **{
            "pack_id": pack.pack_id,
            "runs": len(pack.runs),
            "failed": 0,
            "run_steps": 40,
            "seconds": 1.0,
            **fields,
        }
    )


def test_lanes_steps_share_and_time_left(board, packs):
    board.ordered(Order(packs[0], "x"))
    board.progressed(packs[0].pack_id, 20)
    seen = board.snapshot()
    assert (seen.lanes, seen.packs, seen.ended, seen.run_steps) == (2, 1, 2, 20)
    assert seen.share == pytest.approx(0.25)
    assert seen.seconds_left == pytest.approx(30.0)
    assert seen.steps_per_second == pytest.approx(2.0)


def test_ended_packs_count_by_outcome(board, packs):
    board.ended(report(packs[0], failed=1, stopped=1))
    seen = board.snapshot()
    assert (seen.ended, seen.failed, seen.stopped) == (4, 1, 1)
    assert seen.share == pytest.approx(0.5)


def test_a_paused_pack_is_not_ended(board, packs):
    board.ordered(Order(packs[0], "x"))
    board.ended(report(packs[0], paused="cancelled"))
    seen = board.snapshot()
    assert (seen.ended, seen.lanes) == (2, 0)
    assert seen.share == 0.0
    assert seen.seconds_left is None


def test_a_died_worker_loses_the_share_of_its_pack(board, packs):
    board.ordered(Order(packs[0], "x"))
    board.progressed(packs[0].pack_id, 20)
    board.retried(packs[0].pack_id)
    assert board.snapshot().share == 0.0
    assert board.snapshot().retried == 1


def test_what_is_published_is_json(board):
    assert set(board.published()) == set(board.snapshot()._asdict())
