import pytest

from symstudy.errors import UserError
from symstudy.store import open_store
from symstudy.store.files.compaction import compact
from symstudy.store.tables.curves import PackedRun, read_curves


def chosen(store):
    rows = store.sql("select study, run_id, pack_id from runs order by run_id limit 3").rows
    return [PackedRun(*row) for row in rows]


def through_the_view(store, runs):
    return store.sql(
        "select study, run_id, step, test_loss from history where run_id in "
        "(select unnest(?)) order by study, run_id, step",
        [[run.run_id for run in runs]],
    ).rows


def rows_of(table):
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_curves_are_the_rows_of_the_view(store):
    runs = chosen(store)
    assert rows_of(read_curves(store, runs, "test_loss")) == through_the_view(store, runs)


def test_merged_files_are_looked_through(store):
    (folder,) = store.folders
    before = rows_of(read_curves(store, chosen(store), "test_loss"))
    compact(folder, grace_s=0)
    compact(folder, grace_s=0)
    again = open_store(folder.path)
    assert rows_of(read_curves(again, chosen(again), "test_loss")) == before
    assert len(before) == 3


def test_rows_of_a_pack_that_does_not_count_are_left_out(store):
    (run, *_) = chosen(store)
    assert read_curves(store, [run._replace(pack_id="another")], "test_loss").num_rows == 0


def test_a_measure_that_is_none_is_refused_with_those_there_are(store):
    with pytest.raises(UserError, match="Did you mean 'test_loss'"):
        read_curves(store, chosen(store), "test_los")
