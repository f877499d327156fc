"""The hyperparameters of many cells, column by column.

Cells share their tables: a hundred models and a thousand train tables are a hundred thousand cells.
So each table is read once, and a column is its different values and for each cell which it has.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.errors import Mistake, StudyFileError
from symstudy.study.cell import Cell
from symstudy.study.columns import DERIVED, Hyperparameter, pairs_of, widest

__all__ = ["Tabulated", "beside", "check_own_keys", "tabulate", "unite"]


class Tabulated(NamedTuple):
    """One hyperparameter of many cells.

    Attributes:
        column: The hyperparameter.
        values: Values, of which several may be equal.
        places: Which of `values` each cell has.
    """

    column: Hyperparameter
    values: list[Any]
    places: NDArray[np.int32]


def tabulate(
    cells: Sequence[Cell], reserved: frozenset[str], *, source: str = ""
) -> list[Tabulated]:
    """Return every hyperparameter of `cells`; null where a cell has no such key.

    Args:
        cells: The cells.
        reserved: Names of other columns, in lower case.
        source: Path of the study file, for messages.

    Raises:
        StudyFileError: If two keys are one column, since SQL does not tell `Width` from `width`.
    """
    is_program = any(cell.is_program for cell in cells[:1])
    derivations = () if is_program else DERIVED
    derived = {item.column.name for item in derivations}
    found: list[Tabulated] = []
    for table in cells[0].tables if cells else ():
        of_cell, places = distinct(cells, partial(identity_of, table))
        parts = [list(pairs_of(table, cell.tables[table], reserved)) for cell in of_cell]
        refuse_twins((column for part in parts for column, _ in part), source)
        rows = [{column.name: value for column, value in reversed(part)} for part in parts]
        taken = {item.column.name.lower() for item in found}
        for column in unite(column for part in parts for column, _ in part):
            if column.name not in derived:
                values = [in_kind(row.get(column.name), column) for row in rows]
                found.append(Tabulated(beside(column, taken), values, places))
    if is_program:
        refuse_twins((item.column for item in found), source)
        return found
    of_cell, places = distinct(cells, lambda cell: (id(cell.data), id(cell.train)))
    for item in derivations:
        values = [item.of_tables(cell.data, cell.train) for cell in of_cell]
        found.append(Tabulated(item.column, values, places))
    refuse_twins((item.column for item in found), source)
    return found


def check_own_keys(cells: Sequence[Cell], source: str) -> None:
    """Raise unless the keys of the user's own modules are columns of their own.

    Raises:
        StudyFileError: If two are one column.
    """
    firsts, _ = distinct(cells, lambda cell: id(cell.parts[1 if cell.is_program else 0]))
    tabulate(firsts, frozenset(), source=source)


def identity_of(table: str, cell: Cell) -> int:
    """Return what tells a table of a cell from those of others: cells share the object."""
    return id(cell.tables[table])


def distinct(
    cells: Sequence[Cell], key_of: Callable[[Cell], Hashable]
) -> tuple[list[Cell], NDArray[np.int32]]:
    """Return the first cell of each key, and which of these each cell is like."""
    seen: dict[Hashable, int] = {}
    firsts: list[Cell] = []
    places = np.empty(len(cells), np.int32)
    for i, cell in enumerate(cells):
        at = places[i] = seen.setdefault(key_of(cell), len(firsts))
        if at == len(firsts):
            firsts.append(cell)
    return firsts, places


def unite(columns: Iterable[Hyperparameter]) -> list[Hyperparameter]:
    """Return each column once by its name, of the kind that holds the values of all."""
    found: dict[str, Hyperparameter] = {}
    for column in columns:
        before = found.get(column.name)
        if before is None:
            found[column.name] = column
        elif before.kind != column.kind:
            kind = widest(before.kind, column.kind)
            found[column.name] = before._replace(kind=kind)
    return list(found.values())


def beside(column: Hyperparameter, taken: Container[str]) -> Hyperparameter:
    """Return a column under a name that is not `taken`: prefixed by its table where it is."""
    if column.name.lower() not in taken:
        return column
    return column._replace(name=f"{column.table}_{column.name}")


def in_kind(value: Any, column: Hyperparameter) -> Any:
    """Return a value as a column of mixed kinds holds it."""
    if value is None or column.kind != "text" or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def refuse_twins(columns: Iterable[Hyperparameter], source: str) -> None:
    """Raise where two keys would be one column in SQL.

    Raises:
        StudyFileError: If so.
    """
    known: dict[str, Hyperparameter] = {}
    mistakes = []
    for column in dict.fromkeys(columns):
        before = known.setdefault(column.name.lower(), column)
        if (before.table, before.key) != (column.table, column.key):
            key = f"{column.table}.{column.key}"
            what = (
                f"must have a name of its own as a column, but SQL takes {column.name!r} and "
                f"{before.table}.{before.key} for one. Give one of the two another name"
            )
            mistakes.append(Mistake(line=0, key=key, what=what))
    if mistakes:
        raise StudyFileError(source, mistakes)
