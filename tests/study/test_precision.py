"""Numbers that the precision of a study takes for 0, for infinity or for one another are told."""

import re
from typing import Any

import pytest

from symstudy.errors import StudyFileError
from symstudy.study import make_study

LOST = "in size in the 32 bits of train.dtype"


def study(search=None, **changes):
    tables: dict[str, Any] = {
        "schema": 1,
        "name": "s",
        "model": {"kind": "fcn", "width": 4},
        "data": {"kind": "teacher_student"},
        "train": {"optimizer": "sgd", "lr": 0.05, "steps": 5},
        "sweep": {},
    }
    for key, value in changes.items():
        table, _, name = key.partition("__")
        tables[table] = {**tables[table], name.replace("__", "."): value}
    tables["train"] = {key: value for key, value in tables["train"].items() if value is not None}
    return make_study(tables | ({"search": search} if search else {}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train__gamma", 1e-40),
        ("train__weight_decay", 1e-39),
        ("train__lr", 1e-45),
        ("train__syre", 1e-300),
        ("train__clip_norm", 1e-38),
        ("train__momentum", 1e-41),
        ("data__label_noise", 1e-44),
        ("model__init_scale", 1e-39),
        ("train__lr", 1e39),
        ("model__init_scale", 3.5e38),
    ],
)
def test_w8_a_number_that_32_bits_take_for_0_or_infinity_is_refused(key, value):
    dotted = key.replace("__", ".")
    with pytest.raises(
        StudyFileError, match=f"{dotted}: must be .* {LOST}, but got {re.escape(repr(value))}"
    ):
        study(**{key: value})
    # 64 bits hold it.
    study(**{key: value}, train__dtype="float64")


def test_w8_on_an_axis_and_in_a_search_too():
    with pytest.raises(StudyFileError, match=f"train.gamma: must be 0, .* {LOST}, but got 1e-40"):
        study(sweep__train__gamma=[0.0, 1e-40])
    with pytest.raises(StudyFileError, match=f"train.gamma: must be 0, .* {LOST}, but got 1e-40"):
        study(
            {
                "method": "random",
                "objective": "test_loss",
                "trials": 2,
                "space": {"train.gamma": {"log": [1e-40, 1e-3]}},
            }
        )


def test_w8_values_that_are_one_number_in_32_bits_are_told():
    one, other = 1e-3, 1.00000000001e-3
    (note,) = study(sweep__train__gamma=[one, other, 1e-2]).notes
    assert note.startswith(f"train.gamma: {one!r} and {other!r} are one number in the 32 bits")
    assert not study(sweep__train__gamma=[one, other], train__dtype="float64").notes
    assert not study(sweep__train__gamma=[one, 1.0001e-3]).notes
    listed = {
        "method": "random",
        "objective": "test_loss",
        "trials": 2,
        "space": {"train.gamma": [one, other]},
    }
    assert any("are one number" in each for each in study(listed).notes)


def test_what_is_held_against_64_bits_may_be_small():
    assert not study(train__converged=1e-50).notes
    # A minimiser computes in 64 bits, whatever is written.
    assert study(train__optimizer="lbfgs", train__gamma=1e-40, train__lr=None).cells
