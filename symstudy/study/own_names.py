"""What a study names as `package.module:Name`, and what decides its code without being named."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from symstudy.components import items_of
from symstudy.components.own_modules import OwnModule, files_of, find_module, with_imports
from symstudy.components.variables_read import unnamed_in
from symstudy.datasets import AbstractDatasetConfig
from symstudy.study.cell import Cell, different_tables

if TYPE_CHECKING:
    from symstudy.study.study import Study

__all__ = ["data_tables", "own_names", "study_cells", "unnamed_variables"]

OWN_NAME = re.compile(r'"[\w.]+:\w+"')
MOST_TOLD = 5
"""Lines of code that are told."""


def study_cells(study: "Study") -> Sequence[Cell]:
    """Return the cells of a grid, or those of examples of what a search may ask for."""
    if study.search is None:
        return study.cells
    return list({id(run.cell): run.cell for run in study.expected_runs()}.values())


def data_tables(study: "Study") -> list[AbstractDatasetConfig]:
    """Return the different data tables of a study's cells; none of a program."""
    trained = [cell.data for cell in study_cells(study) if not cell.is_program]
    return list({id(data): data for data in trained}.values())


def own_names(study: "Study") -> set[str]:
    """Return what the components of `study` name as `package.module:Name`."""
    cells = study_cells(study)
    if study.is_program:
        return {name for cell in cells for name in cell.program.modules}
    names = {
        value
        for table in different_tables(cells)
        for _, field, value in items_of(table)
        if field.name == "kind" or field.choice is not None or field.source
    }
    names |= {name for measures in {cell.probe.measures for cell in cells} for name in measures}
    names |= {name for data in data_tables(study) for name in data.own_sources}
    return {name for name in names if ":" in name}


def unnamed_variables(study: "Study") -> Iterator[str]:
    """Yield a note on each line of the study's own code that reads variables it does not name.

    What decides a run is part of its identity, an environment variable too, if the code says which.
    """
    if not OWN_NAME.search(json.dumps(study.document, default=str)):
        return
    tops = {name.partition(":")[0].partition(".")[0] for name in own_names(study)}
    modules = [module for top in sorted(tops) if (module := find_module(top)) is not None]
    found = [use for module in with_imports(modules) for use in unnamed_uses(module)]
    for place, code in found[:MOST_TOLD]:
        yield (
            f"{place}: {code} reads environment variables that it does not name: their values are "
            "no part of a run's identity, and runs with other values would count as the same. "
            "Write the name out, or give the value as a key of the study"
        )
    if len(found) > MOST_TOLD:
        yield f"{len(found) - MOST_TOLD} more lines read environment variables without naming them"


def unnamed_uses(module: OwnModule) -> Iterator[tuple[str, str]]:
    """Yield file and line, and the code, of each use of variables that a module does not name."""
    for file in files_of(module):
        for line, code in unnamed_in(file):
            yield f"{os.path.relpath(file)}:{line}", code
