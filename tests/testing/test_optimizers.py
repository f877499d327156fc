"""Every built-in optimiser that takes steps passes the shipped suite; a wrong one does not."""

import pytest
import torch

from symstudy.components import load_all
from symstudy.layout import Block, Layout
from symstudy.models.fcn.network import Fcn
from symstudy.optimizers import AbstractStepOptimizer
from symstudy.optimizers.adam import Adam
from symstudy.optimizers.adamw import AdamW
from symstudy.optimizers.lion import Lion
from symstudy.optimizers.muon import Muon, matrices_of, orthogonalised
from symstudy.optimizers.nadam import NAdam, momentum_at, momentum_product
from symstudy.optimizers.rmsprop import RmsProp
from symstudy.optimizers.sgd import Sgd
from symstudy.optimizers.teleport import Teleport
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


class TestRmsProp(OptimizerSuite):
    """RMSprop, with and without momentum in one pack."""

    @pytest.fixture(params=[False, True], ids=["plain", "centred"])
    def lanes(self, request):
        return [
            RmsProp(centred=request.param),
            RmsProp(centred=request.param, momentum=0.9, alpha=0.9),
            RmsProp(centred=request.param, epsilon=1e-4),
        ]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: torch.optim.RMSprop(
            [theta], rate, lane.alpha, lane.epsilon, 2 * gamma, lane.momentum, lane.centred
        )


class TestNAdam(OptimizerSuite):
    """NAdam, whose momentum rises at its own pace in each run, or not at all."""

    @pytest.fixture
    def lanes(self):
        return [NAdam(), NAdam(beta1=0.5, momentum_decay=0.3), NAdam(momentum_decay=0.0)]

    @pytest.fixture
    def torch_twin(self):
        # torch keeps the product of momenta in the default precision, whatever its parameters have.
        torch.set_default_dtype(torch.float64)
        yield lambda lane, theta, rate, gamma: torch.optim.NAdam(
            [theta],
            rate,
            (lane.beta1, lane.beta2),
            lane.epsilon,
            weight_decay=2 * gamma,
            momentum_decay=lane.momentum_decay,
        )
        torch.set_default_dtype(torch.float32)


class TestTeleport(OptimizerSuite):
    """Gradient descent that moves along the orbit of two ReLU neurons, by radii of its own."""

    layout = Fcn([1, 2, 1], "relu").layout

    @pytest.fixture(params=[1, 2])
    def lanes(self, request):
        every = request.param
        return [Teleport(teleport_every=every, teleport_radius=r) for r in (0.1, 0.5, 1.0)]

    def test_a_parameter_without_signal_decays_by_its_budget(self, lanes):
        """It has no neurons to rescale; without teleportations it is gradient descent."""
        plain = [Teleport(teleport_every=0) for _ in lanes]
        super().test_a_parameter_without_signal_decays_by_its_budget(plain)


class TestTeleportThatNeverMoves(OptimizerSuite):
    """Never teleported, it is gradient descent."""

    @pytest.fixture
    def lanes(self):
        return [Teleport(teleport_every=0) for _ in range(3)]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: torch.optim.SGD(
            [theta], lr=rate, weight_decay=2 * gamma
        )


