"""Samples that the numbers of training do not hold are refused, whatever they come from."""

import numpy as np
import pytest

from symstudy.errors import StudyFileError
from symstudy.study import make_study

SPREAD = np.linspace(-1.0, 1.0, 40)
CODE = """
import numpy as np

def stamped():
    x = np.stack([1.7e9 + np.arange(40.0), np.arange(40.0)], axis=1)
    return x, np.arange(40) % 2, x[:8], np.arange(8) % 2
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a study of a file with one column of inputs and one of targets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYMSTUDY_CACHE", str(tmp_path / "cache"))

    def reader(x, y=SPREAD, dtype="float32", **data):
        np.savez("d.npz", x=np.stack([x, SPREAD], axis=1), y=y)
        table = {"kind": "file", "task": "regression", "train": "d.npz", "split": "last"} | data
        return study_of(table, dtype)

    return reader


def study_of(data, dtype="float32"):
    return make_study(
        {
            "schema": 1,
            "name": "s",
            "model": {"kind": "fcn", "width": 4},
            "data": data,
            "train": {"lr": 0.05, "steps": 5, "dtype": dtype},
        }
    )


COARSE = "by more than 1% of its standard deviation"


@pytest.mark.parametrize(
    ("x", "what"),
    [
        (1_700_000_000 + np.arange(40), "1700000000.0 of the first sample becomes 1700000000.0"),
        (1e-60 * SPREAD, "-1e-60 of the first sample becomes -0.0"),
        (1.0 + 1e-9 * SPREAD, COARSE),
    ],
)
def test_w8_inputs_that_32_bits_take_for_one_another_are_refused(read, x, what):
    with pytest.raises(StudyFileError, match=f"data.inputs: must differ .*number 1 .*{COARSE}"):
        read(x)
    with pytest.raises(StudyFileError, match=what):
        read(x)
    read(x, dtype="float64")
    read(x, standardise="inputs")


def test_w8_inputs_and_targets_that_are_infinite_in_32_bits_are_refused(read):
    large = 1e200 * SPREAD
    with pytest.raises(StudyFileError, match=r"data.inputs: must be at most 3.4e\+38 .* -1e\+200"):
        read(large)
    with pytest.raises(StudyFileError, match=r"data.target: must be at most 3.4e\+38 .* -1e\+200"):
        read(SPREAD, large)
    read(large / 1e190)


def test_w8_a_scale_counts_as_training_has_it(read):
    with pytest.raises(StudyFileError, match=r"data.inputs: must be at most 3.4e\+38"):
        read(SPREAD, input_scale=1e39, dtype="float32")


def test_w8_targets_that_32_bits_take_for_one_another_are_refused(read):
    with pytest.raises(StudyFileError, match=f"data.target: must differ .*{COARSE}"):
        read(SPREAD, 1.7e9 + np.arange(40.0))
    read(SPREAD, 1.7e9 + np.arange(40.0), standardise="all")


def test_numbers_that_do_not_vary_lose_nothing(read):
    read(np.full(40, 0.1), np.full(40, 1.7e9 + 1))


@pytest.mark.parametrize("standardise", ["none", "inputs"])
def test_w8_whole_numbers_that_64_bits_do_not_tell_apart_are_refused(read, standardise):
    with pytest.raises(StudyFileError, match="data.inputs: must hold whole numbers of at most 2"):
        read_integers(standardise)
    with pytest.raises(StudyFileError, match="data.target: must hold whole numbers of at most"):
        read(SPREAD, 2**53 + 1 + np.arange(40), standardise=standardise)


def read_integers(standardise):
    np.savez("i.npz", x=2**62 + np.arange(40)[:, None], y=SPREAD)
    study_of({"kind": "file", "task": "regression", "train": "i.npz", "standardise": standardise})


def test_w8_a_spread_that_64_bits_do_not_hold_is_not_standardised(read):
    for size in (1e200, 1e-200):
        with pytest.raises(StudyFileError, match="data.inputs: must have a standard deviation"):
            read(size * SPREAD, standardise="inputs")
        with pytest.raises(StudyFileError, match="data.target: must have a standard deviation"):
            read(SPREAD, size * SPREAD, standardise="all")


def test_w8_what_a_function_returns_is_held_to_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "stamped_data.py").write_text(CODE)
    table = {"kind": "stamped_data:stamped"}
    with pytest.raises(StudyFileError, match=f"data.kind: must differ .*{COARSE}"):
        study_of(table)
    study_of(table, dtype="float64")
