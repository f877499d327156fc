"""Classes of torch.optim by import path: one optimiser a run, its arguments keys of the study."""

from typing import Any

import numpy as np
import pytest
import torch

from symstudy.components import looking_in
from symstudy.components.own_code import source_of
from symstudy.errors import LaunchError, ModelError, StudyFileError
from symstudy.study import PackConfig, make_study
from symstudy.study.columns import hyperparameters_of
from symstudy.study.cost import estimate_cost
from symstudy.study.expand import read_cell
from symstudy.testing.engines import EngineCase, EngineConformance
from symstudy.training import train_pack
from symstudy.training.loop import make_engine, make_pack

CPU = PackConfig(device="cpu")
CODE = '''
import torch


class Plain(torch.optim.Optimizer):
    """Gradient descent that needs nothing but a rate."""

    def __init__(self, params, lr=1e-3, twist=1):
        super().__init__(params, {"lr": lr, "twist": twist})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * group["twist"] * parameter.grad


class Forgetful(Plain):
    """Counts steps where no checkpoint looks."""

    count = 0

    @torch.no_grad()
    def step(self):
        self.count += 1
        for group in self.param_groups:
            group["twist"] = self.count
        super().step()


class Closed(Plain):
    @torch.no_grad()
    def step(self, closure=None):
        closure()


class Rateless(torch.optim.Optimizer):
    def __init__(self, params, speed=1.0):
        super().__init__(params, {})


class Clashing(Plain):
    def __init__(self, params, lr=1e-3, steps=3):
        super().__init__(params, lr)
'''


def study_of(optimizer, sweep=None, data=None, **train):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "classes",
        "title": "Classes of torch",
        "model": {"kind": "fcn", "depth": 2, "width": 5},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"optimizer": optimizer, "lr": 0.01, "batch_size": 8, "steps": 12, **train},
        "sweep": sweep or {"seed": 2},
        "probe": {"num": 4, "detail": 2, "samples": 8},
    }
    return make_study(values)


def trained(runs):
    engine = make_engine(make_pack(runs, CPU))
    engine.advance(0, runs[0].cell.train.steps)
    return engine.theta_KP.clone()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "torch.optim:SGD", "momentum": 0.9}),
        ({"optimizer": "adamw"}, {"optimizer": "torch.optim:AdamW"}),
        (
            {"optimizer": "rmsprop", "centred": True, "epsilon": 1e-4},
            {"optimizer": "torch.optim:RMSprop", "centered": True, "eps": 1e-4},
        ),
        (
            {"optimizer": "adam", "beta1": 0.5},
            {"optimizer": "torch.optim:Adam", "betas": [0.5, 0.999]},
        ),
    ],
)
def test_a_class_of_torch_takes_the_steps_of_ours(ours, theirs):
    # The penalty is handed to the class as its weight_decay, coupled or not.
    same = {"dtype": "float64", "gamma": 0.05, "schedule": "cosine", "warmup": 3}
    expected, found = (trained(study_of(**keys, **same).runs()) for keys in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


class TestItsEngine(EngineConformance):
    @pytest.fixture(params=["Adam", "Adagrad", "Rprop", "Adafactor"])
    def case(self, request):
        name = f"torch.optim:{request.param}"
        runs = study_of(name, sweep={"train.gamma": [0.0, 0.1], "seed": 2}).runs()
        return EngineCase(runs=runs, config=CPU, name="torch-cpu", tolerance=1e-4)


def test_its_arguments_are_keys_that_are_swept_in_one_pack_and_columns():
    sweep = {"train.alpha": [0.9, 0.99], "train.momentum": [0, 0.5], "seed": 1}
    study = study_of("torch.optim:RMSprop", sweep=sweep)
    runs = study.runs()
    assert len({run.run_id for run in runs}) == 4
    assert len({run.cell.shape for run in runs}) == 1
    assert len({tuple(row.tolist()) for row in trained(runs)}) == 4
    values = {item.name: value for item, value in hyperparameters_of(runs[1].cell).items()}
    assert (values["alpha"], values["momentum"], values["centered"]) == (0.9, 0.5, False)
    again = read_cell(runs[1].cell.config)
    assert again.identity == runs[1].cell.identity
    assert estimate_cost(runs[0].cell, device="cpu", engine="auto").is_compiled is False


def test_it_has_no_compiled_engine():
    with pytest.raises(LaunchError, match=r"optimiser with a compiled step.*torch.optim:SGD"):
        train_pack(study_of("torch.optim:SGD").runs(), PackConfig(engine="compiled", device="cpu"))


def test_its_version_counts_whatever_devices_torch_was_built_for(monkeypatch):
    assert source_of("torch.optim:SGD") == f"torch=={torch.__version__.partition('+')[0]}"


@pytest.fixture
def own(tmp_path, request):
    """The name of a module beside the study, which no other test has."""
    name = f"steps_{abs(hash(request.node.nodeid)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(CODE)
    with looking_in(tmp_path):
        yield name


def test_a_class_of_ones_own_is_one_too_and_the_penalty_joins_its_gradient(own):
    same = {"dtype": "float64", "gamma": 0.05, "syre": 0.1}
    expected = trained(study_of("sgd", **same).runs())
    study = study_of(f"{own}:Plain", **same)
    torch.testing.assert_close(trained(study.runs()), expected, rtol=1e-9, atol=1e-11)
    assert study.runs()[0].cell.train.value("optimizer_source")
    twisted = study_of(f"{own}:Plain", twist=0.5, **same).runs()
    assert not torch.equal(trained(twisted), expected)
    result = train_pack(twisted, CPU).runs
    assert np.isnan(result["decay_budget"]).all()


@pytest.mark.parametrize(
    ("name", "train", "message"),
    [
        ("torch.optim:LBFGS", {}, r"step\(\) of 'torch.optim:LBFGS' needs closure"),
        ("torch.optim:SGD", {"momentum": -1}, "raised ValueError: Invalid momentum value"),
        ("torch.optim:SGD", {"momentun": 0.9}, "Did you mean 'momentum'"),
        ("torch.optim:Adam", {"betas": 0.9}, "train.betas: must be a list"),
        ("torch.optim:SGD", {"syre": 0.1}, "train.syre: must be 0 for torch.optim:SGD"),
        ("OWN:Rateless", {}, "must name a class that takes 'lr'.*takes speed"),
        ("OWN:Clashing", {}, "'steps' of .*:Clashing is another key of the table 'train' too"),
    ],
)
def test_what_cannot_be_a_key_or_step_is_a_mistake_of_the_study(own, name, train, message):
    with pytest.raises(StudyFileError, match=message):
        study_of(name.replace("OWN", own), **train)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.optim:SparseAdam", "raised RuntimeError: SparseAdam does not support dense"),
        ("torch.optim:Muon", "raised ValueError: Muon only supports 2D parameters"),
        ("OWN:Closed", "raised TypeError.*What needs a closure"),
        ("OWN:Forgetful", "must keep all that it remembers in its `state`"),
    ],
)
def test_what_cannot_train_the_network_is_refused_before_training(own, name, message):
    with pytest.raises(ModelError, match=message):
        make_pack(study_of(name.replace("OWN", own)).runs(), CPU)
