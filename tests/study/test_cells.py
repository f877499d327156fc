from collections import Counter

import pytest
from hypothesis import given

from symstudy.identity import stream_key
from symstudy.study import make_study, read_cell
from symstudy.testing.strategies import small_studies

BASE = {
    "schema": 1,
    "name": "x",
    "title": "x",
    "model": {"kind": "fcn"},
    "data": {"kind": "digits"},
    "train": {"lr": 0.01, "batch_size": 100},
}


def study(**tables):
    return make_study({**BASE, **tables})


def only_cell(**tables):
    (cell,) = study(**tables).cells
    return cell


def test_identifiers_do_not_change_by_accident():
    # If this fails on purpose, raise symstudy.identity.IDENTITY_VERSION and take the new values.
    cell = only_cell()
    runs = study(sweep={"seed": 2}).runs()
    assert cell.cell_id == "24b3954790914448846d"
    assert [run.run_id for run in runs] == ["926b1e8e6aa2e800bd75", "8606aacb3a31c3afb523"]
    assert stream_key(0, "initialisation") == 250517556090007906


def test_equal_runs_have_equal_identifiers_however_they_are_written():
    ways = [
        {"lr": 0.01, "batch_size": 100},
        {"lr_over_batch": 0.0001, "batch_size": 100},
        {"lr": 0.01, "batch_size": 100, "gamma": 0.0, "steps": 1000},
        {"lr": 0.01, "batch_size": 100, "weight_decay": 0},
    ]
    assert len({only_cell(train=train).cell_id for train in ways}) == 1


@pytest.mark.parametrize(
    "tables",
    [
        {"model": {"kind": "fcn", "width": 65}},
        {"data": {"kind": "digits", "label_noise": 0.1}},
        {"train": {"lr": 0.01, "batch_size": 100, "gamma": 1e-3}},
        {"train": {"lr": 0.01, "batch_size": 100, "optimizer": "sgd"}},
        {"probe": {"num": 7}},
    ],
)
def test_what_changes_a_result_changes_the_identifier(tables):
    assert only_cell(**tables).cell_id != only_cell().cell_id


def test_packing_title_and_name_change_no_identifier():
    other = only_cell(pack={"size": 3, "device": "cpu"}, name="y", title="z")
    assert other.cell_id == only_cell().cell_id


def test_zipped_axes_move_together():
    cells = study(
        sweep={
            "train.lr": [0.1, 0.2],
            "train.steps": [10, 20],
            "model.width": [4, 8],
            "zip": [["train.lr", "train.steps"]],
        }
    ).cells
    places = Counter((c.train.lr, c.train.steps, c.model.width) for c in cells)
    assert set(places) == {(0.1, 10, 4), (0.1, 10, 8), (0.2, 20, 4), (0.2, 20, 8)}
    assert max(places.values()) == 1


def test_lr_over_batch_follows_a_swept_batch_size():
    cells = study(train={"lr_over_batch": 0.01}, sweep={"train.batch_size": [10, 20, "full"]}).cells
    assert [(c.train.batch_size, c.train.lr) for c in cells] == [(10, 0.1), (20, 0.2), (1400, 14.0)]


def test_weight_decay_is_twice_gamma():
    cell = only_cell(train={"lr": 0.01, "weight_decay": 0.002})
    assert cell.train.gamma == 0.001


def test_a_swept_kind_has_its_own_keys():
    cells = study(
        sweep={"model.kind": ["fcn", "deep_linear"]}, data={"kind": "identity"}, train={"lr": 0.1}
    ).cells
    assert [cell.model.kind for cell in cells] == ["fcn", "deep_linear"]


@given(small_studies())
def test_cells_come_back_from_their_configuration(drawn):
    for cell in drawn.cells:
        assert read_cell(cell.config) == cell


@given(small_studies())
def test_runs_are_all_different(drawn):
    runs = drawn.runs()
    assert len({run.run_id for run in runs}) == len(runs) == len(drawn.cells) * len(drawn.seeds)


def test_a_users_own_model_keeps_its_arguments():
    cell = only_cell(model={"kind": "package.module:Net", "width": 3, "layers": [1, 2]})
    assert cell.model.arguments == {"width": 3, "layers": [1, 2]}
    assert read_cell(cell.config) == cell


def test_many_cells_expand():
    grid = study(
        sweep={
            "model.width": list(range(1, 51)),
            "train.gamma": {"log": [1e-5, 1.0], "num": 40},
            "data.label_noise": [0.0, 0.1, 0.2, 0.3, 0.4],
            "seed": 2,
        }
    )
    runs = grid.runs()
    assert len(grid.cells) == 10_000
    assert len({run.run_id for run in runs}) == 20_000
