"""Checks of a pack before it is trained: own code as planned, and what its parts return.

Shapes: K runs, B samples, O outputs.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.components import changed_source, items_of
from symstudy.datasets.base import Task
from symstudy.errors import ChangedError, ModelError
from symstudy.losses.trial import fault_of, fault_of_returned
from symstudy.optimizers.muon import Muon, matrices_of
from symstudy.study.cell import Cell
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.clipping import check_clip
from symstudy.training.engines.lane_optimizers import check_torch_optimizer
from symstudy.training.optimizer_checks import check_own_optimizer

__all__ = ["check_pack", "check_sources"]

RUNS, SAMPLES = 2, 5
"""Sizes of the outputs on which a loss is tried."""


def check_sources(cell: Cell) -> None:
    """Check that code and data of the user's own are what the study was planned with.

    Raises:
        ChangedError: If it has changed since.
    """
    train = cell.train
    planned = {
        "model.kind": (cell.model.kind, cell.model, "source"),
        "data.kind": (cell.data.kind, cell.data, "data_source"),
        "train.loss": (train.loss.kind, train.loss, "loss_source"),
        "train.optimizer": (train.optimizer.kind, train.optimizer, "optimizer_source"),
        "train.schedule": (train.schedule.kind, train.schedule, "schedule_source"),
    }
    own = [(key, name, getattr(part, field, "")) for key, (name, part, field) in planned.items()]
    own += [("data.augment", name, source) for name, source in cell.data.own_sources.items()]
    # Of runs that were planned before sources of measures were kept there are none.
    measures = zip(cell.probe.own_measures().values(), cell.probe.measure_sources, strict=False)
    own += [("probe.measures", *each) for each in measures]
    own += [
        (f"train.{item.field.name}", item.value, item.owner.value(item.field.source))
        for item in items_of(train)
        if item.field.source
    ]
    for key, name, source in own:
        if ":" not in name:
            continue
        changed = changed_source(name, str(source))
        if changed:
            raise ChangedError(f"{key} must be as it was when the study was planned, {changed}.")
    if changed := cell.model.check_files():
        raise ChangedError(f"the model must be as it was when the study was planned, {changed}.")
    if changed := cell.data.check_files():
        raise ChangedError(f"the data must be as they were when the study was planned, {changed}.")


def check_pack(pack: LoadedPack) -> None:
    """Check that model, data, loss and optimiser of a pack fit.

    Raises:
        ModelError: If they do not.
    """
    check_draws(pack)
    if pack.data.is_absent:
        return
    check_task(pack.data.tasks[0], pack.runs[0].cell)
    check_loss(pack)
    check_clip(pack)
    check_torch_optimizer(pack)
    check_own_optimizer(pack)
    check_matrices(pack)
    check_width_rule(pack)


def check_matrices(pack: LoadedPack) -> None:
    """Check that the network has weights that muon makes orthogonal.

    Raises:
        ModelError: If it has none: muon would be adamw by another name.
    """
    optimizer = pack.train.optimizer
    if isinstance(optimizer, Muon) and not list(matrices_of(pack.model.layout, optimizer.matrices)):
        raise ModelError(
            f"train.matrices must name weights that the network has, but {optimizer.matrices!r} "
            f"names none of {pack.runs[0].cell.model.kind}: every parameter would be adamw's. Type "
            "train.matrices=all, or train.optimizer=adamw."
        )


def check_width_rule(pack: LoadedPack) -> None:
    """Check that muP can scale the learning rate where a module's own layout names a base network.

    That of a built-in model is checked when the study is read.

    Raises:
        ModelError: If it cannot.
    """
    optimizer = pack.train.optimizer
    if pack.model.layout.base and optimizer.no_width_rule:
        raise ModelError(
            "train.optimizer must have a learning rate that goes with the width where a layout has "
            f"`base`, but got {optimizer.kind!r}, which {optimizer.no_width_rule}. Type "
            "train.optimizer=adam, or leave `base` out of the layout."
        )


def check_draws(pack: LoadedPack) -> None:
    """Check that a model with dropout or running means is trained by steps alone.

    Raises:
        ModelError: If it is minimised or has an entropic term.
    """
    train = pack.train
    kind = pack.runs[0].cell.model.kind
    if pack.model.is_stateful and (train.minimises or train.polish > 0 or train.entropic > 0):
        raise ModelError(
            "a model that is minimised or has an entropic term must have a loss that is a function "
            f"of its trained parameters alone, but each run of {kind} holds buffers of its own, as "
            "of batch norm. Type train.polish=0 and train.entropic=0 with sgd or adam, or use "
            "LayerNorm."
        )
    if not pack.model.is_stochastic:
        return
    if train.minimises or train.polish > 0:
        raise ModelError(
            f"a model that is minimised must draw no random numbers in training, but {kind} does: "
            "nothing stands still. Use sgd or adam with train.polish=0, or leave dropout out."
        )
    if train.entropic > 0:
        raise ModelError(
            "a model must draw no random numbers where train.entropic is above 0, but "
            f"{kind} does. Type train.entropic=0, or leave dropout out."
        )


def check_task(task: Task, cell: Cell) -> None:
    """Check that data have the sizes that their configuration says.

    Raises:
        ModelError: If they have not.
    """
    shape = cell.data.shape
    wanted = {
        "x_train": (shape.train, shape.inputs),
        "y_train": (shape.train, shape.outputs),
        "x_test": (shape.test, shape.inputs),
        "y_test": (shape.test, shape.outputs),
    }
    for name, sizes in wanted.items():
        found = getattr(task, name).shape
        if sizes[0] and found != sizes:
            raise ModelError(
                f"{name} of data.kind = {cell.data.kind!r} must have shape {list(sizes)}, as its "
                f"`shape` says, but build(seed) returned {list(found)}. Mend one of them."
            )


def check_loss(pack: LoadedPack) -> None:
    """Check that a loss takes what the model returns, and returns one number a sample.

    Raises:
        ModelError: If it does not, or raises.
    """
    loss, model = pack.train.loss, pack.model
    if model.returns and not loss.takes_any_output:
        outputs = pack.data.test.y.shape[2]
        raise ModelError(
            f"forward of {pack.runs[0].cell.model.kind} must return outputs [samples, {outputs}], "
            f"as train.loss = {loss.kind!r} takes them, for data with {outputs} outputs, but "
            f"returned {model.returns}. Give its last layer {outputs} outputs: a parameter called "
            'output_dim is told the number, and so is an argument "{outputs}". Or write a function '
            "of what it returns and the targets, and name it as train.loss='package.module:name'."
        )
    if not model.returns:
        shape = pack.runs[0].cell.data.shape
        if fault := fault_of(loss, shape, pack.train.dtype):
            raise ModelError(f"train.loss {fault}")
        return
    tried = trial_outputs(pack)
    try:
        fault = fault_of_returned(loss, tried.given, tried.targets)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"train.loss must take {tried.what} and targets {list(tried.targets.shape)}, but "
            f"{loss.kind} raised {type(error).__name__}: {error}"
        ) from error
    if fault:
        raise ModelError(f"train.loss {fault}")


class TrialOutputs(NamedTuple):
    """What a loss is tried on.

    Attributes:
        given: What the module of two runs returns.
        targets: Their targets.
        what: What is given, in words.
    """

    given: Any
    targets: Float[Tensor, "runs batch outputs"]
    what: str


def trial_outputs(pack: LoadedPack) -> TrialOutputs:
    """Return what a module of the user's own returns for two runs on few samples, and targets."""
    outputs = pack.data.test.y.shape[2]
    # As many samples as outputs would hide a sum over the wrong one of the two axes.
    samples = SAMPLES + (outputs == SAMPLES)
    targets = torch.from_numpy(pack.data.test.y[:1, :samples]).expand(RUNS, -1, -1)
    model = pack.model
    seed = pack.runs[0].seed
    seeds = [seed, seed - 1 if seed else 1]
    dtype = torch.float64 if pack.dtype == np.float64 else torch.float32
    theta = model.initialise(seeds, torch.ones(RUNS, dtype=dtype))
    inputs = torch.from_numpy(pack.data.test.x[:1, :samples]).expand(RUNS, -1, -1)
    bound = model.with_buffers(model.initial_buffers(seeds, dtype))
    with torch.no_grad():
        given = bound.forward(theta, inputs).for_loss
    return TrialOutputs(given, targets.to(dtype), f"{model.returns} with a leading run axis")
