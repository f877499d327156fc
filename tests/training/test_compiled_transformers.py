"""Transformers in the compiled kernels: the numbers of torch, and the same bits in any pack."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from symstudy.errors import LaunchError
from symstudy.study import PackConfig, Study, make_study
from symstudy.study.compiling import trainers_of, why_not_compiled
from symstudy.study.devices import CPU
from symstudy.testing.strategies import packs_of_transformers
from symstudy.training import train_pack
from symstudy.training.loop import make_engine, make_pack

MODEL = {"kind": "transformer", "width": 6, "heads": 2, "head_dim": 3}
IN_CONTEXT = {"kind": "in_context", "length": 5, "token_dim": 3, "test_samples": 40}


def config(engine, cpus=1):
    return PackConfig(engine=engine, device="cpu", cpus=cpus)


def study_of(**tables: Any) -> Study:
    values: dict[str, Any] = {
        "schema": 1,
        "name": "attention",
        "model": MODEL,
        "data": IN_CONTEXT,
        "train": {"lr": 0.01, "batch_size": 8, "steps": 10},
        "probe": {"num": 2, "detail": 1},
        "sweep": {"seed": 2},
    }
    for name, table in tables.items():
        values[name] = {**values[name], **table}
    return make_study(values)


def in_float64(runs):
    return [
        run._replace(cell=run.cell.with_part(dataclasses.replace(run.cell.train, dtype="float64")))
        for run in runs
    ]


def trained(runs, engine, cpus=1):
    """Return the engine of the runs after all of their steps."""
    made = make_engine(make_pack(runs, config(engine, cpus)))
    made.advance(0, runs[0].cell.train.steps)
    return made


@settings(max_examples=20, deadline=None)
@given(runs=packs_of_transformers())
def test_the_gradient_is_that_of_torch(runs):
    # Float32 is compared to float64 of torch, so that rounding of torch does not count.
    pack, exact = (make_pack(each, config("compiled")) for each in (runs, in_float64(runs)))
    engine = make_engine(pack)
    assert engine.name == "compiled"
    theta = engine.theta_KP.double().requires_grad_(True)
    split = exact.data.test
    x, y = torch.from_numpy(split.x[split.lane_x]), torch.from_numpy(split.y[split.lane_y])
    output = pack.model.forward(theta, x).output_KBO
    if exact.data.tasks[0].is_classification:
        loss_K = -(y * output.log_softmax(dim=2)).sum(dim=2).mean(dim=1)
    else:
        loss_K = (output - y).square().sum(dim=2).mean(dim=1)
    (gradient,) = torch.autograd.grad(loss_K.sum(), theta)
    tolerance = 1e-5 if runs[0].cell.train.dtype == "float32" else 1e-12
    scale = float(gradient.abs().max())
    found = engine.gradient(pack.data.test).double()
    assert float((found - gradient).abs().max()) <= tolerance * max(scale, 1.0)
    losses = engine.evaluate(pack.data.test)
    np.testing.assert_allclose(losses.loss_K, loss_K.detach(), rtol=tolerance, atol=tolerance)
    hits = (output.argmax(dim=2) == y.argmax(dim=2)).double().mean(dim=1)
    if tolerance < 1e-6:
        np.testing.assert_allclose(losses.accuracy_K, hits, rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(runs=packs_of_transformers())
def test_both_engines_take_the_same_steps(runs):
    if runs[0].cell.train.optimizer.kind == "lion":
        # The sign of a gradient that is 0 but for rounding is anything.
        return
    runs = in_float64(runs)
    compiled, eager = (trained(runs, engine).theta_KP for engine in ("compiled", "torch"))
    # Adam divides by the size of a gradient, which makes one of rounding alone a whole step.
    torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(runs=packs_of_transformers())
def test_a_run_has_the_same_bits_in_any_pack_any_order_and_any_thread(runs):
    together = trained(runs, "compiled").theta_KP
    turned = trained(runs[::-1], "compiled", cpus=2).theta_KP.flip(0)
    torch.testing.assert_close(together, turned, rtol=0, atol=0, equal_nan=True)
    alone = trained(runs[-1:], "compiled").theta_KP
    torch.testing.assert_close(together[-1:], alone, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lion"])
def test_a_run_measures_the_same_bits_in_any_pack(optimizer):
    runs = study_of(train={"optimizer": optimizer}, sweep={"seed": 3}).runs()
    together, alone = (train_pack(each, config("auto")).runs for each in (runs, runs[1:2]))
    assert set(together["engine"]) == {"compiled"}
    for name in ("train_loss", "test_loss", "grad_norm", "theta_norm"):
        np.testing.assert_array_equal(together[name][1], alone[name][0], name)


@pytest.mark.parametrize("batch", [40, 300])
def test_a_batch_of_several_chunks_is_that_of_torch(batch, monkeypatch):
    monkeypatch.setattr("symstudy.kernels.encoder.CHUNK_BYTES", 1)
    model = {"mlp_width": 8, "norm": "layernorm", "positions": True, "pool": "mean"}
    train = {"batch_size": batch, "dtype": "float64", "optimizer": "sgd", "momentum": 0.9}
    runs = study_of(model=model, train=train, data={"fresh": True}).runs()
    compiled, eager = (trained(runs, engine).theta_KP for engine in ("compiled", "torch"))
    torch.testing.assert_close(compiled, eager, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({}, ""),
        ({"train": {"optimizer": "lion"}}, ""),
        ({"model": {"reparametrise": "hadamard"}}, "model.reparametrise = 'hadamard'"),
        ({"train": {"entropic": 0.1}}, "train.entropic = 0.1"),
        ({"train": {"optimizer": "nadam"}}, ""),
        ({"train": {"optimizer": "rmsprop"}}, ""),
        (
            {"train": {"optimizer": "rmsprop", "centred": True}},
            "train.optimizer = 'rmsprop'",
        ),
        ({"train": {"optimizer": "muon"}}, "train.optimizer = 'muon'"),
        (
            {"train": {"optimizer": "lbfgs", "lr": None, "batch_size": "full", "gamma": 0.1}},
            "model.kind = 'transformer' with train.optimizer = 'lbfgs'",
        ),
    ],
)
def test_the_plan_and_the_choice_of_an_engine_agree_on_what_is_compiled(tables, reason):
    train = {"lr": 0.01, "batch_size": 8, "steps": 4, **tables.get("train", {})}
    values = {
        "schema": 1,
        "name": "agree",
        "model": {**MODEL, **tables.get("model", {})},
        "data": {**IN_CONTEXT, "samples": 30, "fresh": False},
        "train": {key: value for key, value in train.items() if value is not None},
        "sweep": {"seed": 2},
    }
    runs = make_study(values).runs()
    cell = runs[0].cell
    assert why_not_compiled(cell, cell.model.size(cell.data.shape), CPU, "auto") == reason
    (trainer,) = trainers_of([(runs, CPU)], "auto")
    assert trainer == ("torch" if reason else "compiled", 2, reason)
    assert make_engine(make_pack(runs, config("auto"))).name.endswith("compiled") == (not reason)
    if reason:
        with pytest.raises(LaunchError, match=r"Type pack\.engine=auto"):
            make_engine(make_pack(runs, config("compiled")))


def test_torch_trains_where_it_is_asked_for():
    runs = study_of().runs()
    assert make_engine(make_pack(runs, config("torch"))).name == "torch-cpu"
    cell = runs[0].cell
    size = cell.model.size(cell.data.shape)
    assert why_not_compiled(cell, size, CPU, "torch") == "pack.engine = 'torch'"
