"""Checks of a pack before it is trained: own code as planned, and what its parts return.

Shapes: K runs, B samples, O outputs.
"""

import torch

from symstudy.components import changed_source
from symstudy.datasets.base import Task
from symstudy.errors import LaunchError, ModelError
from symstudy.study.cells import Cell
from symstudy.training.engines.base import LoadedPack

__all__ = ["check_pack", "check_sources"]

RUNS, SAMPLES = 2, 3
"""Sizes of the outputs on which a loss is tried."""


def check_sources(cell: Cell) -> None:
    """Check that code and data of the user's own are what the study was planned with.

    Raises:
        LaunchError: If it has changed since.
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
    for key, name, source in own:
        if ":" not in name:
            continue
        changed = changed_source(name, str(source))
        if changed:
            raise LaunchError(f"{key} must be as it was when the study was planned, {changed}.")
    if changed := cell.data.check_files():
        raise LaunchError(f"the data must be as they were when the study was planned, {changed}.")


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


def check_draws(pack: LoadedPack) -> None:
    """Check that a model with dropout is trained by steps alone.

    Raises:
        ModelError: If it is minimised or has an entropic term.
    """
    train = pack.train
    if not pack.model.is_stochastic:
        return
    kind = pack.runs[0].cell.model.kind
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
    """Check that a loss returns one number a sample.

    Raises:
        ModelError: If it does not, or raises.
    """
    loss = pack.train.loss
    outputs = pack.data.test.y.shape[2]
    zeros = torch.zeros(RUNS, SAMPLES, outputs)
    targets = torch.nn.functional.one_hot(torch.zeros(RUNS, SAMPLES, dtype=torch.int64), outputs)
    try:
        found = loss.per_sample(zeros, targets.to(zeros.dtype))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"train.loss must take outputs and targets [runs, samples, outputs], but {loss.kind} "
            f"raised {type(error).__name__} for {list(zeros.shape)}: {error}"
        ) from error
    if tuple(found.shape) != (RUNS, SAMPLES):
        raise ModelError(
            f"train.loss must return one number a sample, {[RUNS, SAMPLES]} for outputs of shape "
            f"{list(zeros.shape)}, but {loss.kind} returned {list(found.shape)}. Sum over the last "
            "axis alone."
        )
