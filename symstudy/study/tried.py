"""Losses and schedules of the user's own, tried when a study is read."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symstudy.errors import Mistake
from symstudy.schedules import AbstractSchedule

if TYPE_CHECKING:
    from symstudy.study.cell import Cell

__all__ = ["wrong_functions"]

TRIED_STEPS = 1000
"""Steps of a training at which a schedule is asked, at most."""


def wrong_functions(cells: Sequence["Cell"], lines: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield what is wrong with the losses and schedules of the user's own that cells name.

    A loss is tried on outputs of the targets' shape. What a module of the user's own returns is
    known once it is built: there the pack is checked before it is trained.
    """
    tried: set[object] = set()
    for cell in cells:
        train = cell.train
        loss = (train.loss, cell.data.shape, train.dtype)
        if ":" in train.loss.kind and loss not in tried and not cell.model.is_own_code:
            tried.add(loss)
            # Loaded where there is a loss to try: reading other studies loads no torch.
            trial: Any = importlib.import_module("symstudy.losses.trial")
            if fault := trial.fault_of(train.loss, cell.data.shape, train.dtype):
                yield train.where(lines, "loss", fault)
        schedule = (train.schedule, train.steps)
        if ":" in train.schedule.kind and schedule not in tried:
            tried.add(schedule)
            if fault := fault_of_schedule(train.schedule, train.steps):
                yield train.where(lines, "schedule", fault)


def fault_of_schedule(schedule: AbstractSchedule, total: int) -> str:
    """Return what is wrong with a schedule over `total` steps; empty if nothing is."""
    steps = np.unique(np.linspace(0, max(total - 1, 0), TRIED_STEPS).astype(np.int64))
    try:
        shares = np.asarray(schedule.shares(steps, total), np.float64)
        alone = np.asarray(schedule.shares(steps[-1:], total), np.float64)
    except Exception as error:  # noqa: BLE001  # whatever own code raises is what is wrong
        return (
            f"must have shares(steps, total) of an array of steps, but {schedule.kind} raised "
            f"{type(error).__name__}: {error}"
        )
    if shares.shape != steps.shape:
        return (
            f"must return one share a step, {list(steps.shape)} here, but {schedule.kind} returned "
            f"{list(shares.shape)}"
        )
    wrong = ~(np.isfinite(shares) & (shares >= 0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        return (
            f"must return shares from 0 on, but {schedule.kind} returned {shares[at]!r} at step "
            f"{int(steps[at])} of {total}"
        )
    if alone.shape != (1,) or alone[0] != shares[-1]:
        return (
            f"must give a step the same share whichever others are asked for, but {schedule.kind} "
            f"does not at step {int(steps[-1])} of {total}"
        )
    return ""
