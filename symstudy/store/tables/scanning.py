"""How DuckDB scans the files of a table: which columns are dictionaries, and how pages are read."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.dataset as ds

from symstudy.store.tables.schema import Table

__all__ = ["parquet_format", "with_dictionaries"]

DICTIONARIES = {
    "runs": ("study", "cell_id", "pack_id", "outcome"),
    "history": ("run_id", "pack_id"),
    "layers": ("run_id", "pack_id"),
    "certificates": (),
    "representations": ("run_id", "pack_id"),
    "pairs": (),
    "plan": ("study",),
}


def with_dictionaries(table: Table, more: Sequence[pa.Field] = ()) -> tuple[pa.Schema, list[str]]:
    """Return the schema in which a table is read, and its columns that are dictionaries there.

    A run has a hundred rows of history: joined as dictionaries they take half the time.

    Args:
        table: The table.
        more: Columns that are read beside its own; texts among them are dictionaries.
    """
    texts = [field.name for field in more if pa.types.is_string(field.type)]
    names = [*DICTIONARIES[table.name], *texts]
    schema = pa.schema([*table.schema, *more], metadata=table.schema.metadata)
    text = pa.dictionary(pa.int32(), pa.string())
    for name in names:
        schema = schema.set(schema.get_field_index(name), pa.field(name, text))
    return schema, names


def parquet_format(dictionaries: Sequence[str], *, is_local: bool) -> ds.ParquetFileFormat:
    """Return how files are read: checked, and from far away in few large pieces."""
    options = ds.ParquetFragmentScanOptions(
        page_checksum_verification=True, pre_buffer=not is_local
    )
    return ds.ParquetFileFormat(
        default_fragment_scan_options=options, dictionary_columns=list(dictionaries)
    )
