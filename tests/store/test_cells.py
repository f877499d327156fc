"""Hyperparameters are stored once a cell, each a typed column, a user's own keys included."""

import dataclasses
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from symstudy.errors import StoreError, StudyFileError
from symstudy.store import Store, StudyFolder, open_location, open_store
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.repair import repair
from symstudy.store.tables.hyperparameters import RESERVED, check_measure_names
from symstudy.store.tables.ledger import verify
from symstudy.store.tables.schema import PLAN, RUNS
from symstudy.store.tables.writer import write_plan
from symstudy.study import Study, make_study
from symstudy.study.columns import builtin_hyperparameters
from symstudy.testing.stores import plant_pack, plant_store, plant_study


def own_study(name: str = "own", sweep: dict[str, Any] | None = None, **arguments: Any) -> Study:
    return make_study(
        {
            "schema": 1,
            "name": name,
            "model": {"kind": "nets:Net", **arguments},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1, "schedule": "cosine"},
            "sweep": {"seed": 2, **(sweep or {})},
        }
    )


def plant(place, study):
    return plant_store(place, study, lambda run: {"test_loss": 1.0 + run.seed, "rank": 2.0})


def test_no_row_of_a_run_repeats_its_hyperparameters(store):
    folder = store.folders[0]
    names = {column.name for column in builtin_hyperparameters()}
    for table in (RUNS, PLAN):
        path = folder.list_files(table.name, ".parquet")[0]
        assert names.isdisjoint(pq.read_schema(path).names)
    (path,) = folder.list_files("planned_cells", ".parquet")
    assert pq.read_metadata(path).num_rows == 4


def test_a_file_of_cells_says_what_its_columns_are(tmp_path):
    folder = plant(tmp_path, own_study(towers=3, dropout=0.5)).folders[0]
    (path,) = folder.list_files("planned_cells", ".parquet")
    schema = pq.read_schema(path)
    assert schema.field("towers").type == "int64"
    about = {b"meaning": b"", b"table": b"model", b"key": b"towers"}
    assert schema.field("towers").metadata == about
    assert schema.field("lr").metadata[b"key"] == b"lr"
    assert schema.field("lr").metadata[b"meaning"]


def test_a_users_own_keys_are_typed_columns_of_every_view(tmp_path):
    study = own_study(sweep={"model.towers": [2, 3]}, dropout=0.5, pre_norm=True, act="gelu")
    store = plant(tmp_path, study)
    for view in ("runs", "planned", "missing", "history", "layers", "count_curve", "cells"):
        assert {"towers", "dropout", "pre_norm", "act"} <= set(store.columns()[view]), view
    assert store.sql("select towers, dropout, pre_norm, act, lr from cells order by 1").rows == [
        (2, 0.5, True, "gelu", 0.1),
        (3, 0.5, True, "gelu", 0.1),
    ]
    assert store.swept == ("towers",)


def test_a_key_may_be_a_word_of_sql(tmp_path):
    keys: dict[str, Any] = {'a "b"': 1.5}
    store = plant(tmp_path, own_study(order=4, select="x", **keys))
    query = 'select distinct "order", "select", "a ""b""" from runs'
    assert store.sql(query).rows == [(4, "x", 1.5)]
    assert store.sql('select "order" from history').rows == [(4,), (4,)]


def test_w1_a_key_that_is_called_as_a_measure_is_prefixed_and_both_are_kept(tmp_path):
    store = plant(tmp_path, own_study(rank=7, Outcome="mine", seeds=3))
    query = "select distinct mean_rank, model_rank, outcome, model_Outcome, model_seeds from runs"
    assert store.sql(query).rows == [(2.0, 7, "done", "mine", 3)]
    assert store.sql("select seeds, model_seeds from cells").rows == [(2, 3)]


def test_keys_that_differ_in_case_alone_are_refused_at_planning(tmp_path):
    with pytest.raises(StudyFileError, match="SQL takes 'dropout' and model.Dropout for one"):
        plant(tmp_path, own_study(Dropout=0.1, dropout=0.2))
    study = own_study(rank=1, model_rank=2)
    with pytest.raises(StudyFileError, match="model.model_rank: must have a name of its own"):
        plant(tmp_path, study)
    assert not list(tmp_path.rglob("plan/*.parquet"))


def test_files_whose_columns_differ_are_read_together(tmp_path):
    folder = plant(tmp_path, own_study(towers=3)).folders[0]
    others: list[dict[str, Any]] = [{"towers": 2.5, "act": 1}, {"act": "relu"}, {"Act": True}]
    for place, arguments in enumerate(others):
        more = own_study(**arguments)
        write_plan(folder, "own", f"later{place}", more.runs())
        plant_pack(folder, "own", f"later{place}", more.runs(), lambda run: {"test_loss": 0.0})
    query = "select distinct towers, act, model_Act from runs order by towers, act nulls last"
    expected = [
        *((2.5, "1", None), (3.0, None, None)),
        *((None, "relu", None), (None, None, True)),
    ]
    assert Store([folder]).sql(query).rows == expected
    compact(folder, grace_s=0)
    assert len(list_tables(folder).paths("planned_cells")) == 1
    assert Store([folder]).sql(query).rows == expected
    assert verify(folder).is_proven