class PlainLion(torch.optim.Optimizer):
    """Program 1 of arXiv:2302.06675, line by line."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):  # type: ignore[override]  # it takes no closure
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta in group["params"]:
                mean = self.state[theta].setdefault("mean", torch.zeros_like(theta))
                update = torch.sign(beta1 * mean + (1 - beta1) * theta.grad)
                update = update + theta * group["weight_decay"]
                self.state[theta]["mean"] = beta2 * mean + (1 - beta2) * theta.grad
                theta.sub_(group["lr"] * update)


class TestLion(OptimizerSuite):
    """Lion, whose two decays differ by lane."""

    @pytest.fixture
    def lanes(self):
        return [Lion(), Lion(beta1=0.5), Lion(beta2=0.8)]

    @pytest.fixture
    def torch_twin(self):
        return lambda lane, theta, rate, gamma: PlainLion(
            [theta], rate, (lane.beta1, lane.beta2), 2 * gamma
        )


class MatrixAndBias(torch.optim.Optimizer):
    """torch's Muon for the matrix of the suite's layout, and its AdamW for the bias."""

    def __init__(self, lane, theta, rate, gamma):
        super().__init__([theta], {})
        self.whole = theta
        self.matrix = theta.detach()[0, :6].reshape(2, 3).clone().requires_grad_(True)
        self.bias = theta.detach()[0, 6:].clone().requires_grad_(True)
        self.optimizers = [
            torch.optim.Muon(
                [self.matrix],
                lr=rate,
                weight_decay=2 * gamma,
                momentum=lane.momentum,
                nesterov=lane.nesterov,
                ns_steps=lane.ns_steps,
                adjust_lr_fn=lane.adjust_lr,
            ),
            torch.optim.AdamW(
                [self.bias],
                lr=rate * lane.other_lr,
                betas=(lane.beta1, lane.beta2),
                weight_decay=2 * gamma / lane.other_lr,
            ),
        ]

    def step(self):  # type: ignore[override]  # it takes no closure
        self.matrix.grad = self.whole.grad[0, :6].reshape(2, 3)
        self.bias.grad = self.whole.grad[0, 6:]
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            self.whole.copy_(torch.cat([self.matrix.flatten(), self.bias])[None])


class TestMuon(OptimizerSuite):
    """Muon, in the precision of the parameters where torch's goes down to bfloat16."""

    @pytest.fixture(params=[(True, "original"), (False, "match_rms_adamw")], ids=str)
    def lanes(self, request):
        nesterov, adjust_lr = request.param
        same = {"nesterov": nesterov, "adjust_lr": adjust_lr}
        return [Muon(**same), Muon(momentum=0.5, other_lr=0.1, **same), Muon(beta1=0.5, **same)]

    @pytest.fixture
    def torch_twin(self, monkeypatch):
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
        return MatrixAndBias


def test_muon_is_torchs_up_to_the_rounding_of_bfloat16():
    suite, lanes = OptimizerSuite(), [Muon(), Muon(momentum=0.5), Muon(ns_steps=3)]
    suite.tolerance = 0.02
    suite.test_its_steps_are_those_of_torch(lanes, MatrixAndBias)
    suite.tolerance = 1e-6
    with pytest.raises(AssertionError):
        suite.test_its_steps_are_those_of_torch(lanes, MatrixAndBias)


def test_muon_leaves_the_first_and_the_last_layer_out_where_told():
    layout = Fcn([4, 5, 5, 3], "tanh").layout
    assert [(each.rows, each.columns) for each in matrices_of(layout, "all")] == [
        (5, 4),
        (5, 5),
        (3, 5),
    ]
    assert [(each.rows, each.columns) for each in matrices_of(layout, "hidden")] == [(5, 5)]


@pytest.mark.parametrize("shape", [(5, 5), (3, 6), (6, 3)])
def test_the_matrices_of_muon_have_singular_values_near_one(shape):
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn((2, *shape), generator=generator, dtype=torch.float64)
    values = torch.linalg.svdvals(orthogonalised(drawn, 10))
    assert bool(((values > 0.6) & (values < 1.3)).all()), values


def test_heads_of_an_attention_layer_are_one_matrix_of_muon():
    queries = Block(
        name="queries",
        shape=(2, 3, 8),
        offset=0,
        axes=("heads", "key", "stream"),
        role="weight",
        fan_in=8,
    )
    (matrix,) = matrices_of(Layout(blocks=(queries,)), "all")
    assert (matrix.rows, matrix.columns) == (6, 8)


def test_a_step_of_nadam_far_out_is_torchs():
    # The product of so many momenta comes from a series; torch multiplies them one by one.
    psi = torch.tensor([[4e-3], [0.0], [1.0]], dtype=torch.float64)
    beta1 = torch.full_like(psi, 0.9999)
    product = torch.ones_like(psi)
    for time in range(1, 1001):
        product *= momentum_at(beta1, psi, time)
    torch.testing.assert_close(momentum_product(beta1, psi, 1000), product, rtol=1e-11, atol=0)


def test_every_optimiser_that_takes_steps_is_tested():
    steps = {
        name
        for name, cls in load_all("optimizers").items()
        if issubclass(cls, AbstractStepOptimizer)
    }
    assert steps == {"sgd", "adam", "adamw", "rmsprop", "nadam", "lion", "muon", "teleport"}


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
