"""Maps that reorder, negate and rescale the neurons of a layout, and the balanced gauge.

A neuron map gives each place of a group a neuron, a sign and a scale: entering weights and bias are
multiplied by sign times scale, leaving weights by sign over scale. Where signs belong to odd
activations and scales to homogeneous ones, the network's function stays as it is. The sign of an
even activation is that of what enters alone.

Shapes: K runs, N neurons, P parameters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import Layout
from symstudy.streams import Stream
from symstudy.symmetry.neurons import neuron_sides, parameter_factors, unpack

__all__ = ["NeuronMap", "balance", "balancing_scales", "random_neuron_map", "rescale"]

TOLERANCE = 1e-14
"""Balancing stops once no neuron's scale changes by more than this share."""

MAX_SWEEPS = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronMap:
    """A reordering of the neurons of each group, with a sign and a scale for each.

    Place n of a group receives neuron `orders[group][n]`, its entering weights and bias times
    `signs[group][n] * scales[group][n]`, its leaving weights times sign over scale; without the
    sign where the activation is even.

    Attributes:
        layout: Of the model.
        orders: Permutation of 0 .. N - 1 of each group, int64, by the group's name.
        signs: 1.0 or -1.0 for each place, float64; -1.0 for odd and even activations only.
        scales: Positive number for each place, float64; other than 1.0 for homogeneous ones only.
    """

    layout: Layout
    orders: Mapping[str, Tensor]
    signs: Mapping[str, Tensor]
    scales: Mapping[str, Tensor]

    def apply(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with their neurons mapped, each run alike; gradients flow."""
        pieces = []
        for block in self.layout.blocks:
            piece = unpack(theta_KP, block)
            for axis, label in enumerate(block.axes):
                if label in self.orders:
                    piece = piece.index_select(1 + axis, self.orders[label].to(piece.device))
            pieces.append(piece.flatten(1))
        factor_KP = parameter_factors(self.layout, self.entering(), self.leaving())
        return torch.cat(pieces, dim=1) * factor_KP.to(theta_KP)

    def entering(self) -> dict[str, Tensor]:
        """Return the factor of what enters each place, `[1, neurons]` by group."""
        return {name: (self.signs[name] * self.scales[name])[None] for name in self.orders}

    def leaving(self) -> dict[str, Tensor]:
        """Return the factor of what leaves each place, `[1, neurons]` by group."""
        even = {group.name for group in self.layout.groups if group.even and not group.odd}
        return {
            name: (torch.ones_like(scale) if name in even else self.signs[name])[None] / scale[None]
            for name, scale in ((name, self.scales[name]) for name in self.orders)
        }

    def inverse(self) -> "NeuronMap":
        """Return the map that undoes this one."""
        back = {name: order.argsort() for name, order in self.orders.items()}
        return NeuronMap(
            layout=self.layout,
            orders=back,
            signs={name: self.signs[name][order] for name, order in back.items()},
            scales={name: 1.0 / self.scales[name][order] for name, order in back.items()},
        )


def rescale(
    layout: Layout, theta_KP: Float[Tensor, "runs parameters"], scales: Mapping[str, Tensor]
) -> Float[Tensor, "runs parameters"]:
    """Return the parameters with each neuron's entering side times its scale, the leaving over it.

    Args:
        layout: Of the model.
        theta_KP: Flat parameters.
        scales: Positive numbers `[runs, neurons]` by the group's name; other groups stay.

    Returns:
        Parameters of the same function where the groups' activations are homogeneous; gradients
        flow to parameters and scales.
    """
    inverses = {name: 1.0 / scale for name, scale in scales.items()}
    return theta_KP * parameter_factors(layout, scales, inverses).to(theta_KP)


def balancing_scales(
    layout: Layout, theta_KP: Float[Tensor, "runs parameters"]
) -> dict[str, Tensor]:
    """Return the scales that give both sides of every homogeneous neuron the same norm.

    The squared norm of all parameters, as a function of the logarithms of the scales, is a sum of
    exponentials of affine functions: convex. Its minimum is where every neuron's entering and
    leaving norms agree, so the balanced point of an orbit is the one of smallest norm, and unique
    (derived here). Each sweep minimises it exactly in one group after the other. A neuron without
    a living side has no balanced point and keeps its scale of 1.

    Args:
        layout: Of the model; groups that are not homogeneous are left alone.
        theta_KP: Finite flat parameters.

    Returns:
        Scales `[runs, neurons]` of each homogeneous group by name, float64.

    Raises:
        ValueError: If a parameter is not finite.
        ArithmeticError: If the sweeps do not converge.
    """
    if not theta_KP.isfinite().all():
        raise ValueError(
            f"theta_KP must be finite to be balanced, but got {int((~theta_KP.isfinite()).sum())} "
            "entries that are not. Leave out runs that diverged."
        )
    groups = [group for group in layout.groups if group.homogeneous]
    start_KP = theta_KP.detach().double().cpu()
    scales = {
        group.name: torch.ones(len(start_KP), group.size, dtype=torch.float64) for group in groups
    }
    for _ in range(MAX_SWEEPS):
        largest = 0.0
        for group in groups:
            into, out = neuron_sides(layout, group, rescale(layout, start_KP, scales))
            into_KN, out_KN = into.norm(dim=2), out.norm(dim=2)
            is_alive = (into_KN > 0) & (out_KN > 0)
            step_KN = torch.where(is_alive, (out_KN / into_KN).sqrt(), 1.0)
            scales[group.name] = scales[group.name] * step_KN
            largest = max(largest, float((step_KN - 1.0).abs().max()))
        # Norms of long vectors are rounded more.
        if largest <= TOLERANCE * math.sqrt(layout.size):
            return scales
    raise ArithmeticError(
        f"balancing must end within {MAX_SWEEPS} sweeps, but a scale still changed by "
        f"{largest:.1e}. Set weights to 0 that are negligible beside the others."
    )


def balance(
    layout: Layout, theta_KP: Float[Tensor, "runs parameters"]
) -> Float[Tensor, "runs parameters"]:
    """Return each run's point of smallest norm on its orbit of rescalings.

    It represents the orbit: two parameter vectors that differ by a rescaling of homogeneous neurons
    are balanced to the same vector.

    Raises:
        ValueError: As `balancing_scales`.
        ArithmeticError: As `balancing_scales`.
    """
    return rescale(layout, theta_KP, balancing_scales(layout, theta_KP))


def random_neuron_map(layout: Layout, seed: int, *, log_scale: float = 0.0) -> NeuronMap:
    """Return a uniformly random reordering with random signs, and scales where asked for.

    Args:
        layout: Of the model.
        seed: Of the draw.
        log_scale: Standard deviation of the logarithm of the scales of homogeneous neurons.
    """
    orders, signs, scales = {}, {}, {}
    for group in layout.groups:
        draws = Stream(seed, f"neuron_map.{group.name}")
        orders[group.name] = torch.from_numpy(draws.permutation(group.size, block=0))
        flips = torch.from_numpy(draws.integers(2, group.size, block=1)) * 2.0 - 1.0
        ones = torch.ones(group.size, dtype=torch.float64)
        signs[group.name] = flips.double() if group.odd or group.even else ones
        normal = torch.from_numpy(draws.normal(group.size, block=2))
        scales[group.name] = (log_scale * normal).exp() if group.homogeneous else ones
    return NeuronMap(layout=layout, orders=orders, signs=signs, scales=scales)
