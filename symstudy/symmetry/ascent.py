"""Ascent of a function of coordinates on a sphere: where on an orbit a gradient is longest.

Shapes: K runs, G coordinates, P parameters.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ascend", "gradient", "onto_sphere"]

Function = Callable[[Tensor], Tensor]
"""A number of each row `[runs]` of `[runs, numbers]`, each row by itself; differentiable."""


def gradient(
    loss: Function, theta_KP: Float[Tensor, "runs parameters"]
) -> Float[Tensor, "runs parameters"]:
    """Return the gradient of each run's loss, or of another function of its row."""
    point_KP = theta_KP.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient_KP,) = torch.autograd.grad(loss(point_KP).sum(), point_KP)
    return gradient_KP


def onto_sphere(xi_KG: Tensor, radius: float) -> Tensor:
    """Return each run's coordinates at length `radius`; zero stays zero."""
    norm_K1 = xi_KG.norm(dim=1, keepdim=True)
    return torch.where(norm_K1 > 0, radius * xi_KG / norm_K1, xi_KG)


def ascend(
    objective: Function, xi_KG: Tensor, value_K: Tensor, radius: float, halvings: int = 8
) -> Tensor:
    """Return the coordinates after one step on the sphere that lowers no run's `objective`.

    Args:
        objective: Function of the coordinates.
        xi_KG: Where to start.
        value_K: Objective there.
        radius: Of the sphere.
        halvings: How often to come nearer before a run stays where it is.
    """
    there_KG = onto_sphere(gradient(objective, xi_KG), radius)
    result_KG = xi_KG
    is_open = torch.ones_like(value_K, dtype=torch.bool)
    for _ in range(halvings):
        is_gain = is_open & (objective(there_KG) > value_K)
        result_KG = torch.where(is_gain[:, None], there_KG, result_KG)
        is_open &= ~is_gain
        if not is_open.any():
            break
        there_KG = onto_sphere(there_KG + xi_KG, radius)
    return result_KG
