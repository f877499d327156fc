"""Whole numbers that no float holds are refused with what to report: never rounded."""

import pyarrow as pa
import pytest

from symstudy.errors import QueryError, StoreError
from symstudy.store.files.rewriting import in_schema

LARGE = 2**60 + 1
SCRIPT = f"""
def main(run):
    run.report(1, mixed={LARGE} if run.seed == 0 else 0.5, count=2**53)
"""
TABLES = """
[program]
entry = "train:main"
[sweep]
seed = 3
"""


@pytest.mark.parametrize("size", [1, 3])
def test_a_run_whose_count_another_run_would_round_fails_whatever_its_pack(run_programs, size):
    summary, store = run_programs(SCRIPT, f"{TABLES}\n[pack]\nsize = {size}\n")
    assert summary.failed == 1
    rows = store.sql("select seed, outcome, mixed, count, reason from runs order by seed").rows
    assert rows[0][:4] == (0, "error", None, None)
    assert f"'mixed' is {LARGE}. Report it as float(mixed)" in rows[0][4]
    assert rows[1][:4] == (1, "done", 0.5, 2**53)


def test_files_of_an_older_version_that_hold_both_are_not_merged_into_what_rounds():
    table = pa.table({"mixed": pa.array([LARGE], pa.int64())})
    with pytest.raises(StoreError, match=r"'mixed' has whole numbers beyond 2\^53 in some runs"):
        in_schema(table, pa.schema([("mixed", pa.float64())]))


def test_a_frame_has_large_counts_beside_nulls_unrounded(run_programs):
    _, store = run_programs(SCRIPT, TABLES)
    frame = store.df(
        f"select seed, case when seed > 0 then {LARGE} end as large, "  # a constant
        "case when seed > 0 then 7 end as small from runs order by seed"
    )
    assert frame["large"].isna().tolist() == [True, False, False]
    assert int(frame["large"][1]) == LARGE
    assert frame["small"].dtype == float


@pytest.mark.parametrize("kind", ["uhugeint", "bit", "bignum"])
def test_a_type_that_would_leave_as_something_else_is_refused(run_programs, kind):
    _, store = run_programs(SCRIPT, TABLES)
    value = "'101'" if kind == "bit" else "340282366920938463463374607431768211455"
    with pytest.raises(QueryError, match=rf"'x' is of {kind.upper()}.*x::varchar"):
        store.sql(f"select {value}::{kind} as x")
    assert store.sql(f"select ({value}::{kind})::varchar as x").rows
    (row,) = store.sql("select sum(count) * 1024 * 1024 as x from runs").rows
    assert row[0] == 2 * 2**73
