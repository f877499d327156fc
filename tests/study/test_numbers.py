"""Row W8 and section 3 of the trial: one number is one cell, and none is too large for a column."""

import pytest

from symstudy import make_study
from symstudy.errors import StudyFileError


def study(sweep=None, **train):
    return make_study(
        {
            "schema": 1,
            "name": train.pop("name", "numbers"),
            "model": {"kind": "fcn", "width": train.pop("width", 4)},
            "data": {"kind": "teacher_student"},
            "train": {"optimizer": "sgd", "lr": 0.1, "steps": 3, **train},
            "sweep": sweep or {},
        }
    )


@pytest.mark.parametrize("key", ["train.momentum", "train.gamma", "data.label_noise"])
def test_minus_zero_is_zero(key):
    assert len(study({key: [0, -0.0, 0.0]}).cells) == 1
    assert len(study({key: [0, -0.0, 0.5]}).cells) == 2


@pytest.mark.parametrize("change", [{"width": 2**63}, {"steps": 10**20}])
def test_an_integer_that_no_column_holds_is_refused(change):
    with pytest.raises(StudyFileError, match=r"must be an integer below 2\^63"):
        study(**change)


def test_a_name_that_no_folder_can_have_is_refused():
    assert study(name="a" * 100).name
    with pytest.raises(StudyFileError, match="must be at most 100 bytes, but got 200: 'é"):
        study(name="é" * 100)


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ({"train.gamma": [0, 0.0, 0.1]}, "train.gamma: 0 and 0.0 make the same cells"),
        ({"train.gamma": [0, 0.0], "train.lr": [0.1, 0.2]}, "train.gamma: 0 and 0.0 make"),
    ],
)
def test_values_that_make_the_same_cells_are_told(sweep, told):
    (note,) = study(sweep).notes
    assert note.startswith(told)


def test_an_axis_whose_values_differ_somewhere_is_not_told():
    assert study({"train.gamma": [0.0, 0.1], "train.lr": [0.1, 0.2]}).notes == ()


@pytest.mark.parametrize("key", ["train.gamma", "train.momentum", "train.lr", "data.label_noise"])
@pytest.mark.parametrize("value", [1e-320, -1e-320, 5e-324])
def test_w8_a_number_that_training_takes_for_0_is_refused(key, value):
    with pytest.raises(StudyFileError, match=r"must be 0, or at least 2.23e-308 in size") as caught:
        study({key: [0.0, value]})
    assert key in str(caught.value)


def test_w8_the_smallest_number_that_training_tells_from_0_is_a_cell_of_its_own():
    assert len(study({"train.gamma": [0.0, 2.0**-1022]}, dtype="float64").cells) == 2
    assert len(study({"train.gamma": [0.0, 2.0**-126]}).cells) == 2


@pytest.mark.parametrize("space", [{"log": [1e-320, 1e-3]}, {"linear": [1e-310, 1e-3]}])
def test_w8_the_ends_of_a_range_that_training_takes_for_0_are_refused(space):
    with pytest.raises(StudyFileError, match=r"the ends of a range must be 0, or at least"):
        make_study(
            name="numbers",
            model={"kind": "fcn", "width": 4},
            data={"kind": "teacher_student"},
            train={"optimizer": "sgd", "lr": 0.1, "steps": 3},
            search={"method": "random", "trials": 4, "space": {"train.gamma": space}},
        )
