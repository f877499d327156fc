"""A connection to DuckDB with the tables of some studies, and the views over them."""

from functools import partial
from typing import NamedTuple

import duckdb

from symstudy.store.tables.copies import copy_name
from symstudy.store.tables.keys import KEYS
from symstudy.store.tables.limits import CLOSED
from symstudy.store.tables.scans import JOINED, MERGED, StudyTables
from symstudy.store.tables.schema import CELLS, RUNS, TABLES
from symstudy.store.tables.view_statements import view_statements
from symstudy.store.tables.views_on_demand import ViewsOnDemand

__all__ = ["Opened", "open_tables"]

SETTINGS = (
    # DuckDB knows no sizes of Arrow's files, and would hash the million rows of runs and not those
    # of the cells: the views have the smaller table on the right, which is the one that is hashed.
    "set disabled_optimizers = 'build_side_probe_side'",
    *CLOSED,
)

MOST_IN_MEMORY = 5000
"""Rows of runs up to which they are read into memory, where they lie on a disk: 20 MB."""
SQL_NAMES = {CELLS.name: "cells"}
"""What tables are called in SQL, where it is not their own name."""


class Opened(NamedTuple):
    """What a store asks.

    Attributes:
        connection: To DuckDB.
        views: The tables and the views over them, which it is given as queries name them.
    """

    connection: duckdb.DuckDBPyConnection
    views: ViewsOnDemand


def open_tables(tables: StudyTables, *, memory: str) -> Opened:
    """Return a connection to which the tables of some studies are handed as queries name them.

    Args:
        tables: The tables.
        memory: Memory that a query may use, such as `4GB`.
    """
    connection = duckdb.connect(":memory:")
    sources = {
        f"{SQL_NAMES.get(name, name)}_files": partial(tables.rows_of, name)
        for name in (*TABLES, JOINED, MERGED)
    }
    several = len(tables.folders) > 1
    clauses = {
        "pack": "study, pack_id" if several else "pack_id",
        "cell": "study, cell_id" if several else "cell_id",
        "but_study": "exclude (study)" if several else "",
    }
    for keys in KEYS:
        name = SQL_NAMES.get(keys.table.name, keys.table.name)
        once = tables.once[keys.table.name]
        sources[f"{name}_keys"] = partial(tables.keys.__getitem__, keys.table.name)
        if once.superseded is not None:
            sources[f"{name}_superseded"] = partial(getattr, once, "superseded")
        for rows in ("files", "keys"):
            clauses[f"{name}_{rows}_once"] = once.clause(f"{name}_{rows}", f"{name}_superseded")
    runs = tables.once[RUNS.name]
    for name in (JOINED, MERGED):
        clauses[f"{name}_once"] = runs.clause(f"{name}_files", "runs_superseded")
    clauses["runs_sources"] = " union all by name select * from ".join(tables.run_sources)
    names = {each.name: copy_name(each) for each in tables.hyperparameters}
    measures = {table: [each.name for each in fields] for table, fields in tables.named.items()}
    views = view_statements(clauses, names, measures, tables.without_means, tables.aliases)
    connection.execute("set memory_limit = ?", [memory])
    for statement in SETTINGS:
        connection.execute(statement)
    num_runs = tables.keys[RUNS.name].num_rows
    is_small = num_runs <= MOST_IN_MEMORY and all(folder.is_local for folder in tables.folders)
    return Opened(connection, ViewsOnDemand(connection, views, sources, is_small=is_small))
