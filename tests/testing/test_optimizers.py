"""Every built-in optimiser that takes steps passes the shipped suite; a wrong one does not."""

import pytest
import torch

from symstudy.components import load_all
from symstudy.optimizers import AbstractStepOptimizer
from symstudy.optimizers.adam import Adam
from symstudy.optimizers.adamw import AdamW
from symstudy.optimizers.sgd import Sgd
from symstudy.testing.optimizers import OptimizerSuite


class TestSgd(OptimizerSuite):
    """Gradient descent, with and without momentum in one pack."""

    @pytest.fixture
    def lanes(self):
        return [Sgd(), Sgd(momentum=0.9), Sgd(momentum=0.5)]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: torch.optim.SGD(
            [theta], lr=rate, momentum=lane.momentum, weight_decay=2 * gamma
        )


class TestAdam(OptimizerSuite):
    """Adam, whose moments differ by lane."""

    @pytest.fixture
    def lanes(self):
        return [Adam(), Adam(beta1=0.5), Adam(beta2=0.9, epsilon=1e-6)]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: torch.optim.Adam(
            [theta], rate, (lane.beta1, lane.beta2), lane.epsilon, weight_decay=2 * gamma
        )


class TestAdamW(OptimizerSuite):
    """AdamW, which decays beside its step."""

    @pytest.fixture
    def lanes(self):
        return [AdamW(), AdamW(beta1=0.5), AdamW(beta2=0.9, epsilon=1e-6)]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: torch.optim.AdamW(
            [theta], rate, (lane.beta1, lane.beta2), lane.epsilon, weight_decay=2 * gamma
        )


def test_every_optimiser_that_takes_steps_is_tested():
    steps = {
        name
        for name, cls in load_all("optimizers").items()
        if issubclass(cls, AbstractStepOptimizer)
    }
    assert steps == {"sgd", "adam", "adamw"}


class Mixed(Sgd):
    """Wrong: a run's step depends on its mates."""

    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        mean = gradient_KP.mean(dim=0, keepdim=True)
        return super().step(theta_KP, gradient_KP - mean, pulled_KP, moments, numbers)


class Overspent(Sgd):
    """Wrong: tells another decay budget than it has."""

    def effective_rate(self, rate):
        return rate


@pytest.mark.parametrize(
    ("cls", "test"),
    [
        (Mixed, "test_a_run_alone_is_the_run_in_a_pack"),
        (Overspent, "test_a_parameter_without_signal_decays_by_its_budget"),
    ],
)
def test_a_wrong_optimiser_fails(cls, test):
    lanes = [cls(momentum=0.9), cls(momentum=0.5), cls()]
    with pytest.raises(AssertionError):
        getattr(OptimizerSuite(), test)(lanes)


def test_another_step_than_torchs_fails():
    lanes = [Sgd(), Sgd(momentum=0.9), Sgd(momentum=0.5)]

    def twin(lane, theta, rate, gamma):
        return torch.optim.SGD(
            [theta], lr=rate, momentum=lane.momentum, weight_decay=2 * gamma, dampening=0.1
        )

    with pytest.raises(AssertionError):
        OptimizerSuite().test_its_steps_are_those_of_torch(lanes, twin)
