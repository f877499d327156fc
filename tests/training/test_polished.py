"""What SGD has chosen, taken to the minimum beside it."""

import dataclasses

import numpy as np
import pytest

from symstudy.errors import StudyFileError
from symstudy.study import PackConfig
from symstudy.training import train_pack
from symstudy.training.checkpoints import NextAction, Paused

CPU = PackConfig(device="cpu")
TRAIN = {
    "optimizer": "sgd",
    "lr": 0.02,
    "batch_size": 8,
    "steps": 300,
    "gamma": 0.02,
    "dtype": "float64",
}


@pytest.fixture
def runs_of(study_of):
    def make(polish, seeds=3, **train):
        study = study_of(
            model={"activation": "tanh"},
            train={**TRAIN, "polish": polish, **train},
            sweep={"train.gamma": [0.02, 0.05], "seed": seeds},
        )
        return study.runs()

    return make


def test_polished_runs_end_at_minima_near_where_training_brought_them(runs_of):
    rough = train_pack(runs_of(0), CPU).runs
    fine = train_pack(runs_of(5000), CPU).runs
    assert (fine["grad_ratio"] <= 1e-9).all()
    assert (rough["grad_ratio"] > 1e-4).all()
    assert (fine["objective"] < rough["objective"]).all()
    assert np.isfinite(fine["merge_gain"]).all()
    assert (fine["iterations"] > 10).all()
    assert set(fine["engine"]) == {"polished-compiled"}
    assert (fine["steps_done"] == 300).all()


@pytest.mark.slow
def test_the_way_there_is_that_of_plain_training(runs_of):
    rough, fine = (train_pack(runs_of(polish), CPU).history for polish in (0, 5000))
    before = rough["step"] < 300
    np.testing.assert_array_equal(rough["train_loss"][before], fine["train_loss"][before])


def test_a_run_in_a_pack_equals_the_run_alone(runs_of):
    runs = runs_of(5000)
    packed = train_pack(runs, CPU).runs
    alone = train_pack(runs[3:4], CPU).runs
    for name in ("objective", "grad_norm", "merge_gain", "iterations", "mean_min_distance"):
        assert packed[name][3] == alone[name][0]


@pytest.mark.slow
def test_torch_and_the_kernels_polish_alike(runs_of):
    runs = runs_of(5000, seeds=1)
    compiled = train_pack(runs, CPU).runs
    torch = train_pack(runs, dataclasses.replace(CPU, engine="torch")).runs
    assert set(torch["engine"]) == {"polished-torch-cpu"}
    np.testing.assert_allclose(compiled["objective"], torch["objective"], rtol=1e-5)


def test_few_steps_of_polish_are_few(runs_of):
    few = train_pack(runs_of(3), CPU).runs
    assert (few["iterations"] <= 3).all()
    assert (few["grad_ratio"] > 1e-9).all()


def test_refine_merges_after_polish(runs_of):
    plain, refined = (
        train_pack(runs_of(5000, refine=refine), CPU).runs for refine in (False, True)
    )
    assert (refined["objective"] <= plain["objective"]).all()
    assert (refined["merge_gain"] <= 1e-9).all()


def test_a_diverged_run_is_left_where_it_is(study_of):
    study = study_of(
        model={"activation": "linear"},
        train={**TRAIN, "polish": 500},
        sweep={"train.lr": [0.02, 1e3], "seed": 1},
    )
    runs = train_pack(study.runs(), CPU).runs
    assert runs["outcome"] == ["done", "diverged"]
    assert runs["grad_ratio"][0] <= 1e-9
    assert np.isnan(runs["objective"][1])


class Interrupting:
    """Stops the training at every chance, and keeps the state."""

    def __init__(self):
        self.kept = None
        self.actions = 0

    def load(self):
        return self.kept

    def next_action(self):
        self.actions += 1
        return NextAction.STOP

    def save(self, state):
        self.kept = {name: array.copy() for name, array in state.items()}


def test_a_paused_descent_goes_on_to_the_same_bits(runs_of):
    runs = runs_of(5000)
    whole = train_pack(runs, CPU)
    checkpointer = Interrupting()
    for _ in range(10_000):
        try:
            result = train_pack(runs, CPU, checkpointer=checkpointer)
        except Paused:
            continue
        break
    assert checkpointer.actions > 8
    for name in ("objective", "grad_norm", "merge_gain", "iterations", "mean_min_distance"):
        np.testing.assert_array_equal(result.runs[name], whole.runs[name])


@pytest.mark.parametrize(
    ("train", "data", "key", "text"),
    [
        ({"optimizer": "adamw"}, {}, "train.polish", "must be 0 for adamw"),
        ({"dtype": "float32"}, {}, "train.dtype", "must be 'float64'"),
        ({}, {"label_noise": 1.0, "noise_mode": "online"}, "train.polish", "nothing stands still"),
        ({"syre": 0.1}, {}, "train.syre", "must be 0 where train.polish"),
    ],
)
def test_what_has_no_minimum_is_refused(study_of, train, data, key, text):
    with pytest.raises(StudyFileError) as caught:
        study_of(train={**TRAIN, "polish": 10, **train}, data=data)
    assert any(text in m.what for m in caught.value.mistakes if m.key == key)


def test_lbfgs_needs_no_polish(study_of):
    with pytest.raises(StudyFileError, match="must be 0 for lbfgs"):
        study_of(
            train={"optimizer": "lbfgs", "lr": None, "batch_size": "full", "polish": 3,
                   "dtype": "float64"}
        )  # fmt: skip
