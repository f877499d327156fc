"""Data from a function of the user's own, named in the study file."""

import dataclasses
import sys

import numpy as np
import pytest

from symstudy.errors import LaunchError, StudyFileError
from symstudy.study import read_cell

CODE = """
import numpy as np

CALLS = []

def moons(n=20, shift=0.0, seed=0):
    CALLS.append(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) + shift
    y = (np.arange(n) % 2).astype(int)
    return x, y, x[:5], y[:5]

def line():
    x = np.arange(12.0)
    return {"x_train": x, "y_train": 2 * x, "x_test": x[:3], "y_test": 2 * x[:3]}

def images(classes=3):
    x = np.arange(10 * 3 * 4 * 4, dtype=np.uint8).reshape(10, 3, 4, 4)
    y = np.arange(10) % 2
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y, "classes": classes}

def tokens():
    x = np.arange(20).reshape(10, 2)
    return x, np.arange(10) % 2, x, np.arange(10) % 2

def growing(seed):
    x = np.zeros((8 + seed, 2))
    return x, x, x, x

def three():
    return 1, 2, 3

def ragged():
    return np.zeros((4, 2)), np.zeros(3), np.zeros((4, 2)), np.zeros(4)

def holes():
    x = np.full((4, 2), np.nan)
    return x, np.zeros(4), x, np.zeros(4)
"""


@pytest.fixture(autouse=True)
def module(place, request):
    """A module of functions whose name no other test has."""
    name = f"own_data_{abs(hash(request.node.nodeid)) % 10**9}"
    (place / f"{name}.py").write_text(CODE)
    return name


def test_its_keys_are_arguments_and_columns_may_be_swept(module, study_on, trained):
    study = study_on(
        {"kind": f"{module}:moons", "n": 16}, sweep={"data.shift": [0.0, 2.0], "seed": 2}
    )
    assert [cell.data.shape.train for cell in study.cells] == [16, 16]
    losses = [trained(dataclasses.replace(study, cells=(cell,))) for cell in study.cells]
    assert len({loss for runs in losses for loss in runs["test_loss"].tolist()}) == 4
    assert study.cells[1].data.value("arguments") == {"n": 16, "shift": 2.0}


def test_it_is_called_once_for_each_seed(module, study_on, trained):
    study = study_on({"kind": f"{module}:moons"}, sweep={"seed": 3})
    trained(study)
    trained(study)
    # Of the first seed once more, to see that it returns the same.
    assert sorted(sys.modules[module].CALLS) == [0, 0, 1, 2]


def test_a_cell_is_read_back_from_its_text(module, study_on):
    cell = study_on({"kind": f"{module}:moons", "n": 16}).cells[0]
    again = read_cell(cell.config)
    assert again.cell_id == cell.cell_id
    assert hash(again.data) == hash(cell.data)


def test_floats_are_a_regression_and_one_number_a_sample_is_an_input(module, study_on, trained):
    study = study_on({"kind": f"{module}:line"})
    shape = study.cells[0].data.shape
    assert (shape.inputs, shape.outputs, shape.is_classification) == (1, 1, False)
    assert np.isfinite(trained(study)["test_loss"]).all()


def test_images_keep_their_axes_and_classes_may_be_declared(module, study_on):
    shape = study_on({"kind": f"{module}:images", "augment": ["flip"]}).cells[0].data.shape
    assert (shape.input_shape, shape.outputs) == ((3, 4, 4), 3)


def test_tokens_stay_integers(module, study_on):
    with pytest.raises(StudyFileError, match="torch module of your own"):
        study_on({"kind": f"{module}:tokens"})


def test_label_noise_flips_labels_of_the_run(module, study_on, trained):
    study = study_on({"kind": f"{module}:moons", "n": 200}, sweep={"data.label_noise": [0.0, 0.5]})
    clean, noisy = trained(study)["train_loss"]
    assert clean != noisy


