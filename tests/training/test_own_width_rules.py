"""muP with optimisers and modules of one's own, which say how they go with the width."""

import pytest
import torch

from symstudy.components import looking_in
from symstudy.errors import ModelError, StudyFileError
from symstudy.training.loop import make_pack
from symstudy.training.pack_checks import check_pack
from tests.training.test_width_rules import CPU, growth_of_changes, study_of, trained

CODE = """
import torch
from symstudy.layout import Block, Layout
from symstudy.components import component
from symstudy.optimizers import AbstractStepOptimizer
from symstudy.optimizers.sgd import Sgd

@component
class Silent(AbstractStepOptimizer):
    @classmethod
    def num_moments(cls, lanes):
        return 0

    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        return theta_KP - numbers.rate_KP * gradient_KP.sign()

@component
class Told(Silent):
    width_rule = "normalised"

    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        return theta_KP - numbers.rate_KP * gradient_KP.sign()

@component
class Other(Sgd):
    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        return theta_KP - numbers.rate_KP * gradient_KP.sign()

class Plain(torch.optim.SGD):
    pass

class Halved(torch.optim.SGD):
    width_rule = "proportional"
    is_decoupled = False

def blocks_of(width, inputs, outputs):
    first = Block(name="first", shape=(width, inputs), offset=0, axes=("h", "input"),
                  role="weight", fan_in=inputs)
    last = Block(name="last", shape=(outputs, width), offset=first.stop, axes=("output", "h"),
                 role="weight", fan_in=width)
    return first, last

class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim, width=16, base=16):
        super().__init__()
        self.first = torch.nn.Linear(input_dim, width, bias=False)
        self.last = torch.nn.Linear(width, output_dim, bias=False)
        self.sizes = input_dim, output_dim
        self.base = base

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))

    def symstudy_layout(self):
        base = blocks_of(self.base, *self.sizes)
        return Layout(blocks=blocks_of(self.last.in_features, *self.sizes), base=base)

class Odd(torch.optim.SGD):
    width_rule = "rootlike"
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mup_steps.py").write_text(CODE)
    with looking_in(tmp_path):
        yield


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("lbfgs", "searches its own steps"),
        ("mup_steps:Silent", "does not say how its step goes with the gradient"),
        ("mup_steps:Other", "has a step of its own"),
        ("mup_steps:Plain", r"write in the class width_rule = 'normalised'"),
        ("torch.optim:Rprop", r"write in the class width_rule = 'normalised'"),
        ("mup_steps:Odd", "is 'rootlike'"),
    ],
)
def test_an_optimiser_without_a_width_rule_is_refused(own, optimizer, message):
    rate = {} if optimizer == "lbfgs" else {"lr": 0.01}
    with pytest.raises((StudyFileError, ModelError), match=message):
        study_of(optimizer=optimizer, **rate).runs()
    standard = {"parametrization": "standard"}
    if "Odd" not in optimizer:
        assert study_of(standard, optimizer=optimizer, **rate).runs()


@pytest.mark.parametrize("optimizer", ["mup_steps:Told", "mup_steps:Halved"])
def test_an_optimiser_of_ones_own_can_say_its_rule(own, optimizer):
    study = study_of(
        {"base_width": 4}, sweep={"model.width": [32, 128], "seed": 4}, optimizer=optimizer, lr=1e-3
    )
    found = growth_of_changes(study, (32, 128))
    assert all(abs(exponent) < 0.25 for exponent in found.values()), found


def of_own_module(base, optimizer="sgd"):
    model = {"kind": "mup_steps:Net", "width": 16, "base": base}
    return study_of(model, {"seed": 1}, optimizer=optimizer, lr=1e-3, steps=1).runs()


def test_a_module_of_ones_own_names_its_base_network(own):
    changes = []
    for base in (16, 4):
        before, after, model = trained(of_own_module(base))
        first, last = model.layout.blocks
        change = (after - before)[0]
        changes.append((change[: first.stop], change[last.offset :]))
    torch.testing.assert_close(changes[1][0], 4 * changes[0][0])
    torch.testing.assert_close(changes[1][1], changes[0][1] / 4)


def test_runs_of_a_module_in_mup_are_trained_as_alone(own):
    model = {"kind": "mup_steps:Net", "width": 16, "base": 4}
    runs = study_of(model, {"train.lr": [1e-3, 1e-2], "seed": 2}, optimizer="adam").runs()
    before, together, _ = trained(runs)
    assert (before != together).any(dim=1).all()
    for place, run in enumerate(runs):
        torch.testing.assert_close(trained([run])[1][0], together[place], rtol=1e-9, atol=1e-11)


def test_a_module_with_a_base_network_needs_an_optimiser_with_a_rule(own):
    with pytest.raises(ModelError, match=r"layout has `base`, but got 'mup_steps:Silent'"):
        check_pack(make_pack(of_own_module(4, "mup_steps:Silent"), CPU))
