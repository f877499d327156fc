"""Whether the runs of a pack compute what the module itself would, gradients included."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from symstudy.components import DataShape
from symstudy.errors import ModelError
from symstudy.models.own.draws import seeded_by
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.inspection import trial_inputs
from symstudy.models.own.outputs import plain, tensors_in
from symstudy.models.own.passes import Passed

__all__ = ["check_apart", "why_not_at_once"]

SAMPLES = 3
KEY = 7
"""Seed of the draws that are compared."""
CLOSE = 1e-3
"""Largest difference that rounding makes, relative to the largest number of a tensor."""


class Runs(Protocol):
    """Evaluates runs of a module in one of the two ways."""

    def __call__(self, theta_KP: Tensor, x_KB: Tensor, keys: list[int]) -> Passed:
        """Return the result for parameters, inputs `[runs, batch, ...]` and seeds of draws."""


class Step(NamedTuple):
    """Numbers of a forward and backward pass.

    Attributes:
        results: Tensors that were returned.
        gradient: By the trained parameters, as one flat vector.
        buffers: Buffers afterwards.
    """

    results: list[Tensor]
    gradient: Tensor
    buffers: list[Tensor]


def module_step(
    factory: ModuleFactory, x: Tensor, names: tuple[str, ...], *, training: bool
) -> Step:
    """Return the numbers of the module of seed 1 by itself.

    Raises:
        ModelError: If it has no gradient.
    """
    module = factory.make(1).train(training)
    trained = [each for each in module.parameters() if each.requires_grad]
    with seeded_by(KEY):
        results = tensors_in(plain(module(x), factory.name))
        try:
            gradients = torch.autograd.grad(weighted(results), trained, allow_unused=True)
        except RuntimeError as error:
            raise ModelError(
                f"forward of {factory.name} must be differentiable by its parameters, but the "
                f"backward pass raised {type(error).__name__}: {error}"
            ) from error
    flat = [
        torch.zeros_like(each).flatten() if found is None else found.flatten()
        for each, found in zip(trained, gradients, strict=True)
    ]
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return Step(results, torch.cat(flat), [held[name].detach() for name in names])


def packed_step(runs: Runs, theta_KP: Tensor, x: Tensor) -> Step:
    """Return the numbers of the second of two runs."""
    theta_KP = theta_KP.detach().requires_grad_(True)
    passed = runs(theta_KP, torch.stack([x, x]), [KEY, KEY])
    rows = [[each[k] for each in tensors_in(passed.result)] for k in range(2)]
    (gradient,) = torch.autograd.grad(weighted(rows[0]) + weighted(rows[1]), theta_KP)
    return Step(rows[1], gradient[1], [each[1] for each in passed.buffers.values()])


def weighted(results: list[Tensor]) -> Tensor:
    """Return a sum of all numbers with weights that differ from one another."""
    total = torch.zeros(())
    for each in results:
        if each.is_floating_point():
            weights = torch.cos(torch.arange(each.numel(), dtype=each.dtype)).view(each.shape)
            total = total + (each * weights).sum()
    return total


def is_close(left: Step, right: Step) -> bool:
    """Return whether two steps have the same numbers but for rounding."""
    pairs = zip(
        (*left.results, left.gradient, *left.buffers),
        (*right.results, right.gradient, *right.buffers),
        strict=True,
    )
    for a, b in pairs:
        scale = CLOSE * max(1e-3, float(b.detach().abs().max())) if b.numel() else 0.0
        same = torch.allclose(a.double(), b.double(), rtol=0.0, atol=scale, equal_nan=True)
        if not same:
            return False
    return True


def check_apart(
    runs: Runs,
    theta_KP: Tensor,
    factory: ModuleFactory,
    data: DataShape,
    names: tuple[str, ...],
) -> None:
    """Check that a run that goes alone is the module with the run's parameters.

    Args:
        runs: Evaluates runs one by one, in training mode.
        theta_KP: Initial parameters of the runs with seeds 0 and 1.
        factory: Makes the module.
        data: Shape of the data.
        names: What a run holds beside its parameters.

    Raises:
        ModelError: If it is not.
    """
    x = trial_inputs(data, SAMPLES)
    by_itself = module_step(factory, x, names, training=True)
    if not is_close(packed_step(runs, theta_KP, x), by_itself):
        raise ModelError(
            f"forward of {factory.name} must read its parameters and buffers as attributes, but "
            "with those of another run in their place it computes something else: it has kept "
            "copies of them, as in a list or a cache. Read `self.layer.weight` where it is used."
        )


def why_not_at_once(
    runs: Runs,
    theta_KP: Tensor,
    factory: ModuleFactory,
    data: DataShape,
    names: tuple[str, ...],
    *,
    training: bool,
) -> str:
    """Return why runs cannot go through in one call of `torch.func.vmap`; empty if they can.

    The arguments are as for `check_apart`, but that `runs` evaluates them in one call.
    """
    x = trial_inputs(data, SAMPLES)
    by_itself = module_step(factory, x, names, training=training)
    try:
        packed = packed_step(runs, theta_KP, x)
    except Exception as error:  # noqa: BLE001  # whatever vmap cannot do is done one by one
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if not is_close(packed, by_itself):
        return "under torch.func.vmap it computes other numbers than by itself"
    return ""
