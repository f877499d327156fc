"""Ranges between two whole numbers: what they hold goes by the key, not by how ends are written."""

from typing import Any

import pytest

from symstudy.errors import StudyFileError
from symstudy.study import make_study

TRAINED: dict[str, Any] = {
    "schema": 1,
    "name": "ranges",
    "model": {"kind": "fcn"},
    "data": {"kind": "teacher_student"},
    "train": {"lr": 0.1, "optimizer": "sgd"},
}
PROGRAM: dict[str, Any] = {"schema": 1, "name": "ranges", "program": {"command": ["true"]}}
SEARCH: dict[str, Any] = {"method": "qmc", "objective": "test_loss", "trials": 4}


def values_of(study):
    return [point[0] for point in study.axes[0].points]


@pytest.mark.parametrize(
    ("key", "span", "expected"),
    [
        ("train.gamma", {"linear": [0, 1], "num": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("train.lr", {"log": [1, 100], "num": 5}, [1.0, 3.16228, 10.0, 31.6228, 100.0]),
        ("data.label_noise", {"linear": [0, 1], "num": 3}, [0.0, 0.5, 1.0]),
        ("model.width", {"log": [8, 100], "num": 3}, [8, 28, 100]),
        ("model.depth", {"linear": [2, 4], "num": 5}, [2, 3, 4]),
        ("train.batch_size", {"linear": [1, 4], "num": 3}, [1, 2, 4]),
    ],
)
def test_a_range_between_whole_numbers_goes_by_the_key(key, span, expected):
    train = {k: v for k, v in TRAINED["train"].items() if f"train.{k}" != key}
    found = values_of(make_study(**{**TRAINED, "train": train}, sweep={key: span}))
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_a_key_that_only_one_of_several_swept_parts_has_goes_by_that_part():
    tables = {**TRAINED, "train": {"lr": 0.1}}
    sweep = {
        "train.optimizer": ["sgd", "adam"],
        "train.momentum": {"linear": [0, 1], "num": 3, "when": "train.optimizer == 'none'"},
    }
    study = make_study(**tables, sweep=sweep)
    assert [point[0] for point in study.axes[1].points] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("given", "expected"), [(1, [1, 2, 4, 7]), (0.5, [1.0, 1.9129, 3.6593, 7.0])]
)
def test_a_range_of_a_program_goes_by_the_number_that_its_key_has(given, expected):
    sweep = {"config.x": {"log": [1, 7], "num": 4}}
    assert values_of(make_study(**PROGRAM, config={"x": given}, sweep=sweep)) == pytest.approx(
        expected, rel=1e-4
    )


def test_a_range_of_whole_numbers_of_a_key_that_nothing_tells_of_must_say_what_is_meant():
    whole = make_study(**PROGRAM, sweep={"config.x": {"log": [1, 8], "num": 4}})
    assert values_of(whole) == [1, 2, 4, 8]
    with pytest.raises(StudyFileError, match=r"type \[0\.0, 1\.0\], for whole ones a list"):
        make_study(**PROGRAM, sweep={"config.x": {"linear": [0, 1], "num": 5}})


def test_a_space_between_whole_numbers_goes_by_the_key():
    tables = {**TRAINED, "train": {"lr": 0.1}}
    space = {"train.gamma": {"linear": [0, 1]}, "model.width": {"log": [4, 64]}}
    search = make_study(**tables, search={**SEARCH, "space": space}).search
    assert search is not None
    gamma, width = search.space
    assert (gamma.is_integer, width.is_integer) == (False, True)
    assert gamma.at(0.25) == 0.25


def test_a_space_of_a_program_from_0_to_1_must_say_whether_numbers_between_are_meant():
    with pytest.raises(
        StudyFileError, match=r"type \[0\.0, 1\.0\] for these, or the list \[0, 1\]"
    ):
        make_study(**PROGRAM, search={**SEARCH, "space": {"config.x": {"linear": [0, 1]}}})
    told = make_study(
        **PROGRAM, config={}, search={**SEARCH, "space": {"config.x": {"linear": [1, 3]}}}
    )
    assert told.search is not None
    assert told.search.space[0].is_integer
