"""Continuous symmetries as orbits: paths of constant loss, and where on them the gradient is long.

An orbit is a linear action of a connected group on the parameters, in coordinates xi of its Lie
algebra: theta -> exp(xi) theta. The loss is the same all along it, its gradient is not: a loss with
L(g theta) = L(theta) has grad L(g theta) = g^-T grad L(theta).

Shapes: K runs, P parameters, G coordinates, T times, N neurons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import Layout
from symstudy.streams import Stream
from symstudy.symmetry.ascent import ascend, gradient, onto_sphere
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.symmetry.neurons import rescaling_factors

__all__ = [
    "Loss",
    "Orbit",
    "Teleport",
    "double_rotation_orbit",
    "gradient",
    "rescaling_orbit",
    "symmetry_path",
    "teleport",
]

Loss = Callable[[Tensor], Tensor]
"""The loss `[runs]` of flat parameters `[runs, parameters]`, each row by itself; differentiable."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Orbit:
    """A linear action of a continuous group, in coordinates of its Lie algebra.

    Attributes:
        coordinates: Number of coordinates G.
        act: Parameters `[runs, parameters]` and coordinates `[runs, coordinates]` to parameters
            exp(xi) theta; gradients flow.
        contragredient: Coordinates to coordinates, such that `act` of the result is the inverse
            transpose of `act`: the way in which gradients of an invariant function move.
    """

    coordinates: int
    act: Callable[[Tensor, Tensor], Tensor]
    contragredient: Callable[[Tensor], Tensor]


def rescaling_orbit(layout: Layout) -> Orbit:
    """Return the rescalings of all homogeneous neurons, (u, w) -> (e^xi u, e^-xi w).

    Raises:
        ValueError: If the layout has no homogeneous neurons.
    """
    groups = [group for group in layout.groups if group.homogeneous]
    if not groups:
        raise ValueError(
            "the layout must have homogeneous neurons to be rescaled, but got "
            f"{len(layout.groups)} groups and none such. Use relu or linear activations."
        )

    def act(theta_KP: Tensor, xi_KG: Tensor) -> Tensor:
        return theta_KP * rescaling_factors(layout, groups, xi_KG).to(theta_KP)

    return Orbit(coordinates=sum(group.size for group in groups), act=act, contragredient=torch.neg)


def double_rotation_orbit(symmetry: DoubleRotation) -> Orbit:
    """Return the orbit of a double rotation, (U, V) -> (e^X U, e^-X^T V) with X in gl(N).

    Args:
        symmetry: Of a linear layer, of query and key, or of value and output; the coordinates are
            the entries of X, row by row.

    References:
        arXiv:2502.05300, Eq. 8.
    """
    size = symmetry.members

    def act(theta_KP: Tensor, xi_KG: Tensor) -> Tensor:
        return symmetry.act(torch.linalg.matrix_exp(xi_KG.view(-1, size, size)), theta_KP)

    def contragredient(xi_KG: Tensor) -> Tensor:
        return -xi_KG.view(-1, size, size).transpose(1, 2).flatten(1)

    return Orbit(coordinates=size * size, act=act, contragredient=contragredient)


def symmetry_path(
    orbit: Orbit,
    theta_KP: Float[Tensor, "runs parameters"],
    xi_KG: Float[Tensor, "runs coordinates"],
    times_T: Float[Tensor, " times"],
) -> Float[Tensor, "times runs parameters"]:
    """Return exp(t xi) theta at each time t: theta at 0, exp(xi) theta at 1, one loss throughout.

    References:
        arXiv:2505.23681 (mode connectivity by symmetry).
    """
    return torch.stack([orbit.act(theta_KP, time * xi_KG) for time in times_T])


