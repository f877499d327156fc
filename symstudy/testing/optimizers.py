"""What every optimiser must pass: a suite to subclass.

class TestMine(OptimizerSuite):
    @pytest.fixture
    def lanes(self):
        return [Lion(beta1=0.9), Lion(beta1=0.8), Lion()]

Shapes: K runs, P parameters.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from symstudy.components import Role, items_of
from symstudy.kernels.steps import KernelStep
from symstudy.layout import Block, Layout
from symstudy.optimizers import AbstractStepOptimizer, StepNumbers

__all__ = ["OptimizerSuite"]

LAYOUT = Layout(
    blocks=(
        Block(name="weight", shape=(2, 3), offset=0, axes=("out", "in"), role="weight", fan_in=3),
        Block(name="bias", shape=(1,), offset=6, axes=("out",), role="bias", fan_in=3),
    )
)
"""A weight matrix and a bias, for optimisers that tell them apart."""
BARE = Layout(
    blocks=(Block(name="bias", shape=(1,), offset=0, axes=("out",), role="bias", fan_in=1),)
)
PARAMETERS = LAYOUT.size
STEPS = 5
CENTRE_KP = torch.tensor([[0.0], [0.0], [0.5]], dtype=torch.float64).repeat(1, PARAMETERS)
"""Where the penalty pulls the parameters of the runs that are compared with compiled steps."""
Torch = Callable[[AbstractStepOptimizer, Tensor, float, float], torch.optim.Optimizer]


class OptimizerSuite:
    """The tests of one optimiser that takes steps; a subclass gives the fixture `lanes`.

    `lanes` are three configurations that share a pack. Where torch has the same optimiser, the
    fixture `torch_twin` makes it, from configuration, parameters, rate and gamma; 2 gamma is
    torch's `weight_decay`.
    """

    tolerance = 1e-12
    layout = LAYOUT
    """Layout of the parameters, of as many numbers; another where the optimiser needs one."""

    @pytest.fixture
    def lanes(self) -> Sequence[AbstractStepOptimizer]:
        """Return three configurations that share a pack."""
        raise NotImplementedError

    @pytest.fixture
    def torch_twin(self) -> Torch | None:
        """Return what makes torch's own; None where torch has none."""
        return None

    rates = (0.1, 0.03, 0.05)
    gammas = (0.0, 0.02, 0.1)

    def start(self) -> Tensor:
        """Return initial parameters of the three runs."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(3, PARAMETERS, generator=generator, dtype=torch.float64)

    def gradient(
        self,
        theta_KP: Tensor,
        gammas: Tensor,
        *,
        is_decoupled: bool,
        pulled_KP: Tensor | None = None,
    ) -> Tensor:
        """Return the gradient of sum a cos(theta), and of the penalty unless decoupled."""
        weights = 1.0 + torch.arange(theta_KP.shape[1], dtype=torch.float64) / 3
        data_KP = -theta_KP.sin() * weights
        if is_decoupled:
            return data_KP
        return data_KP + 2.0 * gammas[:, None] * (theta_KP if pulled_KP is None else pulled_KP)

    def trained(
        self,
        lanes: Sequence[AbstractStepOptimizer],
        chosen: Sequence[int],
        steps: int = STEPS,
        centre_KP: Tensor | None = None,
    ) -> Tensor:
        """Return the parameters of the runs `chosen` after some steps in one pack.

        The penalty is gamma |theta - centre|^2, with a centre of 0 if None.
        """
        cls = type(lanes[0])
        mine = [lanes[i] for i in chosen]
        rates = torch.tensor([self.rates[i] for i in chosen], dtype=torch.float64)
        gammas = torch.tensor([self.gammas[i] for i in chosen], dtype=torch.float64)
        theta_KP = self.start()[list(chosen)]
        moments = [torch.zeros_like(theta_KP) for _ in range(cls.num_moments(lanes))]
        for time in range(1, steps + 1):
            pulled_KP = theta_KP if centre_KP is None else theta_KP - centre_KP
            gradient_KP = self.gradient(
                theta_KP, gammas, is_decoupled=cls.is_decoupled, pulled_KP=pulled_KP
            )
            columns = rates[:, None], 2.0 * gammas[:, None]
            numbers = StepNumbers(*columns, time, self.keys_of(mine), mine[0], self.layout)
            theta_KP = cls.step(theta_KP, gradient_KP, pulled_KP, moments, numbers)
        return theta_KP

    def keys_of(self, lanes: Sequence[AbstractStepOptimizer]) -> dict[str, Tensor]:
        """Return the optimisers' own numbers a lane, as columns."""
        names = [item.field.name for item in items_of(lanes[0]) if item.field.role is Role.LANE]
        return {
            name: torch.tensor(
                [[float(getattr(lane, name))] for lane in lanes], dtype=torch.float64
            )
            for name in names
        }

    def test_a_run_alone_is_the_run_in_a_pack(self, lanes: Sequence[AbstractStepOptimizer]) -> None:
        """Hold that no run's steps depend on another's row, bit for bit."""
        packed = self.trained(lanes, (0, 1, 2))
        for place in range(3):
            assert torch.equal(self.trained(lanes, (place,))[0], packed[place])
        assert torch.equal(self.trained(lanes, (2, 0)), packed[[2, 0]])

    @pytest.mark.parametrize("kind", ["float64", "float32"])
    def test_its_compiled_step_is_its_step(
        self, lanes: Sequence[AbstractStepOptimizer], kind: str
    ) -> None:
        """Hold the compiled step, where there is one, to the step in torch, with a pulled run."""
        step = type(lanes[0]).step_in_kernels()
        if step is None or not lanes[0].is_in_kernels:
            return
        tolerance = self.tolerance if kind == "float64" else 1e-5
        torch.testing.assert_close(
            self.trained_by_kernels(lanes, step, kind).double(),
            self.trained(lanes, (0, 1, 2), centre_KP=CENTRE_KP),
            rtol=tolerance,
            atol=tolerance,
        )

    def trained_by_kernels(
        self, lanes: Sequence[AbstractStepOptimizer], step: KernelStep, kind: str
    ) -> Tensor:
        """Return the parameters after some compiled steps; the last run is pulled to a centre."""
        from symstudy.kernels.lanes import Lanes, update_lanes

        cls, runs, dtype = type(lanes[0]), len(lanes), np.dtype(kind)
        moments = cls.num_moments(lanes)
        theta_KP = self.start().numpy().astype(dtype)
        numbers = np.array([lane.kernel_numbers() for lane in lanes], dtype).T
        state = Lanes(
            theta=theta_KP,
            first=np.zeros((runs, PARAMETERS if moments > 0 else 0), dtype),
            second=np.zeros((runs, PARAMETERS if moments > 1 else 0), dtype),
            is_decoupled=cls.is_decoupled,
            rate=np.repeat(np.array(self.rates, dtype)[:, None], STEPS, axis=1),
            stop=np.full((runs, 1), PARAMETERS),
            factor=np.ones((runs, 1), dtype),
            decay=2 * np.array(self.gammas, dtype),
            centre=CENTRE_KP.numpy().astype(dtype),
            stretch=np.ones((runs, PARAMETERS), dtype),
            is_pulled=np.array([0, 0, 1], np.int64),
            beta1=np.ascontiguousarray(numbers[0]),
            beta2=np.ascontiguousarray(numbers[1]),
            epsilon=np.ascontiguousarray(numbers[2]),
            extra=np.ascontiguousarray(numbers[3]),
            coefficient=np.zeros(runs, dtype),
            sigma=np.zeros(runs, dtype),
            clip=np.zeros(runs, dtype),
            step=0,
            diverged=np.full(runs, -1, np.int64),
        )
        for place in range(STEPS):
            data_KP = self.gradient(torch.from_numpy(theta_KP), torch.zeros(3), is_decoupled=True)
            gradient_KP = data_KP.numpy().astype(dtype)
            update_lanes(state, np.arange(runs), place, gradient_KP, step.compiled(dtype))
        return torch.from_numpy(theta_KP)

    def test_its_steps_are_those_of_torch(
        self, lanes: Sequence[AbstractStepOptimizer], torch_twin: Torch | None
    ) -> None:
        """Hold each run's parameters after some steps to those of `torch.optim`."""
        if torch_twin is None:
            return
        packed = self.trained(lanes, (0, 1, 2))
        for place, lane in enumerate(lanes):
            gamma = torch.tensor([self.gammas[place]], dtype=torch.float64)
            theta = self.start()[place : place + 1].clone().requires_grad_(True)
            twin = torch_twin(lane, theta, self.rates[place], self.gammas[place])
            for _ in range(STEPS):
                # torch adds weight_decay itself.
                theta.grad = self.gradient(theta.detach(), gamma, is_decoupled=True)
                twin.step()
            torch.testing.assert_close(
                packed[place], theta.detach()[0], rtol=self.tolerance, atol=self.tolerance
            )

    def test_a_step_is_pure_but_for_the_moments(
        self, lanes: Sequence[AbstractStepOptimizer]
    ) -> None:
        """Hold that parameters and gradient are not written to."""
        cls = type(lanes[0])
        theta_KP, ones = self.start(), torch.ones(3, 1, dtype=torch.float64)
        gradient_KP = theta_KP.cos()
        kept = theta_KP.clone(), gradient_KP.clone()
        moments = [torch.zeros_like(theta_KP) for _ in range(cls.num_moments(lanes))]
        numbers = StepNumbers(0.1 * ones, 0.2 * ones, 1, self.keys_of(lanes), lanes[0], self.layout)
        cls.step(theta_KP, gradient_KP, theta_KP, moments, numbers)
        assert torch.equal(theta_KP, kept[0])
        assert torch.equal(gradient_KP, kept[1])

    def test_parameters_at_zero_stay_there_if_it_says_so(
        self, lanes: Sequence[AbstractStepOptimizer]
    ) -> None:
        """Hold that a padded parameter, of 0 with a gradient of 0, is 0 after some steps."""
        cls = type(lanes[0])
        theta_KP = torch.zeros(3, PARAMETERS)
        moments = [torch.zeros_like(theta_KP) for _ in range(cls.num_moments(lanes))]
        ones = torch.ones(3, 1)
        keys = {name: value.float() for name, value in self.keys_of(lanes).items()}
        for time in range(1, 4):
            numbers = StepNumbers(0.1 * ones, 0.2 * ones, time, keys, lanes[0], self.layout)
            theta_KP = cls.step(theta_KP, torch.zeros_like(theta_KP), theta_KP, moments, numbers)
        if all(lane.can_pad for lane in lanes):
            assert not bool(theta_KP.any())

    def test_a_parameter_without_signal_decays_by_its_budget(
        self, lanes: Sequence[AbstractStepOptimizer]
    ) -> None:
        """Hold that gamma shrinks it by exp(-2 gamma sum of `effective_rate`), to first order."""
        cls, gamma, rate, steps = type(lanes[0]), 1e-4, 0.01, 4000
        theta_KP = torch.ones(3, 1, dtype=torch.float64)
        moments = [torch.zeros_like(theta_KP) for _ in range(cls.num_moments(lanes))]
        ones = torch.ones(3, 1, dtype=torch.float64)
        keys = self.keys_of(lanes)
        for time in range(1, steps + 1):
            gradient_KP = torch.zeros_like(theta_KP)
            if not cls.is_decoupled:
                gradient_KP = 2.0 * gamma * theta_KP
            numbers = StepNumbers(rate * ones, 2.0 * gamma * ones, time, keys, lanes[0], BARE)
            theta_KP = cls.step(theta_KP, gradient_KP, theta_KP, moments, numbers)
        for lane, theta in zip(lanes, theta_KP[:, 0].tolist(), strict=True):
            budget = 2.0 * gamma * steps * lane.effective_rate(rate)
            if not math.isnan(budget):
                assert -math.log(theta) == pytest.approx(budget, rel=0.02)
