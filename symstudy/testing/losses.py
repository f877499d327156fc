"""What every loss must pass: a suite to subclass.

class TestMine(LossSuite):
    @pytest.fixture
    def loss(self):
        return MyLoss()

Shapes: K runs, B samples, O outputs.
"""

import pytest
import torch
from torch import Tensor

from symstudy.losses import AbstractLoss

__all__ = ["LossSuite"]

RUNS, BATCH, OUTPUTS = 3, 6, 4


class LossSuite:
    """The tests of one loss; a subclass gives the fixture `loss`.

    A class attribute `classes` says whether targets are one-hot rows.
    """

    classes = False

    @pytest.fixture
    def loss(self) -> AbstractLoss:
        """Return the loss."""
        raise NotImplementedError

    def drawn(self) -> tuple[Tensor, Tensor]:
        """Return outputs and targets."""
        generator = torch.Generator().manual_seed(0)
        shape = (RUNS, BATCH, OUTPUTS)
        outputs = torch.randn(shape, generator=generator, dtype=torch.float64)
        targets = torch.randn(shape, generator=generator, dtype=torch.float64)
        if self.classes:
            targets = torch.nn.functional.one_hot(targets.argmax(dim=2), OUTPUTS).double()
        return outputs, targets

    def test_it_is_one_number_a_sample(self, loss: AbstractLoss) -> None:
        """Hold `[K, B]`, finite, in the type of the outputs, and a positive divisor."""
        outputs, targets = self.drawn()
        for kind in (torch.float64, torch.float32):
            value = loss.per_sample(outputs.to(kind), targets.to(kind))
            assert value.shape == (RUNS, BATCH)
            assert value.dtype == kind
            assert bool(torch.isfinite(value).all())
        assert loss.divisor(OUTPUTS) > 0.0

    def test_a_sample_does_not_see_the_others(self, loss: AbstractLoss) -> None:
        """Hold that a sample's loss is the same alone."""
        outputs, targets = self.drawn()
        whole = loss.per_sample(outputs, targets)
        alone = loss.per_sample(outputs[1:2, 2:3], targets[1:2, 2:3])
        torch.testing.assert_close(alone, whole[1:2, 2:3], rtol=1e-13, atol=1e-13)

    def test_its_gradient_is_that_of_finite_differences(self, loss: AbstractLoss) -> None:
        """Hold that gradients flow to the outputs of the sample alone, and are right."""
        outputs, targets = self.drawn()
        outputs.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss.per_sample(outputs, targets)[1, 2], outputs)
        step = 1e-6
        for place in range(OUTPUTS):
            moved = outputs.detach().clone()
            moved[1, 2, place] += step
            up = loss.per_sample(moved, targets)[1, 2]
            moved[1, 2, place] -= 2 * step
            slope = (up - loss.per_sample(moved, targets)[1, 2]) / (2 * step)
            assert float(gradient[1, 2, place]) == pytest.approx(float(slope), rel=1e-4, abs=1e-6)
        gradient[1, 2] = 0.0
        assert not bool(gradient.any()), "other samples do not matter"

    def test_it_falls_towards_the_target(self, loss: AbstractLoss) -> None:
        """Hold that a small step against the gradient lowers the loss of every sample."""
        outputs, targets = self.drawn()
        outputs.requires_grad_(True)
        before = loss.per_sample(outputs, targets)
        (gradient,) = torch.autograd.grad(before.sum(), outputs)
        after = loss.per_sample(outputs.detach() - 1e-3 * gradient, targets)
        assert bool((after < before).all())
