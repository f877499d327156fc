"""The content of a Parquet file of ours: sealed, with a checksum on every page."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from symstudy.store.files.sealed import seal
from symstudy.store.tables.copies import is_copy

__all__ = ["STATISTICS_ROWS", "parquet_content"]

STATISTICS_ROWS = 10_000
"""Files of fewer rows have no statistics: a reader of thousands of small ones reads mostly footers,
which are twice as long with them."""


def parquet_content(
    schema: pa.Schema, groups: Iterable[pa.Table], *, statistics: bool, keys: Sequence[str] = ()
) -> bytes:
    """Return the bytes of a file, made a row group at a time.

    Args:
        schema: Of every group.
        groups: The rows of each group.
        statistics: Whether readers may skip groups by the statistics of their columns.
        keys: Names of columns that readers find without opening the file as Parquet.
    """
    sink = pa.BufferOutputStream()
    # Values that repeat: numbers that are measured hardly do, hyperparameters beside runs do.
    repeated = [
        field.name for field in schema if pa.types.is_string(field.type) or is_copy(field.name)
    ]
    narrow = pa.schema([schema.field(name) for name in keys])
    kept = [narrow.empty_table()]
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=repeated,
        write_statistics=statistics,
        write_page_checksum=True,
        # Readers know the types: with Arrow's schema footers are twice as long. Where columns
        # differ from file to file, it says what they mean.
        store_schema=any(field.metadata for field in schema),
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=max(group.num_rows, 1))
            kept.append(group.select(narrow.names).replace_schema_metadata(None))
        about = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        writer.add_key_value_metadata(about)
    found = pa.concat_tables(kept) if keys else None
    return seal(sink.getvalue(), found)
