"""Matching the neurons of one run to those of another, modulo the symmetries of the layout.

Two networks that compute the same function may hold their neurons in another order, with other
signs (odd activations) and at other scales (homogeneous ones). Matching looks for the neuron map of
the one that brings it nearest to the other.

Shapes: N neurons, S samples, P parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.streams import Stream
from symstudy.symmetry.neurons import is_entering, unpack
from symstudy.theory.neuron_maps import NeuronMap, balancing_scales, rescale

__all__ = ["Matching", "match_activations", "match_weights", "starts_for"]

MAX_SWEEPS = 100
FEWEST_STARTS, MOST_STARTS = 8, 1024
SMALL = 8
"""Neurons of a layer up to which a matching has the most starts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """The neuron map that brings one run nearest to another.

    Attributes:
        neuron_map: Permutation, signs and scales of each group.
        similarity: Cosine of the matched run and the reference, over what was compared: 1 where
            they agree up to a common factor.
        sweeps: Passes over the groups until nothing changed, in the restart that was kept; 0 where
            there are no neurons.
    """

    neuron_map: NeuronMap
    similarity: float
    sweeps: int

    def apply(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with their neurons in the reference's order, signs and scales."""
        return self.neuron_map.apply(theta_KP)


@dataclass(kw_only=True)
class Assignment:
    """The permutation and signs found so far, by the group's name."""

    layout: Layout
    orders: dict[str, Tensor]
    signs: dict[str, Tensor]

    def place(self, piece: Tensor, block: Block, kept: int = -1) -> Tensor:
        """Return a block of the other run with every axis mapped but the one numbered `kept`."""
        even = {group.name for group in self.layout.groups if is_even(group)}
        for axis, label in enumerate(block.axes):
            if axis != kept and label in self.orders:
                shape = [1] * piece.ndim
                shape[axis] = -1
                piece = piece.index_select(axis, self.orders[label])
                if label not in even or is_entering(self.layout, block, axis):
                    piece = piece * self.signs[label].view(shape)
        return piece


def is_even(group: NeuronGroup) -> bool:
    """Return whether signs of what enters a neuron alone change nothing."""
    return group.even and not group.odd


class Products(NamedTuple):
    """Inner products of the neurons of two runs, `[places, neurons]`.

    Attributes:
        turning_NN: Those that change sign with a neuron.
        fixed_NN: Those that do not.
    """

    turning_NN: Tensor
    fixed_NN: Tensor

    def total(self, order_N: Tensor, sign_N: Tensor) -> float:
        """Return the sum of the products that an assignment picks, with its signs."""
        turning_N, fixed_N = (each.gather(1, order_N[:, None])[:, 0] for each in self)
        return float((turning_N * sign_N + fixed_N).sum())


def match_weights(
    layout: Layout,
    reference_P: Float[Tensor, " parameters"],
    other_P: Float[Tensor, " parameters"],
    *,
    restarts: int | None = None,
    seed: int = 0,
) -> Matching:
    """Match `other_P` to `reference_P` by their weights.

    Both are balanced; then each group in turn is assigned by the Hungarian method on the inner
    products of its neurons (entering and leaving weights, bias), where an odd neuron may count
    with its negative, and an even one with what enters it negated, until a sweep over all groups
    changes nothing. No step lowers the total inner product. In the first sweep of every other
    restart, blocks shared with a group not yet assigned are left out, so an assignment grows from
    the inputs and the outputs inwards; the others start from random assignments.

    With one hidden layer the result is the exact optimum. A planted map of it is then recovered
    exactly if the noise on each neuron is shorter than half the smallest distance of two neurons,
    or of an odd neuron and its own negative: a cycle of k wrong neurons costs more than
    k (d - d/2)^2, the planted one less than k (d/2)^2 (derived here).

    Args:
        layout: Of the model, with its groups of neurons.
        reference_P: Parameters to match to.
        other_P: Parameters to be matched.
        restarts: How many starts to try where there are several groups; the most similar is kept.
            If None, `starts_for` says: 1,024 for small layers, 8 for large ones.
        seed: Of the random orders and starts.

    Returns:
        The map to apply to `other_P`; it also brings the scales of homogeneous neurons to those of
        `reference_P`.

    Raises:
        ValueError: If parameters are not finite, a group runs along two axes of one block, or
            `restarts` is below 1.

    References:
        Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin", arXiv:2209.04836, Algorithm 1; theirs
        knows neither signs nor scales, begins with all layers unassigned and has one start.
    """
    tries = starts_for(layout) if restarts is None else restarts
    check(layout, tries)
    both_KP = torch.stack([reference_P, other_P]).detach().double().cpu()
    scales = balancing_scales(layout, both_KP)
    balanced_KP = rescale(layout, both_KP, scales)
    blocks = [block for block in layout.blocks if any(g.name in block.axes for g in layout.groups)]
    pairs = [(block, *unpack(balanced_KP, block)) for block in blocks]
    starts = range(tries if len(layout.groups) > 1 else 1)
    found = [assign_from(layout, pairs, seed, start) for start in starts]
    assignment, similarity, sweeps = max(found, key=lambda item: item[1])
    ones = {g.name: torch.ones(g.size, dtype=torch.float64) for g in layout.groups}
    gauge = {
        name: scale_KN[1, assignment.orders[name]] / scale_KN[0]
        for name, scale_KN in scales.items()
    }
    neuron_map = NeuronMap(
        layout=layout,
        orders=assignment.orders,
        signs=assignment.signs,
        scales={**ones, **gauge},
    )
    return Matching(neuron_map=neuron_map, similarity=similarity, sweeps=sweeps)


def match_activations(
    layout: Layout,
    reference: Mapping[str, Tensor],
    other: Mapping[str, Tensor],
) -> Matching:
    """Match the neurons of two runs by what they do on the same inputs.

    Each group is assigned once, by the Hungarian method on the inner products of activations; those
    of homogeneous neurons are first divided by their norms, and the ratios of the norms are the
    scales. Groups do not depend on one another here, so there are no sweeps to repeat. Neurons that
    are silent on all samples cannot be told apart.

    Args:
        layout: Of the model.
        reference: Hidden activations `[samples, neurons]` of the reference by the group's name.
        other: The same of the run to be matched, on the same inputs.

    Returns:
        The map to apply to the other run's parameters; `similarity` is the mean over the groups.

    Raises:
        ValueError: If a group has no activations, or not the same samples in both.

    References:
        Ainsworth, Hayase and Srinivasa 2023, arXiv:2209.04836, Section 3.1; theirs knows neither
        signs nor scales.
    """
    orders, signs, scales, cosines = {}, {}, {}, []
    for group in layout.groups:
        if group.name not in reference or group.name not in other:
            raise ValueError(
                f"activations must have the group {group.name!r} in both runs, but got "
                f"{sorted(reference)} and {sorted(other)}. Take `hidden` of a model's forward pass."
            )
        a_SN = reference[group.name].detach().double().cpu()
        b_SN = other[group.name].detach().double().cpu()
        if a_SN.shape != b_SN.shape:
            raise ValueError(
                f"activations of {group.name!r} must be of the same samples, but got shapes "
                f"{tuple(a_SN.shape)} and {tuple(b_SN.shape)}. Use the same inputs for both."
            )
        ratio_N = torch.ones(group.size, dtype=torch.float64)
        norms_a, norms_b = a_SN.norm(dim=0), b_SN.norm(dim=0)
        if group.homogeneous:
            a_SN = torch.where(norms_a > 0, a_SN / norms_a, 0.0)
            b_SN = torch.where(norms_b > 0, b_SN / norms_b, 0.0)
        products_NN = a_SN.T @ b_SN
        # Signs of an even neuron's weights do not show in what it does.
        products = products_of(group, torch.zeros_like(products_NN), products_NN)
        order_N, sign_N = best_assignment(products)
        if group.homogeneous:
            is_alive = (norms_a > 0) & (norms_b[order_N] > 0)
            ratio_N = torch.where(is_alive, norms_a / norms_b[order_N], 1.0)
        orders[group.name], signs[group.name], scales[group.name] = order_N, sign_N, ratio_N
        cosines.append(cosine(products.total(order_N, sign_N), a_SN, b_SN))
    return Matching(
        neuron_map=NeuronMap(layout=layout, orders=orders, signs=signs, scales=scales),
        similarity=sum(cosines) / len(cosines) if cosines else 1.0,
        sweeps=1 if cosines else 0,
    )


def starts_for(layout: Layout) -> int:
    """Return how many starts a matching tries: 1,024 for layers of up to 8 neurons, 8 from 91 on.

    Of pairs of random networks with two hidden layers of 6 neurons a third ended below the best of
    all assignments from 8 starts, and some from 256. A start costs the cube of the width, so wider
    layers have fewer.
    """
    largest = max((group.size for group in layout.groups), default=1)
    return min(MOST_STARTS, max(FEWEST_STARTS, MOST_STARTS * SMALL**2 // largest**2))


def check(layout: Layout, restarts: int) -> None:
    """Raise where the method does not apply."""
    if restarts < 1:
        raise ValueError(f"`restarts` must be at least 1, but got {restarts}. Leave it out.")
    for block in layout.blocks:
        for group in layout.groups:
            times = block.axes.count(group.name)
            if times > 1:
                raise ValueError(
                    f"a group must run along one axis of a block, but {group.name!r} runs along "
                    f"{times} of {block.name!r}: its assignment is no linear problem. Leave the "
                    "group out of the layout that you match by."
                )


def assign_from(
    layout: Layout, pairs: Sequence[tuple[Block, Tensor, Tensor]], seed: int, start: int
) -> tuple[Assignment, float, int]:
    """Return assignment, similarity and sweeps reached from the start numbered `start`.

    Start 0 grows through the groups as declared, even ones in a random order that begins where a
    block is shared with assigned groups alone, odd ones begin with random assignments.
    """
    draws = Stream(seed, f"matching.{start}")
    names = [group.name for group in layout.groups]
    assignment = Assignment(
        layout=layout,
        orders={g.name: torch.arange(g.size) for g in layout.groups},
        signs={g.name: torch.ones(g.size, dtype=torch.float64) for g in layout.groups},
    )
    known: set[str] = set()
    order = list(layout.groups)
    if start % 2:
        known.update(names)
        for number, group in enumerate(layout.groups):
            permutation = draws.permutation(group.size, block=number)
            assignment.orders[group.name] = torch.from_numpy(permutation)
    elif start:
        order = growing_order(layout, pairs, draws)
    for sweep in range(1, MAX_SWEEPS + 1):
        changes = [assign_group(group, pairs, assignment, known) for group in order]
        # A first sweep that left blocks out has not seen the whole objective.
        if not any(changes) and (sweep > 1 or start % 2):
            break
        shuffle = draws.permutation(len(order), block=1000 + sweep)
        order = [layout.groups[int(place)] for place in shuffle]
    if not pairs:
        return assignment, 1.0, 0
    a_P = torch.cat([a.flatten() for _, a, _ in pairs])
    b_P = torch.cat([assignment.place(b, block).flatten() for block, _, b in pairs])
    return assignment, cosine(float(a_P @ b_P), a_P, b_P), sweep


def growing_order(
    layout: Layout, pairs: Sequence[tuple[Block, Tensor, Tensor]], draws: Stream
) -> list[NeuronGroup]:
    """Return the groups in a random order in which each shares a weight with what is known."""
    names = {group.name for group in layout.groups}
    left = [layout.groups[int(i)] for i in draws.permutation(len(names))]
    order: list[NeuronGroup] = []
    while left:
        unknown = {group.name for group in left}
        anchored = [
            group
            for group in left
            if any(
                group.name in block.axes and unknown.isdisjoint(set(block.axes) - {group.name})
                for block, _, _ in pairs
                if len(block.axes) > 1
            )
        ]
        group = (anchored or left)[0]
        order.append(group)
        left.remove(group)
    return order


def assign_group(
    group: NeuronGroup,
    pairs: Sequence[tuple[Block, Tensor, Tensor]],
    assignment: Assignment,
    known: set[str],
) -> bool:
    """Assign the neurons of `group` given the other groups; return whether that changed anything.

    Blocks shared with a group outside `known` do not count; `group` joins `known`.
    """
    groups = set(assignment.orders)
    entering_NN, leaving_NN = torch.zeros(2, group.size, group.size, dtype=torch.float64)
    for block, a, b in pairs:
        if group.name in block.axes and (set(block.axes) & groups) - {group.name} <= known:
            axis = block.axes.index(group.name)
            placed = assignment.place(b, block, kept=axis)
            rows_a = a.movedim(axis, 0).reshape(group.size, -1)
            found_NN = rows_a @ placed.movedim(axis, 0).reshape(group.size, -1).T
            is_apart = is_even(group) and is_entering(assignment.layout, block, axis)
            (entering_NN if is_apart else leaving_NN).add_(found_NN)
    known.add(group.name)
    products = products_of(group, entering_NN, leaving_NN)
    order_N, sign_N = best_assignment(products)
    before = products.total(assignment.orders[group.name], assignment.signs[group.name])
    # Strictly better beyond rounding: ties, as of identical neurons, must not swap for ever.
    slack = 1e-12 * float(sum(each.abs().sum() for each in products))
    if products.total(order_N, sign_N) <= before + slack:
        return False
    assignment.orders[group.name], assignment.signs[group.name] = order_N, sign_N
    return True


def products_of(
    group: NeuronGroup,
    entering_NN: Float[Tensor, "places neurons"],
    leaving_NN: Float[Tensor, "places neurons"],
) -> Products:
    """Return inner products of neurons by whether they change sign with a neuron of `group`.

    Args:
        group: Of the neurons.
        entering_NN: Of what enters an even neuron; 0 for others.
        leaving_NN: Of the rest.
    """
    if group.odd:
        return Products(entering_NN + leaving_NN, torch.zeros_like(leaving_NN))
    return Products(entering_NN, leaving_NN)


def best_assignment(products: Products) -> tuple[Tensor, Tensor]:
    """Return which neuron each place receives, and with which sign, for the largest total."""
    profit_NN = products.turning_NN.abs() + products.fixed_NN
    _, chosen = linear_sum_assignment(profit_NN.numpy(), maximize=True)
    order_N = torch.from_numpy(chosen).long()
    picked_N = products.turning_NN.gather(1, order_N[:, None])[:, 0]
    return order_N, torch.where(picked_N < 0, -1.0, 1.0).to(picked_N)


def cosine(total: float, a: Tensor, b: Tensor) -> float:
    """Return an inner product over the norms of its factors; 1 where one of them is zero."""
    norms = float(a.norm() * b.norm())
    return total / norms if norms > 0 else 1.0
