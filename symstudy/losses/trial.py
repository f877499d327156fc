"""A loss tried on few numbers: whether it is one number a sample, that of the sample alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symstudy.components import DataShape
from symstudy.components.foreign_draws import called_and_drawn
from symstudy.errors import ModelError
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fault_of", "fault_of_returned"]

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
        found, drawn = called_and_drawn(lambda: loss.per_sample(outputs, targets))
        alone = loss.per_sample(outputs[1:, kept(loss)], targets[1:, kept(loss)])
    except ModelError as error:
        return str(error).removeprefix("train.loss ")
    except Exception as error:  # noqa: BLE001  # whatever own code raises is what is wrong
        return (
            f"must take outputs and targets [runs, samples, outputs], but {loss.kind} raised "
            f"{type(error).__name__} for {list(shape)}: {error}"
        )
    return draws_of(loss, drawn) or fault_of_values(loss, found, alone)


def fault_of_returned(loss: AbstractLoss, given: Any, targets: "Tensor") -> str:
    """Return what is wrong with a loss of what a module returns; empty if nothing is.

    Args:
        loss: The loss.
        given: What the module of two runs returns for several samples: tensors in tuples and dicts.
        targets: Targets `[runs, samples, outputs]`.

    Raises:
        Exception: What the loss raises.
    """
    import torch

    found, drawn = called_and_drawn(lambda: loss.per_sample(given, targets))
    sizes, rows = tuple(targets.shape[:2]), kept(loss)
    alone = loss.per_sample(last_of(given, sizes, rows), targets[1:, rows])
    if fault := draws_of(loss, drawn):
        return fault
    if tuple(found.shape) != tuple(targets.shape[:2]):
        return (
            f"must return one number a sample, {list(targets.shape[:2])} for targets of shape "
            f"{list(targets.shape)}, but {loss.kind} returned {list(found.shape)}. Sum over the "
            "last axis alone."
        )
    if not torch.allclose(found[1:, rows], alone, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        return depends(loss)
    return ""


def kept(loss: AbstractLoss) -> slice:
    """Return the samples of a run that are tried by themselves: the last, or all of them."""
    return slice(None) if loss.compares_samples else slice(-1, None)


def last_of(given: Any, sizes: tuple[int, ...], rows: slice) -> Any:
    """Return what a module returned for some samples of the second run, of `sizes` of both."""
    if isinstance(given, Mapping):
        return {key: last_of(each, sizes, rows) for key, each in given.items()}
    if isinstance(given, tuple | list):
        return tuple(last_of(each, sizes, rows) for each in given)
    return given[1:, rows] if tuple(given.shape[:2]) == sizes else given[1:]


def draws_of(loss: AbstractLoss, drawn: str) -> str:
    """Return what is wrong with a loss that has drawn from some generators; empty without any."""
    if not drawn:
        return ""
    return (
        f"must draw no random numbers, but {loss.kind} draws from {drawn}, so that a "
        "run's loss depends on its pack. Draw in the model: in forward the draws are the run's own."
    )


def depends(loss: AbstractLoss) -> str:
    """Return that a loss is not the loss of each sample, or run, by itself."""
    if loss.compares_samples:
        return (
            f"must be the loss of each run by itself, but what {loss.kind} returns for one depends "
            "on other runs of its pack. Reduce over every axis but the first."
        )
    return (
        f"must be the loss of each sample by itself, but what {loss.kind} returns for one "
        "depends on other samples or runs. Reduce over the last axis alone. Where a sample is "
        "meant to be held against others of its batch, as in InfoNCE, say so below the function: "
        f"{loss.kind.rpartition(':')[2]}.compares_samples = True"
    )


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
    if not torch.allclose(
        found[1:, kept(loss)], alone, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    ):
        return depends(loss)
    return ""
