import math
import tomllib

import pytest

from symstudy.errors import UserError
from symstudy.study import load_study
from symstudy.study.program import fill_word
from symstudy.study.wandb_sweep import import_sweep

GRID = {
    "program": "train.py",
    "name": "A sweep",
    "project": "mine",
    "method": "grid",
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {
        "lr": {"values": [0.1, 0.01]},
        "optimizer": {"values": ["adam", "sgd"]},
        "epochs": {"value": 3},
    },
}


def test_a_grid_is_a_study_of_its_command(tmp_path):
    imported = import_sweep(GRID, "sweep.yaml")
    (tmp_path / "train.py").write_text("")
    (tmp_path / "study.toml").write_text(imported.text)
    study = load_study(tmp_path / "study.toml")
    assert (study.name, len(study.cells)) == ("A_sweep", 4)
    assert study.cells[0].settings.arguments == {"epochs": 3, "lr": 0.1, "optimizer": "adam"}
    assert study.cells[0].program.command == (
        "python", "train.py", "--lr={lr}", "--optimizer={optimizer}", "--epochs={epochs}"
    )  # fmt: skip
    assert any("project = mine is left out" in each for each in imported.notes)
    assert any("reported as 'val_loss'" in each for each in imported.notes)


def test_distributions_are_a_search(tmp_path):
    parameters = {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
        "old": {"distribution": "log_uniform", "min": -2.0, "max": 0.0},
        "width": {"min": 8, "max": 64},
        "drop": {"min": 0.0, "max": 0.5},
        "act": {"values": ["relu", "tanh"]},
    }
    sweep = {**GRID, "method": "bayes", "run_cap": 20, "parameters": parameters}
    sweep["metric"] = {"name": "acc", "goal": "maximize"}
    imported = import_sweep(sweep, "sweep.yaml")
    search = tomllib.loads(imported.text)["search"]
    assert (search["method"], search["direction"], search["trials"]) == ("gp", "maximize", 20)
    assert search["space"]["config.lr"] == {"log": [1e-4, 0.1]}
    assert search["space"]["config.old"] == {"log": [math.exp(-2.0), 1.0]}
    assert search["space"]["config.width"] == {"linear": [8, 64]}
    (tmp_path / "train.py").write_text("")
    (tmp_path / "study.toml").write_text(imported.text)
    found = load_study(tmp_path / "study.toml").search
    assert found is not None
    assert found.num_runs == 20


def imported_cell(tmp_path, sweep):
    """Return the notes of a sweep, and the first cell of its study."""
    imported = import_sweep({**GRID, **sweep}, "sweep.yaml")
    (tmp_path / "train.py").write_text("")
    (tmp_path / "study.toml").write_text(imported.text)
    return imported.notes, load_study(tmp_path / "study.toml").cells[0]


def words_of_run(cell):
    """Return the words after the script that the first run of a cell is started with."""
    return [fill_word(word, cell.settings.arguments) for word in cell.program.command[2:]]


def test_nested_parameters_are_keys_with_dots(tmp_path):
    inner = {"depth": {"values": [4, 8]}, "net": {"parameters": {"act": {"value": "relu"}}}}
    notes, cell = imported_cell(tmp_path, {"parameters": {"model": {"parameters": inner}}})
    assert cell.settings.arguments == {"model.depth": 4, "model.net.act": "relu"}
    assert words_of_run(cell) == ["--model.depth=4", "--model.net.act=relu"]
    assert any("the script gets --model.depth=..." in each for each in notes)


def test_names_that_no_key_can_have_get_others_and_are_passed_as_they_were(tmp_path):
    parameters = {"optim/init args/lr": {"values": [0.1, 0.2]}, "a{b}": {"value": 1}}
    notes, cell = imported_cell(tmp_path, {"parameters": parameters})
    assert cell.settings.arguments == {"optim.init_args.lr": 0.1, "a_b_": 1}
    assert words_of_run(cell) == ["--optim/init args/lr=0.1", "--a{b}=1"]
    assert "parameter optim/init args/lr is called optim.init_args.lr" in notes


