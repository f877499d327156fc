"""Cells of either kind of study: of what is trained here, and of a program of the user's own."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from symstudy.errors import Mistake
from symstudy.study.cell import Cell, Grid
from symstudy.study.cells import expand_trained, read_trained_cell
from symstudy.study.dependent import NO_RULES, Rules
from symstudy.study.program_cells import expand_programs, read_program_cell
from symstudy.study.sweep import Axis

__all__ = ["PROGRAM_TABLES", "TRAINED_TABLES", "expand_cells", "read_cell"]

TRAINED_TABLES = ("model", "data", "train", "probe")
"""Tables of a study that trains a model."""
PROGRAM_TABLES = ("program", "config")
"""Tables of a study that runs a program, in their place."""


def expand_cells(
    tables: Mapping[str, Mapping[str, Any]],
    axes: Sequence[Axis],
    lines: Mapping[str, int],
    rules: Rules = NO_RULES,
) -> tuple[Grid, list[Mistake]]:
    """Return the cells of a study in grid order, and everything that is wrong with its tables.

    Args:
        tables: Tables of `TRAINED_TABLES`, or of `PROGRAM_TABLES`, as written.
        axes: Axes of the sweep.
        lines: Line of each dotted key.
        rules: Keys that follow from others.

    Returns:
        All cells and no mistakes, or no cells and all mistakes.
    """
    if "program" in tables:
        return expand_programs(tables, axes, lines, rules)
    return expand_trained(tables, axes, lines, rules)


def read_cell(config: str) -> Cell:
    """Return the cell whose `config`, the canonical JSON of all fields, a plan holds.

    A field that its component no longer has, or has for other kinds only, is passed over.

    Raises:
        UnknownNameError: If it names a component that is not there.
        ModelError: If a component of the user's own cannot be imported.
    """
    return (
        read_program_cell(config) if "program" in json.loads(config) else read_trained_cell(config)
    )
