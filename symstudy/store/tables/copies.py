"""Hyperparameters beside the runs of merged files, so that a query of these joins nothing.

`planned_cells` says what a cell's hyperparameters are, and the views join it with the runs. Of a
million runs that costs more than the rest of a query. So a merged file of runs, which is written
once, has a copy of the hyperparameters of its runs' cells in columns of its own, such as
`cell:train:gamma`. The copy is read where it holds all that the views show; else the cells are
joined as for any other file.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from symstudy.store.tables.schema import TYPES
from symstudy.study.columns import Hyperparameter

__all__ = ["are_distinct", "copy_name", "holds_copies", "is_copy"]

COPY = "cell:"
"""Begins the name of a column with a copy; the name of a measure or metric has no colon."""


def copy_name(each: Hyperparameter) -> str:
    """Return the column of merged runs that holds a hyperparameter.

    It is named for the key of the study file, since a column of the views may be called otherwise
    beside those of other studies.
    """
    return f"{COPY}{each.table}:{each.key or each.name}"


def is_copy(name: str) -> bool:
    """Return whether a column of runs holds a copy of a hyperparameter."""
    return name.startswith(COPY)


def are_distinct(columns: Iterable[Hyperparameter]) -> bool:
    """Return whether the copies of hyperparameters have names that SQL tells apart."""
    names = [copy_name(each).lower() for each in columns]
    return len(names) == len(set(names))


def holds_copies(schema: pa.Schema, wanted: Sequence[Hyperparameter]) -> bool:
    """Return whether a file of runs holds all hyperparameters that the views show.

    What no cell of the file has is no column of it, and null in all of its runs. A file that holds
    a key in another type does not: beside files of other studies the wider type counts.

    Args:
        schema: Schema of the file.
        wanted: The hyperparameters that the views show.
    """
    types = {field.name: field.type for field in schema if is_copy(field.name)}
    fits = all(types.get(copy_name(e), TYPES[e.kind]) == TYPES[e.kind] for e in wanted)
    return bool(types) and fits and are_distinct(wanted)