@pytest.mark.parametrize(
    ("name", "keys", "what"),
    [
        ("three", {}, "returned 3 values"),
        ("ragged", {}, r"x_train \[4, 2\] and y_train \[3\]"),
        ("holes", {}, r"as x_train 4 of 4 samples have NaN .*x_train\[0\] first. Leave these"),
        ("moons", {"m": 3}, "raised TypeError"),
        ("images", {"classes": 1}, "at least 2 classes"),
        ("moons", {"label_noise": 1.5}, "at most 1"),
        ("nothing", {}, "has no 'nothing'"),
        ("CALLS", {}, "must name a class that inherits"),
    ],
)
def test_what_is_wrong_is_said_before_training(module, study_on, name, keys, what):
    with pytest.raises(StudyFileError, match=what):
        study_on({"kind": f"{module}:{name}", **keys})


def test_other_sizes_for_another_seed_are_refused(module, study_on, trained):
    with pytest.raises(ValueError, match="the same sizes for every seed"):
        trained(study_on({"kind": f"{module}:growing"}, sweep={"seed": 2}))


def test_a_function_that_changed_makes_other_runs_and_stops_the_pack(
    module, place, study_on, trained
):
    before = study_on({"kind": f"{module}:moons"})
    (place / f"{module}.py").write_text(CODE.replace("% 2", "% 4"))
    assert study_on({"kind": f"{module}:moons"}).cells[0].cell_id != before.cells[0].cell_id
    with pytest.raises(LaunchError, match="--extend"):
        trained(before)


READING = """
import functools
import numpy as np

@functools.cache
def loaded():
    return np.loadtxt("PLACE/numbers.csv")[:, None]

def keeping():
    x = loaded()
    return x, x, x, x

def table(seed=0):
    x = np.loadtxt("PLACE/numbers.csv")[:, None]
    return x, x, x, x

def folds(seed):
    x = np.loadtxt(f"PLACE/fold{seed}.csv")[:, None]
    return x, x, x, x

def drawn():
    x = np.random.normal(size=(6, 2))
    return x, x, x, x
"""


@pytest.fixture
def reading(module, place):
    """The module, with functions that read files; the names of the module and of one file."""
    (place / f"{module}.py").write_text(READING.replace("PLACE", str(place)))
    for name in ("numbers", "fold0"):
        (place / f"{name}.csv").write_text("1.0\n2.0\n3.0\n" * 4)
    (place / "fold1.csv").write_text("1.0\n2.0\n4.0\n" * 4)
    return module, place / "numbers.csv"


def test_the_content_of_a_file_that_a_function_reads_counts_in_identity(reading, study_on):
    name, file = reading
    first = study_on({"kind": f"{name}:table"})
    assert study_on({"kind": f"{name}:table"}).runs()[0].run_id == first.runs()[0].run_id
    file.write_text("1.0\n2.0\n5.0\n" * 4)
    second = study_on({"kind": f"{name}:table"})
    assert second.runs()[0].run_id != first.runs()[0].run_id
    assert second.cells[0].data.build(0).x_train.max() == 5.0


def test_a_file_that_changes_before_a_run_is_trained_is_refused(reading, study_on, trained):
    name, file = reading
    study = study_on({"kind": f"{name}:table"})
    file.write_text("1.0\n2.0\n5.0\n" * 4)
    with pytest.raises(LaunchError, match=r"has read others for seed 0, or they have changed"):
        trained(study)


def test_another_file_for_another_seed_is_refused(reading, study_on, trained):
    name, _ = reading
    study = study_on({"kind": f"{name}:folds"}, sweep={"seed": [1]})
    with pytest.raises(LaunchError, match=r"has read others for seed 1"):
        trained(study)


def test_a_function_that_returns_other_data_each_time_is_refused(reading, study_on):
    name, _ = reading
    with pytest.raises(StudyFileError, match=r"returned another x_train.* the second time"):
        study_on({"kind": f"{name}:drawn"})


def test_w3_a_function_that_keeps_what_it_has_read_is_refused(reading, study_on):
    name, _ = reading
    with pytest.raises(StudyFileError, match=r"did not read .*numbers.csv again.*functools.cache"):
        study_on({"kind": f"{name}:keeping"})
