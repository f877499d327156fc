import numpy as np
import pytest
from sklearn.datasets import load_digits

from symstudy.datasets import build_task
from symstudy.datasets.digits import DigitsConfig


def test_the_digits_are_scikit_learns():
    task = build_task(DigitsConfig(), 0)
    x = np.concatenate([task.x_train, task.x_test])
    assert x.shape == (1797, 64)
    own = load_digits()
    shift = x[0] - task.x_train[0]
    np.testing.assert_array_equal(shift, 0)
    centre = own.data.mean() / 16 - x.mean()
    assert abs(centre - own.data.mean() / 16) < 1e-2
    labels = np.concatenate([task.y_train, task.y_test]).argmax(axis=1)
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(own.target))


def test_training_pixels_are_centred_and_the_split_is_fixed():
    tasks = [build_task(DigitsConfig(), seed) for seed in (0, 1)]
    np.testing.assert_allclose(tasks[0].x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(tasks[0].x_test, tasks[1].x_test)
    assert len(tasks[0].x_train) == 1400


def test_fewer_samples_are_the_first_ones():
    few, all_of_them = build_task(DigitsConfig(samples=50), 0), build_task(DigitsConfig(), 0)
    np.testing.assert_array_equal(few.x_train, all_of_them.x_train[:50])


@pytest.mark.parametrize("side", [1, 2, 4])
def test_patches_are_the_pixels_of_squares_row_by_row(side):
    plain, cut = (build_task(DigitsConfig(patch=p), 0).x_test[3] for p in (0, side))
    image = plain.reshape(8, 8)
    tokens = cut.reshape(64 // side**2, side, side)
    across = 8 // side
    for number, token in enumerate(tokens):
        row, column = side * (number // across), side * (number % across)
        np.testing.assert_array_equal(token, image[row : row + side, column : column + side])
    assert DigitsConfig(patch=side).shape.tokens == len(tokens)