def test_the_same_name_in_two_tables_of_two_studies_stays_two_columns(tmp_path):
    plant(tmp_path, own_study("one", samples=5))
    plant(tmp_path, own_study("two", towers=1))
    both = open_store(tmp_path)
    rows = both.sql("select distinct study, model_samples, towers from runs order by all").rows
    assert rows == [("one", 5, None), ("two", None, 1)]


def test_a_cell_that_is_planned_twice_is_there_once(tmp_path):
    study = own_study(towers=3)
    folder = plant(tmp_path, study).folders[0]
    more = dataclasses.replace(study, seeds=(2, 3))
    write_plan(folder, "own", "later", more.runs())
    store = Store([folder])
    assert store.sql("select count(*), count(distinct run_id) from planned").rows == [(4, 4)]
    assert store.sql("select count(*) from runs").rows == [(2,)]
    assert store.sql("select seed, towers from missing order by all").rows == [(2, 3), (3, 3)]


def test_a_measure_this_version_does_not_know_outlasts_merging(store):
    folder = store.folders[0]
    for path in folder.list_files("runs", ".parquet"):
        rows = pq.read_table(path)
        rows = rows.append_column("later_measure", rows["test_loss"])
        folder.write_table(rows, "runs", path.rsplit("/", 1)[-1])
    compact(folder, grace_s=0)
    (merged,) = list_tables(folder).paths("runs")
    assert pq.read_table(merged)["later_measure"].equals(pq.read_table(merged)["test_loss"])


def test_no_column_of_the_results_has_the_name_of_a_hyperparameter():
    assert builtin_hyperparameters() == builtin_hyperparameters(RESERVED)
    assert RESERVED.isdisjoint(each.name.lower() for each in builtin_hyperparameters())


def test_a_measure_with_a_hyperparameters_name_is_refused():
    with pytest.raises(StoreError, match="'Width' is model.width"):
        check_measure_names(["sharpness", "Width"])


def test_the_planned_rate_is_not_that_of_the_last_step(tmp_path):
    store = plant_store(
        tmp_path,
        own_study(sweep={"train.lr": [0.1, 2.0]}),
        lambda run: {"outcome": "diverged" if run.cell.train.lr > 1 else "done"},
    )
    counts = store.sql("select lr, count(*) from runs group by lr order by lr").rows
    assert counts == [(0.1, 2), (2.0, 2)]


def test_lost_cells_are_told_and_written_down_again(tmp_path, study):
    from symstudy.store.tables.writer import write_packs
    from symstudy.study import plan_packs

    folder = plant(tmp_path, study).folders[0]
    write_packs(folder, "planted", plan_packs(study.runs(), study.pack, workers=1))
    before = Store([folder]).sql("select * from runs order by run_id")
    folder.delete("planned_cells", "planted.parquet")
    assert len(verify(folder).unknown_cells) == 4
    assert Store([folder]).sql("select count(*), count(width) from runs").rows == [(12, 0)]
    assert any("4 cells" in sentence for sentence in repair(folder))
    assert Store([folder]).sql("select * from runs order by run_id") == before
    assert verify(folder).is_proven


def test_a_study_is_known_by_what_it_says_of_itself(tmp_path, study):
    from symstudy.store import read_account

    plant(tmp_path, study)
    (tmp_path / "planted").rename(tmp_path / "backup")
    for path in (tmp_path / "backup" / "runs").iterdir():
        path.unlink()
    filesystem, path = open_location(str(tmp_path / "backup"))
    moved = verify(StudyFolder(filesystem, path))
    assert moved.account == ("planted", 12, 0, 0, {}, 12)
    assert not moved.is_proven
    plant(tmp_path, study)
    accounts = {a.study: (a.planned, a.done, a.missing) for a in read_account(open_store(tmp_path))}
    assert accounts == {"planted in backup": (12, 0, 12), "planted": (12, 12, 0)}


def test_a_study_without_its_file_is_known_by_its_plan(tmp_path, study):
    folder = plant(tmp_path, study).folders[0]
    plant_study(folder, study)
    folder.delete("study.json")
    (tmp_path / "planted").rename(tmp_path / "backup")
    moved = StudyFolder(folder.filesystem, f"{tmp_path}/backup")
    repair(moved)
    assert json.loads((tmp_path / "backup" / "study.json").read_text())["name"] == "planted"
