"""The views of a connection, each made when a query first names it.

DuckDB checks all columns of a view as it makes it, some of three hundred: all of them take a fifth
of a second, and a query needs one or two. Views of our own that others read stand in the statements
of those, which are checked once then. DuckDB checks and plans them again wherever a query names the
view: the queries of a claim name `runs`, or a view over it, up to eighty times, and `convergence`
once for each reason to leave a run out. So the rows of a small study are read into memory once
queries have named them often, and `runs` and `convergence` are views of these.

The tables, too, are handed to DuckDB when a query first reads them: to open the files of one as a
dataset takes longer than to connect.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, final

import duckdb

from symstudy.store.tables.view_statements import INNER_VIEWS

__all__ = ["ViewsOnDemand"]

CATALOGS = ("show", "describe", "summarize", "information_schema", "duckdb_", "pg_", "sqlite_")
"""Words of queries that may list views."""
OF_ONE = re.compile(r"\(\s*describe\s+\w+\s*\)")
"""What lists the columns of one view that it names."""
READ = {"runs": 2, "convergence": 1}
"""The views whose rows are read into memory: those over them that queries name most read them.

Each with the number of names, of its own or of a view over it, up to which files are read for each.
"""
NO_NAMES = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""Texts and comments of SQL: words in them name no view."""
SOURCE = re.compile(r"\b(from|join)\s+(\w+)")
"""What a statement reads."""
IN_MEMORY = "_in_memory"
"""Behind a view's name, the table of its rows."""


@final
class ViewsOnDemand:
    """Views that are made before a query that names them, and the tables that they read.

    Attributes:
        connection: Where they are made.
        statements: The statement that makes each view, by its name; what a view reads comes first.
        tables: What returns the rows of each table, by its name in SQL.
        is_small: Whether rows may be read into memory.
        made: Names of the views that are there.
        registered: Names of the tables that are there.
        num_names: How often queries have named a view that may be read into memory, or a view over
            it, by its name.
        read: Names of views whose rows are in memory, or could not be.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        statements: dict[str, str],
        tables: Mapping[str, Callable[[], Any]],
        *,
        is_small: bool = False,
    ) -> None:
        """See the class; no view is made yet, and no table is there."""
        self.connection = connection
        self.statements = statements
        self.tables = tables
        self.is_small = is_small
        self.made: set[str] = set()
        self.registered: set[str] = set()
        self.num_names: Counter[str] = Counter()
        self.read: set[str] = set()

    @property
    def are_all_made(self) -> bool:
        """Whether there is no view left to make, and no table."""
        return len(self.made) == len(self.statements) and self.registered >= self.tables.keys()

    def make_for(self, query: str) -> None:
        """Make the views that a query names, or may list, and the tables that they read.

        Raises:
            OSError: If a file of a table is gone.
        """
        text = query.lower()
        if any(word in OF_ONE.sub("", text) for word in CATALOGS):
            self.make_all()
            return
        words = re.findall(r"\w+", NO_NAMES.sub(" ", text))
        named = [word for word in words if word in self.statements]
        for view in READ:
            self.num_names[view] += sum(word in self.over[view] for word in named)
        self.register(words)
        self.make(named)
        for view in self.often_named() - self.read:
            self.read_rows(view)

    def often_named(self) -> set[str]:
        """Return the views whose rows are read into memory, since queries have named them often."""
        if not self.is_small:
            return set()
        return {view for view, few in READ.items() if self.num_names[view] > few}

    @functools.cached_property
    def over(self) -> dict[str, set[str]]:
        """Of each view that may be read into memory, its name and those of the views over it."""
        found = {view: {view} for view in READ}
        for name, statement in self.statements.items():
            for names in found.values():
                if sources_of(statement) & names:
                    names.add(name)
        return found

    def read_rows(self, view: str) -> bool:
        """Read the rows of a view into memory, if they fit; it is a view of them from then on.

        Returns:
            Whether they fit.
        """
        self.read.add(view)
        rows = f"{view}{IN_MEMORY}"
        with suppress(duckdb.OutOfMemoryException):
            self.connection.execute(f"create table {rows} as {self.body(view)}")
            self.connection.execute(f"create or replace view {view} as select * from {rows}")  # noqa: S608  # names of our own
            return True
        return False

    def make_all(self) -> None:
        """Make every view, and every table."""
        self.register(self.tables)
        self.make(self.statements)

    def make(self, names: Collection[str]) -> None:
        """Make some views, and first those that they read."""
        wanted = set(names) - self.made
        for name in reversed(self.statements):
            if name in wanted:
                wanted |= sources_of(self.body(name)) & self.statements.keys() - self.made
        for name in self.statements:
            if name not in wanted:
                continue
            self.register(sources_of(self.body(name)))
            if name not in self.often_named() - self.read or not self.read_rows(name):
                self.connection.execute(f"create view {name} as {self.body(name)}")
            self.made.add(name)

    def register(self, names: Iterable[str]) -> None:
        """Hand those of some names to DuckDB that are tables which it has not."""
        for name in self.tables.keys() & set(names) - self.registered:
            self.connection.register(name, self.tables[name]())
            self.registered.add(name)

    def body(self, view: str) -> str:
        """Return the query that a view stands for, with those of our own views that it reads."""

        def inlined(match: re.Match[str]) -> str:
            if match[2] not in INNER_VIEWS:
                return match[0]
            return f"{match[1]} (\n{self.body(match[2])}\n) as {match[2]}"

        _, _, query = self.statements[view].partition(f"create view {view} as")
        return SOURCE.sub(inlined, query.strip().removesuffix(";"))


@functools.lru_cache(maxsize=64)
def sources_of(statement: str) -> frozenset[str]:
    """Return the names of what a statement reads; most stores have the same statements."""
    return frozenset(name for _, name in SOURCE.findall(NO_NAMES.sub(" ", statement)))
