"""A probe of this machine: whole, without depending on how fast the machine is."""

import math

import pytest

from symstudy.errors import LaunchError
from symstudy.study import Run, plan_packs
from symstudy.study.cost import Cost
from symstudy.study.devices import find_device
from symstudy.training import speed as module
from symstudy.training.speed import measure_speed, nearest, time_pack


def priced(setup, step, probe, detail):
    """Return a stand-in for the clock: trainings that take exactly what such prices make."""

    def time_training(cell, lanes, config, steps, num, details):
        steps, probes, detailed = module.counts_of(steps, num, details)
        return setup + step * steps + probe * probes + detail * detailed

    return time_training


@pytest.mark.parametrize("prices", [(0.02, 1e-4, 1e-3, 5e-3), (0.0, 2e-3, 0.0, 0.0)])
def test_a_whole_training_is_priced_from_short_ones(monkeypatch, study_of, prices):
    study = study_of(train={"steps": 5000}, probe={"num": 40, "detail": 10})
    monkeypatch.setattr(module, "time_training", priced(*prices))
    _, probes, details = module.counts_of(5000, 40, 10)
    expected = prices[0] + 5000 * prices[1] + probes * prices[2] + details * prices[3]
    assert time_pack(study.cells[0], 2, study.pack) == pytest.approx(expected)


def test_the_minimiser_is_priced_by_its_restarts(monkeypatch, study_of):
    study = study_of(
        train={"optimizer": "lbfgs", "batch_size": "full", "lr": None, "restarts": 3, "steps": 500}
    )
    monkeypatch.setattr(module, "time_training", priced(0.0, 1e-3, 0.0, 0.0))
    assert time_pack(study.cells[0], 2, study.pack) == pytest.approx(3 * 500 * 1e-3)


def test_short_trainings_are_of_the_same_shape_but_shorter(monkeypatch, study_of):
    study = study_of(
        train={
            "optimizer": "lbfgs", "batch_size": "full", "lr": None, "steps": 500, "refine": True,
        },
        model={"width": 12},
    )  # fmt: skip
    trained: list[Run] = []
    monkeypatch.setattr(module, "train_pack", lambda runs, config: trained.extend(runs))
    assert module.time_training(study.cells[0], 3, study.pack, 7, 4, 2) >= 0
    assert [run.seed for run in trained] == [0, 1, 2]
    cell = trained[0].cell
    assert (cell.train.steps, cell.train.optimizer.starts, cell.train.refine) == (7, 1, False)
    assert (cell.probe.num, cell.probe.detail) == (4, 2)
    assert (cell.model, cell.data) == (study.cells[0].model, study.cells[0].data)


def test_every_shape_has_a_factor_and_the_plan_takes_it(study_of):
    study = study_of(train={"steps": 200}, sweep={"model.width": [8, 12, 16], "seed": 4})
    told: list[str] = []
    found = measure_speed(study.runs(), study.pack, limit_s=60.0, told=told.append)
    shapes = {cell.shape for cell in study.cells}
    assert set(found.factors) == shapes
    assert all(factor > 0 and math.isfinite(factor) for factor in found.factors.values())
    assert found.source == "3 of 3 shapes measured on this machine"
    assert told[0] == "1 of 3 shapes"
    plain = {p.runs[0].cell.shape: p for p in plan_packs(study.runs(), study.pack)}
    scaled = plan_packs(study.runs(), study.pack, speed=found)
    for pack in scaled:
        shape = pack.runs[0].cell.shape
        each = plain[shape].seconds / len(plain[shape].runs)
        assert pack.seconds == pytest.approx(found.factors[shape] * each * len(pack.runs))


def test_when_time_is_up_the_rest_is_taken_from_the_nearest(study_of):
    study = study_of(train={"steps": 50}, sweep={"model.width": [8, 16, 64], "seed": 2})
    found = measure_speed(study.runs(), study.pack, limit_s=0.0)
    assert found.source == "1 of 3 shapes measured on this machine"
    assert len(set(found.factors.values())) == 1
    assert found.factor("a shape of another study") == found.default


def test_the_nearest_is_of_the_same_engine_and_of_like_cost():
    costs = {
        name: Cost(seconds, 0, 0, is_compiled)
        for name, seconds, is_compiled in (
            ("small", 1.0, True), ("large", 100.0, True), ("torch", 20.0, False),
        )
    }  # fmt: skip
    measured = {"small": 2.0, "large": 3.0, "torch": 9.0}
    assert nearest(Cost(30.0, 0, 0, is_compiled=True), costs, measured) == 3.0
    assert nearest(Cost(1.5, 0, 0, is_compiled=True), costs, measured) == 2.0
    assert nearest(Cost(1.5, 0, 0, is_compiled=False), costs, measured) == 9.0


def test_a_probe_of_a_gpu_that_is_not_here_is_refused(monkeypatch, study_of):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    study = study_of()
    with pytest.raises(LaunchError, match="--device cpu"):
        measure_speed(study.runs(), study.pack, device=find_device("h100"))
