"""Axes that vary only where a condition holds, and keys that follow from others."""

import sys
from typing import Any

import pytest

from symstudy.errors import StudyFileError, UserError
from symstudy.study import dependent, load_study, make_study

BASE: dict[str, Any] = {
    "schema": 1,
    "name": "x",
    "model": {"kind": "fcn"},
    "data": {"kind": "teacher_student"},
    "train": {"lr": 0.01, "batch_size": 16},
}
FILE = """\
schema = 1
name = "x"

[model]
kind = "fcn"

[data]
kind = "teacher_student"

[train]
batch_size = 16

[derive]
"train.lr" = "0.8 / model.width"

[sweep]
"model.width" = [8, 16]
"train.gamma" = { log = [1e-4, 1e-2], num = 3, when = "model.width > 8" }

[presets.fixed.train]
lr = 0.5

[presets.deep.derive]
"model.depth" = "model.width // 8"
"""


def study(**tables):
    return make_study({**BASE, **tables})


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(FILE)
    return path


def test_an_axis_varies_only_where_its_condition_holds():
    found = study(
        sweep={
            "model.width": [8, 16],
            "train.gamma": {"values": [0.1, 0.2], "when": "model.width == 16"},
            "seed": 3,
        }
    )
    points = [(cell.model.width, cell.train.gamma) for cell in found.cells]
    assert points == [(8, 0.0), (16, 0.1), (16, 0.2)]
    assert found.places == (0, 0, 1, 2)
    assert found.num_runs == len(found.runs()) == 9


def test_where_a_condition_does_not_hold_the_key_is_as_its_table_has_it():
    found = study(
        train={**BASE["train"], "gamma": 0.7},
        sweep={
            "model.width": [8, 16],
            "train.gamma": {"linear": [0, 1], "num": 2, "when": "model.width == 16"},
        },
    )
    assert [cell.train.gamma for cell in found.cells] == [0.7, 0.0, 1.0]


def test_conditions_read_defaults_derived_keys_and_other_conditional_axes():
    found = study(
        derive={"train.steps": "10 * model.width"},
        sweep={
            "model.width": [8, 16],
            "model.depth": {"values": [1, 3], "when": "train.steps > 100"},
            "train.gamma": {
                "values": [0.1, 0.2],
                "when": "model.depth == 3 and train.optimizer == 'adam'",
            },
        },
    )
    points = [(cell.model.width, cell.model.depth, cell.train.gamma) for cell in found.cells]
    default = study().cells[0].model.depth
    assert points == [(8, default, 0.0), (16, 1, 0.0), (16, 3, 0.1), (16, 3, 0.2)]


def test_zipped_axes_share_a_condition():
    axes = {
        "model.width": [8, 16],
        "train.gamma": {"values": [0.1, 0.2], "when": "model.width == 16"},
        "train.steps": {"values": [10, 20], "when": "model.width == 16"},
        "zip": [["train.gamma", "train.steps"]],
    }
    points = [(c.model.width, c.train.gamma, c.train.steps) for c in study(sweep=axes).cells]
    assert points == [(8, 0.0, 1000), (16, 0.1, 10), (16, 0.2, 20)]
    axes["train.steps"] = [10, 20]
    with pytest.raises(StudyFileError, match="must zip axes with the same `when`"):
        study(sweep=axes)


def test_a_condition_that_holds_nowhere_is_told():
    axis = {"values": [0.1, 0.2], "when": "train.optimizer == 'sdg'"}
    found = study(sweep={"train.gamma": axis})
    assert len(found.cells) == 1
    assert "holds in no cell" in found.notes[0]


def test_a_derived_key_makes_the_runs_that_its_values_would():
    derived = study(
        train={"batch_size": 16},
        derive={"train.lr": "0.8 / model.width"},
        sweep={"model.width": [8, 16]},
    )
    given = study(
        train={"batch_size": 16},
        sweep={
            "model.width": [8, 16],
            "train.lr": [0.1, 0.05],
            "zip": [["model.width", "train.lr"]],
        },
    )
    assert [c.cell_id for c in derived.cells] == [c.cell_id for c in given.cells]


def test_only_combinations_that_come_up_need_fit():
    # A transformer cannot be given the vectors of teacher_student, and here it is not.
    found = study(
        model={},
        data={},
        sweep={
            "model.kind": ["fcn", "transformer"],
            "data.kind": ["teacher_student", "in_context"],
            "zip": [["model.kind", "data.kind"]],
        },
    )
    assert len(found.cells) == 2


def test_a_kind_is_derived_as_any_key_is():
    found = study(
        model={},
        derive={"model.kind": "'fcn'", "model.width": "8"},
        sweep={"train.gamma": [0.0, 0.1]},
    )
    assert {(cell.model.kind, cell.model.value("width")) for cell in found.cells} == {("fcn", 8)}


