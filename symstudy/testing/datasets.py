"""What every data set must pass: a suite to subclass.

class TestMine(DatasetSuite):
    @pytest.fixture
    def config(self):
        return MyData(samples=30)
"""

import dataclasses
from typing import Any

import numpy as np
import pytest

from symstudy.components import fields_of, texts_of
from symstudy.datasets import AbstractDatasetConfig, Task

__all__ = ["DatasetSuite"]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def copied(config: AbstractDatasetConfig, **changes: Any) -> AbstractDatasetConfig:
    """Return an equal configuration, with some fields changed."""
    whole: Any = config
    made: AbstractDatasetConfig = dataclasses.replace(whole, **changes)
    return made


class DatasetSuite:
    """The tests of one configuration of a data set; a subclass gives the fixture `config`."""

    @pytest.fixture
    def config(self) -> AbstractDatasetConfig:
        """Return the configuration."""
        raise NotImplementedError

    def test_it_is_a_pure_function_of_configuration_and_seed(
        self, config: AbstractDatasetConfig
    ) -> None:
        """Hold the same bits for the same seed, each in arrays of its own or not written to."""
        first, again = config.build(3), config.build(3)
        for name in ARRAYS:
            assert np.array_equal(getattr(first, name), getattr(again, name)), name
        equal = copied(config)
        assert np.array_equal(equal.build(3).y_train, first.y_train), "equal fields, equal data"

    def test_it_has_the_sizes_that_it_tells(self, config: AbstractDatasetConfig) -> None:
        """Hold that `shape` is that of the arrays, which are finite floats, or integer inputs."""
        shape, task = config.shape, config.build(0)
        assert task.x_train.shape[0] == task.y_train.shape[0] == shape.train
        assert task.x_test.shape == (shape.test, shape.inputs)
        assert task.y_test.shape == (shape.test, shape.outputs)
        assert task.is_classification == shape.is_classification
        for name in ARRAYS:
            array = getattr(task, name)
            is_integer = shape.is_integer and name.startswith("x")
            assert array.dtype.kind == ("i" if is_integer else "f"), name
            assert np.isfinite(array).all(), name

    def test_targets_of_classes_are_one_hot(self, config: AbstractDatasetConfig) -> None:
        """Hold rows of one 1 and zeros where targets are classes."""
        task = config.build(0)
        if task.is_classification:
            for targets in (task.y_train, task.y_test):
                assert np.array_equal(targets.sum(axis=1), np.ones(len(targets)))
                assert np.isin(targets, (0.0, 1.0)).all()

    def test_label_noise_is_left_to_the_run(self, config: AbstractDatasetConfig) -> None:
        """Hold that targets are clean, whatever `label_noise` says."""
        if any(field.name == "label_noise" for field in fields_of(type(config))):
            noisy = copied(config, label_noise=0.4)
            assert np.array_equal(noisy.build(1).y_train, config.build(1).y_train)
            assert noisy.clean() == config.clean()

    def test_fresh_batches_do_not_depend_on_how_many_are_asked_for(
        self, config: AbstractDatasetConfig
    ) -> None:
        """Hold that step s has the same samples alone and in a block, and other steps others."""
        task = config.build(2)
        if config.shape.train or config.is_absent:
            assert task.x_train.shape[0] == config.shape.train
            return
        x, y = task.fresh(5, 3, 4)
        alone_x, alone_y = task.fresh(6, 1, 4)
        assert np.array_equal(x[4:8], alone_x)
        assert np.array_equal(y[4:8], alone_y)
        assert not np.array_equal(x[:4], x[4:8])

    def test_equal_tables_have_one_identity(self, config: AbstractDatasetConfig) -> None:
        """Hold that the canonical JSON of equal configurations is equal, and names the kind."""
        assert texts_of(copied(config)) == texts_of(config)
        assert f'"kind":"{config.kind}"' in texts_of(config).identity

    def test_seeds_differ_unless_the_data_are_fixed(self, config: AbstractDatasetConfig) -> None:
        """Hold that another seed gives another task of the same sizes, or the same one."""
        first, other = config.build(0), config.build(1)
        assert isinstance(other, Task)
        for name in ARRAYS:
            assert getattr(first, name).shape == getattr(other, name).shape, name
