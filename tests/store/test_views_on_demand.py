"""Views are made as queries name them, and no query can tell."""

import duckdb
import pytest

from symstudy.errors import QueryError
from symstudy.store import Store
from symstudy.store.tables import opening
from symstudy.store.tables.view_statements import INNER_VIEWS, VIEWS


def test_opening_makes_no_view_and_a_query_those_that_it_names(store):
    assert store.views.made == set()
    store.sql("select count(*) from Planned")
    assert store.views.made == {"planned"}
    assert store.views.registered == {"plan_files", "cells_files"}


def test_texts_and_comments_of_a_query_name_no_view(store):
    query = "select 'it''s runs', \"study\" /* from cells */ from planned -- and history\n limit 1"
    assert store.sql(query).rows == [("it's runs", "planted")]
    assert store.views.made == {"planned"}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_alone_has_all_views_that_it_reads(store, name):
    assert store.sql(f'select * from "{name.upper()}"').columns
    assert name in store.views.made


@pytest.mark.parametrize(
    "query",
    [
        "select view_name as name from duckdb_views() where not internal",
        "select table_name as name from information_schema.tables",
        "select name from (show tables)",
    ],
)
def test_a_list_of_views_has_all_of_them(store, query):
    assert {row[0] for row in store.sql(query).rows} >= {*VIEWS, *INNER_VIEWS}


def test_the_columns_of_a_view_are_listed_without_making_the_others(store):
    listed = store.sql("select column_name from (describe runs)").rows
    assert "cells" not in store.views.made
    assert [name for (name,) in listed] == store.columns()["runs"]


def test_a_view_whose_name_is_put_together_is_found(store):
    (row,) = store.sql("select count(*) from query_table('ru' || 'ns')").rows
    assert row == (12,)


def test_a_name_that_is_none_is_told_with_those_there_are(store):
    with pytest.raises(QueryError, match="Known: runs, configurations, history"):
        store.sql("select * from nothing_here")


def test_views_are_made_again_when_files_were_merged_meanwhile(store):
    store.sql("select count(*) from layers")
    store.connect()
    assert store.views.made == set()
    assert store.sql("select count(*) from layers").rows == [(12,)]


OFTEN = "select * from runs order by run_id, seed"


def in_memory(store):
    sql = "select count(*) from duckdb_tables() where table_name = 'runs_in_memory'"
    return bool(store.connection.sql(sql).fetchall()[0][0])


def test_rows_of_a_small_study_are_read_once_queries_have_named_them_often(store):
    before = store.arrow(OFTEN)
    store.sql("select count(*) from layers")
    assert not in_memory(store)
    curves = store.sql("select * from history order by all").rows
    assert in_memory(store)
    after = store.arrow(OFTEN)
    assert after.schema == before.schema
    assert after == before
    fresh = Store(store.folders)
    assert curves == fresh.sql("select * from history order by all").rows
    assert not in_memory(fresh)
    # A list of views still has `runs`.
    assert store.sql("select 1 from duckdb_views() where view_name = 'runs'").rows == [(1,)]


def test_what_says_whether_runs_have_converged_is_read_once_named_a_second_time(store):
    query = "select * from convergence order by run_id"
    before = store.arrow(query)
    assert store.views.read == set()
    after = store.arrow(query)
    assert store.views.read == {"convergence"}
    assert after.schema == before.schema
    assert after == before


def test_one_query_that_names_them_often_has_them_read_first(store):
    store.sql("select count(*) from runs as a join runs as b using (run_id)")
    assert not in_memory(store)
    store.sql("select 1 from runs where 'runs' = 'runs'")
    assert in_memory(store)


def test_rows_of_a_large_study_are_never_read_into_memory(store, monkeypatch):
    monkeypatch.setattr(opening, "MOST_IN_MEMORY", 11)
    many = Store(store.folders)
    for _ in range(4):
        assert len(many.sql(OFTEN).rows) == 12
    assert not in_memory(many)


def test_rows_that_do_not_fit_into_memory_are_read_for_each_query(store):
    class NoRoom:
        register = staticmethod(store.connection.register)

        def execute(self, statement):
            if statement.startswith("create table"):
                raise duckdb.OutOfMemoryException("Out of Memory Error")
            return store.connection.execute(statement)

    views = store.views
    views.connection = NoRoom()
    for _ in range(4):
        assert len(store.sql(OFTEN).rows) == 12
    assert views.read == {"runs"}
    assert not in_memory(store)