class Teleport(NamedTuple):
    """Where teleportation brings each run, and what it gains.

    Attributes:
        theta_KP: Parameters after teleportation.
        xi_KG: Coordinates of the group element used.
        loss_change_K: Loss after less loss before: rounding alone.
        norm_ratio_K: Squared gradient norm after over before.
        step_before_K: Decrease of the loss by one step of gradient descent from the start.
        step_after_K: The same from the point after teleportation.
    """

    theta_KP: Float[Tensor, "runs parameters"]
    xi_KG: Float[Tensor, "runs coordinates"]
    loss_change_K: Float[Tensor, " runs"]
    norm_ratio_K: Float[Tensor, " runs"]
    step_before_K: Float[Tensor, " runs"]
    step_after_K: Float[Tensor, " runs"]


def teleport(
    loss: Loss,
    orbit: Orbit,
    theta_KP: Float[Tensor, "runs parameters"],
    *,
    radius: float,
    lr: float,
    iterations: int = 100,
    restarts: int = 4,
    seed: int = 0,
) -> Teleport:
    """Move each run along its orbit to where the gradient is longest, and compare one step of GD.

    The orbit is not compact and the gradient grows without bound along it, so the coordinates stay
    in the ball |xi| <= `radius`. Since gradients move by the contragredient action, the squared
    norm is a function of xi that needs one gradient of the loss in all. For rescalings it is a sum
    of exponentials of linear functions and thus convex, so xi <- radius grad / |grad| never lowers
    it (conditional gradient ascent, derived here); for other groups a step that would lower it is
    halved towards where it came from. The best of `restarts` random starts is kept.

    Args:
        loss: Invariant under the orbit's group.
        orbit: The symmetry.
        theta_KP: Where to start; gradient not zero.
        radius: Bound on |xi|, positive.
        lr: Learning rate of the step that is compared; not used in the search.
        iterations: At most so many steps of the search from each start.
        restarts: Random starts of each run.
        seed: Of the starts.

    Raises:
        ValueError: If `radius` or `lr` is not positive.

    References:
        Zhao, Ganev, Walters, Yu and Dehmamy 2023, "Symmetries, flat minima, and the conserved
        quantities of gradient flow", arXiv:2210.17216; Zhao et al. 2022, "Symmetry teleportation",
        arXiv:2205.10637. Theirs ascend by steps of unbounded size.
    """
    for name, value in (("radius", radius), ("lr", lr)):
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, but got {value}. Try 0.5 and 1e-3.")
    start_KP = theta_KP.detach()
    slope_KP = gradient(loss, start_KP)

    def squared_norm(xi_KG: Tensor) -> Tensor:
        norm_K: Tensor = orbit.act(slope_KP, orbit.contragredient(xi_KG)).square().sum(dim=1)
        return norm_K

    best_KG = torch.zeros(len(start_KP), orbit.coordinates).to(start_KP)
    best_K = squared_norm(best_KG)
    for number in range(restarts):
        draws = Stream(seed, f"teleport.{number}").normal(*best_KG.shape)
        xi_KG = onto_sphere(torch.from_numpy(draws).to(start_KP), radius)
        value_K = squared_norm(xi_KG)
        for _ in range(iterations):
            xi_KG, last_K = ascend(squared_norm, xi_KG, value_K, radius), value_K
            value_K = squared_norm(xi_KG)
            if (value_K <= last_K * (1.0 + 1e-12)).all():
                break
        is_better = value_K > best_K
        best_KG = torch.where(is_better[:, None], xi_KG, best_KG)
        best_K = torch.where(is_better, value_K, best_K)
    end_KP = orbit.act(start_KP, best_KG)
    before_K, after_K = loss(start_KP).detach(), loss(end_KP).detach()
    end_slope_KP = gradient(loss, end_KP)
    return Teleport(
        theta_KP=end_KP,
        xi_KG=best_KG,
        loss_change_K=after_K - before_K,
        norm_ratio_K=end_slope_KP.square().sum(dim=1) / slope_KP.square().sum(dim=1),
        step_before_K=before_K - loss(start_KP - lr * slope_KP).detach(),
        step_after_K=after_K - loss(end_KP - lr * end_slope_KP).detach(),
    )
