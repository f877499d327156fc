"""What `symstudy query` writes, by the ending of the file, and what it refuses."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import QueryError, StoreError, UserError
from symstudy.store import open_store


@pytest.fixture
def query(results):
    """Ask the results of the smoke study."""

    def ask(sql, *options):
        said = CliRunner().invoke(app, ["query", str(results), sql, *map(str, options)])
        if said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        return said

    return ask


def test_the_ending_of_the_file_decides_the_format(query, tmp_path):
    sql = "select width, count(*) as n from runs group by all order by all"
    for ending in ("parquet", "csv", "json", "txt"):
        assert "2 rows in" in query(sql, "-o", tmp_path / f"x.{ending}").stderr
    assert pq.read_table(tmp_path / "x.parquet").to_pylist()[0] == {"width": 8, "n": 6}
    assert json.loads((tmp_path / "x.json").read_text())[1] == {"width": 16, "n": 6}
    assert (tmp_path / "x.csv").read_text().startswith('"width","n"\n8,6\n')
    assert (tmp_path / "x.txt").read_text() == "width  n\n    8  6\n   16  6\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "rows"), "must end in .txt, .csv, .json, .jsonl, .parquet.*Type --format csv"),
        (("-o", "x.parquet", "--format", "csv"), "type --output x.csv"),
        (("--format", "parquet"), "must have a file"),
        (("-o", "none/x.csv"), "no folder"),
        (("-o", ".", "--format", "csv"), "it is a folder"),
        (("-o", "none/x.parquet"), "no folder"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_what_to_type(
    query, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, StoreError), match=message):
        query("select 1 as one", *options)
    assert list(tmp_path.iterdir()) == []


def test_a_sum_is_a_number_in_json_and_in_a_frame(query, results):
    (row,) = json.loads(query("select sum(seed) as s from runs", "--format", "json").stdout)
    assert row == {"s": 6}
    frame = open_store(results).df("select sum(seed) as s, sum(seed) / 4 as q from runs")
    assert (frame.dtypes["s"].kind, frame.dtypes["q"].kind) == ("i", "f")


def test_columns_of_one_name_are_told_apart(query, results, tmp_path):
    sql = "select a.seed, b.seed from runs a, runs b where a.seed < b.seed limit 1"
    said = query(sql, "--format", "json")
    assert json.loads(said.stdout) == [{"seed": 0, "seed_2": 1}]
    assert "told apart: seed_2" in said.stderr
    query(sql, "-o", tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column_names == ["seed", "seed_2"]
    assert list(open_store(results).df(sql)) == ["seed", "seed_2"]


def test_json_and_lines_of_json_are_what_programs_read(query, tmp_path):
    sql = "select width, count(*) as n from runs group by all order by all"
    rows = [{"width": 8, "n": 6}, {"width": 16, "n": 6}]
    assert json.loads(query(sql, "--json").stdout) == rows
    assert [
        json.loads(line) for line in query(sql, "--format", "jsonl").stdout.splitlines()
    ] == rows
    query(sql, "-o", tmp_path / "x.jsonl")
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == rows
    with pytest.raises(UserError, match="--json is --format json"):
        query(sql, "--json", "--format", "csv")


def test_a_dash_takes_the_query_from_standard_input(results):
    asked = ["query", str(results), "-", "--json"]
    said = CliRunner().invoke(app, asked, input="select count(*) as n from runs")
    assert json.loads(said.stdout) == [{"n": 12}]


def test_nan_is_null_in_json(query):
    sql = "select 'nan'::double as loss, ['inf'::double] as curve"
    assert json.loads(query(sql, "--format", "json").stdout) == [{"loss": None, "curve": [None]}]


@pytest.mark.parametrize(
    "sql",
    [
        "pivot runs on seed using count(*) group by width order by width",
        "from (pivot runs on seed using count(*) group by width order by width);",
        "with p as (pivot runs on seed using count(*) group by width order by width) from p",
    ],
)
def test_pivot_is_a_query(query, sql):
    assert query(sql, "--format", "csv").stdout == '"width","0","1"\n8,3,3\n16,3,3\n'


@pytest.mark.parametrize(
    "sql",
    [
        "create table t as pivot runs on seed using count(*)",
        "insert into runs pivot runs on seed using count(*)",
        "copy (pivot runs on seed using count(*)) to 'x.csv'",
    ],
)
def test_what_changes_something_is_refused_though_it_pivots(results, sql):
    with pytest.raises(QueryError, match="must be one SELECT statement"):
        open_store(results).arrow(sql)
