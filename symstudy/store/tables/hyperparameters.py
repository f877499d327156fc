"""Names of the columns of hyperparameters: which are taken by measures and other columns.

A hyperparameter whose name is taken is prefixed by its table.
"""

from collections.abc import Iterable

from symstudy.errors import StoreError
from symstudy.store.tables.schema import (
    CERTIFICATES,
    HISTORY,
    LAYERS,
    PAIRS,
    RUNS,
    TABLES,
    TYPES,
    Column,
)
from symstudy.study.columns import builtin_hyperparameters

__all__ = [
    "HYPERPARAMETERS",
    "RESERVED",
    "check_measure_names",
]

IN_VIEWS = ("elapsed", "is_final", "threshold", "deviation", "relative_deviation", "seeds")
"""Columns that views work out."""

RESERVED: frozenset[str] = frozenset(
    name.lower()
    for table in TABLES.values()
    for column in table.columns
    for name in (column.name, f"{column.name}_low", f"{column.name}_high")
) | frozenset(IN_VIEWS)
"""Names, in lower case, that a hyperparameter gives way to: its column is prefixed by its table."""


def check_measure_names(names: Iterable[str]) -> None:
    """Raise if a measure bears a hyperparameter's name: one of the two would be lost in `runs`.

    Raises:
        StoreError: If so.
    """
    known = {each.name.lower(): each for each in builtin_hyperparameters(RESERVED)}
    for name in names:
        if (clash := known.get(name.lower())) is not None:
            raise StoreError(
                f"a measure must not bear the name of a hyperparameter, but {name!r} is "
                f"{clash.table}.{clash.key} of a study file. Give the measure another name."
            )


check_measure_names(
    column.name
    for table in (RUNS, HISTORY, LAYERS, CERTIFICATES, PAIRS)
    for column in table.columns
)

HYPERPARAMETERS: tuple[Column, ...] = tuple(
    Column(each.name, TYPES[each.kind], each.meaning) for each in builtin_hyperparameters(RESERVED)
)
"""Columns of `CELLS` that every store has in its views: those of built-in components."""
