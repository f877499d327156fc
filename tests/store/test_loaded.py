import shutil

import pytest

from symstudy.errors import QueryError
from symstudy.store import open_store
from symstudy.store.tables.loaded import LoadedRuns
from symstudy.testing.stores import plant_pack


@pytest.fixture
def loaded(store):
    return LoadedRuns(store, timeout_s=0.2)


def counts(loaded):
    return dict(loaded.rows("select outcome, count(*) from runs group by outcome"))


def test_the_copy_answers_what_the_views_answer(loaded, store):
    query = (
        'select "width", "gamma", avg("test_loss"), count(*) from runs group by all order by all'
    )
    assert loaded.rows(query) == store.sql(query).rows
    assert loaded.rows("select count(*) from missing") == [(0,)]


def test_columns_are_loaded_when_a_query_names_them(loaded):
    assert "test_loss" not in loaded.loaded["runs"]
    loaded.ask('select "test_loss" from runs', 1)
    assert "test_loss" in loaded.loaded["runs"]
    assert loaded.ask('select "no such column" from (select 1 as "no such column")', 1).is_all


def test_a_run_that_was_trained_again_has_its_new_row_alone(loaded, store, study):
    (folder,) = store.folders
    failed = [row[0] for row in loaded.rows("select run_id from runs where outcome = 'diverged'")]
    again = [run for run in study.runs() if run.run_id in failed]
    plant_pack(folder, study.name, "again", again, lambda _: {"test_loss": 1.0})
    before = counts(loaded)
    assert loaded.refresh(open_store(folder.path))
    assert before == {"done": 10, "diverged": 2}
    assert counts(loaded) == {"done": 12}


def test_a_pack_that_is_gone_is_gone_from_the_copy_and_its_runs_are_missing(loaded, store):
    (folder,) = store.folders
    first = loaded.rows("select count(*) from runs where pack_id = 'pack0000'")[0][0]
    shutil.rmtree(folder.join("runs"))
    assert loaded.refresh(open_store(folder.path))
    assert loaded.rows("select count(*) from runs") == [(0,)]
    assert loaded.rows("select count(*) from missing") == [(12,)]
    assert first == 5


def test_columns_that_are_loaded_after_rows_were_added_are_of_all_rows(loaded, store, study):
    loaded.packs = loaded.packs._replace(files=frozenset())
    loaded.connection.execute("delete from runs where seed = 0")
    loaded.need(["test_loss"])
    assert loaded.rows('select count(*), count("test_loss") from runs') == [(12, 10)]


@pytest.mark.parametrize(
    "query",
    [
        "drop table runs",
        "delete from runs",
        "copy runs to 'x.csv'",
        "insert into runs by name select 1 as seed",
    ],
)
def test_the_copy_is_only_read(loaded, query):
    with pytest.raises(QueryError, match="one SELECT statement"):
        loaded.ask(query, 10)
    assert loaded.rows("select count(*) from runs") == [(12,)]


def test_an_answer_is_made_as_far_as_it_is_wanted(loaded):
    answer = loaded.ask("select * from range(10000000000)", 5)
    assert (answer.rows, answer.is_all) == ([(0,), (1,), (2,), (3,), (4,)], False)


def test_the_fingerprint_of_a_study_among_others_is_that_of_it_alone(store, tmp_path):
    shutil.copytree(tmp_path / "planted", tmp_path / "other")
    together = open_store(tmp_path / "planted", tmp_path / "other")
    assert store.fingerprint_of("planted") == store.fingerprint
    assert together.fingerprint_of("planted") == together.fingerprint != store.fingerprint
    assert LoadedRuns(together).rows("select count(*) from runs") == [(12,)]
