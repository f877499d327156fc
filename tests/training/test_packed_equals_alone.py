"""A run in a pack has the numbers that it has alone, whatever its mates and their order."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from symstudy.study import PackConfig
from symstudy.testing.strategies import packs_of_runs
from symstudy.training import train_pack
from symstudy.training.loop import make_engine, make_pack

MEASURES = ("train_loss", "test_loss", "objective", "grad_norm", "theta_norm")


def config(engine, cpus=1):
    return PackConfig(engine=engine, device="cpu", cpus=cpus)


def parameters(runs, engine):
    """Return what the runs have learned when trained together."""
    trained = make_engine(make_pack(runs, config(engine)))
    trained.advance(0, runs[0].cell.train.steps)
    return trained.theta_KP.clone()


def assert_same_bits(together, alone, place):
    for name in MEASURES:
        if name in together.runs:
            np.testing.assert_array_equal(together.runs[name][place], alone.runs[name][0], name)


@settings(max_examples=40, deadline=None)
@given(runs=packs_of_runs())
def test_a_run_learns_the_same_bits_in_any_pack(runs):
    together = parameters(runs, "compiled")
    for place in (0, len(runs) - 1):
        alone = parameters([runs[place]], "compiled")
        torch.testing.assert_close(together[place], alone[0], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "axes"),
    [
        ("sgd", {"train.momentum": [0.0, 0.9]}),
        ("rmsprop", {"train.momentum": [0.0, 0.9], "train.alpha": [0.5, 0.99]}),
        ("nadam", {"train.momentum_decay": [0.0, 4e-3, 0.3]}),
    ],
)
def test_a_run_has_the_same_bits_whatever_moments_its_mates_need(study_of, optimizer, axes, dtype):
    runs = study_of(train={"optimizer": optimizer, "dtype": dtype}, sweep=axes).runs()
    together = parameters(runs, "compiled")
    for place, run in enumerate(runs):
        assert torch.equal(parameters([run], "compiled")[0], together[place])


@settings(max_examples=40, deadline=None)
@given(runs=packs_of_runs())
def test_torch_learns_the_same_up_to_the_last_bits(runs):
    # Torch vectorises over the whole pack: the tail of an array is computed by other instructions.
    together, alone = parameters(runs, "torch"), parameters(runs[-1:], "torch")
    tolerance = 1e-4 if together.dtype == torch.float32 else 1e-12
    torch.testing.assert_close(together[-1], alone[0], rtol=tolerance, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(runs=packs_of_runs())
def test_a_run_measures_the_same_bits_in_any_pack(runs):
    together = train_pack(runs, config("compiled"))
    for place in (0, len(runs) - 1):
        assert_same_bits(together, train_pack([runs[place]], config("compiled")), place)


@settings(max_examples=25, deadline=None)
@given(runs=packs_of_runs())
def test_torch_measures_the_same_up_to_the_last_bits(runs):
    together, alone = (train_pack(part, config("torch")).runs for part in (runs, runs[:1]))
    for name in MEASURES:
        if name in together:
            np.testing.assert_allclose(together[name][0], alone[name][0], rtol=1e-6, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(runs=packs_of_runs())
def test_order_and_threads_change_no_bit(runs):
    together = train_pack(runs, config("compiled"))
    turned = train_pack(runs[::-1], config("compiled", cpus=2))
    for name in MEASURES:
        if name in together.runs:
            np.testing.assert_array_equal(together.runs[name], turned.runs[name][::-1], name)


@settings(max_examples=25, deadline=None)
@given(runs=packs_of_runs())
def test_both_engines_train_the_same_network(runs):
    # In float32 round-off grows with the steps, and where a ReLU switches it makes another path.
    if runs[0].cell.train.dtype == "float32":
        runs = [
            run._replace(
                cell=run.cell.with_part(dataclasses.replace(run.cell.train, dtype="float64"))
            )
            for run in runs
        ]
    compiled, eager = (train_pack(runs, config(engine)) for engine in ("compiled", "torch"))
    for name in MEASURES:
        if name in compiled.runs:
            np.testing.assert_allclose(
                compiled.runs[name], eager.runs[name], rtol=1e-8, atol=1e-10, err_msg=name
            )


@pytest.mark.gpu
@settings(max_examples=10, deadline=None)
@given(runs=packs_of_runs())
def test_a_gpu_trains_the_same_network(runs):
    on_cpu = train_pack(runs, config("compiled"))
    on_gpu = train_pack(runs, PackConfig(device="cuda"))
    tolerance = 1e-2 if runs[0].cell.train.dtype == "float32" else 1e-6
    np.testing.assert_allclose(on_cpu.runs["test_loss"], on_gpu.runs["test_loss"], rtol=tolerance)
