"""Views are made as queries name them, and no query can tell."""

import pytest

from symstudy.errors import QueryError
from symstudy.store.tables.view_statements import INNER_VIEWS, VIEWS


def test_opening_makes_no_view_and_a_query_those_that_it_names(store):
    assert store.views.made == set()
    store.sql("select count(*) from Planned")
    assert store.views.made == {"planned", "known_cells"}


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
