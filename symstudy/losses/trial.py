"""A loss tried on few numbers: whether it is one number a sample, that of the sample alone."""

from typing import TYPE_CHECKING

from symstudy.components import DataShape
from symstudy.errors import ModelError
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fault_of"]

RUNS, SAMPLES = 2, 3
"""Sizes of the outputs on which a loss is tried."""
TOLERANCE = 1e-3
"""Relative difference that is rounding, in float32 too."""


def fault_of(loss: AbstractLoss, data: DataShape, dtype: str) -> str:
    """Return what is wrong with a loss for outputs of the targets' shape; empty if nothing is.

    Args:
        loss: The loss.
        data: Shape of the data.
        dtype: Precision of the outputs.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    shape = (RUNS, SAMPLES, data.outputs)
    kind = getattr(torch, dtype)
    outputs = torch.randn(shape, generator=generator, dtype=kind).requires_grad_(True)
    targets = torch.randn(shape, generator=generator, dtype=kind)
    if data.is_classification:
        targets = torch.nn.functional.one_hot(targets.argmax(dim=2), data.outputs).to(kind)
    try:
        found = loss.per_sample(outputs, targets)
        alone = loss.per_sample(outputs[1:, 2:], targets[1:, 2:])
    except ModelError as error:
        return str(error).removeprefix("train.loss ")
    except Exception as error:  # noqa: BLE001  # whatever own code raises is what is wrong
        return (
            f"must take outputs and targets [runs, samples, outputs], but {loss.kind} raised "
            f"{type(error).__name__} for {list(shape)}: {error}"
        )
    return fault_of_values(loss, found, alone)


def fault_of_values(loss: AbstractLoss, found: "Tensor", alone: "Tensor") -> str:
    """Return what is wrong with the losses of all samples, and of the last sample alone."""
    import torch

    if tuple(found.shape) != (RUNS, SAMPLES):
        return (
            f"must return one number a sample, {[RUNS, SAMPLES]} for {RUNS} runs of {SAMPLES} "
            f"samples, but {loss.kind} returned {list(found.shape)}. Sum over the last axis alone."
        )
    if not found.requires_grad:
        return (
            f"must have a gradient, but {loss.kind} returned numbers that do not depend on the "
            "outputs for torch. Leave detach(), item() and numpy() out."
        )
    if not torch.allclose(found[1:, 2:], alone, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        return (
            f"must be the loss of each sample by itself, but what {loss.kind} returns for one "
            "depends on other samples or runs. Reduce over the last axis alone."
        )
    return ""
