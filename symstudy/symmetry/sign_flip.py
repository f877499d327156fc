"""Sign flip: neurons of an odd or an even activation that may change sign.

Shapes: K runs, N neurons, P parameters.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractFactors, Element
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["SignFlip"]


@symmetry(
    kind="sign_flip",
    action="(u, w) -> (-u, -w)",
    applies_to="neurons of an odd activation; of an even one, u alone",
    symmetric_state="u = w = 0",
    conserved="nothing",
    distance="sign flips: norm of its neurons",
    breaking="neurons with a norm above 0.02 of the largest",
)
class SignFlip(AbstractFactors):
    """The group Z_2^N: (u_i, w_i) becomes (s_i u_i, s_i w_i), s_i = 1 or -1.

    Applies to the neurons of an odd activation f(-z) = -f(z): tanh, sin, linear. Declared without
    partners it changes u_i alone, as the neurons of an even activation f(-z) = f(z) allow: the
    absolute value, the cosine. An element is the signs `[runs, N]`. Symmetric is a neuron whose
    numbers on the sides that change vanish; its distance is their norm. Nothing is conserved: the
    group is finite. The degree of breaking is the number of living neurons.

    References:
        Chen, Lu and Hecht-Nielsen 1993; arXiv:2502.05300, Table 1.
    """

    acts_on_squares: ClassVar[bool] = True

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return random signs."""
        shape = (runs, self.members)
        return 2.0 * torch.randint(0, 2, shape, generator=generator).double() - 1.0

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with each neuron's sign changed on its sides, or not."""
        signs_KN1 = element.to(theta_KP)[:, :, None]
        return self.change_sides(theta_KP, lambda side: signs_KN1 * side)

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return the distance, which signs do not change."""
        return self.distance(theta_KP)

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many neurons have a norm above `epsilon` of the largest."""
        norms_KN = torch.cat(self.read(theta_KP), dim=2).norm(dim=2)
        is_alive_KN: Tensor = norms_KN > epsilon * norms_KN.amax(dim=1, keepdim=True)
        return is_alive_KN.sum(dim=1) * self.is_alive(theta_KP)

    def conserved(self, theta_KP: Float[Tensor, "runs parameters"]) -> None:
        """Return None: a finite group conserves nothing."""
