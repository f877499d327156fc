"""Clipping of gradients by torch: to a largest norm, or by a function of the user's own.

What is clipped is the gradient of the loss, with its entropic term: the penalty gamma |theta|^2
joins it afterwards, as weight_decay joins in torch's optimisers.

Shapes: K runs, P parameters.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.components import load_own
from symstudy.components.foreign_draws import called_and_drawn
from symstudy.errors import ModelError
from symstudy.layout import Layout
from symstudy.training.engines.base import LoadedPack

__all__ = ["OwnClip", "check_clip", "clip_to_norm"]

RUNS = 2
"""Runs whose gradients a function is tried on."""


def clip_to_norm(
    gradient_KP: Float[Tensor, "runs parameters"], largest_K1: Float[Tensor, "runs 1"]
) -> Float[Tensor, "runs parameters"]:
    """Return each run's gradient, scaled to the norm `largest_K1` where it is longer.

    The norm is summed in float64, so that its rounding does not tell how many runs there are.
    """
    norm_K1 = torch.linalg.vector_norm(gradient_KP, dim=1, keepdim=True, dtype=torch.float64)
    share_K1 = (largest_K1.double() / (norm_K1 + 1e-6)).clamp(max=1.0)
    clipped_KP: Tensor = gradient_KP * share_K1.to(gradient_KP.dtype)
    return clipped_KP


class OwnClip:
    """A function `(gradients, parameters) -> gradients` of the user's own.

    Both are dictionaries of tensors with a leading run axis, `[runs, ...]`, by the names of the
    parameters; it returns one like the first, and no run of it depends on another.

    Attributes:
        name: Import path of the function.
    """

    def __init__(self, name: str, layout: Layout) -> None:
        """Import the function; `layout` says where in a row each parameter lies.

        Raises:
            ModelError: If it cannot be imported.
        """
        self.name = name
        self.layout = layout
        self.function: Callable[..., Any] = load_own(name, "train.clip")

    def by_name(self, rows_KP: Float[Tensor, "runs parameters"]) -> dict[str, Tensor]:
        """Return the numbers of each parameter, in its own shape."""
        return {
            block.name: rows_KP[:, block.offset : block.stop].reshape(-1, *block.shape)
            for block in self.layout.blocks
        }

    def __call__(
        self,
        gradient_KP: Float[Tensor, "runs parameters"],
        theta_KP: Float[Tensor, "runs parameters"],
    ) -> Float[Tensor, "runs parameters"]:
        """Return the gradients as the function changes them.

        Raises:
            ModelError: If it returns something else.
        """
        given = self.by_name(gradient_KP.clone())
        with torch.no_grad():
            found = self.function(given, self.by_name(theta_KP.detach().clone()))
        shapes = {name: list(each.shape) for name, each in self.by_name(gradient_KP).items()}
        returned = found if isinstance(found, dict) else {}
        if {name: list(getattr(each, "shape", ())) for name, each in returned.items()} != shapes:
            raise ModelError(
                "train.clip must return a dictionary of the gradients that it was given, by the "
                f"same names in the same shapes, {shapes}, but {self.name} returned "
                f"{described(found)}. End it with `return gradients`."
            )
        rows = [returned[name].flatten(1) for name in shapes]
        return torch.cat(rows, dim=1).to(gradient_KP.dtype)


def described(found: Any) -> str:
    """Return what a function has returned, for a message."""
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    return str({name: list(getattr(each, "shape", ())) for name, each in found.items()})


def check_clip(pack: LoadedPack) -> None:
    """Check that the function of `train.clip` returns gradients, and mixes no runs.

    Raises:
        ModelError: If it does not, or raises.
    """
    if not pack.train.clip:
        return
    clip = OwnClip(pack.train.clip, pack.model.layout)
    generator = torch.Generator().manual_seed(0)
    sides = (2, RUNS, pack.model.layout.size)
    gradient_KP, theta_KP = torch.randn(sides, generator=generator, dtype=torch.float64)
    try:
        together, drawn = called_and_drawn(lambda: clip(gradient_KP, theta_KP))
        alone = clip(gradient_KP[:1], theta_KP[:1])
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            "train.clip must take the gradients and the parameters, each a dictionary of tensors "
            f"[runs, ...], but {clip.name} raised {type(error).__name__}: {error}"
        ) from error
    if drawn:
        raise ModelError(
            f"train.clip must draw no random numbers, but {clip.name} draws from "
            f"{drawn}, which a run's seed does not decide."
        )
    if not torch.allclose(together[:1], alone, rtol=1e-9, atol=1e-12):
        raise ModelError(
            f"train.clip must treat each run by itself, but what {clip.name} returns for a run "
            "depends on its mates. Reduce over every axis but the first."
        )
