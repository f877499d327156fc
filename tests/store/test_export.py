import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.errors import StoreError
from symstudy.store.tables.export import to_csv, to_json, write_parquet

TABLE = pa.table({"name": ["a,b", None], "value": [1.5, 2.0], "curve": [[1, 2], None]})


def test_csv_has_a_heading_and_lists_as_json():
    assert to_csv(TABLE) == '"name","value","curve"\n"a,b",1.5,"[1, 2]"\n,2,"null"\n'


def test_json_is_a_list_of_objects():
    assert json.loads(to_json(TABLE))[0] == {"name": "a,b", "value": 1.5, "curve": [1, 2]}


def test_parquet_comes_back(tmp_path):
    write_parquet(TABLE, tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(TABLE)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match="--output must be writable"):
        write_parquet(TABLE, tmp_path / "none" / "rows.parquet")
