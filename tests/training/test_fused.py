"""The fused kernel of GPUs, compiled for the CPU, trains as the compiled engine does."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from symstudy.errors import LaunchError
from symstudy.study import PackConfig, make_study
from symstudy.testing.engines import EngineCase, EngineConformance
from symstudy.training import train_pack
from symstudy.training.engines import choice
from symstudy.training.engines.fused import why_not_fused
from symstudy.training.engines.fused_program import compile_source, make_settings
from symstudy.training.engines.networks import kernel_network
from symstudy.training.loop import make_engine, make_pack
from tests.training.fused_host import host_program

CPU = PackConfig(device="cpu")
DIGITS = {"kind": "digits", "samples": 20}
CASES: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum in chunks": {
        "model": {"activation": "relu", "bias": False},
        "train": {
            "optimizer": "sgd", "momentum": 0.9, "batch_size": 41, "sampling": "replacement",
        },
    },
    "classes": {
        "model": {"activation": "silu", "depth": 2},
        "data": DIGITS,
        "train": {
            "optimizer": "adamw", "gamma": 0.1, "label_smoothing": 0.1, "schedule": "cosine",
            "dtype": "float64",
        },
    },
    "online noise": {
        "model": {"activation": "sin", "depth": 1},
        "data": {"label_noise": 0.3, "noise_mode": "online", "output_dim": 3},
        "train": {"optimizer": "sgd", "batch_size": 39},
    },
    "flipped": {
        "model": {"activation": "gelu"},
        "data": {**DIGITS, "label_noise": 0.3, "noise_mode": "online"},
        "train": {"batch_size": "full"},
    },
    "fresh": {
        "model": {"activation": "polynomial", "depth": 5},
        "data": {"samples": None, "fresh": True},
        "train": {"batch_size": 4, "dtype": "float64"},
    },
}  # fmt: skip
ACTIVATIONS = ["identity", "tanh", "silu", "relu", "gelu", "sin", "polynomial"]
OPTIMIZERS = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.5},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "gamma": 0.05},
]


def runs_of(**tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "fused",
        "model": {"kind": "fcn", "depth": 3, "width": 6},
        "data": {"kind": "teacher_student", "samples": 50, "test_samples": 10},
        "train": {"lr": 0.01, "batch_size": 8, "steps": 30},
        "sweep": {"train.lr": [0.01, 0.003], "seed": 2},
        "probe": {"num": 4, "detail": 2, "samples": 8},
    }
    for name, table in tables.items():
        merged = table if "kind" in table or name == "sweep" else {**values[name], **table}
        values[name] = {key: value for key, value in merged.items() if value is not None}
    return make_study(values).runs()


@pytest.fixture
def on_host(monkeypatch):
    """Let packs that the fused kernel can train be trained by its build for this machine."""

    def find(pack, network, device):
        refusal = why_not_fused(pack, network)
        return None if refusal else host_program(make_settings(pack, network))

    monkeypatch.setattr(choice, "find_program", find)


def compare(tables, request, steps=30):
    runs = runs_of(**tables)
    expected = make_engine(make_pack(runs, CPU))
    assert expected.name == "compiled"
    request.getfixturevalue("on_host")
    found = make_engine(make_pack(runs, CPU))
    assert found.name.startswith("fused-")
    for engine in (expected, found):
        engine.advance(0, steps // 3)
        engine.advance(steps // 3, steps - steps // 3)
    start = make_engine(make_pack(runs, CPU)).theta_KP
    moved = (expected.theta_KP - start).abs().max()
    error = (expected.theta_KP - found.theta_KP).abs().max()
    is_double = runs[0].cell.train.dtype == "float64"
    assert moved > 1e-3
    assert error <= (1e-12 if is_double else 2e-5) * moved
    assert (found.diverged_K == expected.diverged_K).all()


@pytest.mark.parametrize("case", CASES)
def test_the_fused_kernel_trains_as_the_compiled_engine_does(case, request):
    compare(CASES[case], request)


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 16, 70])
@pytest.mark.parametrize(("activation", "train"), list(itertools.product(ACTIVATIONS, OPTIMIZERS)))
def test_every_activation_and_optimiser_trains_as_the_compiled_engine_does(
    width, activation, train, request
):
    compare(
        {
            "model": {"kind": "fcn", "depth": 2, "width": width, "activation": activation},
            "train": {**train, "dtype": "float64"},
        },
        request,
        steps=12,
    )


def test_rows_and_results_are_those_of_the_compiled_engine(request):
    runs = runs_of()
    expected = train_pack(runs, CPU)
    request.getfixturevalue("on_host")
    found = train_pack(runs, CPU)
    assert set(found.runs["engine"]) == {"fused-32-cpu"}
    for name in ("test_loss", "train_loss", "theta_norm", "grad_norm"):
        np.testing.assert_allclose(found.runs[name], expected.runs[name], rtol=1e-4, err_msg=name)


class TestFusedEngine(EngineConformance):
    @pytest.fixture
    def case(self, on_host):
        runs = runs_of(
            train={"optimizer": "sgd"}, sweep={"train.lr": [0.01, 60.0, 0.02], "seed": 1}
        )
        return EngineCase(runs=runs, config=CPU, name="fused-32-cpu", diverging=1)


class TestFusedEngineInChunks(EngineConformance):
    @pytest.fixture
    def case(self, on_host):
        runs = runs_of(
            train={"optimizer": "sgd", "batch_size": 40, "sampling": "replacement"},
            sweep={"train.lr": [0.01, 60.0, 0.02], "seed": 1},
        )
        return EngineCase(runs=runs, config=CPU, name="fused-32-cpu", diverging=1)


@pytest.mark.parametrize(("room", "name"), [(6000, "fused-8-cpu"), (14000, "fused-32-cpu")])
def test_what_does_not_fit_a_block_is_worked_on_in_smaller_chunks(room, name, monkeypatch):
    def find(pack, network, device):
        return host_program(make_settings(pack, network), room)

    tables = {"train": {"dtype": "float64", "batch_size": 24}}
    monkeypatch.setattr(choice, "find_program", find)
    small = make_engine(make_pack(runs_of(**tables), CPU))
    # In the second case the weights are not in the shared memory.
    assert small.name == name
    small.advance(0, 20)
    monkeypatch.undo()
    usual = make_engine(make_pack(runs_of(**tables), CPU))
    usual.advance(0, 20)
    np.testing.assert_allclose(small.theta_KP, usual.theta_KP, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"model": {"kind": "fcn", "depth": 2, "width": 129}}, "at most 128 neurons"),
        ({"train": {"optimizer": "lion"}}, "sgd, adam and adamw"),
        ({"train": {"clip_norm": 1.0}}, "not clip"),
        ({"train": {"gamma": 0.1, "syre": 0.1}}, "penalties around 0"),
        ({"train": {"entropic": 0.1}}, "no entropic term"),
    ],
)
def test_what_the_fused_kernel_does_not_know_is_left_to_torch(tables, reason):
    pack = make_pack(runs_of(**tables), CPU)
    assert reason in why_not_fused(pack, kernel_network(pack))


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_nvrtc_compiles_the_source_for_every_gpu(architecture):
    pytest.importorskip("cuda.bindings", reason="the extra gpu is not installed")
    for case in ("adam", "flipped"):
        pack = make_pack(runs_of(**CASES[case]), CPU)
        network = kernel_network(pack)
        assert network is not None
        settings = make_settings(pack, network).fitting(49152)
        assert settings is not None
        assert len(compile_source(settings.source(), architecture).code) > 1000


def test_a_source_with_a_mistake_is_refused_with_what_the_compiler_says():
    pytest.importorskip("cuda.bindings", reason="the extra gpu is not installed")
    with pytest.raises(LaunchError, match=r"(?s)no_such_type.*pack.engine=torch"):
        compile_source("no_such_type x;", "sm_90")


def test_a_block_that_fits_no_gpu_has_no_settings():
    pack = make_pack(runs_of(), CPU)
    network = kernel_network(pack)
    assert network is not None
    assert make_settings(pack, network).fitting(100) is None


def test_torch_trains_where_it_is_asked_for(on_host):
    config = dataclasses.replace(CPU, engine="torch")
    assert make_engine(make_pack(runs_of(), config)).name == "torch-cpu"
