"""What is found of modules of one's own before a launch, and what a plan takes from it."""

import json
import shutil
from pathlib import Path

import pytest

from symstudy.cli.plan import plan
from symstudy.cli.studies import validate
from symstudy.components import registry
from symstudy.errors import ModelError
from symstudy.launch import InlineLauncher, run_study
from symstudy.study import PackConfig, devices
from symstudy.study.cost import estimate_cost
from symstudy.training.dry_run import (
    APART,
    KERNELS,
    TOGETHER,
    DryRun,
    chosen_shapes,
    dry_run,
    speed_of,
    try_cell,
)

HERE = Path(__file__).parent
CPU = PackConfig(device="cpu")
STUDY = """
schema = 1
name   = "pictures"
title  = "Pictures"
[model]
kind        = "sample_modules:Residual"
channels    = "{channels}"
num_classes = "{outputs}"
[data]
kind = "sample_modules:Pictures"
[train]
lr         = 0.01
batch_size = 8
steps      = 20
[sweep]
seed = 2
"""
RESIDUAL = {"channels": "{channels}", "num_classes": "{outputs}"}


@pytest.fixture
def cells_of(study_of, monkeypatch):
    monkeypatch.syspath_prepend(HERE)

    def make(name, arguments=(), sweep=()):
        study = study_of(
            model={"kind": f"sample_modules:{name}", **dict(arguments)},
            data={"kind": "sample_modules:Pictures"},
            sweep={"seed": 2, **dict(sweep)},
        )
        return list(study.cells)

    yield make
    registry.find_component.cache_clear()


def test_a_module_is_counted_and_its_steps_are_timed_in_all_ways(cells_of):
    (trial,) = dry_run(cells_of("Residual", RESIDUAL), CPU).trials
    assert trial.call == "Residual(channels=1, num_classes=2)"
    assert (trial.inputs, trial.returns) == ("[samples, 1, 6, 6] of floats", "[samples, 2]")
    assert (trial.trained, trial.frozen, trial.own) == (221, 0, 3 * 7)
    assert (trial.way, trial.reason, trial.unknown) == (KERNELS, "", "")
    assert {way: list(times) for way, times in trial.step_s.items()} == {
        KERNELS: [1, 4, 16],
        TOGETHER: [1, 4, 16],
        APART: [1, 4, 16],
    }
    json.dumps(trial.to_json())


def test_what_torch_trains_is_told_with_what_the_kernels_do_not_know(cells_of):
    (cell,) = cells_of("Residual", RESIDUAL)
    trial = try_cell(cell, PackConfig(device="cpu", engine="torch"), 0.0)
    assert (trial.way, trial.unknown) == (TOGETHER, "pack.engine = 'torch'")
    assert list(trial.step_s) == [TOGETHER, APART]
    (cell,) = cells_of("Averaging")
    unknown = try_cell(cell, CPU, 0.0).unknown
    assert unknown.startswith("model.kind = 'sample_modules:Averaging' (")


def test_what_goes_one_by_one_is_told_with_torchs_own_words(cells_of):
    (trial,) = dry_run(cells_of("Recurrent"), CPU).trials
    assert (trial.way, list(trial.step_s), trial.gain()) == (APART, [APART], None)
    assert "aten::lstm" in trial.reason


def test_of_many_shapes_the_first_and_the_largest_are_tried(cells_of, monkeypatch):
    monkeypatch.setattr("symstudy.training.dry_run.LIMIT_S", 0.1)
    monkeypatch.setattr("symstudy.training.dry_run.TRIED", 2)
    cells = cells_of("Residual", RESIDUAL, {"model.width": [3, 9, 2, 4, 5]})
    found = dry_run(cells, CPU)
    assert [json.loads(cell.config)["model"]["arguments"] for cell in chosen_shapes(cells)] == [
        {**RESIDUAL, "width": 3},
        {**RESIDUAL, "width": 9},
    ]
    assert "width=3" in found.trials[0].call
    assert (found.shapes, found.built) == (5, len(found.trials))


def test_a_mistake_in_a_later_shape_is_found(cells_of):
    cells = cells_of("Gaps", {}, {"model.width": [1, 2, 3, 4, 5, 6]})
    with pytest.raises(ModelError, match=r"Gaps\(width=5, .*no width of five"):
        dry_run(cells, CPU)


def test_a_plan_is_made_by_counted_parameters_work_and_memory(cells_of):
    small, large = cells_of("Residual", RESIDUAL, {"model.width": [2, 32]})
    costs = [estimate_cost(cell, device="cpu", engine="auto") for cell in (small, large)]
    assert [cost.parameters for cost in costs] == [18 * w**2 + 19 * w + 2 for w in (2, 32)]
    assert costs[1].memory_bytes > 5 * costs[0].memory_bytes
    assert costs[1].seconds > costs[0].seconds


def test_recurrent_layers_count_their_weights_at_each_place(cells_of):
    (cell,) = cells_of("Recurrent")
    assert cell.model.size(cell.data.shape).products == 6 * (4 * 4 * 6 + 4 * 4 * 4) + 4 * 2


def test_a_launch_refuses_a_module_that_cannot_be_built_and_leaves_nothing(study_of, tmp_path):
    study = study_of(model={"kind": "torch.nn:Linear", "in_features": 8, "out": 1})
    with pytest.raises(ModelError, match="out: Known: in_features, out_features"):
        run_study(study, str(tmp_path / "results"), InlineLauncher(device="cpu"))
    assert not list(tmp_path.rglob("*.parquet"))


def test_timed_steps_scale_the_estimate(cells_of):
    cells = cells_of("Residual", RESIDUAL)
    (trial,) = dry_run(cells, CPU).trials
    once = estimate_cost(cells[0], device="cpu", engine="auto")
    speeds = []
    for seconds in (1e-3, 1e-1):
        timed = trial._replace(step_s={KERNELS: {4: seconds}, APART: {}})
        speeds.append(
            speed_of(DryRun([timed], 1, 1), cells, CPU, devices.CPU).factor(cells[0].shape)
        )
    steps = cells[0].train.steps
    gained = (speeds[1] - speeds[0]) * once.pack_seconds(4)
    assert gained == pytest.approx(steps * (1e-1 - 1e-3), rel=1e-6)


def test_validate_and_plan_say_what_a_module_is_and_refuse_a_mistake(tmp_path, capsys, monkeypatch):
    shutil.copy(HERE / "sample_modules.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pictures.toml").write_text(STUDY)
    for command in (validate, plan):
        command(tmp_path / "pictures.toml")
        said = capsys.readouterr().out
        assert "module   Residual(channels=1, num_classes=2)" in said
        assert "221 parameters trained, 0 frozen; buffers: 0 numbers shared, 21 a run's own" in said
        assert "runs go through the compiled kernels, one after another; measured here" in said
        with pytest.raises(ModelError, match="Did you mean 'width'"):
            command(tmp_path / "pictures.toml", ["model.widht=4"])
    validate(tmp_path / "pictures.toml", ["model.width=4"], dry=False)
    assert "module " not in capsys.readouterr().out
