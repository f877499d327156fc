"""The views `runs` and `missing` as native tables in memory, with the columns asked for so far.

A view joins the files of runs with those of cells anew for every query. Who asks a dozen questions
for each movement of a mouse holds the rows in memory instead: a native table is grouped ten times
as fast. Columns are loaded when a query first names them, since most are never looked at.
"""

import re
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from symstudy.errors import QueryError, StoreError
from symstudy.store.tables.answers import (
    FirstRows,
    check_reads,
    first_rows,
    plain_numbers,
    query_error,
)
from symstudy.store.tables.connection import Store
from symstudy.store.tables.limits import CLOSED, MEMORY, check_limits
from symstudy.store.tables.running import Limits, run_within
from symstudy.store.tables.view_statements import quoted

__all__ = ["LOADED", "LoadedRuns", "check_there"]

LOADED = ("runs", "missing")
"""The views that there is a copy of."""
ALWAYS = {
    "runs": (*("study", "run_id", "cell_id", "seed", "pack_id"), *("outcome", "finished_at")),
    "missing": ("study", "run_id", "cell_id", "seed"),
}
"""Columns that are loaded at once."""
KEY = "symstudy_row_key"
"""Column of a copy that tells its rows apart by one number."""
KEY_SQL = "hash(study, run_id)"
EXACT = frozenset({"BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR"})
"""Types whose values leave SQL and come back as they were."""
QUOTED = re.compile(r'"((?:[^"]|"")+)"')


class Packs(NamedTuple):
    """Which rows a copy holds.

    Attributes:
        files: The packs of runs, each with the study and the time at which it was written.
        columns: The columns there are to load, by view.
    """

    files: frozenset[tuple[str, str, str]]
    columns: dict[str, tuple[str, ...]]


def check_there(store: Store) -> None:
    """Raise where results are gone: their files are none then, and queries would find no rows.

    Raises:
        StoreError: If the folder of a study is no study any more.
    """
    for folder in store.folders:
        if not folder.read_study():
            raise StoreError(
                f"results must stay where they are while they are read, but {folder.path} has no "
                "study.json any more. Put it back, or open what is there."
            )


