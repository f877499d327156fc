import math

import numpy as np
import pyarrow as pa
import pytest

from symstudy.store import open_store
from symstudy.store.tables import coded, cubes
from symstudy.store.tables.coded import CodedRuns
from symstudy.store.tables.loaded import LoadedRuns
from symstudy.testing.stores import plant_pack

ROWS = 500
NUMBERS = [0.0, -0.0, 1.5, -2.0, 1e300, math.inf, -math.inf, math.nan, None]


@pytest.fixture
def loaded(store):
    return LoadedRuns(store)


@pytest.fixture
def odd(loaded):
    """Rows of odd values in the place of those of the store."""
    rng = np.random.default_rng(0)

    def drawn(values):
        return [values[at] for at in rng.integers(0, len(values), ROWS)]

    columns = {
        "study": drawn(["one", "other"]),
        "seed": drawn([0, 1, 2, 2**60]),
        "outcome": drawn(["done", "stopped", "diverged"]),
        "number": drawn(NUMBERS),
        "text": drawn(["", "a", "B", "ä", "\U0001f600", None]),
        "truth": drawn([True, False, None]),
        "value": rng.normal(size=ROWS).tolist(),
    }
    loaded.execute("create or replace table runs as select * from more", pa.table(columns))
    return loaded


def same(value):
    """A value by which NaN is NaN."""
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@pytest.mark.parametrize(
    "by", [["number"], ["text"], ["truth"], ["number", "text"], ["truth", "seed", "text"], []]
)
@pytest.mark.parametrize(
    "held", [[], ['"number" > 1'], ["\"text\" in ('a', 'B')", '"truth"'], ['"seed" = -1']]
)
def test_counts_are_those_of_sql_in_its_order(odd, by, held):
    names = [f'"{name}"' for name in by]
    found = CodedRuns(odd).counts(names, held)
    where = " and ".join(held) or "true"
    listed = ", ".join([*names, "count(*)"])
    order = ", ".join(f"{name} nulls last" for name in names) or "1"
    group = f"group by {', '.join(names)}" if by else "having count(*) > 0"
    rows = odd.connection.sql(
        f"select {listed} from runs where {where} {group} order by {order}"
    ).fetchall()
    assert found is not None
    assert [tuple(map(same, row)) for row in found] == [tuple(map(same, row)) for row in rows]


@pytest.mark.parametrize("room", [1, 40, 2_000_000])
def test_a_filter_that_moves_counts_what_sql_counts_wherever_it_stands(odd, monkeypatch, room):
    monkeypatch.setattr(cubes, "MOST_PLACES", room)
    runs = CodedRuns(odd)
    for low in (-1.0, 0.0, 1.5, 2.0):
        for text in ("in ('a')", "in ('', 'B')", "is null"):
            held = [f'"number" between {low} and 1e300', f'"text" {text}', '"value" > 0']
            for by in (["truth"], ["text", "truth"], ["truth", "truth"]):
                names = [f'"{name}"' for name in by]
                listed = ", ".join(names)
                rows = odd.connection.sql(
                    f"select {listed}, count(*) from runs where {' and '.join(held)} "
                    f"group by {names[0]}, {names[-1]} order by {listed}"
                ).fetchall()
                assert runs.counts(names, held) == rows
    assert runs.kept_bytes == sum(map(coded.num_bytes, runs.kept.values()))


def test_the_latest_moved_filter_is_added_up_where_there_is_room_for_one(odd, monkeypatch):
    monkeypatch.setattr(cubes, "MOST_PLACES", 12)
    runs = CodedRuns(odd)
    runs.counts(['"study"'], ['"truth" = true', "\"text\" = 'a'"])
    runs.counts(['"study"'], ['"truth" = true', "\"text\" = 'B'"])
    slices = runs.slices(['"truth" = true', "\"text\" = ''"], [('"study"', 2)])
    assert (slices.columns, slices.rest) == (('"text"',), ('"truth" = true',))


@pytest.mark.parametrize("by", [["text"], ["truth", "number"], []])
@pytest.mark.parametrize(
    "held", [["outcome = 'done'"], ["outcome = 'done'", '"number" between -2 and 2', '"truth"']]
)
def test_means_over_seeds_are_those_of_sql(odd, by, held):
    names = [f'"{name}"' for name in by]
    means = CodedRuns(odd).seed_means(names, '"value"', held)
    assert means is not None
    listed = "".join(f"{name}, " for name in names)
    rows = odd.connection.sql(
        f"with per_seed as (select {listed} study, seed, avg(value) as value, count(*) as num "
        f"from runs where {' and '.join(held)} group by all) select {listed} avg(value), "
        "stddev_samp(value), count(*), sum(num)::bigint from per_seed "
        + (f"group by {', '.join(names)}" if by else "")
    ).fetchall()
    expected = {tuple(map(same, row[: len(by)])): row[len(by) :] for row in rows}
    keys = [tuple(map(same, key)) for key in means.groups.keys]
    found = dict(zip(keys, zip(*means.over_seeds(), strict=True), strict=True))
    assert found.keys() == expected.keys()
    for key, (mean, deviation, seeds, runs) in found.items():
        assert (seeds, runs) == expected[key][2:]
        assert mean == pytest.approx(expected[key][0], rel=1e-12)
        assert math.isnan(deviation) == (expected[key][1] is None)
        if not math.isnan(deviation):
            assert deviation == pytest.approx(expected[key][1], rel=1e-9)


def test_rows_that_are_added_and_columns_that_are_loaded_are_counted(loaded, store, study):
    runs = CodedRuns(loaded)
    assert runs.total([]) == 12
    before = runs.counts(["outcome"], [])
    # To load a column makes the table anew, in any order: nothing of before is used with it.
    joint = runs.counts(["outcome", '"width"', '"test_loss" is null'], [])
    assert before == [("diverged", 2), ("done", 10)]
    assert joint is not None
    assert {(row[0], row[2]) for row in joint} == {("done", False), ("diverged", True)}
    (folder,) = store.folders
    failed = [row[0] for row in loaded.rows("select run_id from runs where outcome = 'diverged'")]
    again = [run for run in study.runs() if run.run_id in failed]
    plant_pack(folder, study.name, "again", again, lambda _: {"test_loss": 1.0})
    loaded.refresh(open_store(folder.path))
    assert runs.counts(["outcome"], []) == [("done", 12)]


def test_too_many_values_are_left_to_sql(odd, monkeypatch):
    monkeypatch.setattr(coded, "MOST_VALUES", 5)
    assert CodedRuns(odd).counts(['"value"'], []) is None
    monkeypatch.setattr(coded, "MOST_PLACES", 5)
    assert CodedRuns(odd).counts(['"study"', "outcome"], []) is None
    assert CodedRuns(odd).seed_means(['"study"'], '"value"', []) is None
