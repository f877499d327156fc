"""Which runs of several widths share packs, and which never do."""

import dataclasses
import json
import sys
from typing import Any

import pytest
import torch

from symstudy.study import PackConfig, make_study, plan_packs
from symstudy.study.padding import can_pad, padded_shape

TORCH = PackConfig(engine="torch", device="cpu")


def study_of(widths=(8, 10, 16), seeds=2, **tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "x",
        "title": "x",
        "model": {"kind": "fcn"},
        "data": {"kind": "teacher_student"},
        "train": {"lr": 0.01, "batch_size": 32, "steps": 1000},
        "sweep": {"model.width": list(widths), "seed": seeds},
    }
    for name, table in tables.items():
        both = {**values.get(name, {}), **table}
        values[name] = {key: value for key, value in both.items() if value is not None}
    return make_study(values)


def widths_of(packs):
    """Return the widths in each pack, packs of narrow runs first."""
    return sorted(sorted({run.cell.model.width for run in pack.runs}) for pack in packs)


def test_few_narrow_runs_share_a_torch_pack():
    assert widths_of(plan_packs(study_of().runs(), TORCH)) == [[8, 10, 16]]


def test_a_padded_pack_is_planned_as_one_of_its_widest_runs():
    (padded,) = plan_packs(study_of().runs(), TORCH)
    (wide,) = plan_packs(study_of((16,), seeds=6).runs(), TORCH)
    assert padded.seconds == pytest.approx(wide.seconds)
    assert padded.memory_bytes == wide.memory_bytes


def test_a_gpu_pads_too():
    assert widths_of(plan_packs(study_of().runs(), PackConfig(device="cuda"), device="a100")) == [
        [8, 10, 16]
    ]


@pytest.mark.parametrize("pad", ["auto", "always"])
def test_the_compiled_engine_never_pads(pad):
    packs = plan_packs(study_of().runs(), PackConfig(pad=pad, device="cpu"))
    assert widths_of(packs) == [[8], [10], [16]]


def test_never_is_never():
    packs = plan_packs(study_of().runs(), dataclasses.replace(TORCH, pad="never"))
    assert widths_of(packs) == [[8], [10], [16]]


def test_wide_runs_are_padded_only_if_told_to():
    runs = study_of((64, 256), seeds=16).runs()
    large = dataclasses.replace(TORCH, size=1000)
    assert widths_of(plan_packs(runs, large)) == [[64], [256]]
    assert widths_of(plan_packs(runs, dataclasses.replace(large, pad="always"))) == [[64, 256]]


def test_only_neighbours_in_width_are_padded_where_the_widest_is_far():
    packs = plan_packs(study_of((8, 10, 512)).runs(), dataclasses.replace(TORCH, size=1000))
    assert widths_of(packs) == [[8, 10], [512]]


def test_packs_of_a_padded_lot_go_by_width():
    config = dataclasses.replace(TORCH, size=4, pad="always")
    packs = plan_packs(study_of((8, 10, 16, 20), seeds=2).runs(), config)
    assert widths_of(packs) == [[8, 10], [16, 20]]


def test_every_run_is_in_one_pack():
    runs = study_of(range(4, 40), seeds=3).runs()
    packs = plan_packs(runs, TORCH, workers=2)
    assert sorted(run.run_id for pack in packs for run in pack.runs) == sorted(
        run.run_id for run in runs
    )
    assert len(packs) < 36


class OfAWidth(torch.nn.Sequential):
    """A module of the user's own with a key called width."""

    def __init__(self, input_dim, output_dim, width):
        super().__init__(torch.nn.Linear(input_dim, width), torch.nn.Linear(width, output_dim))


@pytest.mark.parametrize(
    "tables",
    [
        {"train": {"syre": 0.1}},
        {"train": {"gamma": 0.1, "syre_anisotropy": 0.5}},
        {"train": {"entropic": 0.1}},
        {"train": {"epsilon": 1e-35}},
        {"train": {"optimizer": "sgd", "dtype": "float64", "polish": 5}},
        {"train": {"optimizer": "lbfgs", "lr": None, "batch_size": "full"}},
        {"model": {"reparametrise": "hadamard"}},
        {"model": {"kind": "own_of_a_width:OfAWidth"}},
    ],
    ids=str,
)
def test_what_padding_is_not_exact_for_is_never_padded(tables, monkeypatch):
    monkeypatch.setitem(sys.modules, "own_of_a_width", sys.modules[__name__])
    study = study_of(**tables)
    assert not any(can_pad(cell) for cell in study.cells)
    always = dataclasses.replace(TORCH, pad="always", size=1000)
    assert len(plan_packs(study.runs(), always)) == 3


def test_one_run_that_cannot_be_padded_keeps_its_width_apart():
    study = study_of((8, 10), sweep={"model.width": [8, 10], "train.syre": [0.0, 0.1]})
    assert widths_of(plan_packs(study.runs(), TORCH)) == [[8], [10]]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_optimisers_of_gradients_can_pad(optimizer):
    study = study_of(train={"optimizer": optimizer, "weight_decay": 0.1})
    assert all(can_pad(cell) for cell in study.cells)
    assert len({padded_shape(cell) for cell in study.cells}) == 1


def test_what_differs_in_more_than_the_width_is_not_padded():
    study = study_of(sweep={"model.width": [8, 10], "model.depth": [2, 3]})
    packs = plan_packs(study.runs(), dataclasses.replace(TORCH, pad="always"))
    assert sorted(len({run.cell.shape for run in pack.runs}) for pack in packs) == [2, 2]
    assert all(len({padded_shape(run.cell) for run in pack.runs}) == 1 for pack in packs)
    assert "width" not in json.loads(padded_shape(study.cells[0]))["model"]


def test_padding_is_no_part_of_a_runs_identity():
    runs = [study_of(pack={"pad": pad}).runs() for pad in ("auto", "never")]
    assert [run.run_id for run in runs[0]] == [run.run_id for run in runs[1]]
