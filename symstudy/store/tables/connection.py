"""The read-only SQL connection to one or more studies.

A query may use a limited share of memory and time, so that a mistake in one does not stop the
machine for everybody on it.

Files are handed to DuckDB as Arrow datasets, so its own access to files and network can be switched
off altogether: a query can neither read nor write anything but the tables it is given. Each
connection sees the files there were when it was opened; if one of them is gone, since small files
were merged, it is opened anew.
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa

from symstudy.errors import QueryError, StoreError
from symstudy.identity import digest
from symstudy.store.explorer import ExplorerFrame, start_explorer
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import find_studies
from symstudy.store.files.manifest import ATTEMPTS, read_again
from symstudy.store.tables.answers import (
    FirstRows,
    check_reads,
    columns_to_round,
    distinct_names,
    first_rows,
    plain_numbers,
    query_error,
)
from symstudy.store.tables.hyperparameters import RESERVED
from symstudy.store.tables.limits import MEMORY, TIMEOUT_S, check_limits
from symstudy.store.tables.opening import Opened, open_tables
from symstudy.store.tables.running import Limits, run_within
from symstudy.store.tables.scans import StudyTables
from symstudy.store.tables.schema import RUNS, Table
from symstudy.store.tables.view_statements import VIEWS, quoted
from symstudy.store.tables.views_on_demand import ViewsOnDemand
from symstudy.study.columns import Hyperparameter, builtin_columns, builtin_names

if TYPE_CHECKING:
    import pandas as pd

    from symstudy.plots.plotter import Plots

__all__ = ["Answer", "Store", "open_store"]


class Answer(NamedTuple):
    """What a query returned.

    Attributes:
        columns: Names.
        rows: Values, as Python objects.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def _repr_html_(self) -> str:
        """Return the rows as a table, for notebooks."""
        import pandas as pd

        return str(pd.DataFrame(self.rows, columns=list(self.columns)).to_html(index=False))


