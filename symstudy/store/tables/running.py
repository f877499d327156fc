"""A statement run within limits of time, memory and rows."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from symstudy.store.tables.answers import check_types
from symstudy.store.tables.limits import is_out_of_memory, memory_error, timeout_error

__all__ = ["Limits", "run_within"]

BATCH_ROWS = 100_000
"""Rows of an answer that are fetched together."""
VECTOR_ROWS = 2048
"""Rows that DuckDB makes together."""


Relations = Callable[[str, Sequence[Any]], duckdb.DuckDBPyRelation | None]


class Limits(NamedTuple):
    """What a statement may use.

    Attributes:
        memory: Memory, as it is said to a person.
        memory_bytes: The same in bytes, for the rows of the answer.
        timeout_s: Seconds.
        most_rows: Rows of the answer after which it ends; None for all.
    """

    memory: str
    memory_bytes: int
    timeout_s: float
    most_rows: int | None = None


def run_within(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Sequence[Any],
    limits: Limits,
    relation_of: Relations | None = None,
) -> pa.Table | None:
    """Return the rows of a statement; None if it has none to return.

    Of an answer of more than `most_rows` rows, at least one more than these is returned.

    Args:
        connection: Where it is run.
        query: The statement.
        parameters: Values of its question marks.
        limits: What it may use.
        relation_of: Returns the relation that a statement stands for; the connection's, if None.

    Raises:
        QueryError: If it takes more time, or more memory for its rows, than it may.
        duckdb.Error: If DuckDB refuses it.
    """
    timer = threading.Timer(limits.timeout_s, connection.interrupt)
    timer.daemon = True
    start = time.monotonic()
    timer.start()
    try:
        relation = (
            relation_of(query, parameters)
            if relation_of is not None
            else connection.sql(query, params=parameters or None)
        )
        return None if relation is None else gather(relation, query, limits)
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        if time.monotonic() - start >= limits.timeout_s and "nterrupt" in str(error):
            raise timeout_error(query, limits.timeout_s) from error
        if is_out_of_memory(error):
            raise memory_error(query, limits.memory) from error
        raise
    finally:
        timer.cancel()
        # A thread that is left when Python ends takes the process down with it.
        timer.join()


def gather(relation: duckdb.DuckDBPyRelation, query: str, limits: Limits) -> pa.Table:
    """Return the rows of an answer, which take no more memory than a query may.

    Raises:
        QueryError: If they take more, or a column has a type that cannot be handed out.
    """
    check_types(relation)
    most = limits.most_rows
    # Rows come as they are asked for: the rest of a long answer is never made.
    reader = relation.to_arrow_reader(BATCH_ROWS if most is None else VECTOR_ROWS)
    batches: list[pa.RecordBatch] = []
    size = rows = 0
    for batch in reader:
        size += batch.nbytes
        if size > limits.memory_bytes:
            raise memory_error(query, limits.memory)
        batches.append(batch)
        rows += batch.num_rows
        if most is not None and rows > most:
            reader.close()
            break
    return pa.Table.from_batches(batches, schema=reader.schema)
