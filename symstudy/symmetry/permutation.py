"""Permutation: neurons that may change places.

Shapes: K runs, N neurons, D numbers of a neuron, P parameters.
"""

from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractSymmetry, Element, Members
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.neurons import breaking_sorted, cluster_neurons
from symstudy.symmetry.recurrent import (
    Signs,
    average_squares,
    count_components,
    outside,
    pair_distances,
    square_places,
)
from symstudy.symmetry.sides import read_side
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["Permutation"]


@symmetry(
    kind="permutation",
    action="(w_i, w_j) -> (w_j, w_i)",
    applies_to="dense layers, heads, ensembles",
    symmetric_state="w_i = w_j: identical neurons",
    conserved="nothing",
    distance="permutations: all neurons equal",
    breaking="clusters of neurons, the dead one too, less one: exact",
)
class Permutation(AbstractSymmetry):
    """The symmetric group S_N: neuron i becomes what neuron pi(i) was.

    Applies to the units of every layer that are treated alike: neurons of a dense layer, channels,
    attention heads, members of an ensemble. An element is a permutation `[runs, N]`. Symmetric are
    identical neurons; the projection replaces those of a subset by their mean, so that a pair is
    |w_i - w_j| / sqrt(2) away. Nothing is conserved: the group is finite.

    The degree of breaking is exact: single-linkage clusters of the neurons (the dead ones are one)
    less one. Where the layout declares sign flips along the same axis, a neuron and its negative
    are one. Of a recurrent layer rows and columns are exchanged at once, and clusters are of pairs
    whose exchange changes nothing. `breaking_sorted` is the paper's procedure, an upper bound.

    References:
        Hecht-Nielsen 1990; arXiv:2502.05300, Table 1 and Eq. 14.
    """

    acts_on_squares: ClassVar[bool] = True

    @property
    def members(self) -> int:
        """Neurons."""
        return self.first_ND.shape[0]

    @property
    def generators(self) -> int:
        """Transpositions that generate the group: one less than neurons."""
        return self.members - 1

    @property
    def reversible(self) -> int:
        """How many of a neuron's first numbers may change sign together: all, those in, none."""
        mine = self.declared
        incoming, outgoing = self.first_ND.shape[1], self.second_NE.shape[1]
        flipped = {
            other.partners
            for other in self.layout.symmetries
            if other.kind == "sign_flip" and (other.axis, other.blocks) == (mine.axis, mine.blocks)
        }
        if mine.partners in flipped:
            return incoming + outgoing
        return incoming if () in flipped else 0

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return a uniformly random permutation for each run."""
        keys = torch.rand(runs, self.members, generator=generator, dtype=torch.float64)
        return keys.argsort(dim=1)

    def identity(self, runs: int) -> Element:
        """Return the permutation that moves nothing."""
        return torch.arange(self.members).expand(runs, -1)

    def compose(self, left: Element, right: Element) -> Element:
        """Return pi with pi(i) = right(left(i))."""
        return torch.gather(right, 1, left)

    def inverse(self, element: Element) -> Element:
        """Return the permutation that puts everything back."""
        return element.argsort(dim=1)

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with the neurons in their new places."""
        places_KN1 = element.to(theta_KP.device)[:, :, None]
        return self.change_sides(
            theta_KP, lambda side: torch.gather(side, 1, places_KN1.expand_as(side))
        )

    def project(
        self, theta_KP: Float[Tensor, "runs parameters"], members: Members = None
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with the neurons `members` replaced by their mean."""
        mask_N = self.chosen(members).to(theta_KP.device)
        averaged_KP = self.change_sides(
            theta_KP,
            lambda side: torch.where(
                mask_N[None, :, None], side[:, mask_N].mean(dim=1, keepdim=True), side
            ),
        )
        if not self.is_recurrent:
            return averaged_KP
        return average_squares(theta_KP, averaged_KP, self.squares, mask_N.cpu())

    def coordinates(self, members: Members = None) -> Int64[Tensor, " coordinates"]:
        """Return the places of the numbers of the neurons `members`."""
        return self.places(self.chosen(members))

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return the distance, which a permutation does not change."""
        return self.distance(theta_KP)

    def neurons(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs neurons numbers"]:
        """Return the neurons as vectors, float64."""
        return torch.cat(self.read(theta_KP), dim=2).double()

    @cached_property
    def squares(self) -> Int64[Tensor, "neurons neurons squares"]:
        """Where the numbers of recurrent blocks are."""
        return square_places(self.layout, self.declared)

    def distances(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs neurons neurons"]:
        """Return how far each pair of neurons of a recurrent layer is from being exchangeable."""
        sides = (outside(index, self.squares) for index in (self.first_ND, self.second_NE))
        into_KND, out_KNE = (read_side(theta_KP, index).double() for index in sides)
        square_KNNR = theta_KP[:, self.squares.to(theta_KP.device)].double()
        found_KNN = pair_distances(into_KND, out_KNE, square_KNNR, Signs(1, 1))
        if self.reversible:
            is_all = self.reversible > self.first_ND.shape[1]
            signs = Signs(-1, -1 if is_all else 1)
            found_KNN = torch.minimum(
                found_KNN, pair_distances(into_KND, out_KNE, square_KNNR, signs)
            )
        return found_KNN

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return the number of clusters of neurons less one.

        Args:
            theta_KP: Parameters.
            epsilon: Threshold of |w_i - w_j| / sqrt(2), relative to the largest norm of a neuron.
        """
        neurons_KND = self.neurons(theta_KP)
        norms_KN = neurons_KND.norm(dim=2)
        threshold_K = epsilon * norms_KN.amax(dim=1)
        if self.is_recurrent:
            is_dead_KN = norms_KN <= threshold_K[:, None]
            is_near_KNN = self.distances(theta_KP) <= threshold_K[:, None, None]
            is_near_KNN |= is_dead_KN[:, :, None] & is_dead_KN[:, None]
            return (count_components(is_near_KNN) - 1) * self.is_alive(theta_KP)
        living = cluster_neurons(neurons_KND, threshold_K, reversible=self.reversible)
        # The tree spans the origin too: its cluster counts only if there is a neuron in it.
        has_dead_K = (norms_KN.amin(dim=1) <= threshold_K).cpu()
        count_K: Tensor = living.count_above(threshold_K.cpu()) + has_dead_K.long() - 1
        return count_K * self.is_alive(theta_KP).cpu()

    def breaking_sorted(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many neurons adjacent in norm are broken: the paper's O(N) procedure."""
        neurons_KND = self.neurons(theta_KP)
        threshold_K = epsilon * neurons_KND.norm(dim=2).amax(dim=1)
        count_K = breaking_sorted(neurons_KND, threshold_K, reversible=self.reversible)
        return count_K * self.is_alive(theta_KP)

    def conserved(self, theta_KP: Float[Tensor, "runs parameters"]) -> None:
        """Return None: a finite group conserves nothing."""
