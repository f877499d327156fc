import os

import pandas as pd
import pytest
from scipy import stats

from symstudy.errors import QueryError, StoreError
from symstudy.store import Store, open_store
from symstudy.study import make_study


def test_runs_answer_sql(store):
    answer = store.sql(
        "select width, gamma, avg(test_loss) as loss, count(*) from runs group by all order by all"
    )
    assert answer.columns == ("width", "gamma", "loss", "count_star()")
    assert answer.rows[0] == (4, 0.0, 5.0, 3)
    assert answer.rows[3] == (8, 0.1, pytest.approx(9.1), 3)


def test_a_frame_has_floats_where_integers_have_nulls(store):
    frame = store.df("select case when width = 4 then width end as w from runs")
    assert frame["w"].dtype == "float64"
    assert isinstance(frame, pd.DataFrame)


def test_cells_are_means_over_seeds_with_a_t_interval(store):
    (row,) = store.sql(
        "select seeds, test_loss, test_loss_low, test_loss_high from cells "
        "where width = 8 and gamma = 0"
    ).rows
    margin = stats.t.ppf(0.975, 2) * 1.0 / 3**0.5
    assert row == (3, 9.0, pytest.approx(9 - margin, rel=1e-3), pytest.approx(9 + margin, rel=1e-3))


def test_failed_runs_are_no_part_of_cells(store):
    (row,) = store.sql("select seeds from cells where width = 8 and gamma = 0.1").rows
    assert row == (2,)


def test_layers_and_history_carry_the_hyperparameters(store):
    layers = store.sql(
        "select distinct width, gamma, is_final, distinct_neurons from layers order by all"
    )
    assert layers.rows[0] == (4, 0.0, True, 4)
    assert store.sql("select count(*) from history where gamma = 0.1").rows == [(6,)]


def test_the_count_curve_is_unrolled(store):
    rows = store.sql(
        "select threshold, avg(distinct_neurons) from count_curve group by all order by 1"
    ).rows
    assert [threshold for threshold, _ in rows] == [0.001, 0.003, 0.01, 0.02, 0.03, 0.1, 0.3]


def test_planned_less_ended_is_missing(store):
    assert store.sql("select count(*) from planned").rows == [(12,)]
    assert store.sql("select count(*) from missing").rows == [(0,)]


def test_a_run_that_was_trained_again_counts_once(store, study, tmp_path):
    from symstudy.testing.stores import plant_pack

    again = [run for run in study.runs() if run.cell.train.gamma == 0.1 and run.seed == 1]
    plant_pack(store.folders[0], "planted", "later", again, lambda run: {"test_loss": 1.0})
    fresh = Store(store.folders)
    assert fresh.sql("select count(*), count(*) filter (outcome = 'done') from runs").rows == [
        (12, 12)
    ]
    assert fresh.sql("select count(*) from history").rows == [(12,)]
    assert fresh.fingerprint != store.fingerprint


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{0}/stolen.csv'",
        "select * from read_csv('{0}/secret.csv')",
        "select * from '{0}/secret.csv'",
        "select * from read_text('{0}/secret.csv')",
        "select * from glob('{0}/*')",
        "select * from read_parquet('{0}/planted/runs/*.parquet')",
        "attach '{0}/new.db' as d",
        "install httpfs",
        "create table t as select 1",
        "drop view runs",
        "insert into runs_files select * from runs_files",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "select 1; select 2",
        "explain analyze copy (select 1) to '{0}/stolen.csv'",
        "export database '{0}/all'",
        "",
    ],
)
def test_a_query_can_neither_write_nor_read_a_file(store, tmp_path, sql):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(QueryError):
        store.sql(sql.format(tmp_path))
    assert sorted(os.listdir(tmp_path)) == before


def test_an_error_in_sql_says_what_there_is(store):
    with pytest.raises(QueryError, match="Did you mean 'runs'"):
        store.sql("select * from rusn")
    with pytest.raises(QueryError, match="widht"):
        store.sql("select widht from runs")


@pytest.mark.parametrize(
    ("columns", "joins"), [("count(*), avg(test_loss)", False), ("avg(width)", True)]
)
def test_runs_are_joined_with_their_cells_only_where_a_query_reads_one(store, columns, joins):
    ((_, plan),) = store.sql(f"explain select {columns} from runs").rows
    assert ("JOIN" in plan.upper()) == joins


def test_the_smaller_table_of_a_view_is_the_one_that_is_hashed(store):
    query = "explain select width, gamma, avg(test_loss), count(*) from runs group by all"
    ((_, plan),) = store.sql(query).rows
    assert "Join Type: LEFT" in plan


def test_parameters_are_bound(store):
    assert store.sql("select count(*) from runs where width = ?", [4]).rows == [(6,)]