class LoadedRuns:
    """Native copies of `runs` and `missing`, brought up to date on request.

    Not to be shared by threads. Others may use the store meanwhile if they hold `reading`.

    Attributes:
        store: What it is a copy of.
        reading: Held while the store is read.
        packs: Which rows it holds.
        loaded: The columns loaded so far, by view.
        generation: Grows whenever rows are added, or may have another order.
        exact: The columns that are `is_exact`, quoted, and for which generation.
    """

    def __init__(
        self,
        store: Store,
        *,
        columns: Iterable[str] = (),
        memory: str = MEMORY,
        timeout_s: float = 5.0,
    ) -> None:
        """Copy some columns.

        Args:
            store: What is copied.
            columns: Columns to load at once, in the views that have them.
            memory: Memory that the copy and a query may use together.
            timeout_s: Seconds that a query may take.

        Raises:
            StoreError: If a file is damaged.
            QueryError: If a limit is none.
        """
        self.store = store
        self.reading = threading.RLock()
        self.limits = Limits(memory, check_limits(memory, timeout_s), timeout_s)
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("set memory_limit = ?", [memory])
        for statement in CLOSED:
            self.connection.execute(statement)
        self.loaded: dict[str, list[str]] = {}
        self.packs = Packs(frozenset(), {})
        self.generation = 0
        self.exact: tuple[int, frozenset[str]] | None = None
        self.copy(columns)

    def copy(self, columns: Iterable[str]) -> None:
        """Make the tables anew, with these columns and those that are always there.

        Raises:
            StoreError: If a file is damaged, or the results change faster than they are read.
        """
        self.packs = self.read_packs()
        wanted = set(columns)
        for view in LOADED:
            first = ALWAYS[view]
            more = [name for name in self.packs.columns[view] if name in wanted - set(first)]
            self.loaded[view] = [*first, *more]
            rows = self.read(view, self.loaded[view])
            self.execute(f"create or replace table {view} as select * from more", rows)  # noqa: S608
            self.check_key(view)

    def read_packs(self) -> Packs:
        """Return which rows the store has."""
        with self.reading:
            rows = self.store.sql(
                "select distinct study, pack_id, cast(finished_at as varchar) from runs_keys"
            ).rows
            every = self.store.columns()
        return Packs(
            frozenset((study, pack, at) for study, pack, at in rows),
            {view: tuple(every[view]) for view in LOADED},
        )

    def read(self, view: str, columns: Iterable[str], condition: str = "true") -> pa.Table:
        """Return columns of a view, and the number that tells its rows apart."""
        listed = ", ".join(map(quoted, columns))
        comma = ", " if listed else ""
        with self.reading:
            rows = self.store.arrow(
                f"select {KEY_SQL} as {KEY}{comma}{listed} from {view} where {condition}"  # noqa: S608  # names of our own
            )
            check_there(self.store)
            return rows

    def execute(self, statement: str, more: pa.Table | None = None) -> None:
        """Run a statement of our own, to which `more` is a table.

        Raises:
            QueryError: If it does not fit the memory.
        """
        if more is not None:
            self.connection.register("more", more)
        try:
            self.connection.execute(statement)
        except duckdb.OutOfMemoryException as error:
            raise QueryError(
                f"the columns that are looked at must fit {self.limits.memory} of memory, but do "
                "not. Look at fewer studies at a time, or use: symstudy query RESULTS SQL"
            ) from error
        finally:
            self.generation += 1
            if more is not None:
                self.connection.unregister("more")

    def check_key(self, view: str) -> None:
        """Raise unless every row has a key of its own.

        Raises:
            StoreError: If two rows share one.
        """
        count, distinct = self.connection.sql(
            f"select count(*), count(distinct {KEY}) from {view}"  # noqa: S608  # a name of ours
        ).fetchall()[0]
        if count != distinct:
            raise StoreError(
                f"each run must be there once in {view}, but {count - distinct} rows are repeated. "
                "Type: symstudy verify RESULTS"
            )

    def need(self, names: Iterable[str]) -> None:
        """Load the columns among `names` that are not there yet.

        Raises:
            StoreError: If a file is damaged, or the results change faster than they are read.
        """
        wanted = set(names)
        for view in LOADED:
            more = [
                name
                for name in self.packs.columns[view]
                if name in wanted and name not in self.loaded[view]
            ]
            if more and not self.add(view, more):
                # Runs have ended since: all columns must be of the same rows.
                self.copy([name for names in self.loaded.values() for name in (*names, *wanted)])
                return

    def add(self, view: str, names: list[str]) -> bool:
        """Add columns to a table; return False if the store has other rows by now."""
        rows = self.read(view, names)
        self.connection.register("more", rows)
        try:
            unmatched = self.connection.sql(
                f"select (select count(*) from {view}), (select count(*) from more), "  # noqa: S608  # names of our own
                f"(select count(*) from {view} semi join more using ({KEY}))"
            ).fetchall()[0]
        finally:
            self.connection.unregister("more")
        if len(set(unmatched)) != 1:
            return False
        listed = ", ".join(f"more.{quoted(name)}" for name in names)
        self.execute(
            f"create or replace table {view} as select {view}.*, {listed} "  # noqa: S608  # names of our own
            f"from {view} join more using ({KEY})",
            rows,
        )
        self.loaded[view] += names
        return True

    def refresh(self, store: Store) -> bool:
        """Insert the rows that have been added since; return whether there were any.

        Args:
            store: Access to the same studies, opened since.

        Raises:
            StoreError: If a file is damaged.
        """
        self.store = store
        before, now = self.packs, self.read_packs()
        if now.columns != before.columns or not before.files <= now.files:
            self.copy([name for names in self.loaded.values() for name in names])
            return True
        added = now.files - before.files
        self.packs = now
        has_more = self.refresh_missing()
        if not added:
            return has_more
        packs = sorted({pack for _, pack, _ in added})
        listed = ", ".join("'" + pack.replace("'", "''") + "'" for pack in packs)
        rows = self.read("runs", self.loaded["runs"], f"pack_id in ({listed})")
        # A run that was trained again has its new row alone.
        self.execute(f"delete from runs where {KEY} in (select {KEY} from more)", rows)  # noqa: S608
        self.execute("insert into runs by name select * from more", rows)
        self.check_key("runs")
        return True

    def refresh_missing(self) -> bool:
        """Read the missing runs anew if their number has changed; return whether it has."""
        with self.reading:
            count = self.store.sql("select count(*) from missing").rows[0][0]
        known = self.connection.sql("select count(*) from missing").fetchall()[0][0]
        if count == known:
            return False
        rows = self.read("missing", self.loaded["missing"])
        self.execute("create or replace table missing as select * from more", rows)
        return True

    def interrupt(self) -> None:
        """End the queries that other threads wait for now."""
        self.connection.interrupt()
        self.store.connection.interrupt()

    @property
    def count(self) -> int:
        """The number of runs."""
        return int(self.connection.sql("select count(*) from runs").fetchall()[0][0])

    def need_for(self, *expressions: str) -> None:
        """Load the columns that expressions of SQL name in double quotes.

        Raises:
            StoreError: If a file is damaged, or the results change faster than they are read.
        """
        self.need(name.replace('""', '"') for each in expressions for name in QUOTED.findall(each))

    def column(self, expression: str) -> pa.ChunkedArray:
        """Return an expression of columns that are loaded, for every run, in the rows' order.

        The order is the same until `generation` has grown.

        Raises:
            QueryError: If DuckDB refuses it.
        """
        return self.values_of(expression, "runs")

    def values_of(self, expression: str, table: str) -> pa.ChunkedArray:
        """Return an expression of columns of a table, for every row, in the rows' order.

        Raises:
            QueryError: If DuckDB refuses it.
        """
        query = f"select {expression} as value from {table}"  # noqa: S608  # of names that the store has
        try:
            found = run_within(self.connection, query, (), self.limits)
        except duckdb.Error as error:
            raise query_error(query, error) from error
        assert found is not None, "a SELECT has rows"
        return plain_numbers(found).column(0)

    def is_exact(self, column: str) -> bool:
        """Return whether a column, quoted, that is loaded has values that leave SQL as they are."""
        if self.exact is None or self.exact[0] != self.generation:
            rows = self.connection.sql("describe runs").fetchall()
            names = frozenset(quoted(name) for name, kind, *_ in rows if kind in EXACT)
            self.exact = (self.generation, names)
        return column in self.exact[1]

    def holds_at(self, column: str, values: pa.Array, condition: str) -> pa.ChunkedArray:
        """Return for each of some values of a column whether a condition holds there.

        Args:
            column: Its name, quoted.
            values: Its values, `is_exact`.
            condition: SQL that names no other column.

        Raises:
            QueryError: If DuckDB refuses it.
        """
        name = column[1:-1].replace('""', '"')
        self.connection.register("more", pa.table({name: values}))
        try:
            return self.values_of(f"coalesce({condition}, false)", "more")
        finally:
            self.connection.unregister("more")

    def ask(self, query: str, most_rows: int) -> FirstRows:
        """Return the first rows of the answer to one SELECT statement over `runs` and `missing`.

        Columns that it names in double quotes are loaded.

        Raises:
            QueryError: If it is not one, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        self.need_for(query)
        check_reads(self.connection, query)
        try:
            table = run_within(
                self.connection, query, (), self.limits._replace(most_rows=most_rows)
            )
        except duckdb.Error as error:
            raise query_error(query, error) from error
        if table is None:
            raise QueryError("SQL must return rows, but the statement returned none.")
        return first_rows(plain_numbers(table), most_rows)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of the answer to a query of ours.

        Raises:
            QueryError: If DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        return self.ask(query, MOST_ROWS).rows


MOST_ROWS = 10_000_000
"""No answer of ours is longer."""
