"""The contract of a symmetry of parameters.

Shapes: K runs, P parameters, N positions along the axis, D and E numbers of a position on the first
and on the second side of the axis.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.func import jacrev

from symstudy.errors import ModelError
from symstudy.layout import DeclaredSymmetry, Layout
from symstudy.symmetry.sides import read_side, side_index, write_side
from symstudy.symmetry.thresholds import EPSILON_ABSOLUTE, EPSILON_RELATIVE

__all__ = [
    "AbstractFactors",
    "AbstractSymmetry",
    "AbstractVanishing",
    "Element",
    "Members",
    "Parts",
    "velocities_at",
]

Element = Tensor
"""One element of the group for each run, with the run axis first; its form is the symmetry's."""

Members = Sequence[int] | None
"""The members that a subgroup acts on, by number; None for all."""


class Parts(NamedTuple):
    """Parameters as the sum of what a symmetry keeps and what breaks it (arXiv:2502.05300, Eq. 4).

    Attributes:
        symmetric_KP: The projection P theta.
        breaking_KP: The rest, (I - P) theta.
    """

    symmetric_KP: Float[Tensor, "runs parameters"]
    breaking_KP: Float[Tensor, "runs parameters"]


class AbstractSymmetry(ABC):
    """A group G that acts on the parameters of K networks and leaves what they compute as it is.

    Contract. Built from a model's layout and one declaration in it. Everything is batched over the
    leading run axis, without a loop over runs; a run's row of a result depends on that run's rows
    of the arguments alone. Methods are pure and keep the type and device of the parameters;
    gradients flow through `act` and `project`. `sample` draws from the generator given and from
    nothing else, in float64 on the CPU. Nothing is NaN for finite parameters.

    The law of an action: `act(compose(g, h), theta)` is `act(g, act(h, theta))`, `act` by
    `identity` leaves theta as it is, and `inverse` undoes.

    G has *members*: the neurons, directions or blocks that its elements act on. The members of a
    subset have a subgroup, which leaves the others alone. `project` is the projection P to the
    states that the subgroup leaves as they are: for a compact group the average over it; for
    rescaling and double rotation the projection along the invariant complement, which is zero on
    the blocks acted on. It is always an orthogonal projection: P P = P, and g P = P for a g of the
    subgroup. Only a translation moves every state, so that g P is not P; there P goes to the mirror
    plane of the reflection that the translation contains.

    `distance` is |theta - P theta|. Where it changes along an orbit (non-orthogonal groups), it
    says as much about the gauge as about the network, and `orbit_distance`, its infimum over the
    orbit, is what can be compared. `breaking` counts the generators that are broken beyond a
    threshold, `degree` those that are not; both read what is invariant wherever that exists.
    `gauge_dependent` names the methods whose value a group element changes.

    References:
        arXiv:2502.05300: Definitions 1 and 2, Eqs. 3, 4 and 14, Table 1. The norm, not its square,
        is taken as the distance, and members are counted by an exact or gauge-invariant procedure
        where the paper sorts neurons or takes the gauge as it is.
    """

    kind: ClassVar[str]
    """Name of the kind; set by `@symmetry`."""
    has_fixed_points: ClassVar[bool] = True
    """Whether g P = P."""
    gauge_dependent: ClassVar[frozenset[str]] = frozenset()
    """Names of the measures that a group element changes."""
    sides: ClassVar[frozenset[int]] = frozenset({1, 2})
    """How many sides of an axis a declaration may name: 1 is `blocks`, 2 is `partners` too."""
    needs_axis: ClassVar[bool] = True
    """Whether a declaration must name an axis."""
    acts_on_squares: ClassVar[bool] = False
    """Whether it acts on blocks that have the axis twice, as g W g^-1."""

    def __init__(self, layout: Layout, declared: DeclaredSymmetry) -> None:
        """Prepare for the blocks that `declared` names.

        Raises:
            ModelError: If the declaration lacks an axis, or a side, or has one too many.
        """
        if self.needs_axis and not declared.axis:
            raise ModelError(
                f"a declared {self.kind} must name the axis that it acts along, but got "
                f"{declared}. Add axis=..."
            )
        if (2 if declared.partners else 1) not in self.sides:
            wanted = "partners" if self.sides == {2} else "no partners"
            raise ModelError(
                f"a declared {self.kind} must have {wanted}, but got "
                f"partners={declared.partners!r}. See docs/symmetries.md."
            )
        squares = set(declared.blocks) & set(declared.partners)
        if squares and not self.acts_on_squares:
            raise ModelError(
                f"a declared {self.kind} must have each block on one side, but got "
                f"{sorted(squares)} on both. Permutations and sign flips alone act on rows and "
                "columns of a block at once."
            )
        self.layout = layout
        self.declared = declared
        self.is_recurrent = bool(squares)
        self.first_ND, partners = (
            side_index(
                layout,
                names,
                declared.axis,
                within=declared.within,
                place=declared.place,
                reads=reads,
            )
            for names, reads in ((declared.blocks, False), (declared.partners, True))
        )
        self.second_NE = partners if declared.partners else self.first_ND[:, :0]

    @property
    @abstractmethod
    def members(self) -> int:
        """How many neurons, directions or blocks the group acts on."""

    @property
    @abstractmethod
    def generators(self) -> int:
        """How many independent symmetries there are to break; the largest degree."""

    @abstractmethod
    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return a random element for each run; of a continuous group, not far from the identity.

        Args:
            runs: How many.
            generator: Source of all randomness, on the CPU.
        """

    @abstractmethod
    def identity(self, runs: int) -> Element:
        """Return the identity for each run."""

    @abstractmethod
    def compose(self, left: Element, right: Element) -> Element:
        """Return, for each run, the element that acts as `right` first and then `left`."""

    @abstractmethod
    def inverse(self, element: Element) -> Element:
        """Return, for each run, the element that undoes `element`."""

    @abstractmethod
    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return each run's parameters after its group element has acted on them."""

    @abstractmethod
    def project(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, "runs parameters"]:
        """Return the nearest parameters that the subgroup of `members` leaves as they are."""

    @abstractmethod
    def coordinates(self, members: Members = None) -> Int64[Tensor, " coordinates"]:
        """Return the places in the flat vector that the subgroup of `members` acts on."""

    @abstractmethod
    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return the infimum of `distance` over the orbit of each run's parameters."""

    @abstractmethod
    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return the degree of symmetry breaking: how many generators are broken.

        Args:
            theta_KP: Parameters.
            epsilon: Threshold relative to the largest member, as each symmetry says.

        Returns:
            0 for a run in which `is_alive` is false, whatever `epsilon`.
        """

    @abstractmethod
    def conserved(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs ..."] | None:
        """Return what gradient flow on any loss with this symmetry conserves; None for nothing."""

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities at which a continuous group moves parameters, at the identity.

        Their span is tangent to the orbit. A finite group, which is what a symmetry is that does
        not say otherwise, moves nothing by degrees: no rows.
        """
        return theta_P.new_zeros(0, len(theta_P))

    def degree(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return the degree of symmetry: how many generators are not broken."""
        return self.generators - self.breaking(theta_KP, epsilon)

    def decompose(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Parts:
        """Return the symmetric and the breaking part of each run's parameters."""
        symmetric_KP = self.project(theta_KP, members)
        return Parts(symmetric_KP, theta_KP - symmetric_KP)

    def distance(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, " runs"]:
        """Return |theta - P theta|: how far each run is from the symmetric states of `members`.

        References:
            arXiv:2502.05300, Eq. 3.
        """
        distance_K: Tensor = (theta_KP - self.project(theta_KP, members)).norm(dim=1)
        return distance_K

    def normalised_distance(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, " runs"]:
        """Return the distance over the norm of the numbers acted on: from 0 to 1.

        Where the only symmetric state is zero, this is 1 for every network but that one.
        """
        index = self.coordinates(members).to(theta_KP.device)
        norm_K = theta_KP[:, index].norm(dim=1)
        ratio_K = self.distance(theta_KP, members) / torch.where(norm_K > 0, norm_K, 1.0)
        return ratio_K.clamp(max=1.0)

    def read(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> tuple[Float[Tensor, "runs positions first"], Float[Tensor, "runs positions second"]]:
        """Return the numbers of each position on the first and on the second side of the axis."""
        return read_side(theta_KP, self.first_ND), read_side(theta_KP, self.second_NE)

    def is_alive(self, theta_KP: Float[Tensor, "runs parameters"]) -> Bool[Tensor, " runs"]:
        """Return whether any position has a norm above 1e-8, over both its sides.

        Of a run that has none nothing is left to be broken: shares of nothing mean nothing.
        """
        norms_KN = torch.cat(self.read(theta_KP), dim=2).norm(dim=2)
        is_alive_K: Tensor = norms_KN.amax(dim=1) > EPSILON_ABSOLUTE
        return is_alive_K

    def write(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        first_KND: Float[Tensor, "runs positions first"],
        second_KNE: Float[Tensor, "runs positions second"],
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with these numbers on the two sides."""
        written_KP = write_side(theta_KP, self.first_ND, first_KND)
        return write_side(written_KP, self.second_NE, second_KNE)

    def places(self, mask_N: Bool[Tensor, " positions"]) -> Int64[Tensor, " places"]:
        """Return where the numbers of some positions are, on both sides, each place once."""
        found = torch.cat([self.first_ND[mask_N].flatten(), self.second_NE[mask_N].flatten()])
        return torch.unique(found) if self.is_recurrent else found

    def change_sides(
        self, theta_KP: Float[Tensor, "runs parameters"], change: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with the numbers of one side changed, then those of the other."""
        for index in (self.first_ND, self.second_NE):
            theta_KP = write_side(theta_KP, index, change(read_side(theta_KP, index)))
        return theta_KP

    def chosen(self, members: Members) -> Bool[Tensor, " members"]:
        """Return which members are meant."""
        mask = torch.ones(self.members, dtype=torch.bool)
        if members is not None:
            mask[:] = False
            mask[list(members)] = True
        return mask


def velocities_at(
    symmetry: AbstractSymmetry,
    theta_P: Float[Tensor, " parameters"],
    directions: Float[Tensor, "directions ..."],
) -> Float[Tensor, "directions parameters"]:
    """Return how parameters move where an element moves from the identity along `directions`.

    Args:
        symmetry: Acts on the parameters; its elements are floating numbers.
        theta_P: Parameters.
        directions: Derivatives of elements, of the form of one element each.
    """
    start = symmetry.identity(1)

    def act(element: Tensor) -> Tensor:
        return symmetry.act(element, theta_P[None])[0]

    # By reverse differentiation: torch's forward mode compiles at its first use, and warns.
    slopes_PE = jacrev(act)(start.contiguous()).flatten(1)
    velocities: Tensor = directions.to(start).flatten(1) @ slopes_PE.T
    return velocities


class AbstractVanishing(AbstractSymmetry):
    """A symmetry whose members are positions along the axis, symmetric where both sides vanish."""

    @property
    def members(self) -> int:
        """Positions along the axis."""
        return self.first_ND.shape[0]

    @property
    def generators(self) -> int:
        """One for each position."""
        return self.members

    def project(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with zeros at the positions `members`."""
        return theta_KP.index_fill(1, self.coordinates(members).to(theta_KP.device), 0.0)

    def coordinates(self, members: Members = None) -> Int64[Tensor, " coordinates"]:
        """Return the places of the numbers of the positions `members`."""
        return self.places(self.chosen(members))


class AbstractFactors(AbstractVanishing):
    """A symmetry whose elements are one factor `[runs, members]` each; factors multiply.

    Positive numbers here; a group of other factors samples its own.
    """

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return factors whose logarithms are normal with standard deviation 1/2."""
        shape = (runs, self.members)
        return (0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)).exp()

    def identity(self, runs: int) -> Element:
        """Return factors of 1."""
        return torch.ones(runs, self.members, dtype=torch.float64)

    def compose(self, left: Element, right: Element) -> Element:
        """Return the products of the factors."""
        return left * right

    def inverse(self, element: Element) -> Element:
        """Return the reciprocal factors."""
        return 1.0 / element