def test_several_studies_are_one_table(tmp_path, store, study):
    import dataclasses

    from symstudy.testing.stores import plant_store

    plant_store(tmp_path, dataclasses.replace(study, name="other"), lambda run: {"test_loss": 0.0})
    both = open_store(tmp_path)
    assert both.sql("select study, count(*) from runs group by all order by 1").rows == [
        ("other", 12),
        ("planted", 12),
    ]


def test_the_same_packs_in_two_studies_stay_apart(tmp_path, store, study):
    import dataclasses

    from symstudy.testing.stores import plant_store

    other = dataclasses.replace(study, name="other")
    plant_store(tmp_path, other, lambda run: {"test_loss": -1.0}, pack_size=5)
    both = open_store(tmp_path)
    for table in ("history", "layers"):
        found = both.sql(f"select study, count(*) from {table} group by all order by all").rows
        assert found == [("other", 12), ("planted", 12)]
    assert both.sql("select distinct test_loss from history where study = 'other'").rows == [
        (-1.0,)
    ]
    assert both.sql("select count(*) from layers where is_final").rows == [(24,)]
    assert set(both.columns()["history"]) == set(store.columns()["history"])


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(StoreError, match="must be the folder of a study"):
        open_store(tmp_path)


def test_a_truncated_file_is_named(store, tmp_path):
    victim = sorted((tmp_path / "planted" / "history").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-20])
    with pytest.raises(StoreError, match=rf"damaged: .*{victim.name}.*Run the study again"):
        open_store(tmp_path)


def test_a_flipped_byte_is_found_when_it_is_read(store, tmp_path):
    victim = sorted((tmp_path / "planted" / "runs").iterdir())[0]
    content = bytearray(victim.read_bytes())
    content[200] ^= 0xFF
    victim.write_bytes(bytes(content))
    damaged = open_store(tmp_path)
    with pytest.raises(StoreError, match="damaged"):
        damaged.sql("select * from runs")


def test_an_empty_store_has_all_tables(tmp_path, study):
    from symstudy.store import StudyFolder, open_location

    filesystem, path = open_location(str(tmp_path))
    folder = StudyFolder(filesystem, f"{path}/planted")
    folder.write_json({"name": "planted"}, "study.json")
    assert Store([folder]).sql("select count(*) from cells").rows == [(0,)]


def test_columns_are_listed_for_completion(store):
    columns = store.columns()
    assert "test_loss" in columns["runs"]
    assert "runs_files" not in columns


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
        "select count(*) from range(100000000) as a, range(100000000) as b where a.range < b.range",
    ],
)
def test_r7_a_query_ends_in_time(store, sql):
    limited = Store(store.folders, timeout_s=0.5)
    with pytest.raises(QueryError, match=r"must end within 0\.5 s.*--timeout"):
        limited.sql(sql)
    assert limited.sql("select count(*) from runs").rows == [(12,)]


@pytest.mark.parametrize(
    "sql",
    [
        "select a.range, b.range from range(100000) as a, range(100000) as b",
        "select count(*) from (select distinct range || 'x' from range(30000000))",
    ],
)
def test_r7_a_query_does_with_its_memory(store, sql):
    limited = Store(store.folders, memory="100MB")
    with pytest.raises(QueryError, match=r"must do with 100MB of memory.*--memory"):
        limited.sql(sql)
    assert limited.sql("select count(*) from runs").rows == [(12,)]


@pytest.mark.parametrize("limits", [{"memory": "much"}, {"memory": "1KB"}, {"timeout_s": 0.0}])
def test_what_is_no_limit_is_refused(store, limits):
    with pytest.raises(QueryError, match="the limit of"):
        Store(store.folders, **limits)


def test_intervals_have_the_quantiles_of_students_t():
    from symstudy.store.tables.view_statements import t_quantiles

    quantiles = [float(text) for text in t_quantiles().strip("[]").split(",")]
    assert quantiles == pytest.approx(stats.t.ppf(0.975, range(1, 31)), rel=1e-12)


def test_a_key_that_says_the_same_as_another_has_the_column_of_both(tmp_path):
    from symstudy.testing.stores import plant_store

    study = make_study(
        {
            "schema": 1,
            "name": "small",
            "model": {"kind": "fcn", "width": 8},
            "data": {"kind": "identity", "input_dim": 2},
            "train": {"batch_size": 8, "steps": 20},
            "sweep": {"train.lr_over_batch": [0.01, 0.02]},
        }
    )
    store = plant_store(tmp_path, study, lambda run: {"test_loss": 1.0})
    assert store.column_of("train.lr_over_batch") == "lr_over_batch"
    assert store.swept == ("lr_over_batch",)
