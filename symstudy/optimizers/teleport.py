"""Gradient descent that moves along the rescaling orbit, to where the gradient is long, and steps.

Neurons of a homogeneous activation may be rescaled, (u, w) -> (e^xi u, e^-xi w), without a change
of the function. The loss stays and its gradient does not: it moves by the inverse transpose, so
that the gradient at every point of the orbit is known from the one at the point where a step is to
be taken. A teleportation takes no gradient call of its own.

Shapes: K runs, P parameters, G neurons of all layers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt

from symstudy.components import Role, component
from symstudy.errors import ModelError
from symstudy.optimizers.config import AbstractStepOptimizer, StepNumbers

if TYPE_CHECKING:
    from torch import Tensor

    from symstudy.layout import Layout

__all__ = ["Teleport"]

ITERATIONS = 10
"""Steps of the search from each start; a fixed number, so that no run waits for another."""


@component
class Teleport(AbstractStepOptimizer):
    """Gradient descent; every few steps from the point of the orbit where the gradient is longest.

    The coordinates stay within a ball, |xi| <= `teleport_radius`, since the gradient grows without
    bound along the orbit. The squared length is a convex function of them, so conditional gradient
    ascent never lowers it; of two starts the better end is kept, or the point as it is. The penalty
    is not invariant: its gradient is that of the point where the step is taken. A gradient that was
    clipped is teleported as it is.

    References:
        Zhao, Dehmamy, Walters and Yu 2022, "Symmetry teleportation", arXiv:2205.10637; Zhao,
        Walters and Yu 2025, arXiv:2506.13018, on teleportation. Theirs ascend by steps of unbounded
        size, with a gradient call each.
    """

    is_decoupled: ClassVar[bool] = True
    no_polish: ClassVar[str] = "does not go down the objective that has the penalty in it"
    no_pull: ClassVar[str] = "moves along orbits, which another point does not"

    kind: Literal["teleport"] = "teleport"
    """Gradient descent that moves along the rescaling orbit."""
    teleport_every: Annotated[int, Ge(0)] = 20
    """Steps between two teleportations, the first of which is before the first step; 0 for never,
    which is plain gradient descent."""
    teleport_radius: Annotated[float, Gt(0), Role.LANE] = 0.5
    """Length of a teleportation at most, in logarithms of the scales of all neurons together."""

    @classmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return 0."""
        del lanes
        return 0

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return g theta - rate (g^-T gradient + 2 gamma g theta), g the rescaling.

        Raises:
            ModelError: If the network has no homogeneous neurons.
        """
        del moments
        shared = numbers.shared
        assert isinstance(shared, cls), "a pack has one optimiser"
        every = shared.teleport_every
        if every and (numbers.time - 1) % every == 0:
            factor_KP = longest(numbers.layout, gradient_KP, numbers.keys["teleport_radius"])
            theta_KP, gradient_KP = theta_KP * factor_KP, gradient_KP / factor_KP
            # The gradient of the penalty over 2 gamma is theta itself: nothing else pulls.
            pulled_KP = pulled_KP * factor_KP
        move_KP = gradient_KP + numbers.decay_K1 * pulled_KP
        return theta_KP - numbers.rate_KP * move_KP

    def effective_rate(self, rate: float) -> float:
        """Return the rate: a teleportation only moves a neuron's decay from side to side."""
        return rate


def longest(layout: "Layout", gradient_KP: "Tensor", radius_K1: "Tensor") -> "Tensor":
    """Return what each parameter is multiplied by where the gradient is longest.

    Raises:
        ModelError: If the network has no homogeneous neurons.
    """
    import torch

    from symstudy.symmetry.ascent import ascend, gradient, onto_sphere
    from symstudy.symmetry.neurons import rescaling_factors

    groups = [group for group in layout.groups if group.homogeneous]
    if not groups:
        raise ModelError(
            "train.optimizer = 'teleport' must have a network with homogeneous neurons, which can "
            f"be rescaled, but got {len(layout.groups)} hidden layers without any. Type "
            "model.activation=relu, or another optimiser"
        )

    def squared_length(xi_KG: "Tensor") -> "Tensor":
        return (
            (gradient_KP / rescaling_factors(layout, groups, radius_K1 * xi_KG)).square().sum(dim=1)
        )

    still_KG = gradient_KP.new_zeros(len(gradient_KP), sum(group.size for group in groups))
    best_KG, best_K = still_KG, squared_length(still_KG)
    # At a balanced point the length is stationary: a start of its own leaves it.
    for start_KG in (gradient(squared_length, still_KG), torch.ones_like(still_KG)):
        xi_KG = onto_sphere(start_KG, 1.0)
        value_K = squared_length(xi_KG)
        for _ in range(ITERATIONS):
            xi_KG = ascend(squared_length, xi_KG, value_K, 1.0, halvings=1)
            value_K = squared_length(xi_KG)
        is_better_K = value_K > best_K
        best_KG = torch.where(is_better_K[:, None], xi_KG, best_KG)
        best_K = torch.where(is_better_K, value_K, best_K)
    return rescaling_factors(layout, groups, radius_K1 * best_KG)
