"""A random matrix before the inputs: the same task in other coordinates."""

from dataclasses import replace

import numpy as np
import pytest

from symstudy.components import texts_of
from symstudy.datasets.digits import DigitsConfig
from symstudy.datasets.mapped import input_map
from symstudy.datasets.spectrum import SpectrumConfig
from symstudy.datasets.teacher_student import TeacherStudentConfig
from symstudy.errors import StudyFileError
from symstudy.study.study import make_study
from symstudy.testing.datasets import DatasetSuite

PLAIN = TeacherStudentConfig(input_dim=6, output_dim=2, samples=20, test_samples=30)
MAPPED = replace(PLAIN, input_matrix="gaussian")


class TestMapped(DatasetSuite):
    """The suite of data sets, with the matrix."""

    @pytest.fixture
    def config(self):
        return MAPPED


@pytest.mark.parametrize(
    "plain", [PLAIN, DigitsConfig(), SpectrumConfig(input_dim=5)], ids=lambda each: each.kind
)
def test_inputs_are_multiplied_and_targets_stay(plain):
    config = replace(plain, input_matrix="gaussian")
    before, after = plain.build_mapped(3), config.build_mapped(3)
    matrix = input_map(config, before.x_test.shape[1], 3)
    np.testing.assert_allclose(after.x_train, before.x_train @ matrix.T)
    np.testing.assert_allclose(after.x_test, before.x_test @ matrix.T)
    np.testing.assert_array_equal(after.y_train, before.y_train)
    np.testing.assert_array_equal(after.y_test, before.y_test)
    assert not np.array_equal(matrix, input_map(config, before.x_test.shape[1], 4))


def test_fresh_inputs_are_multiplied_after_they_are_labelled():
    plain = replace(PLAIN, fresh=True)
    config = replace(plain, input_matrix="gaussian")
    x, y = plain.build_mapped(1).fresh(5, 2, 4)
    mapped, labels = config.build_mapped(1).fresh(5, 2, 4)
    np.testing.assert_allclose(mapped, x @ input_map(config, 6, 1).T)
    np.testing.assert_array_equal(labels, y)


@pytest.mark.parametrize(("condition", "rank"), [(0.0, 0), (50.0, 0), (0.0, 2), (9.0, 3)])
def test_singular_values_are_as_asked_for(condition, rank):
    config = replace(MAPPED, input_condition=condition, input_rank=rank)
    values = np.linalg.svd(input_map(config, 6, 0), compute_uv=False)
    kept = values[: rank or 6]
    assert (values[rank or 6 :] < 1e-12).all()
    if condition and not rank:
        assert kept[0] / kept[-1] == pytest.approx(condition)
        np.testing.assert_allclose(np.diff(np.log(kept)), np.diff(np.log(kept))[0])
    if condition or rank:
        assert np.square(values).mean() == pytest.approx(1.0)


def test_the_matrix_as_drawn_keeps_the_length_of_inputs_on_average():
    squares = [np.square(input_map(MAPPED, 40, seed)).sum() / 40 for seed in range(20)]
    assert np.mean(squares) == pytest.approx(1.0, abs=0.02)


def test_identifiers_of_data_without_the_matrix_are_as_they_were():
    assert "input_" not in texts_of(PLAIN).identity.replace("input_dim", "")
    assert texts_of(MAPPED).identity != texts_of(PLAIN).identity


@pytest.mark.parametrize(
    ("data", "key", "word"),
    [
        ({"input_rank": 2}, "input_rank", "none sets data.input_matrix"),
        ({"input_condition": 3.0}, "input_condition", "none sets data.input_matrix"),
        ({"input_matrix": "gaussian", "input_condition": 0.5}, "input_condition", "at least 1"),
        ({"input_matrix": "gaussian", "input_rank": 9}, "input_rank", "at most the 8 inputs"),
    ],
)
def test_what_does_not_fit_is_told_by_key(data, key, word):
    with pytest.raises(StudyFileError, match=f"data.{key}.*{word}"):
        make_study(
            name="mapped",
            model={"kind": "deep_linear"},
            data={"kind": "teacher_student", **data},
            train={"lr": 0.01},
        )
