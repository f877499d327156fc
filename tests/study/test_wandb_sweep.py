import math
import tomllib

import pytest

from symstudy.errors import UserError
from symstudy.study import load_study
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate has no counterpart; write"),
        ({"method": "genetic"}, "method must be one of grid, random, bayes, but is 'genetic'"),
        ({"strange": 1}, "strange has no counterpart"),
        ({"method": "random", "metric": None}, "metric must be given"),
        ({"metric": {"name": "x", "target": 1}}, "metric.target has no counterpart"),
        ({"parameters": {"a": {"min": 0, "max": 1}}}, "parameters.a must list its values"),
        ({"parameters": {"a": {"parameters": {}}}}, "parameters.a has no counterpart for"),
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
                "parameters": {"a": {"min": 0, "max": 1, "distribution": "q_uniform"}},
            },
            "distribution q_uniform",
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
