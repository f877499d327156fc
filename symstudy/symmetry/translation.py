"""Translation: a direction along which parameters may be shifted.

Shapes: K runs, N positions along the axis, D numbers of a position, P parameters.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractSymmetry, Element, Members, velocities_at
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["Translation"]


@symmetry(
    kind="translation",
    action="W -> W + z c^T",
    applies_to="softmax logits, inputs in a subspace",
    symmetric_state="none",
    conserved="z^T W",
    distance="translations; depends on the gauge",
    breaking="columns with a mean above 0.02 of the largest; depends on the gauge",
)
class Translation(AbstractSymmetry):
    """The group of vectors: W becomes W + z c^T, with a fixed z along the axis.

    Applies to the rows of the layer before a softmax, z = (1, ..., 1): all logits of a sample shift
    alike, and their probabilities stay; and to the weights on inputs that lie in a subspace, z
    orthogonal to it (declared with a `direction`). Declared without an axis it moves every number
    of its blocks by itself: a bias before BatchNorm, or that of the keys of attention. An element
    is the vectors c `[runs, D]`; `members` are the D columns. Conserved is z^T W, for each column:
    under SGD exactly, and with a penalty gamma |theta|^2 it shrinks by exactly 1 - 2 lr gamma a
    step.

    No state is symmetric: the action is affine and moves everything. `project` goes to the plane
    z^T W = 0 of the reflection W -> W - 2 z z^T W / |z|^2, which changes nothing either and does
    have fixed points (the mirror symmetry of arXiv:2309.16932); it computes the same network. So
    distance and degree of breaking speak of the gauge alone, and the infimum over an orbit is 0.

    References:
        Kunin et al. 2021 (arXiv:2012.04728) for the conserved quantity; arXiv:2502.05300, Table 1.
    """

    has_fixed_points: ClassVar[bool] = False
    sides: ClassVar[frozenset[int]] = frozenset({1})
    needs_axis: ClassVar[bool] = False
    gauge_dependent: ClassVar[frozenset[str]] = frozenset(
        {"distance", "normalised_distance", "breaking"}
    )

    @property
    def members(self) -> int:
        """Columns, one shift for each."""
        return self.first_ND.shape[1]

    @property
    def generators(self) -> int:
        """One for each column."""
        return self.members

    def direction(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " positions"]:
        """Return z, in the type of `theta_KP`."""
        given = self.declared.direction or (1.0,) * self.first_ND.shape[0]
        return torch.tensor(given, dtype=torch.float64).to(theta_KP)

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return standard normal vectors."""
        return torch.randn(runs, self.members, generator=generator, dtype=torch.float64)

    def identity(self, runs: int) -> Element:
        """Return zero vectors."""
        return torch.zeros(runs, self.members, dtype=torch.float64)

    def compose(self, left: Element, right: Element) -> Element:
        """Return the sums."""
        return left + right

    def inverse(self, element: Element) -> Element:
        """Return the negative vectors."""
        return -element

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with z c^T added."""
        first, second = self.read(theta_KP)
        z_N1 = self.direction(theta_KP)[:, None]
        return self.write(theta_KP, first + z_N1 * element.to(theta_KP)[:, None, :], second)

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities where one column after the other is shifted."""
        return velocities_at(self, theta_P, torch.eye(self.members))

    def project(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with z^T W = 0 in the columns `members`."""
        first, second = self.read(theta_KP)
        z_N = self.direction(theta_KP)
        shift_KD = self.conserved(theta_KP) / z_N.square().sum()
        shift_KD = torch.where(self.chosen(members).to(theta_KP.device), shift_KD, 0.0)
        return self.write(theta_KP, first - z_N[:, None] * shift_KD[:, None, :], second)

    def coordinates(self, members: Members = None) -> Int64[Tensor, " coordinates"]:
        """Return the places of the columns `members`."""
        return self.first_ND[:, self.chosen(members)].flatten()

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return 0: every orbit meets the plane."""
        return theta_KP.new_zeros(theta_KP.shape[0])

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many columns have |z^T W| / |z| above `epsilon` of the largest column norm."""
        scale_K = self.read(theta_KP)[0].norm(dim=1).amax(dim=1, keepdim=True)
        off_KD = self.conserved(theta_KP).abs() / self.direction(theta_KP).norm()
        is_off_KD: Tensor = off_KD > epsilon * scale_K
        return is_off_KD.sum(dim=1) * self.is_alive(theta_KP)

    def conserved(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs columns"]:
        """Return z^T W."""
        return torch.einsum("n,knd->kd", self.direction(theta_KP), self.read(theta_KP)[0])
