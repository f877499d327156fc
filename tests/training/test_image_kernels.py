"""Compiled convolutions: the numbers of torch, the bits of the run alone, and what falls back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symstudy.components import registry
from symstudy.errors import LaunchError
from symstudy.models.own.kernel_check import image_pass, is_close, module_pass
from symstudy.models.own.network import OwnModel
from symstudy.study import PackConfig, make_study
from symstudy.study.cost import estimate_cost
from symstudy.testing.checkpointers import PausesOnce
from symstudy.testing.engines import EngineCase, EngineConformance
from symstudy.training import Paused, train_pack
from symstudy.training.engines.compiled import CompiledEngine
from symstudy.training.engines.lane_kernels import ImageKernels
from symstudy.training.loop import make_engine, make_pack

AUTO = PackConfig(device="cpu")
COMPILED = PackConfig(device="cpu", engine="compiled")
TORCH = PackConfig(device="cpu", engine="torch")
CNN: dict[str, Any] = {"kind": "cnn", "width": 4, "layers": 2, "input_shape": [1, 8, 8]}
RESNET: dict[str, Any] = {
    "kind": "resnet",
    "width": 3,
    "stages": 2,
    "blocks": 1,
    "input_shape": [1, 8, 8],
}
BUILT_IN = {
    "batch norm": CNN,
    "group norm": {**CNN, "norm": "group", "groups": 2, "activation": "silu"},
    "no norm": {**CNN, "norm": "none", "kernel": 5, "pool_every": 1, "activation": "tanh"},
    "residual": RESNET,
    "residual, no norm": {**RESNET, "norm": "none", "activation": "gelu"},
    "large stem": {**RESNET, "stem": "large", "norm": "group", "groups": 1},
}
KNOWN = ("Odd", "Grown", "Before")


@pytest.fixture(autouse=True)
def sample_images(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    registry.find_component.cache_clear()


def runs_of(model, train=None, sweep=None, data=None):
    own = ":" in model["kind"]
    return make_study(
        {
            "schema": 1,
            "name": "images",
            "model": model,
            "data": data or {"kind": "sample_modules:Pictures" if own else "digits"},
            "train": {"lr": 0.05, "batch_size": 9, "steps": 12, **(train or {})},
            "probe": {"num": 3, "detail": 2, "samples": 8},
            "sweep": sweep or {"train.gamma": [0.0, 1e-3], "seed": 2},
        }
    ).runs()


def own(name):
    return {"kind": f"sample_images:{name}"}


def engines(runs):
    return (make_engine(make_pack(runs, config)) for config in (COMPILED, TORCH))


class TestCompiledConvolutions(EngineConformance):
    @pytest.fixture(params=[1, 2], ids=["one core", "two"])
    def case(self, request):
        sweep = {"train.lr": [0.05, 1e30, 0.02], "seed": 2}
        config = PackConfig(device="cpu", cpus=request.param)
        runs = runs_of(CNN, sweep=sweep)
        chosen = [run for run in runs if run.cell.train.lr < 1 or run.seed == runs[0].seed]
        diverging = next(place for place, run in enumerate(chosen) if run.cell.train.lr > 1)
        return EngineCase(runs=chosen, config=config, name="compiled", diverging=diverging)


@pytest.mark.slow
class TestCompiledResiduals(EngineConformance):
    @pytest.fixture
    def case(self):
        runs = runs_of({**RESNET, "norm": "group"}, {"optimizer": "adamw", "batch_size": 40})
        return EngineCase(runs=runs, config=AUTO, name="compiled")


@pytest.mark.parametrize("samples", [9, 33])
@pytest.mark.parametrize("model", [*BUILT_IN.values(), *map(own, KNOWN)], ids=str)
def test_loss_gradient_and_running_means_are_those_of_the_module(model, samples):
    pack = make_pack(runs_of(model, {"dtype": "float64"})[:1], COMPILED)
    engine = make_engine(pack)
    assert isinstance(engine, CompiledEngine)
    assert isinstance(engine.kernels, ImageKernels)
    assert isinstance(pack.model, OwnModel)
    rng = np.random.default_rng(0)
    shape = pack.runs[0].cell.data.shape
    x, y = (rng.normal(size=(samples, size)) for size in (shape.inputs, shape.outputs))
    theta = (engine.theta_KP + 0.1 * torch.from_numpy(rng.normal(size=engine.theta_KP.shape)))[0]
    images = pack.model.images
    for is_training in (True, False):
        module = pack.model.factory.make(0).double().train(is_training)
        torch.nn.utils.vector_to_parameters(theta, module.parameters())
        start = {name: each.clone() for name, each in module.named_buffers()}
        found = image_pass(images, theta.numpy(), x, y, start, is_training=is_training)
        rows = torch.from_numpy(x).view(-1, *pack.model.data.input_shape)
        names = sorted(images.buffer_names)
        expected = module_pass(module, rows, torch.from_numpy(y), names, "the module")
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert is_close(found, expected, 1e-12)


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adamw", "lion"))],
)
def test_training_is_that_of_torch(optimizer):
    train = {"optimizer": optimizer, "dtype": "float64", "lr": 0.01, "batch_size": 20}
    if optimizer == "sgd":
        train["momentum"] = 0.9
    ours, theirs = engines(runs_of(RESNET, train))
    for engine in (ours, theirs):
        engine.advance(0, 12)
    torch.testing.assert_close(ours.theta_KP, theirs.theta_KP, rtol=1e-9, atol=1e-11)
    assert set(ours.buffers) == set(theirs.buffers)
    for name, found in ours.buffers.items():
        torch.testing.assert_close(found, theirs.buffers[name], rtol=1e-9, atol=1e-11, msg=name)
    data = ours.pack.data
    for split in (data.train, data.test):
        np.testing.assert_allclose(
            ours.evaluate(split).loss_K, theirs.evaluate(split).loss_K, rtol=1e-9
        )
        np.testing.assert_array_equal(
            ours.evaluate(split).accuracy_K, theirs.evaluate(split).accuracy_K
        )
        torch.testing.assert_close(
            ours.gradient(split), theirs.gradient(split), rtol=1e-7, atol=1e-10
        )


def test_label_noise_clipping_and_smoothing_are_those_of_torch():
    data = {"kind": "digits", "label_noise": 0.2, "noise_mode": "online"}
    train = {"dtype": "float64", "clip_norm": 0.5, "loss": "cross_entropy", "label_smoothing": 0.1}
    ours, theirs = engines(runs_of(CNN, train, data=data))
    for engine in (ours, theirs):
        engine.advance(0, 12)
    torch.testing.assert_close(ours.theta_KP, theirs.theta_KP, rtol=1e-9, atol=1e-11)


def test_a_run_measures_the_same_bits_in_any_pack_and_goes_on_to_the_same(monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = runs_of(CNN)
    packed, alone = train_pack(runs, AUTO).runs, train_pack(runs[2:3], AUTO).runs
    assert set(packed["engine"]) == {"compiled"}
    pausing = PausesOnce(6)
    with pytest.raises(Paused):
        train_pack(runs, AUTO, checkpointer=pausing)
    resumed = train_pack(runs, AUTO, checkpointer=pausing).runs
    for measure in ("test_loss", "train_loss", "theta_norm", "grad_norm", "test_accuracy"):
        np.testing.assert_array_equal(packed[measure][2], alone[measure][0], err_msg=measure)
        np.testing.assert_array_equal(packed[measure], resumed[measure], err_msg=measure)


def test_torch_trains_what_is_wide_unless_it_is_asked_for():
    def name(model, config=AUTO):
        return make_engine(make_pack(runs_of(model)[:1], config)).name

    assert name(CNN) == "compiled"
    assert name(CNN, TORCH) == "torch-cpu"
    assert name({**CNN, "width": 65}).endswith("torch-cpu")
    assert name({**CNN, "width": 65}, COMPILED) == "compiled"
    assert name(own("Before")) == "compiled"
    assert name(own("Wide")).endswith("torch-cpu")
    assert name(own("Wide"), COMPILED) == "compiled"
    assert name({**CNN, "reparametrise": "gate"}).endswith("torch-cpu")


@pytest.mark.parametrize("config", [AUTO, TORCH], ids=["auto", "torch"])
@pytest.mark.parametrize(
    "model",
    [
        CNN,
        RESNET,
        {**CNN, "width": 65},
        {**CNN, "reparametrise": "gate"},
        *map(own, ("Before", "Wide", "TwoFaced", "Sigmoid")),
    ],
    ids=str,
)
def test_the_plan_knows_which_engine_trains(model, config):
    (run, *_) = runs_of(model)
    name = make_engine(make_pack([run], config)).name
    cost = estimate_cost(run.cell, device="cpu", engine=config.engine)
    assert cost.is_compiled == (name == "compiled")
    assert (cost.shared_bytes > 0) == cost.is_compiled


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Grouped", "second has groups or is dilated"),
        ("Twice", "layer is called twice"),
        ("Shared", "changes in place what others read"),
        ("Sigmoid", "the kernels have no sigmoid"),
        ("Frozen", "layer.weight is not trained, or shared"),
        ("Flat", "it flattens images of several pixels"),
    ],
)
def test_what_the_kernels_do_not_know_is_told(name, reason):
    with pytest.raises(LaunchError, match=f"{reason}.*Type pack.engine=auto"):
        make_engine(make_pack(runs_of(own(name))[:1], COMPILED))


def test_a_module_that_does_more_than_its_layers_is_trained_by_torch():
    runs = runs_of(own("TwoFaced"))[:1]
    assert make_engine(make_pack(runs, AUTO)).name.endswith("torch-cpu")
    with pytest.raises(LaunchError, match=r"in evaluation a loss of .* Type pack\.engine=auto"):
        make_engine(make_pack(runs, COMPILED))