class Store:
    """Read-only access to the results of one or more studies.

    Args of the constructor: the studies' folders, and the limits. Not to be shared by threads.

    Attributes:
        folders: The studies' folders.
        memory: Memory that a query may use, such as `4GB`.
        timeout_s: Seconds that a query may take.
        tables: The tables of the studies as they were when the files were last listed.
        queries: Every query that was run.

    Examples:
        >>> store = open_store("results")  # doctest: +SKIP
        >>> store.df("select width, avg(test_loss) from runs group by all")  # doctest: +SKIP
    """

    def __init__(
        self,
        folders: Sequence[StudyFolder],
        *,
        memory: str = MEMORY,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """See the class.

        Raises:
            StoreError: If a file of a study is damaged.
            QueryError: If `memory` or `timeout_s` is no limit.
        """
        self.folders = tuple(folders)
        self.memory = memory
        self.timeout_s = timeout_s
        self.memory_bytes = check_limits(memory, timeout_s)
        self.queries: list[str] = []
        self.connect()

    def connect(self) -> None:
        """List the files there are now; the tables and views over them are made when asked for.

        Raises:
            StoreError: If a file of a study is damaged.
        """
        for found in ("fingerprint", "opened"):
            self.__dict__.pop(found, None)
        self.tables = read_again(lambda: StudyTables(self.folders))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection to DuckDB; `views` says which tables and views it has by now."""
        return self.opened.connection

    @property
    def views(self) -> ViewsOnDemand:
        """The tables and the views over them, which queries by `sql`, `df` and `arrow` make."""
        return self.opened.views

    @cached_property
    def opened(self) -> Opened:
        """The connection and its views, made when a query first needs them."""
        return open_tables(self.tables, memory=self.memory)

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """The hyperparameters of the studies: those that are columns of the views."""
        return self.tables.hyperparameters

    def own_columns(self, table: Table) -> tuple[str, ...]:
        """Return the columns of a view that are not built in: named measures, reported metrics."""
        names = (field.name for field in self.tables.named.get(table.name, ()))
        return tuple(self.tables.aliases.get(name, name) for name in names)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Columns of `runs` that are not built in: measures of the user's, metrics of programs."""
        return self.own_columns(RUNS)

    def column_of(self, key: str) -> str | None:
        """Return the column that holds a key of a study file, such as `train.lr`; None without.

        Args:
            key: Table and key, with a point between them.
        """
        table, _, name = key.partition(".")
        known = builtin_names(RESERVED).get((table, name))
        if known is not None:
            return known.name
        own = [each for each in self.hyperparameters if (each.table, each.key) == (table, name)]
        if not own and table == "config":
            shared = builtin_columns(RESERVED).get(name.replace(".", "_").lower())
            return shared.name if shared is not None else None
        if not own:
            # One of two keys that say the same, such as train.lr_over_batch: a column of both has
            # its name.
            own = [each for each in self.hyperparameters if (each.table, each.name) == ("", name)]
        return own[0].name if own else None

    @property
    def swept(self) -> tuple[str, ...]:
        """The columns of what varies in the studies, by what these say of themselves."""
        keys = [key for folder in self.folders for key in folder.read_study().get("swept", ())]
        names = [self.column_of(key) for key in keys]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @property
    def plot(self) -> "Plots":
        """Figures of any columns of these results, by kind: `store.plot.scaling(x=..., y=...)`."""
        # What fits laws takes longer to import than to open a store.
        from symstudy.plots.plotter import Plots

        return Plots(self)

    @staticmethod
    def quoted(name: str) -> str:
        """Return a name as SQL takes it for a column: a user's key may be `order`."""
        return quoted(name)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of which rows there are: it changes when a pack is added or written again.

        Merging files does not change it.
        """
        return digest("\n".join(self.packs()))

    def fingerprint_of(self, study: str) -> str:
        """Return the fingerprint of a store of one of the studies alone."""
        return digest("\n".join(line for line in self.packs() if line.startswith(f"{study}|")))

    def packs(self) -> list[str]:
        """Return a line a pack: study, pack, time, and number of runs."""
        self.views.register(["runs_keys"])
        packs = self.connection.sql(
            "select study, pack_id, cast(finished_at as varchar), count(*) from runs_keys "
            "group by all order by all"
        ).fetchall()
        return ["|".join(map(str, pack)) for pack in packs]

    def explore(self, height: int = 900) -> ExplorerFrame:
        """Show the explorer of these studies in a frame, for notebooks.

        It is a process of its own, which ends with this Python, or with the `close` of what is
        returned.

        Args:
            height: Height of the frame, in pixels.

        Raises:
            StoreError: If it does not start.
        """
        return start_explorer([folder.location for folder in self.folders], height)

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> Answer:
        """Return the answer to one SELECT statement.

        Raises:
            QueryError: If it is not one, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        table = self.arrow(query, parameters)
        columns = [column.to_pylist() for column in table.columns]
        return Answer(tuple(table.column_names), list(zip(*columns, strict=True)))

    def df(self, query: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the answer as a pandas frame; integers with nulls become float64, for seaborn.

        They become `Int64` where one is beyond 2^53, which a float would round.

        The second of two columns called `seed` is `seed_2`.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        import pandas as pd

        table = self.arrow(query, parameters)
        named = table.rename_columns(distinct_names(table.column_names))
        frame = pd.DataFrame(named.to_pandas())
        for name in columns_to_round(named):
            frame[name] = named[name].to_pandas(types_mapper=lambda _: pd.Int64Dtype())
        return frame

    def first(self, query: str, most_rows: int, parameters: Sequence[Any] = ()) -> FirstRows:
        """Return the first rows of an answer; the others are never made.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        return first_rows(self.arrow(query, parameters, most_rows=most_rows), most_rows)

    def arrow(
        self, query: str, parameters: Sequence[Any] = (), *, most_rows: int | None = None
    ) -> pa.Table:
        """Return the answer as an Arrow table.

        Args:
            query: One SELECT statement.
            parameters: Values of its question marks.
            most_rows: Rows after which it may end; all are returned if not given.

        Raises:
            QueryError: If `query` is no SELECT statement, or DuckDB refuses it.
            StoreError: If a file turns out to be damaged.
        """
        check_reads(self.connection, query)
        self.queries.append(inspect.cleandoc(query))
        plain = [value.item() if hasattr(value, "item") else value for value in parameters]
        limits = Limits(self.memory, self.memory_bytes, self.timeout_s, most_rows)
        for left in reversed(range(ATTEMPTS)):
            try:
                self.views.make_for(query)
                table = run_within(self.connection, query, plain, limits, self.relation)
                break
            except (duckdb.Error, OSError, pa.ArrowException) as error:
                if not left or not self.tables.is_stale():
                    raise failure(query, error, self.tables) from error
            # Files were merged, or a pack was written again, under our hands.
            self.connect()
        if table is None:
            raise QueryError("SQL must return rows, but the statement returned none.")
        return plain_numbers(table)

    def relation(self, query: str, parameters: Sequence[Any]) -> duckdb.DuckDBPyRelation | None:
        """Return the relation that a query stands for.

        Raises:
            duckdb.Error: If DuckDB refuses it.
        """
        try:
            return self.connection.sql(query, params=parameters or None)
        except duckdb.CatalogException:
            # A view may be named without its name standing there, as in query_table('ru' || 'ns').
            if self.views.are_all_made:
                raise
            self.views.make_all()
            return self.connection.sql(query, params=parameters or None)

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of every table and view, for completion and help."""
        rows = self.sql(
            "select table_name, column_name from information_schema.columns "
            "where table_name in (select unnest(?)) order by table_name, ordinal_position",
            [list(VIEWS)],
        ).rows
        found: dict[str, list[str]] = {}
        for table, column in rows:
            found.setdefault(table, []).append(column)
        return found


def open_store(*locations: str | Path, memory: str = MEMORY, timeout_s: float = TIMEOUT_S) -> Store:
    """Return read-only SQL access to the studies at `locations` (`results` if none is given).

    Args:
        locations: Folders of studies, or their parents, local or as URIs such as `s3://bucket/results`.
        memory: Memory that a query may use, such as `500MB` or `16GB`.
        timeout_s: Seconds that a query may take.

    Raises:
        StoreError: If there is no study, or a file of one is damaged.
        QueryError: If a limit is none.
    """
    folders = find_studies([str(location) for location in locations or ("results",)])
    return Store(folders, memory=memory, timeout_s=timeout_s)


def failure(query: str, error: Exception, tables: StudyTables) -> StoreError | QueryError:
    """Return what to raise for an error of DuckDB or Arrow: damaged files, or a mistake."""
    if isinstance(error, duckdb.Error) and not any(
        word in str(error) for word in ("CRC", "Parquet", "Couldn't", "Arrow", "IOError")
    ):
        return query_error(query, error)
    return tables.damage(error)
