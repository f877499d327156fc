"""A pack that was paused and goes on from its state ends as if it had not been."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symstudy.store.files.checkpoints import read_checkpoint, write_checkpoint
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.study import PackConfig, make_study
from symstudy.testing.strategies import packs_of_runs
from symstudy.training import NextAction, Paused, train_pack
from symstudy.training.checkpoints import Checkpointer, UnfitStateError
from symstudy.training.chunk_length import CHUNK_S, GROWTH, ChunkLength
from symstudy.training.engines.padded import PaddedEngine
from symstudy.training.loop import make_engine, make_pack

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
LBFGS = {
    "optimizer": "lbfgs", "lr": None, "gamma": 0.3, "batch_size": "full", "restarts": 2,
    "steps": 30, "refine": True,
}  # fmt: skip
ONLINE = {"label_noise": 0.3, "noise_mode": "online"}
CASES: dict[str, tuple[PackConfig, dict[str, Any]]] = {
    "momentum": (CPU, {"train": {"optimizer": "sgd", "momentum": 0.9}}),
    "adam": (CPU, {"sweep": {"train.gamma": [0.0, 0.1]}}),
    "adamw": (CPU, {"train": {"optimizer": "adamw", "schedule": "cosine", "gamma": 0.1}}),
    "two cores": (PackConfig(device="cpu", cpus=2), {}),
    "float64": (CPU, {"train": {"dtype": "float64", "batch_size": "full"}}),
    "replacement": (CPU, {"train": {"sampling": "replacement"}}),
    "fresh": (CPU, {"data": {"samples": None, "fresh": True}, "train": {"batch_size": 1}}),
    "online noise": (CPU, {"data": ONLINE}),
    "flipped labels": (CPU, {"data": {"kind": "digits", "samples": 40, **ONLINE}}),
    "syre": (CPU, {"sweep": {"train.syre": [0.0, 0.2]}, "train": {"gamma": 0.1}}),
    "diverging": (CPU, {"train": {"optimizer": "sgd"}, "sweep": {"train.lr": [0.01, 50.0]}}),
    "converging": (CPU, {"sweep": {"train.converged": [0.0, 0.3, 10.0]}, "probe": {"detail": 4}}),
    "torch": (TORCH, {"train": {"optimizer": "sgd", "momentum": 0.9}}),
    "torch adam": (TORCH, {"data": ONLINE}),
    "torch diverging": (
        TORCH,
        {"train": {"optimizer": "sgd"}, "sweep": {"train.lr": [0.01, 50.0, 90.0]}},
    ),
    "torch converging": (
        TORCH,
        {"sweep": {"train.converged": [0.0, 10.0]}, "probe": {"detail": 4}},
    ),
    "entropic": (CPU, {"train": {"entropic": 0.01}}),
    "custom": (TORCH, {"model": {"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4}}),
    "custom compiled": (
        CPU,
        {"model": {"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4}},
    ),
    "transformer": (
        CPU,
        {
            "model": {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3, "mlp_width": 5},
            "data": {"kind": "in_context", "test_samples": 10, **ONLINE},
        },
    ),
    "padded": (TORCH, {"sweep": {"model.width": [3, 8, 5]}}),
    "padded converging": (
        TORCH,
        {"sweep": {"model.width": [3, 8], "train.converged": [0.0, 10.0]}, "probe": {"detail": 4}},
    ),
    "lbfgs": (CPU, {"train": LBFGS}),
    "lbfgs merging": (
        CPU,
        {
            "model": {"depth": 2, "width": 8},
            "data": {"samples": 60},
            "train": {**LBFGS, "steps": 3, "restarts": 1},
            "sweep": {"seed": 3},
        },
    ),
    "scipy": (TORCH, {"train": {**LBFGS, "steps": 12}}),
    "lbfgs custom": (
        CPU,
        {
            "model": {"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4},
            "train": {**LBFGS, "steps": 8},
        },
    ),
}


class Memory:
    """Keeps a state as a worker would, and pauses at every so many chunks."""

    def __init__(self, actions, state=None):
        self.actions, self.kept, self.saved = iter(actions), state, 0

    def load(self):
        return self.kept

    def next_action(self):
        return next(self.actions, NextAction.GO_ON)

    def save(self, state):
        self.saved += 1
        self.kept = {name: array.copy() for name, array in state.items()}


def runs_of(**tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "paused",
        "model": {"kind": "fcn", "depth": 3, "width": 6},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"lr": 0.01, "batch_size": 8, "steps": 14},
        "probe": {"num": 5, "detail": 2, "samples": 8},
        "sweep": {"seed": 2},
    }
    for name, table in tables.items():
        values[name] = table if "kind" in table else {**values[name], **table}
        values[name] = {key: value for key, value in values[name].items() if value is not None}
    return make_study(values).runs()


def train_with_pauses(runs, config, chunks):
    """Train `runs`, paused again and again after so many chunks; return the pauses too."""
    state, pauses = None, 0
    while True:
        memory = Memory([NextAction.GO_ON] * (chunks - 1) + [NextAction.STOP], state)
        try:
            return train_pack(runs, config, checkpointer=memory), pauses
        except Paused:
            assert memory.saved == 1
            state, pauses = memory.kept, pauses + 1


def assert_same(left, right):
    """Require every number to be the same, to the bit, but the seconds."""
    for table in ("runs", "history", "layers"):
        columns, others = getattr(left, table), getattr(right, table)
        assert set(columns) == set(others)
        for name in set(columns) - {"seconds"}:
            one, other = np.asarray(columns[name]), np.asarray(others[name])
            assert one.dtype == other.dtype, name
            np.testing.assert_array_equal(one, other, err_msg=f"{table}.{name}")


@pytest.fixture
def single_steps(monkeypatch):
    """Make every chunk a single step, so that there is a place to pause after each."""
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)


@pytest.mark.parametrize("case", CASES)
def test_a_paused_pack_ends_with_the_bits_of_one_that_was_not(case, monkeypatch):
    config, tables = CASES[case]
    runs = runs_of(**tables)
    whole = train_pack(runs, config)
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    for chunks, at_least in ((1, 12), (5, 2)):
        paused, pauses = train_with_pauses(runs, config, chunks)
        assert pauses >= at_least
        assert_same(paused, whole)


def test_the_cases_cover_what_they_are_named_after():
    ends = {}
    for case in ("diverging", "torch diverging", "converging", "torch converging", "lbfgs merging"):
        config, tables = CASES[case]
        ends[case] = train_pack(runs_of(**tables), config).runs
    assert "diverged" in ends["diverging"]["outcome"]
    assert "diverged" in ends["torch diverging"]["outcome"]
    for case in ("converging", "torch converging"):
        assert set(ends[case]["outcome"]) == {"done"}
        assert len(set(ends[case]["steps_done"].tolist())) > 1
    assert ends["lbfgs merging"]["merges"].max() > 0


@settings(max_examples=30, deadline=None)
@given(
    runs=packs_of_runs(), engine=st.sampled_from(["compiled", "torch"]), share=st.floats(0.0, 1.0)
)
def test_training_may_be_cut_anywhere(runs, engine, share):
    config = PackConfig(engine=engine, device="cpu")
    steps = runs[0].cell.train.steps
    first = round(share * steps)
    whole, cut, resumed = (make_engine(make_pack(runs, config)) for _ in range(3))
    whole.advance(0, steps)
    cut.advance(0, first)
    resumed.restore({name: array.copy() for name, array in cut.state().items()})
    for other in (cut, resumed):
        other.advance(first, steps - first)
        for name, array in whole.state().items():
            np.testing.assert_array_equal(other.state()[name], array, err_msg=name)


@pytest.mark.parametrize("config", [CPU, TORCH], ids=["kernels", "scipy"])
def test_a_descent_may_be_cut_anywhere(config):
    runs = runs_of(train={**LBFGS, "steps": 12, "refine": False})
    whole, cut = (make_engine(make_pack(runs, config)) for _ in range(2))
    whole.advance(0, 12)
    for first, steps in ((0, 1), (1, 4), (5, 7)):
        cut.advance(first, steps)
    for engine, pieces in ((whole, 1000), (cut, 1)):
        while engine.run_deferred(12, pieces):
            pass
    for name, array in whole.state().items():
        np.testing.assert_array_equal(cut.state()[name], array, err_msg=name)


def test_a_padded_pack_may_be_cut_anywhere():
    runs = runs_of(sweep={"model.width": [3, 8, 5]})
    whole, cut = (make_engine(make_pack(runs, TORCH)) for _ in range(2))
    assert isinstance(whole, PaddedEngine)
    whole.advance(0, 14)
    cut.advance(0, 5)
    cut.advance(5, 9)
    assert torch.equal(whole.theta_KP, cut.theta_KP)


def test_a_state_that_is_asked_for_changes_nothing(single_steps):
    runs = runs_of()
    memory = Memory([NextAction.SAVE] * 100)
    assert_same(train_pack(runs, CPU, checkpointer=memory), train_pack(runs, CPU))
    assert memory.saved >= 14


@pytest.mark.parametrize("case", ["adam", "padded", "lbfgs merging", "diverging"])
def test_a_state_may_go_through_a_file(single_steps, tmp_path, case):
    config, tables = CASES[case]
    runs = runs_of(**tables)
    folder = StudyFolder(*open_location(str(tmp_path)))
    memory = Memory([NextAction.GO_ON] * 7 + [NextAction.STOP])
    with pytest.raises(Paused):
        train_pack(runs, config, checkpointer=memory)
    write_checkpoint(folder, "p", [run.run_id for run in runs], memory.kept)
    read = read_checkpoint(folder, "p")
    told: list[int] = []
    result = train_pack(runs, config, lambda _, steps: told.append(steps), Memory([], read))
    assert_same(result, train_pack(runs, config))
    assert told[0] >= len(runs)


@pytest.mark.parametrize(
    ("tables", "config"),
    [
        ({}, TORCH),
        ({"model": {"width": 7}}, CPU),
        ({"train": {"lr": 0.02}}, CPU),
        ({"train": {"dtype": "float64"}}, CPU),
        ({"sweep": {"seed": 3}}, CPU),
        ({"train": LBFGS}, CPU),
    ],
    ids=["engine", "width", "rate", "type", "runs", "optimiser"],
)
def test_a_state_of_another_pack_is_passed_over(single_steps, tables, config):
    memory = Memory([NextAction.GO_ON] * 6 + [NextAction.STOP])
    with pytest.raises(Paused):
        train_pack(runs_of(), CPU, checkpointer=memory)
    runs = runs_of(**tables)
    told = []
    result = train_pack(
        runs, config, lambda *numbers: told.append(numbers), Memory([], memory.kept)
    )
    assert_same(result, train_pack(runs, config))
    assert told[0][1] <= len(runs)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {},
        lambda state: {**state, "about": state["about"][:-1]},
        lambda state: {**state, "engine.theta": state["engine.theta"][:, 1:]},
        lambda state: {**state, "engine.first": state["engine.first"].astype(np.float64)},
        lambda state: {key: value for key, value in state.items() if key != "ends.step"},
        lambda state: {**state, "group0.last_history.test_loss": np.zeros(5)},
    ],
    ids=["empty", "about", "shape", "type", "missing", "columns"],
)
def test_a_state_that_does_not_fit_is_passed_over(single_steps, change):
    runs = runs_of()
    memory = Memory([NextAction.GO_ON] * 6 + [NextAction.STOP])
    with pytest.raises(Paused):
        train_pack(runs, CPU, checkpointer=memory)
    result = train_pack(runs, CPU, checkpointer=Memory([], change(memory.kept)))
    assert_same(result, train_pack(runs, CPU))


def test_a_minimiser_refuses_the_state_of_another_descent():
    engine = make_engine(make_pack(runs_of(train=LBFGS), CPU))
    state = engine.state()
    other = make_engine(make_pack(runs_of(train={**LBFGS, "restarts": 3}), CPU))
    with pytest.raises(UnfitStateError, match="must be float64 of shape"):
        other.restore(state)


def test_progress_tells_first_what_was_done_before(single_steps):
    runs = runs_of(train={"optimizer": "sgd"}, sweep={"train.lr": [0.01, 50.0]})
    before, after = [], []
    memory = Memory([NextAction.GO_ON] * 12 + [NextAction.STOP])
    with pytest.raises(Paused):
        train_pack(runs, CPU, lambda *numbers: before.append(numbers), memory)
    result = train_pack(runs, CPU, lambda *numbers: after.append(numbers), Memory([], memory.kept))
    assert after[0][1] == sum(steps for _, steps in before) > 0
    assert sum(steps for _, steps in after) == result.runs["steps_done"].sum()
    assert after[-1][0] == 2


def test_seconds_of_earlier_attempts_count(single_steps):
    memory = Memory([NextAction.GO_ON] * 6 + [NextAction.STOP])
    with pytest.raises(Paused):
        train_pack(runs_of(), CPU, checkpointer=memory)
    memory.kept["seconds"] += 1000.0
    assert train_pack(runs_of(), CPU, checkpointer=Memory([], memory.kept)).seconds > 1000.0


def test_a_pack_that_is_over_is_not_asked_about(single_steps):
    asked: list[int] = []

    class Curious(Memory):
        def next_action(self):
            asked.append(len(asked))
            return super().next_action()

    result = train_pack(runs_of(), CPU, checkpointer=Curious([]))
    assert set(result.runs["outcome"]) == {"done"}
    # After each of 14 steps and of 5 probes but the last.
    assert len(asked) == 14 + 5 - 1


def test_a_checkpointer_is_what_has_its_methods():
    assert isinstance(Memory([]), Checkpointer)
    assert not isinstance({}, Checkpointer)


def test_chunks_grow_to_the_time_that_they_are_to_last():
    pace = ChunkLength()
    lengths = []
    for _ in range(12):
        lengths.append(pace.steps)
        pace.record(pace.steps, 0.001 * pace.steps)
    assert lengths[:3] == [1, GROWTH, GROWTH**2]
    assert lengths[-1] == round(CHUNK_S / 0.001)
    pace.record(pace.steps, 1000.0 * CHUNK_S)
    assert pace.steps == 1
    pace.record(1, 0.0)
    assert pace.steps == GROWTH
