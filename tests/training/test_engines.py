"""Every engine passes the conformance suite, and is chosen by asking the components."""

import dataclasses
from typing import Any

import pytest
import torch

from symstudy.errors import LaunchError
from symstudy.study import PackConfig, make_study
from symstudy.testing.engines import EngineCase, EngineConformance
from symstudy.testing.weights import planted_layers, state_dict_of, write_weights
from symstudy.training.engines.base import pick_device
from symstudy.training.loop import make_engine, make_pack

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
LBFGS = {"optimizer": "lbfgs", "lr": None, "gamma": 0.05, "batch_size": "full", "steps": 12}
DIVERGING = {"train": {"optimizer": "sgd"}, "sweep": {"train.lr": [0.01, 60.0, 0.02], "seed": 1}}


def runs_of(**tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "engines",
        "model": {"kind": "fcn", "depth": 2, "width": 5},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"lr": 0.01, "batch_size": 8, "steps": 20},
        "sweep": {"train.gamma": [0.0, 0.1], "seed": 2},
    }
    for name, table in tables.items():
        merged = {**values[name], **table} if name != "sweep" else table
        values[name] = {key: value for key, value in merged.items() if value is not None}
    return make_study(values).runs()


class TestCompiledEngine(EngineConformance):
    @pytest.fixture(params=[CPU, dataclasses.replace(CPU, cpus=2)], ids=["one core", "two"])
    def case(self, request):
        runs = runs_of(**DIVERGING)
        return EngineCase(runs=runs, config=request.param, name="compiled", diverging=1)


class TestCompiledEngineOfTransformers(EngineConformance):
    @pytest.fixture(params=[CPU, dataclasses.replace(CPU, cpus=2)], ids=["one core", "two"])
    def case(self, request):
        model = {"kind": "transformer", "width": 6, "mlp_width": 5, "depth": None}
        data = {"kind": "in_context", "length": 3, "token_dim": 3}
        sweep = {"train.lr": [0.01, 1e4, 0.02], "seed": 1}
        runs = runs_of(model=model, data=data, train={"optimizer": "sgd"}, sweep=sweep)
        return EngineCase(runs=runs, config=request.param, name="compiled", diverging=1)


class TestTorchEngineOfTransformers(EngineConformance):
    @pytest.fixture
    def case(self):
        model = {"kind": "transformer", "width": 6, "mlp_width": 5, "depth": None}
        data = {"kind": "in_context", "length": 3, "token_dim": 3}
        runs = runs_of(model=model, data=data)
        return EngineCase(runs=runs, config=TORCH, name="torch-cpu", tolerance=1e-4)


class TestTorchEngine(EngineConformance):
    @pytest.fixture
    def case(self):
        runs = runs_of(**DIVERGING)
        return EngineCase(runs=runs, config=TORCH, name="torch-cpu", diverging=1, tolerance=1e-5)


class TestPaddedEngine(EngineConformance):
    @pytest.fixture
    def case(self):
        runs = runs_of(sweep={"model.width": [3, 6, 4], "seed": 2}, train={"dtype": "float64"})
        return EngineCase(runs=runs, config=TORCH, name="padded-torch-cpu", tolerance=1e-9)

    def test_it_is_the_engine_that_is_chosen(self, case):
        super().test_it_is_the_engine_that_is_chosen(case)
        assert case.engine([0]).name == "torch-cpu"


class TestMinimiserEngine(EngineConformance):
    @pytest.fixture
    def case(self):
        return EngineCase(runs=runs_of(train=LBFGS), config=CPU, name="lbfgs-compiled")


class TestMinimiserEngineBySciPy(EngineConformance):
    @pytest.fixture
    def case(self):
        runs = runs_of(train={**LBFGS, "restarts": 2})
        return EngineCase(runs=runs, config=TORCH, name="lbfgs-torch-cpu", tolerance=1e-6)


class TestPolishedEngine(EngineConformance):
    @pytest.fixture
    def case(self):
        train = {"optimizer": "sgd", "dtype": "float64", "polish": 25}
        return EngineCase(runs=runs_of(train=train), config=CPU, name="polished-compiled")


class TestUntrainedEngine(EngineConformance):
    @pytest.fixture
    def case(self, tmp_path):
        layers = planted_layers([(8, 8)], heads=4, directions=8)
        path = write_weights(tmp_path / "w.safetensors", state_dict_of(layers, "torchvision"))
        study = make_study(
            {
                "schema": 1,
                "name": "files",
                "model": {"kind": "pretrained", "heads": 4, "path": str(path)},
                "data": {"kind": "none"},
                "train": {"optimizer": "none"},
                "sweep": {"model.weights": ["random"], "seed": 3},
            }
        )
        return EngineCase(runs=study.runs(), config=CPU, name="untrained")


@pytest.fixture
def a_gpu(monkeypatch):
    """Let torch say that there is a GPU; nothing is ever put on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_the_compiled_engine_trains_on_the_cpu_where_there_is_a_gpu_too(a_gpu):
    config = PackConfig(engine="compiled", device="auto")
    assert pick_device(PackConfig()).type == "cuda"
    assert make_engine(make_pack(runs_of(), config)).name == "compiled"


def test_lbfgs_uses_the_compiled_solver_where_there_is_a_gpu_too(a_gpu):
    engine = make_engine(make_pack(runs_of(train=LBFGS), PackConfig()))
    assert engine.name == "lbfgs-compiled"
    assert engine.theta_KP.device.type == "cpu"


@pytest.mark.parametrize(
    ("tables", "device", "message"),
    [
        ({}, "cuda", "must train on the CPU, but got 'cuda'"),
        ({"train": {"entropic": 0.1}}, "cpu", r"train\.entropic = 0"),
        ({"sweep": {"model.width": [3, 4]}}, "cpu", "runs of one width, but got several"),
        ({"model": {"reparametrise": "gate"}}, "cpu", "model.reparametrise = 'gate'"),
    ],
)
def test_what_the_compiled_engine_cannot_do_is_no_row_but_a_line_to_type(tables, device, message):
    config = PackConfig(engine="compiled", device=device)
    with pytest.raises(LaunchError, match=f"{message}.*Type pack.engine=auto"):
        make_engine(make_pack(runs_of(**tables), config))