def test_an_expression_is_evaluated_once_for_each_value_that_it_reads(monkeypatch):
    calls = []
    once = dependent.derived_value

    def counted(*arguments):
        calls.append(arguments)
        return once(*arguments)

    monkeypatch.setattr(dependent, "derived_value", counted)
    found = study(
        train={"batch_size": 16},
        derive={"train.lr": "0.8 / model.width"},
        sweep={
            "model.width": [8, 16],
            "probe.num": {"linear": [2, 51], "num": 50},
            "data.samples": {"linear": [100, 129], "num": 30},
        },
    )
    assert len(found.cells) == 3000
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"derive": {"train.lr": "1"}}, r"derive\.train\.lr: .* is 0\.01 in \[train\] too"),
        (
            {"derive": {"model.width": "8"}, "sweep": {"model.width": [8]}},
            r"derive\.model\.width: must be derived or varied, but is in \[sweep\] too",
        ),
        (
            {"derive": {"train.gamma": "model.width", "model.width": "train.gamma"}},
            "train.gamma reads model.width reads train.gamma",
        ),
        (
            {"sweep": {"train.gamma": {"values": [1.0], "when": "train.gamma > 0"}}},
            "train.gamma reads train.gamma",
        ),
        ({"derive": {"train.steps": "model.widht"}}, "Did you mean 'width'"),
        ({"derive": {"train.steps": "pack.size"}}, "must read keys of model, data, train, probe"),
        ({"derive": {"pack.size": "3"}}, "must be a key of model, data, train, probe"),
        ({"derive": {"train.steps": 3}}, "must be an expression in quotes"),
        ({"derive": {"train.steps": "model.width / 3"}}, r"train\.steps: must be an integer"),
        ({"derive": {"train.steps": "probe.measures"}}, "must give a number, string"),
        (
            {"train": {"lr": 1.0, "gamma": 0.1}, "derive": {"train.steps": "train.weight_decay"}},
            "must read train.gamma, which is given",
        ),
        (
            {"train": {"lr_over_batch": 1.0}, "derive": {"train.gamma": "train.lr"}},
            "must read train.lr_over_batch",
        ),
        (
            {"sweep": {"train.gamma": {"values": [1.0], "when": "model.width"}}},
            "must give true or false, but 'model.width' gave 64",
        ),
        ({"sweep": {"train.gamma": {"when": "true"}}}, "must be {values"),
        (
            {"sweep": {"model.width": [0, 8]}, "derive": {"train.gamma": "1 / model.width"}},
            "`/` of 1, 0 has none",
        ),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_by_name(tables, message):
    with pytest.raises(StudyFileError, match=message):
        study(**tables)


def test_a_mistake_in_an_expression_is_shown_with_its_line(path):
    path.write_text(FILE.replace("0.8 / model.width", "0.8 / model.widht"))
    with pytest.raises(StudyFileError, match=r"study\.toml:14: derive\.train\.lr"):
        load_study(path)
    path.write_text(FILE.replace("0.8 / model.width", "0 - model.width"))
    with pytest.raises(StudyFileError, match=r"study\.toml:14: train\.lr: must be greater than 0"):
        load_study(path)


@pytest.mark.parametrize(
    ("overrides", "rates", "note"),
    [
        (["derive.train.lr=max(0.4, 0.8 / model.width)"], {0.4}, None),
        (["train.lr=0.3"], {0.3}, "train.lr is fixed at 0.3 and no longer derived"),
        (["train.lr=[0.3, 0.2]"], {0.3, 0.2}, "train.lr is swept and no longer derived"),
        (
            ["derive.model.width='8'", "train.gamma=[0.0, 0.1]"],
            {0.1},
            "model.width is derived and no longer swept",
        ),
    ],
)
def test_settings_derive_keys_and_take_their_place(path, overrides, rates, note):
    found = load_study(path, overrides=overrides)
    assert {cell.train.lr for cell in found.cells} == rates
    assert note is None or note in found.notes


def test_presets_derive_keys_and_take_their_place(path):
    assert {cell.train.lr for cell in load_study(path, preset="fixed").cells} == {0.5}
    assert {cell.model.value("depth") for cell in load_study(path, preset="deep").cells} == {1, 2}


def test_a_key_is_set_once_however_it_is_written(path):
    with pytest.raises(UserError, match="must set each key once"):
        load_study(path, overrides=["train.lr=0.3", "derive.train.lr=model.width"])


PROGRAM = {
    "schema": 1,
    "name": "x",
    "program": {"command": [sys.executable, "--lr={lr}", "--width={net.width}"]},
    "config": {"net": {"width": 8}},
}


def test_the_hyperparameters_of_a_program_follow_from_each_other():
    found = make_study(
        {
            **PROGRAM,
            "derive": {"config.lr": "0.8 / config.net.width"},
            "sweep": {
                "config.net.width": [8, 16],
                "config.momentum": {"values": [0.0, 0.9], "when": "config.lr < 0.1"},
            },
        }
    )
    settings = [dict(cell.settings.arguments) for cell in found.cells]
    assert settings == [
        {"net.width": 8, "lr": 0.1},
        {"net.width": 16, "lr": 0.05, "momentum": 0.0},
        {"net.width": 16, "lr": 0.05, "momentum": 0.9},
    ]


def test_a_command_names_no_hyperparameter_that_some_runs_lack():
    with pytest.raises(StudyFileError, match=r"program\.command: .*lr"):
        make_study(
            {
                **PROGRAM,
                "sweep": {
                    "config.net.width": [8, 16],
                    "config.lr": {"values": [0.1, 0.2], "when": "config.net.width > 8"},
                },
            }
        )


def test_a_key_of_a_program_that_is_nowhere_is_told():
    with pytest.raises(StudyFileError, match=r"config\.depth is not"):
        make_study({**PROGRAM, "derive": {"config.lr": "0.8 / config.depth"}})
