import csv
import datetime
import io
import json
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.errors import StoreError
from symstudy.store.tables.answers import distinct_names, plain_numbers
from symstudy.store.tables.export import to_csv, to_json, to_parquet, write_file

TABLE = pa.table({"name": ["a,b", None], "value": [1.5, 2.0], "curve": [[1, 2], None]})


def test_csv_has_a_heading_lists_as_json_and_empty_nulls():
    assert to_csv(TABLE).text == '"name","value","curve"\n"a,b",1.5,"[1, 2]"\n,2,\n'


def test_csv_of_lists_of_dates_and_of_what_csv_lacks():
    days = pa.array([[datetime.date(2025, 1, 2), None]])
    spans = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    heading, row = to_csv(pa.table({"days": days, "span": spans})).text.splitlines()
    assert heading == '"days","span"'
    assert row.startswith('"[""2025-01-02"", null]","')
    assert "months=1" in row


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


def refuse(constant):
    raise ValueError(constant)


def test_nan_and_infinity_are_null_in_json_also_in_lists():
    table = pa.table({"loss": [math.nan, 1.0], "curve": [[math.inf, 2.0], [-math.inf]]})
    rows = json.loads(to_json(table), parse_constant=refuse)
    assert rows == [{"loss": None, "curve": [None, 2.0]}, {"loss": 1.0, "curve": [None]}]


def test_parquet_comes_back(tmp_path):
    write_file(to_parquet(TABLE), tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(TABLE)


def test_decimals_become_numbers_also_in_lists():
    whole, part = pa.decimal128(38, 0), pa.decimal128(10, 1)
    table = pa.table(
        {
            "sum": pa.array([Decimal(6), None], whole),
            "huge": pa.array([Decimal(2**70), Decimal(1)], whole),
            "mean": pa.array([Decimal("1.5"), None], part),
            "sums": pa.array([[Decimal(1), None], None], pa.list_(whole)),
        }
    )
    plain = plain_numbers(table)
    assert plain.schema.types == [pa.int64(), whole, pa.float64(), pa.list_(pa.int64())]
    assert plain.to_pylist()[0] == {"sum": 6, "huge": 2**70, "mean": 1.5, "sums": [1, None]}


def test_whole_numbers_beyond_64_bits_and_long_decimals_are_not_rounded():
    whole, part = pa.decimal128(38, 0), pa.decimal128(20, 3)
    table = pa.table(
        {
            "huge": pa.array([Decimal(2**70 + 1), Decimal(1)], whole),
            "long": pa.array([Decimal("12345678901234567.891"), Decimal(1)], part),
            "lists": pa.array([[Decimal(2**64 + 1)], None], pa.list_(whole)),
            "short": pa.array([Decimal("0.1"), Decimal("2.5")], part),
        }
    )
    plain = plain_numbers(table)
    assert plain.schema.types == [whole, part, pa.list_(whole), pa.float64()]
    (first, second) = json.loads(to_json(plain))
    assert first == {
        "huge": 2**70 + 1, "long": "12345678901234567.891", "lists": [2**64 + 1], "short": 0.1
    }  # fmt: skip
    assert second["long"] == 1
    assert to_csv(plain).text.splitlines()[1].split(",")[0] == str(2**70 + 1)
    assert pq.read_table(pa.BufferReader(to_parquet(plain))).equals(plain)


def test_decimals_of_maps_and_arrays_become_numbers_too():
    part = pa.decimal128(4, 1)
    table = pa.table(
        {
            "map": pa.array([[("a", Decimal("1.5"))]], pa.map_(pa.string(), part)),
            "array": pa.array([[Decimal(1), Decimal("2.5")]], pa.list_(part, 2)),
        }
    )
    (row,) = json.loads(to_json(plain_numbers(table)))
    assert row == {"map": [["a", 1.5]], "array": [1.0, 2.5]}


def test_what_a_form_lacks_is_refused_with_the_column():
    spans = pa.table({"span": pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "x": [1]})
    with pytest.raises(StoreError, match=r"'span': 'month_day_nano.*Type span::varchar"):
        to_parquet(spans)
    far = pa.table({"t": pa.array([2**62], pa.timestamp("us"))})
    with pytest.raises(StoreError, match=r"years 1 to 9999 .* COLUMN::varchar"):
        to_json(far)


def test_names_that_are_there_before_are_told_apart():
    assert distinct_names(["a", "a", "a_2", "b", "a"]) == ["a", "a_3", "a_2", "b", "a_4"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("none/rows.csv", "no folder .* mkdir -p"), ("", "it is a folder"), ("f/x.csv", "")],
)
def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, place, reason):
    (tmp_path / "f").write_text("")
    with pytest.raises(StoreError, match=f"--output must be a file that can be written.*{reason}"):
        write_file(b"rows", tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("before")

    def fail(self, content):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", fail)
    with pytest.raises(StoreError, match="No space left"):
        write_file(b"rows", path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [
        ("rows.csv", "before")
    ]


def test_a_device_takes_rows_too():
    from pathlib import Path

    write_file(b"rows", Path("/dev/null"))
    assert not Path("/dev/null").is_file()
