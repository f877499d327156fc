"""Replicas: independent runs of one seed on the same data."""

import numpy as np
import pytest

from symstudy.study.sections import PackConfig
from symstudy.study.study import make_study
from symstudy.training import train_pack
from symstudy.training.data import PackData
from symstudy.training.loop import make_engine, make_pack


def study_of(**train):
    return make_study(
        name="replicas",
        model={"kind": "deep_linear", "width": 5},
        data={
            "kind": "teacher_student",
            "input_dim": 4,
            "output_dim": 2,
            "samples": 40,
            "test_samples": 20,
            "label_noise": 0.5,
            "input_matrix": "gaussian",
        },
        train={"lr": 0.05, "optimizer": "sgd", "batch_size": 4, "steps": 30, **train},
        sweep={"train.replica": [0, 1, 2], "seed": [7]},
    )


def test_data_are_shared_and_what_training_draws_is_not():
    runs = study_of().runs()
    data = PackData(runs, np.dtype(np.float64))
    np.testing.assert_array_equal(data.tasks[0].x_train, data.tasks[1].x_train)
    np.testing.assert_array_equal(
        data.test.y[data.test.lane_y[0]], data.test.y[data.test.lane_y[2]]
    )
    noisy = [data.train.y[place] for place in data.train.lane_y]
    assert not np.allclose(noisy[0], noisy[1])
    rows = data.block(0, 3).rows
    assert not np.array_equal(rows[0], rows[1])
    theta = make_engine(make_pack(runs, PackConfig())).theta_KP.numpy()
    assert len(np.unique(theta[:, 0])) == 3


def test_fresh_inputs_differ_and_their_teacher_does_not():
    study = make_study(
        name="replicas",
        model={"kind": "deep_linear"},
        data={"kind": "teacher_student", "fresh": True},
        train={"lr": 0.05, "batch_size": 4},
        sweep={"train.replica": [0, 1], "seed": [7]},
    )
    data = PackData(study.runs(), np.dtype(np.float64))
    (first, _), (second, _) = (task.fresh(0, 1, 4) for task in data.tasks)
    assert not np.allclose(first, second)
    label, other = (task.target for task in data.tasks)
    assert label is not None
    assert other is not None
    np.testing.assert_array_equal(label(first), other(first))


def test_replica_0_is_the_run_without_the_key():
    runs = study_of().runs()
    plain = study_of().document
    plain = {key: value for key, value in plain.items() if key != "sweep"}
    alone = make_study({**plain, "sweep": {"seed": [7]}}).runs()
    assert alone[0].run_id == runs[0].run_id
    assert alone[0].training_seed == 7


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_packed_equals_alone(optimizer):
    runs = study_of(optimizer=optimizer).runs()
    packed = train_pack(runs, PackConfig()).runs["test_loss"]
    alone = [train_pack([run], PackConfig()).runs["test_loss"][0] for run in runs]
    np.testing.assert_array_equal(packed, alone)
    assert len(set(alone)) == 3
