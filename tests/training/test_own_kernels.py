"""Dense modules of a user's own in the compiled kernels: torch's numbers, and what falls back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from symstudy.components import registry
from symstudy.errors import LaunchError
from symstudy.models.own.kernel_check import dense_pass, is_close, module_pass
from symstudy.models.own.network import OwnModel
from symstudy.study import PackConfig, make_study
from symstudy.study.compiling import is_fusable, trainers_of
from symstudy.study.cost import estimate_cost
from symstudy.study.devices import CPU, find_device
from symstudy.testing.checkpointers import PausesOnce
from symstudy.testing.engines import EngineCase, EngineConformance
from symstudy.training import Paused, train_pack
from symstudy.training.engines.compiled import CompiledEngine
from symstudy.training.engines.fused import why_not_fused
from symstudy.training.engines.networks import kernel_network
from symstudy.training.loop import make_engine, make_pack

AUTO = PackConfig(device="cpu")
COMPILED = PackConfig(device="cpu", engine="compiled")
TORCH = PackConfig(device="cpu", engine="torch")
KNOWN = ("Mlp", "sequence", "ByHand", "Declared")
UNKNOWN = {
    "TwoFaced": "in evaluation a loss of .* is .* with the kernels",
    "Hooked": "in training a loss of .* is .* with the kernels",
    "Gate": "the kernels have no sigmoid",
    "Skip": "the kernels have no add",
    "Twice": "inner is called twice",
    "Tied": "other.weight is not trained, or shared",
    "Unread": "its outputs do not depend on spare",
    "Frozen": "second.weight is not trained, or shared",
    "Activated": "an activation follows its last linear layer",
    "Pixels": "rows.weight is applied to images that are not flattened",
    "Broadcast": "adds what is no vector of biases",
}


@pytest.fixture(autouse=True)
def sample_modules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    registry.find_component.cache_clear()


STEPS = {"lr": 0.05, "batch_size": 9, "steps": 12}


def runs_of(name, train=None, sweep=None, start=STEPS):
    return make_study(
        {
            "schema": 1,
            "name": "dense",
            "model": {"kind": f"sample_dense:{name}"},
            "data": {"kind": "sample_modules:Pictures"},
            "train": {**start, **(train or {})},
            "probe": {"num": 3, "detail": 2, "samples": 8},
            "sweep": sweep or {"train.gamma": [0.0, 1e-3], "seed": 2},
        }
    ).runs()


def engine_of(name, config=AUTO, train=None):
    return make_engine(make_pack(runs_of(name, train)[:1], config)).name


class TestCompiledModules(EngineConformance):
    @pytest.fixture
    def case(self):
        runs = runs_of("Mlp", sweep={"train.lr": [0.05, 1e30, 0.02], "seed": 2})
        chosen = [run for run in runs if run.cell.train.lr < 1 or run.seed == runs[0].seed]
        diverging = next(place for place, run in enumerate(chosen) if run.cell.train.lr > 1)
        return EngineCase(runs=chosen, config=AUTO, name="compiled", diverging=diverging)


@pytest.mark.parametrize("name", KNOWN)
def test_loss_and_gradient_are_those_of_the_module(name):
    (run, *_) = runs_of(name)
    model = make_pack([run], AUTO).model
    assert isinstance(model, OwnModel)
    assert model.dense is not None
    module = model.factory.make(3).double()
    theta = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    rng = np.random.default_rng(0)
    # More samples than the kernels take at a time.
    x, y = rng.normal(size=(150, 36)), rng.normal(size=(150, 2))
    rows = torch.from_numpy(x).view(-1, 1, 6, 6)
    expected = module_pass(module, rows, torch.from_numpy(y), [], name)
    found = dense_pass(model.dense, theta, x, y)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    assert is_close(found, expected, 1e-12)


@pytest.mark.parametrize(("name", "optimizer"), [("Mlp", "sgd"), ("ByHand", "adam")])
def test_training_is_that_of_torch(name, optimizer):
    train = {"optimizer": optimizer, "dtype": "float64", "lr": 0.01}
    ours, theirs = (make_engine(make_pack(runs_of(name, train), each)) for each in (AUTO, TORCH))
    assert isinstance(ours, CompiledEngine)
    for engine in (ours, theirs):
        engine.advance(0, 12)
    torch.testing.assert_close(ours.theta_KP, theirs.theta_KP, rtol=1e-9, atol=1e-11)
    for split in (ours.pack.data.train, ours.pack.data.test):
        left, right = ours.evaluate(split), theirs.evaluate(split)
        np.testing.assert_allclose(left.loss_K, right.loss_K, rtol=1e-9)
        np.testing.assert_array_equal(left.accuracy_K, right.accuracy_K)


@pytest.mark.parametrize("name", ["Mlp", "Declared"])
def test_a_run_measures_the_same_bits_in_any_pack_and_goes_on_to_the_same(name, monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = runs_of(name)
    packed, alone = train_pack(runs, AUTO), train_pack(runs[2:3], AUTO)
    assert set(packed.runs["engine"]) == {"compiled"}
    pausing = PausesOnce(6)
    with pytest.raises(Paused):
        train_pack(runs, AUTO, checkpointer=pausing)
    resumed = train_pack(runs, AUTO, checkpointer=pausing)
    for measure in ("test_loss", "train_loss", "theta_norm", "grad_norm", "test_accuracy"):
        ours = packed.runs[measure]
        np.testing.assert_array_equal(ours[2], alone.runs[measure][0], err_msg=measure)
        np.testing.assert_array_equal(ours, resumed.runs[measure], err_msg=measure)
    by_torch = train_pack(runs, TORCH)
    for column, numbers in packed.layers.items():
        if np.asarray(numbers).dtype.kind == "f":
            np.testing.assert_allclose(
                numbers, by_torch.layers[column], rtol=1e-3, atol=1e-4, err_msg=column
            )


def test_a_half_trained_pack_of_torch_is_trained_anew(monkeypatch):
    monkeypatch.setattr("symstudy.training.chunk_length.CHUNK_S", 0.0)
    runs = runs_of("Mlp")
    pausing = PausesOnce(6)
    with pytest.raises(Paused):
        train_pack(runs, TORCH, checkpointer=pausing)
    anew, whole = train_pack(runs, AUTO, checkpointer=pausing).runs, train_pack(runs, AUTO).runs
    assert set(anew["engine"]) == {"compiled"}
    np.testing.assert_array_equal(anew["test_loss"], whole["test_loss"])


@pytest.mark.parametrize("name", UNKNOWN)
def test_torch_trains_what_the_kernels_do_not_know_and_the_plan_tells_why(name):
    runs = runs_of(name)
    assert engine_of(name) == "torch-cpu"
    with pytest.raises(LaunchError, match=f"{UNKNOWN[name]}.*Type pack.engine=auto"):
        engine_of(name, COMPILED)
    (trainer,) = trainers_of([(runs, CPU)], "auto")
    assert (trainer.engine, trainer.runs) == ("torch", len(runs))
    assert trainer.reason.startswith(f"model.kind = 'sample_dense:{name}' (")


@pytest.mark.parametrize("name", KNOWN)
def test_the_plan_knows_that_the_kernels_train(name):
    runs = runs_of(name)
    (trainer,) = trainers_of([(runs, CPU)], "auto")
    assert (trainer.engine, trainer.reason) == ("compiled", "")
    assert engine_of(name, TORCH) == "torch-cpu"
    costs = [estimate_cost(runs[0].cell, device="cpu", engine=each) for each in ("auto", "torch")]
    assert [each.is_compiled for each in costs] == [True, False]
    assert costs[0].memory_bytes < costs[1].memory_bytes


def test_a_loss_without_compiled_form_is_trained_by_torch():
    assert engine_of("Mlp", train={"loss": "sample_dense:absolute"}) == "torch-cpu"


def test_modules_of_ones_own_stay_off_the_fused_kernel():
    (run, *_) = runs_of("Mlp")
    pack = make_pack([run], AUTO)
    network = kernel_network(pack)
    assert network is not None
    assert why_not_fused(pack, network) == "must have a built-in model"
    size = run.cell.model.size(run.cell.data.shape)
    assert not is_fusable(run.cell, size, find_device("h200"), "auto")


def test_lbfgs_minimises_a_module_by_the_compiled_solver():
    train = {"optimizer": "lbfgs", "batch_size": "full", "steps": 1000, "restarts": 2, "gamma": 0.1}
    runs = runs_of("Declared", {**train, "dtype": "float64"}, {"seed": 2}, start={})
    assert make_engine(make_pack(runs[:1], TORCH)).name == "lbfgs-torch-cpu"
    found = train_pack(runs, AUTO).runs
    assert found["engine"] == ["lbfgs-compiled"] * 2
    assert (found["grad_ratio"] < 1e-6).all()
