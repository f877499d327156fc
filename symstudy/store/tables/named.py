"""Columns that are not built in: measures that a study names, metrics that programs report."""

from collections.abc import Mapping

from symstudy.measures.catalogue import (
    layer_columns,
    network_columns,
    run_columns,
    vector_columns,
)
from symstudy.measures.declare import Measure
from symstudy.store.tables.schema import HISTORY, LAYERS, NUMBER, RUNS, TYPES, Column, Table

__all__ = ["ELAPSED", "with_metrics", "with_named"]

ELAPSED = "elapsed"
"""Column of the history of programs: seconds since the run began."""


def with_named(table: Table, names: tuple[str, ...]) -> Table:
    """Return `table` with a typed column for each measure among `names` that is not built in.

    Args:
        table: One of the tables that a worker writes.
        names: What `[probe] measures` of the runs says.
    """
    layers, networks = layer_columns(names), network_columns(names)
    of_runs = (*networks, *vector_columns(names), *run_columns(names))
    added: tuple[Column, ...] = ()
    if table.name == LAYERS.name:
        added = tuple(map(column_of, layers))
    elif table.name == HISTORY.name:
        added = tuple(map(column_of, networks))
    elif table.name == RUNS.name:
        added = (*map(mean_of, layers), *map(column_of, of_runs))
    return table._replace(columns=(*table.columns, *added))


def with_metrics(table: Table, kinds: Mapping[str, str]) -> Table:
    """Return `table` with a typed column for each metric of programs that is not built in.

    Args:
        table: One of the tables that a worker writes.
        kinds: Kind of each metric, by name.
    """
    known = {column.name for column in table.columns}
    more = [Column(name, TYPES[kind], "") for name, kind in kinds.items() if name not in known]
    if table.name == HISTORY.name:
        more.insert(0, Column(ELAPSED, NUMBER, "Seconds since the run of the program began."))
    elif table.name != RUNS.name:
        more = []
    return table._replace(columns=(*table.columns, *more))


def mean_of(item: Measure) -> Column:
    """Return the column of `runs` that holds the mean of a measure of layers."""
    return Column(f"mean_{item.name}", NUMBER, f"Mean over hidden layers at the end. {said(item)}")


def column_of(item: Measure) -> Column:
    """Return the column of a measure."""
    return Column(item.name, TYPES[item.kind], said(item))


def said(item: Measure) -> str:
    """Return what a measure is, as a sentence."""
    source = f" ({item.source})" if item.source else ""
    return f"{item.meaning[:1].upper()}{item.meaning[1:].rstrip('.')}{source}."
