"""Row W3 of the trial: a study whose folder holds other cells is told what has changed."""

import json

import pytest

from symstudy.launch.differences import tell_difference


def config(width=8, source="a", **train):
    model = {"kind": "nets:Net", "source": source, "arguments": {"width": width}}
    return json.dumps({"model": model, "train": train})


def test_changed_code_is_told_by_the_key_that_names_it():
    told = tell_difference([config(source="a")], [config(source="b")])
    assert told == (
        "The nearest cells differ in the code of model.kind = 'nets:Net', which has changed since."
    )


def test_changed_files_of_data_are_no_changed_code():
    data = [[json.dumps({"data": {"kind": "file", "data_source": each}})] for each in "ab"]
    assert tell_difference(*data) == (
        "The nearest cells differ in the files that data.kind = 'file' reads, which have changed "
        "since."
    )


def test_the_nearest_cells_are_compared_of_all():
    held = [config(width=4, lr=0.1), config(width=8, lr=0.1)]
    told = tell_difference(held, [config(width=8, lr=0.2)])
    assert told == "The nearest cells differ in train.lr (0.1 there, 0.2 here)."


def test_a_key_that_one_side_lacks_is_told():
    assert "train.momentum (none there, 0.9 here)" in tell_difference(
        [config()], [config(momentum=0.9)]
    )


@pytest.mark.parametrize(("held", "wanted"), [([], [config()]), ([config()], [])])
def test_nothing_is_told_of_no_cells(held, wanted):
    assert tell_difference(held, wanted) == ""
