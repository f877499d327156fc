"""The views of a connection, each made when a query first names it.

DuckDB checks all columns of a view as it makes it, some of three hundred: all of them take a fifth
of a second, and a query needs one or two.
"""

import re
from collections.abc import Iterable
from typing import final

import duckdb

__all__ = ["ViewsOnDemand"]

CATALOGS = ("show", "describe", "summarize", "information_schema", "duckdb_", "pg_", "sqlite_")
"""Words of queries that may list views."""


@final
class ViewsOnDemand:
    """Views that are made before a query that names them.

    Attributes:
        connection: Where they are made.
        statements: The statement that makes each view, by its name; what a view reads comes first.
        made: Names of those that are there.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: dict[str, str]) -> None:
        """See the class; no view is made yet."""
        self.connection = connection
        self.statements = statements
        self.made: set[str] = set()

    @property
    def are_all_made(self) -> bool:
        """Whether there is no view left to make."""
        return len(self.made) == len(self.statements)

    def make_for(self, query: str) -> None:
        """Make the views that a query names, or may list; a name within a longer word counts."""
        text = query.lower()
        if any(word in text for word in CATALOGS):
            self.make_all()
        else:
            self.make(name for name in self.statements if name in text)

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
