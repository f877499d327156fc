"""Runs of several widths in one pack: padded with neurons of zero weights, which stay zero."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symstudy.components import DataShape
from symstudy.errors import LaunchError
from symstudy.models import build_model
from symstudy.models.fcn.config import FcnConfig
from symstudy.study import PackConfig, make_study
from symstudy.study.cells import read_trained_cell
from symstudy.study.padding import can_pad
from symstudy.testing.strategies import ACTIVATIONS, small_studies
from symstudy.training import train_pack
from symstudy.training.engines.padded import PaddedEngine, embedded_places
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_engine, make_pack

TORCH = PackConfig(device="cpu", engine="torch")
NUMBERS = ("train_loss", "test_loss", "objective", "theta_norm", "grad_norm")


SHAPE = DataShape(4, 2, 10, 10, is_classification=False)


def runs_of(widths=(3, 8, 5), seeds=2, **tables):
    """Return runs of several widths; the widest is neither the first nor the last."""
    values: dict[str, Any] = {
        "schema": 1,
        "name": "x",
        "title": "x",
        "model": {"kind": "fcn", "depth": 3},
        "data": {"kind": "teacher_student", "samples": 30, "test_samples": 20},
        "train": {"optimizer": "adam", "lr": 0.003, "batch_size": 7, "steps": 40},
        "sweep": {"model.width": list(widths), "train.gamma": [0.0, 0.1], "seed": seeds},
        "probe": {"num": 4, "detail": 2, "samples": 16},
    }
    for name, table in tables.items():
        values[name] = {**values.get(name, {}), **table}
    return make_study(values).runs()


@st.composite
def runs_of_two_widths(draw):
    """Draw the runs of a study that may be padded, with some of another width among them."""
    runs = [run for run in draw(small_studies()).runs() if can_pad(run.cell)]
    other = draw(st.integers(1, 19))
    runs = runs[:: max(1, len(runs) // 6)]
    return [
        run if place % 2 else next(iter(runs_with_width([run], other)))
        for place, run in enumerate(runs)
    ]


def runs_with_width(runs, width):
    """Return `runs` as a study would have them with another width."""
    for run in runs:
        config = json.loads(run.cell.config)
        config["model"]["width"] = width
        yield run._replace(cell=read_trained_cell(json.dumps(config)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_of_nothing_are_nothing(activation):
    model = build_model(FcnConfig(width=5, depth=3, activation=activation), SHAPE)
    hidden = model.forward(torch.zeros(1, model.layout.size), torch.randn(1, 3, 4)).hidden
    assert all((layer == 0.0).all() for layer in hidden.values())


@settings(max_examples=30, deadline=None)
@given(runs=runs_of_two_widths())
def test_padding_stays_zero_to_the_bit(runs):
    engine = PaddedEngine(make_pack(runs, TORCH))
    engine.advance(0, runs[0].cell.train.steps)
    assert (engine.theta_KP[engine.is_padding_KP] == 0.0).all()
    widths = {run.cell.model.width for run in runs}
    has_hidden = runs[0].cell.model.depth > 1
    assert engine.is_padding_KP.any() == (len(widths) > 1 and has_hidden)


@settings(max_examples=30, deadline=None)
@given(runs=runs_of_two_widths())
def test_a_padded_run_measures_what_it_measures_alone(runs):
    # In float64, in which a run on its way to divergence leaves round-off small.
    runs = [
        run._replace(cell=run.cell.with_part(dataclasses.replace(run.cell.train, dtype="float64")))
        for run in runs
    ]
    together = train_pack(runs, TORCH)
    for place in (0, len(runs) - 1):
        alone = train_pack([runs[place]], TORCH)
        for name in (*NUMBERS, "num_parameters", "steps_done"):
            np.testing.assert_allclose(
                together.runs[name][place], alone.runs[name][0], 1e-8, 1e-10, err_msg=name
            )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_padded_run_of_float32_learns_the_same_up_to_the_last_bits(activation):
    runs = runs_of(model={"activation": activation})
    together = train_pack(runs, TORCH).runs
    for place, run in enumerate(runs):
        alone = train_pack([run], TORCH).runs
        for name in NUMBERS:
            np.testing.assert_allclose(
                together[name][place], alone[name][0], rtol=1e-4, err_msg=name
            )


@pytest.mark.parametrize(
    "train",
    [{"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}, {"optimizer": "adamw"}],
    ids=lambda train: train["optimizer"],
)
@pytest.mark.parametrize("activation", ["tanh", "relu", "polynomial"])
def test_every_measure_of_a_padded_run_is_that_of_the_run_alone(activation, train):
    extra = ["permutation_distance", "weight_stable_rank"]
    extra += ["rescaling_orbit_distance"] if activation == "relu" else []
    runs = runs_of(
        model={"activation": activation},
        train={**train, "dtype": "float64"},
        probe={"measures": extra},
    )
    together = train_pack(runs, TORCH)
    for place, run in enumerate(runs):
        alone = train_pack([run], TORCH)
        for table in ("history", "layers"):
            columns, own = getattr(together, table), getattr(alone, table)
            mine = columns["run_id"] == run.run_id
            assert set(columns) == set(own)
            for name in set(own) - {"run_id"}:
                np.testing.assert_allclose(
                    columns[name][mine], own[name], rtol=1e-7, atol=1e-9, err_msg=name
                )
        for name in set(alone.runs) - {"seconds", "engine"}:
            left, right = together.runs[name][place], alone.runs[name][0]
            if isinstance(right, float):
                np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-9, err_msg=name)
            else:
                assert left == right, name


def test_a_padded_run_starts_as_it_does_alone():
    runs = runs_of(model={"init_copies": 2, "init_rank": 1})
    pack = make_pack(runs, TORCH)
    engine = make_engine(pack)
    assert isinstance(engine, PaddedEngine)
    for place, run in enumerate(runs):
        alone = make_pack([run], TORCH)
        places = embedded_places(alone.model.layout, pack.model.layout)
        start = make_engine(alone).theta_KP[0]
        assert torch.equal(engine.theta_KP[place, places], start)
        assert engine.theta_KP[place].norm() == pytest.approx(start.norm().item(), rel=1e-6)


def test_a_padded_run_that_diverges_is_frozen_at_its_step():
    runs = runs_of(
        (4, 6), train={"optimizer": "sgd", "steps": 60}, sweep={"train.lr": [0.01, 50.0], "seed": 1}
    )
    together = train_pack(runs, TORCH)
    alone = [train_pack([run], TORCH).runs for run in runs]
    assert together.runs["outcome"].tolist() == [found["outcome"][0] for found in alone]
    assert set(together.runs["outcome"]) == {"done", "diverged"}
    assert together.runs["steps_done"].tolist() == [found["steps_done"][0] for found in alone]


def test_runs_that_differ_in_more_than_the_width_share_no_pack():
    runs = runs_of((3,)) + runs_of((5,), model={"depth": 2})
    with pytest.raises(AssertionError, match="width alone"):
        make_pack(runs, TORCH)


def test_runs_for_which_padding_is_not_exact_share_no_pack():
    runs = runs_of(sweep={"train.gamma": [0.1], "train.syre": [0.0, 0.1]})
    with pytest.raises(AssertionError, match="can be padded"):
        make_pack(runs, TORCH)


def test_the_compiled_engine_takes_one_width():
    config = dataclasses.replace(TORCH, engine="compiled")
    with pytest.raises(LaunchError, match="one width"):
        make_engine(make_pack(runs_of(), config))


def test_weights_of_zero_do_not_stay_zero_under_syre():
    # Why such runs are never padded: the penalty pulls every weight to theta_0.
    runs = runs_of((4,), train={"optimizer": "sgd", "syre": 0.5}, sweep={"train.gamma": [0.1]})
    pack = make_pack(runs, TORCH)
    engine = TorchEngine(pack)
    engine.lanes.theta.zero_()
    engine.advance(0, 1)
    weights = [block for block in pack.model.layout.blocks if block.name == "layers.0.weight"]
    assert all((engine.theta_KP[:, b.offset : b.stop] != 0.0).all() for b in weights)
