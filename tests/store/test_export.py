import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.errors import StoreError
from symstudy.store.tables.export import to_csv, to_json, write_parquet

TABLE = pa.table({"name": ["a,b", None], "value": [1.5, 2.0], "curve": [[1, 2], None]})


def test_csv_has_a_heading_and_lists_as_json():
    assert to_csv(TABLE).text == '"name","value","curve"\n"a,b",1.5,"[1, 2]"\n,2,"null"\n'


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+SUM(1)", "-2+3", "@x", "\t=1", "\r=1"])
def test_r9_no_text_of_a_csv_file_is_a_formula(text):
    found = to_csv(pa.table({"reason": pa.array([text, "fine"]).dictionary_encode(), text: [1, 2]}))
    assert found.quoted == 2
    rows = list(csv.reader(io.StringIO(found.text, newline="")))
    assert rows == [["reason", f"'{text}"], [f"'{text}", "1"], ["fine", "2"]]


def test_r9_numbers_of_a_csv_file_stay_numbers():
    table = pa.table({"effect": [-1.5, -2e-9], "text": ["-1.5", "+3e-7"], "list": [[-1], [2]]})
    assert to_csv(table) == ('"effect","text","list"\n-1.5,"-1.5","[-1]"\n-2e-9,"+3e-7","[2]"\n', 0)


def test_json_is_a_list_of_objects():
    assert json.loads(to_json(TABLE))[0] == {"name": "a,b", "value": 1.5, "curve": [1, 2]}


def test_parquet_comes_back(tmp_path):
    write_parquet(TABLE, tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(TABLE)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match="--output must be writable"):
        write_parquet(TABLE, tmp_path / "none" / "rows.parquet")