def test_numbers_that_yaml_takes_for_texts_are_numbers_unless_beside_words(tmp_path):
    parameters = {
        "lr": {"values": ["1e-4", 0.1, "2.5E3"]},
        "decay": {"value": "1e-2"},
        "warm": {"values": ["1e-4", "auto"]},
    }
    notes, cell = imported_cell(tmp_path, {"parameters": parameters})
    assert cell.settings.arguments == {"lr": 1e-4, "decay": 0.01, "warm": "1e-4"}
    assert sum("YAML reads numbers" in each for each in notes) == 2


def test_flags_that_are_none_and_what_is_no_macro_of_wandb_are_passed(tmp_path):
    command = ["${interpreter}", "${program}", "run=${now:%Y}", "${args_no_boolean_flags}"]
    _, cell = imported_cell(tmp_path, {"parameters": {"lr": {"value": 1}}, "command": command})
    assert words_of_run(cell) == ["run=${now:%Y}", "--lr=1"]


def test_booleans_and_commands_without_parameters_are_told(tmp_path):
    parameters = {"drop": {"values": [True, False]}}
    notes, cell = imported_cell(tmp_path, {"parameters": parameters})
    assert words_of_run(cell) == ["--drop=true"]
    assert any("W&B passes True" in each for each in notes)
    command = ["python", "${program}"]
    notes, _ = imported_cell(tmp_path, {"parameters": parameters, "command": command})
    assert any("the command passes no parameters" in each for each in notes)
    assert not any("W&B passes True" in each for each in notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"early_terminate": {"type": "hyperband"}},
            "early_terminate has no counterpart; take it out of the file, and write",
        ),
        ({"method": "genetic"}, "method must be one of grid, random, bayes, but is 'genetic'"),
        ({"strange": 1}, "strange has no counterpart"),
        ({"method": "random", "metric": None}, "metric must be given"),
        ({"metric": {"name": "x", "target": 1}}, "metric.target has no counterpart"),
        ({"parameters": {"a": {"min": 0, "max": 1}}}, "parameters.a must list its values"),
        ({"parameters": {"a": {"parameters": {}}}}, "parameters.a has no counterpart for"),
        (
            {"parameters": {"a": {"parameters": {"b": {"parameters": {"c": 1}}}}}},
            "parameters.a.b.c must be a table",
        ),
        (
            {"parameters": {"a/b": {"value": 1}, "a.b": {"value": 2}}},
            "parameters.a.b must have another name",
        ),
        (
            {"parameters": {"a": {"values": [1, 2], "probabilities": [0.1, 0.9]}}},
            "parameters.a has no counterpart for probabilities; leave it out",
        ),
        (
            {
                "parameters": {"a": {"values": [True, False]}},
                "command": ["${program}", "${args_no_boolean_flags}"],
            },
            "no counterpart for flags that are there or not, as a;",
        ),
        ({"command": ["${program}", "--x=${envvar:X}"]}, r"no counterpart for --x=\$\{envvar:X\}"),
        ({"parameters": {"a": {"values": [{"b": 1}]}}}, "parameters.a must be numbers"),
        ({"command": ["${program}", "${args_json}"]}, r"no counterpart for \$\{args_json\}"),
        (
            {
                "method": "random",
                "parameters": {"a": {"mu": 0, "sigma": 1, "distribution": "normal"}},
            },
            "parameters.a has no counterpart for distribution normal",
        ),
        (
            {"method": "random", "parameters": {"a": {"min": "1e-4", "max": 1}}},
            "YAML reads 1e-4 as a text",
        ),
        (
            {
                "method": "random",
                "parameters": {"a": {"min": 0, "max": 1, "q": 1, "distribution": "q_uniform"}},
            },
            "no counterpart for distribution q_uniform, q; list its values",
        ),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        import_sweep({**GRID, **change}, "sweep.yaml")


def test_all_refusals_are_told_at_once():
    sweep = {**GRID, "strange": 1, "method": "x", "command": "train.py"}
    with pytest.raises(UserError) as caught:
        import_sweep(sweep, "sweep.yaml")
    assert len(str(caught.value).splitlines()) == 4
