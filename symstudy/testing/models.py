"""What every model must pass: a suite to subclass.

class TestMine(ModelSuite):
    @pytest.fixture
    def config(self):
        return MyModelConfig(width=6)

Shapes: K runs, P parameters, B batch, I inputs, O outputs.
"""

import pytest
import torch
from torch import Tensor

from symstudy.components import DataShape
from symstudy.models import AbstractModelConfig, build_model
from symstudy.models.base import AbstractModel

__all__ = ["ModelSuite"]

RUNS, BATCH = 4, 5


class ModelSuite:
    """The tests of one configuration of a model; a subclass gives the fixture `config`.

    A class attribute `data` says on what data it is built.
    """

    data = DataShape(12, 3, 20, 10, is_classification=False)
    tolerance = 1e-12
    """Largest relative difference of a run alone and in a pack, in float64."""

    @pytest.fixture
    def config(self) -> AbstractModelConfig:
        """Return the configuration."""
        raise NotImplementedError

    @pytest.fixture
    def model(self, config: AbstractModelConfig) -> AbstractModel:
        """Return the network that the configuration describes."""
        return build_model(config, self.data)

    def parameters(self, model: AbstractModel, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
        """Return initial parameters, moved a little so that none is at zero."""
        theta_KP = model.initialise(seeds, torch.ones(len(seeds), dtype=torch.float64))
        drift = torch.sin(torch.arange(theta_KP.shape[1], dtype=torch.float64))
        moved: Tensor = theta_KP + 0.1 * drift
        return moved

    def bound(self, model: AbstractModel, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> AbstractModel:
        """Return the model with the buffers that the runs with `seeds` begin with."""
        return model.with_buffers(model.initial_buffers(seeds, torch.float64))

    def inputs(self) -> Tensor:
        """Return a batch for each run."""
        generator = torch.Generator().manual_seed(0)
        shape = (RUNS, BATCH, self.data.inputs)
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def test_blocks_tile_the_flat_vector(self, model: AbstractModel) -> None:
        """Hold that the layout's blocks follow each other without gaps."""
        at = 0
        for block in model.layout.blocks:
            assert block.offset == at, block.name
            at = block.stop
        assert at == model.layout.size > 0

    def test_a_run_starts_from_its_seed_and_scale_alone(self, model: AbstractModel) -> None:
        """Hold that initial parameters do not depend on pack-mates, and scale with the scale."""
        scales_K = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
        pack = model.initialise((5, 6, 5), scales_K)
        assert torch.equal(pack[0], pack[2])
        assert torch.equal(pack[1:2], model.initialise((6,), scales_K[1:2]))
        assert not torch.equal(pack[0], pack[1])
        assert pack.shape == (3, model.layout.size)
        assert bool(torch.isfinite(pack).all())

    def test_outputs_and_hidden_layers_have_their_sizes(self, model: AbstractModel) -> None:
        """Hold outputs `[K, B, O]` and, for each group of neurons, activations `[K, B, N]`."""
        forward = self.bound(model).forward(self.parameters(model), self.inputs())
        assert forward.output_KBO.shape == (RUNS, BATCH, self.data.outputs)
        for group in model.network_layout.groups:
            hidden = forward.hidden[group.name]
            assert hidden.shape[0] == RUNS
            assert hidden.shape[-1] == group.size

    def test_a_run_alone_is_the_run_in_a_pack(self, model: AbstractModel) -> None:
        """Hold that a run's outputs do not depend on its mates."""
        theta_KP, x_KBI = self.parameters(model), self.inputs()
        packed = self.bound(model).forward(theta_KP, x_KBI).output_KBO
        alone = self.bound(model, (2,)).forward(theta_KP[2:3], x_KBI[2:3]).output_KBO
        torch.testing.assert_close(
            alone, packed[2:3], rtol=self.tolerance, atol=self.tolerance, msg="a run alone"
        )

    def test_the_order_of_runs_does_not_matter(self, model: AbstractModel) -> None:
        """Hold that runs in another order have their outputs in that order."""
        theta_KP, x_KBI = self.parameters(model), self.inputs()
        order = torch.tensor([2, 0, 3, 1])
        packed = self.bound(model).forward(theta_KP, x_KBI).output_KBO[order]
        moved = self.bound(model, (2, 0, 3, 1)).forward(theta_KP[order], x_KBI[order]).output_KBO
        torch.testing.assert_close(moved, packed, rtol=self.tolerance, atol=self.tolerance)

    def test_gradients_flow_to_a_runs_own_parameters_alone(self, model: AbstractModel) -> None:
        """Hold that the gradient of one run's output is zero for its mates, and not for it."""
        theta_KP = self.parameters(model).requires_grad_(True)
        outputs = self.bound(model).forward(theta_KP, self.inputs()).output_KBO
        (gradient,) = torch.autograd.grad(outputs[1].square().sum(), theta_KP)
        assert bool(torch.isfinite(gradient).all())
        assert float(gradient[1].norm()) > 0.0
        assert not bool(gradient[[0, 2, 3]].any())

    def test_it_is_pure(self, model: AbstractModel) -> None:
        """Hold that the same arguments give the same bits, and are not written to."""
        theta_KP, x_KBI = self.parameters(model), self.inputs()
        kept = theta_KP.clone(), x_KBI.clone()
        bound = self.bound(model)
        first = bound.forward(theta_KP, x_KBI).output_KBO
        assert torch.equal(first, bound.forward(theta_KP, x_KBI).output_KBO)
        assert torch.equal(theta_KP, kept[0])
        assert torch.equal(x_KBI, kept[1])

    def test_the_plan_knows_its_size(
        self, config: AbstractModelConfig, model: AbstractModel
    ) -> None:
        """Hold that `size` is right to a factor of two, without building the network."""
        told = config.fitted(self.data).size(self.data).parameters
        assert 0.5 * model.layout.size <= told <= 2.0 * model.layout.size
