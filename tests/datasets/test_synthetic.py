import numpy as np
import pytest

from symstudy.datasets import IdentityConfig, SpectrumConfig, TeacherStudentConfig, build_task
from symstudy.datasets.base import flip_labels, one_hot


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
