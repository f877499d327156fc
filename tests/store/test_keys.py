import duckdb
import numpy as np
import pyarrow as pa
import pytest

from symstudy.store.tables.keys import KEYS, find_once

RUN_KEYS = KEYS[0]


def hours(count):
    return np.datetime64("2026-01-01", "us") + np.asarray(count) * np.timedelta64(1, "h")


def rows_of(seed, runs=40, rows=120):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "study": [f"s{i}" for i in rng.integers(0, 2, rows)],
            "run_id": [f"r{i}" for i in rng.integers(0, runs, rows)],
            "pack_id": [f"p{i}" for i in rng.permutation(rows)],
            "outcome": rng.choice(["done", "stopped", "diverged", "error"], rows).tolist(),
            "reason": ["why"] * rows,
            "finished_at": hours(rng.integers(0, 9, rows)),
        }
    )


def shown(rows, clause, superseded):
    with duckdb.connect() as connection:
        connection.register("runs_files", rows)
        if superseded is not None:
            connection.register("old", superseded)
        return connection.execute(
            f"select runs_files.* from runs_files {clause} order by all"
        ).fetchall()


@pytest.mark.parametrize("seed", range(10))
def test_the_rows_that_count_are_exactly_those_of_the_window(seed):
    rows = rows_of(seed)
    once = find_once(RUN_KEYS, rows)
    assert once.superseded is not None
    assert once.superseded.num_rows > 0
    assert shown(rows, once.clause("runs_files", "old"), once.superseded) == shown(
        rows, f"qualify {once.window} = 1", None
    )


def test_runs_of_one_row_each_cost_nothing():
    once = find_once(RUN_KEYS, rows_of(0).slice(0, 1))
    assert once.clause("runs_files", "old") == ""


def test_one_run_in_two_studies_is_not_the_same_run():
    rows = rows_of(0).slice(0, 2).set_column(0, "study", pa.array(["a", "b"]))
    rows = rows.set_column(1, "run_id", pa.array(["r", "r"]))
    assert find_once(RUN_KEYS, rows).clause("runs_files", "old") == ""


def test_rows_that_are_alike_are_left_to_the_window():
    rows = rows_of(0).slice(0, 5)
    twice = pa.concat_tables([rows, rows])
    once = find_once(RUN_KEYS, twice)
    assert once.superseded is None
    assert shown(twice, once.clause("runs_files", "old"), None) == shown(
        rows, f"qualify {once.window} = 1", None
    )


def test_done_comes_before_stopped_and_stopped_before_what_failed_later():
    base = rows_of(0).slice(0, 3)
    rows = base.set_column(0, "study", pa.array(["s"] * 3)).set_column(
        1, "run_id", pa.array(["r"] * 3)
    )
    rows = rows.set_column(5, "finished_at", pa.array(hours([3, 2, 1])))
    for outcomes, wins in (
        (["error", "stopped", "done"], "done"),
        (["error", "stopped", "diverged"], "stopped"),
        (["error", "diverged", "diverged"], "error"),
    ):
        tried = rows.set_column(3, "outcome", pa.array(outcomes))
        once = find_once(RUN_KEYS, tried)
        (row,) = shown(tried, once.clause("runs_files", "old"), once.superseded)
        assert row[3] == wins
