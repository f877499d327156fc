"""Warnings about valid studies that may not say what was meant: at `validate`, `plan` and `run`."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from symstudy.study.cell import Cell, Grid
from symstudy.study.sweep import Sweep

__all__ = ["idle_notes", "merged_notes", "missing_files"]


def idle_notes(grid: Grid, sweep: Sweep) -> Iterator[str]:
    """Yield a note on each axis whose condition holds nowhere."""
    for name in grid.idle:
        yield f"{name} does not vary: {sweep.conditions[name]!r} holds in no cell"


def merged_notes(grid: Grid, sweep: Sweep) -> Iterator[str]:
    """Yield a note on each axis of which several values make the same cells, as 0 and 0.0 do."""
    sizes = [len(axis.points) for axis in sweep.axes]
    if len(grid.places) in {len(grid.cells), 0} or math.prod(sizes) != len(grid.places):
        return
    places = np.reshape(grid.places, sizes)
    for number, axis in enumerate(sweep.axes):
        if any(name in grid.idle for name in axis.fields):
            continue
        rows = np.moveaxis(places, number, 0).reshape(sizes[number], -1)
        alike: dict[bytes, list[int]] = {}
        for at, row in enumerate(rows):
            alike.setdefault(row.tobytes(), []).append(at)
        for group in alike.values():
            if len(group) > 1:
                values = " and ".join(", ".join(map(repr, axis.points[at])) for at in group)
                yield (
                    f"{', '.join(axis.fields)}: {values} make the same cells, which are trained "
                    "once"
                )


def missing_files(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a note on trained weights, and on well-known data sets, that are not there yet."""
    trained = [cell for cell in cells if not cell.is_program]
    for path in dict.fromkeys(cell.model.missing for cell in trained if cell.model.missing):
        yield f"model.path: {path} is not there yet; runs are named when it is"
    for what in dict.fromkeys(cell.data.to_fetch for cell in trained if cell.data.to_fetch):
        yield f"{what}. Until then the study can be planned, but not run"
