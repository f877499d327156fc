import dataclasses

import numpy as np
import pytest

from symstudy.datasets import build_task
from symstudy.datasets.base import flip_labels, one_hot
from symstudy.datasets.identity import IdentityConfig
from symstudy.datasets.spectrum import SpectrumConfig
from symstudy.datasets.teacher_student import TeacherStudentConfig, teacher_weights


def test_the_identity_is_its_own_target():
    task = build_task(IdentityConfig(input_dim=5, samples=7, test_samples=9), 0)
    np.testing.assert_array_equal(task.x_train, task.y_train)
    assert task.x_train.shape == (7, 5)
    assert task.x_test.shape == (9, 5)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_spectrum_is_the_power_law_on_white_inputs(exponent):
    config = SpectrumConfig(input_dim=6, samples=11, exponent=exponent, amplitude=2.0)
    task = build_task(config, 3)
    np.testing.assert_allclose(task.x_train.T @ task.x_train / 11, np.eye(6), atol=1e-12)
    cross = task.y_train.T @ task.x_train / 11
    np.testing.assert_allclose(
        np.linalg.svd(cross, compute_uv=False), 2.0 * np.arange(1, 7) ** -exponent, rtol=1e-12
    )


def test_a_wider_teacher_keeps_the_neurons_of_a_narrower_one():
    narrow, wide = (
        build_task(TeacherStudentConfig(teacher_width=w, output_dim=1, teacher_depth=2), 1)
        for w in (1, 2)
    )
    # One hidden neuron: the output is a multiple of one tanh of a line, and so has rank one.
    assert not np.allclose(narrow.y_train, wide.y_train)
    np.testing.assert_array_equal(narrow.x_train, wide.x_train)


@pytest.mark.parametrize("batch", [1, 8, 9])
@pytest.mark.parametrize("inputs", [8, 64])
def test_fresh_batches_do_not_depend_on_how_many_are_asked_for(batch, inputs):
    # To the bit: a pack may be cut into chunks anywhere.
    task = build_task(TeacherStudentConfig(fresh=True, input_dim=inputs), 2)
    x, y = task.fresh(10, 40, batch)
    for first, steps in ((0, 1), (2, 1), (5, 3), (7, 33)):
        again, labels = task.fresh(10 + first, steps, batch)
        rows = slice(first * batch, (first + steps) * batch)
        np.testing.assert_array_equal(x[rows], again)
        np.testing.assert_array_equal(y[rows], labels)
    assert task.target is not None
    np.testing.assert_allclose(task.target(x), y)
    assert task.x_train.shape == (0, inputs)


def test_input_scale_scales_inputs_before_the_teacher_sees_them():
    small = build_task(TeacherStudentConfig(input_scale=0.5), 0)
    plain = build_task(TeacherStudentConfig(), 0)
    np.testing.assert_allclose(small.x_train, 0.5 * plain.x_train)
    assert plain.target is not None
    np.testing.assert_allclose(small.y_train, plain.target(small.x_train))


def test_seeds_differ_and_repeat():
    tasks = [build_task(TeacherStudentConfig(), seed) for seed in (0, 1)]
    assert not np.allclose(tasks[0].y_test, tasks[1].y_test)


def test_flipped_labels_are_other_classes_at_the_rate_asked_for():
    rng = np.random.default_rng(0)
    y = one_hot(rng.integers(0, 5, 20_000), 5)
    shifts = rng.integers(1, 5, 20_000)
    flipped = flip_labels(y, 0.3, rng.uniform(size=20_000), shifts)
    changed = (flipped != y).any(axis=1)
    assert abs(changed.mean() - 0.3) < 0.02
    assert (flipped.sum(axis=1) == 1).all()


ORTHOGONAL = TeacherStudentConfig(
    input_dim=8,
    output_dim=4,
    teacher_width=4,
    teacher_scale=4.0,
    teacher_directions="orthogonal",
    teacher_norm=0.7,
    teacher_gain_ratio=0.4,
    samples=200_000,
    test_samples=2,
)


def test_an_orthogonal_teacher_has_a_mode_a_neuron():
    task = build_task(ORTHOGONAL, 0)
    values = np.linalg.svd(task.y_train.T @ task.x_train / 200_000, compute_uv=False)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    slope = weights @ (nodes * np.tanh(0.7 * nodes)) / weights.sum()
    np.testing.assert_allclose(values, 4.0 * 0.4 ** np.arange(4) * slope, atol=0.03)
    # No neuron's share of the outputs is correlated with another's.
    power = np.linalg.eigvalsh(task.y_train.T @ task.y_train / 200_000)[::-1]
    share = weights @ np.tanh(0.7 * nodes) ** 2 / weights.sum()
    np.testing.assert_allclose(power, 16.0 * 0.16 ** np.arange(4) * share, rtol=0.05)


def test_a_wider_orthogonal_teacher_keeps_the_neurons_of_a_narrower_one():
    small = dataclasses.replace(ORTHOGONAL, samples=5)
    narrow, wide = (teacher_weights(dataclasses.replace(small, teacher_width=w), 1) for w in (2, 4))
    np.testing.assert_array_equal(narrow[0], wide[0][:2])
    np.testing.assert_array_equal(narrow[1], wide[1][:, :2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher_norm": 0.7}, "`data.teacher_norm` must be left out unless"),
        ({"teacher_gain_ratio": 0.4}, "`data.teacher_gain_ratio` must be left out unless"),
        ({"teacher_directions": "orthogonal", "teacher_depth": 3}, "must be 2 where"),
        ({"teacher_directions": "orthogonal", "teacher_width": 5}, "but got 5 and 4"),
    ],
)
def test_a_teacher_that_cannot_be_orthogonal_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TeacherStudentConfig(**options)
