"""The views of a connection, each made when a query first names it.

DuckDB checks all columns of a view as it makes it, some of three hundred: all of them take a fifth
of a second, and a query needs one or two. It checks and plans them again wherever a query names the
view: the queries of a claim name `runs`, or a view over it, up to eighty times, and `convergence`
once for each reason to leave a run out. So the rows of a small study are read into memory once
queries have named them often, and `runs` and `convergence` are views of these.
"""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import final

import duckdb

__all__ = ["ViewsOnDemand"]

CATALOGS = ("show", "describe", "summarize", "information_schema", "duckdb_", "pg_", "sqlite_")
"""Words of queries that may list views."""
OF_ONE = re.compile(r"\(\s*describe\s+\w+\s*\)")
"""What lists the columns of one view that it names."""
READ = {"runs": 2, "convergence": 1}
"""The views whose rows are read into memory: those over them that queries name most read them.

Each with the number of names, of its own or of a view over it, up to which files are read for each.
"""
IN_MEMORY = "_in_memory"
"""Behind a view's name, the table of its rows."""


@final
class ViewsOnDemand:
    """Views that are made before a query that names them.

    Attributes:
        connection: Where they are made.
        statements: The statement that makes each view, by its name; what a view reads comes first.
        is_small: Whether rows may be read into memory.
        made: Names of those that are there.
        num_names: How often queries have named a view that may be read into memory, or a view over
            it, by its name.
        read: Names of views whose rows are in memory, or could not be.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        statements: dict[str, str],
        *,
        is_small: bool = False,
    ) -> None:
        """See the class; no view is made yet."""
        self.connection = connection
        self.statements = statements
        self.is_small = is_small
        self.made: set[str] = set()
        self.num_names: Counter[str] = Counter()
        self.read: set[str] = set()

    @property
    def are_all_made(self) -> bool:
        """Whether there is no view left to make."""
        return len(self.made) == len(self.statements)

    def make_for(self, query: str) -> None:
        """Make the views that a query names, or may list."""
        text = query.lower()
        if any(word in OF_ONE.sub("", text) for word in CATALOGS):
            self.make_all()
            return
        named = [word for word in re.findall(r"\w+", text) if word in self.statements]
        self.make(named)
        for view, few in READ.items():
            self.num_names[view] += sum(word in self.over[view] for word in named)
            if self.is_small and view not in self.read and self.num_names[view] > few:
                self.read_rows(view)

    @cached_property
    def over(self) -> dict[str, set[str]]:
        """Of each view that may be read into memory, its name and those of the views over it."""
        found = {view: {view} for view in READ}
        for name, statement in self.statements.items():
            for names in found.values():
                if sources_of(statement) & names:
                    names.add(name)
        return found

    def read_rows(self, view: str) -> None:
        """Read the rows of a view into memory, if they fit; it is a view of them from then on."""
        self.read.add(view)
        rows = f"{view}{IN_MEMORY}"
        with suppress(duckdb.OutOfMemoryException):
            self.connection.execute(f"create table {rows} as select * from {view}")  # noqa: S608  # names of our own
            self.connection.execute(f"create or replace view {view} as select * from {rows}")  # noqa: S608  # as above

    def make_all(self) -> None:
        """Make every view."""
        self.make(self.statements)

    def make(self, names: Iterable[str]) -> None:
        """Make some views, and first those that they read."""
        wanted = set(names) - self.made
        for name, statement in reversed(self.statements.items()):
            if name in wanted:
                wanted |= sources_of(statement) & self.statements.keys()
        for name, statement in self.statements.items():
            if name in wanted - self.made:
                self.connection.execute(statement)
                self.made.add(name)


def sources_of(statement: str) -> set[str]:
    """Return the names of what a statement reads."""
    return set(re.findall(r"\b(?:from|join)\s+(\w+)", re.sub(r"--[^\n]*", "", statement)))
