"""Merged files of runs have the hyperparameters beside their runs, and queries join nothing."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from symstudy.store import Store, open_store, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.tables.copies import is_copy
from symstudy.store.tables.writer import write_plan
from symstudy.study import make_study
from symstudy.testing.stores import plant_pack, plant_store

GROUPED = "select width, gamma, avg(test_loss) from runs group by all order by all"

OWN_MEASURE = """
from symstudy.measures import measure


@measure(on="run", kind="count", meaning="probes of the run")
def probes(view):
    return len(view.steps)
"""


def measured(run):
    return {"test_loss": 1.0 + run.seed}


def own_study(name, **arguments):
    return make_study(
        {
            "schema": 1,
            "name": name,
            "model": {"kind": "nets:Net", **arguments},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1},
            "sweep": {"seed": 2},
        }
    )


def plan_of(store, query):
    return store.sql(f"explain {query}").rows[0][1]


def everything(store):
    return store.sql("select * from runs order by study, run_id")


def drop_copies(folder):
    """Write merged runs as a version did that kept no copies."""
    (path,) = list_tables(folder).paths("runs")
    rows = pq.read_table(path)
    rows = rows.select([name for name in rows.column_names if not is_copy(name)])
    folder.write_table(rows, *Path(path).relative_to(folder.path).parts)


def test_a_query_of_merged_runs_joins_nothing_and_answers_the_same(store):
    (folder,) = store.folders
    assert "JOIN" in plan_of(store, GROUPED).upper()
    before, rows = store.sql(GROUPED), everything(store)
    compact(folder, grace_s=0)
    merged = Store([folder])
    assert "JOIN" not in plan_of(merged, GROUPED).upper()
    assert (merged.sql(GROUPED), everything(merged)) == (before, rows)


def test_merged_and_later_packs_are_told_as_one(store, study):
    (folder,) = store.folders
    compact(folder, grace_s=0)
    more = [run._replace(run_id=f"later{run.seed}") for run in study.runs()[-2:]]
    write_plan(folder, "planted", "later", more)
    plant_pack(folder, "planted", "later", more, measured)
    mixed = everything(Store([folder]))
    assert len(mixed.rows) == 14
    compact(folder, grace_s=0)
    assert everything(Store([folder])) == mixed
    assert verify(folder).is_proven


def test_runs_merged_without_hyperparameters_are_joined_and_get_them_when_merged_again(
    store, study
):
    (folder,) = store.folders
    rows = everything(store)
    compact(folder, grace_s=0)
    drop_copies(folder)
    old = Store([folder])
    assert "JOIN" in plan_of(old, GROUPED).upper()
    assert everything(old) == rows
    plant_pack(folder, "planted", "later", [study.runs()[0]._replace(run_id="x")], measured)
    compact(folder, grace_s=0)
    assert "JOIN" not in plan_of(Store([folder]), GROUPED).upper()
    assert everything(Store([folder])).rows[:-1] == rows.rows


def test_runs_of_a_cell_that_is_not_known_are_merged_without_hyperparameters(store):
    (folder,) = store.folders
    (path,) = folder.list_files("planned_cells", ".parquet")
    cells = pq.read_table(path)
    folder.write_table(cells.slice(1), "planned_cells", "other.parquet")
    Path(path).unlink()
    rows = everything(Store([folder]))
    compact(folder, grace_s=0)
    assert everything(Store([folder])) == rows
    (merged,) = list_tables(folder).paths("runs")
    assert not any(map(is_copy, pq.read_schema(merged).names))


@pytest.mark.parametrize("other", [0.5, "relu"])
def test_a_key_that_another_study_has_in_another_type_is_told_in_the_wider_one(tmp_path, other):
    for name, value in (("one", 3), ("two", other)):
        store = plant_store(tmp_path, own_study(name, act=value), measured)
        compact(store.folders[-1], grace_s=0)
    apart = {
        name: open_store(tmp_path / name).sql("select distinct act from runs").rows
        for name in ("one", "two")
    }
    assert apart == {"one": [(3,)], "two": [(other,)]}
    both = open_store(tmp_path).sql("select study, act from runs group by all order by all").rows
    wide = type(other)
    assert both == [("one", wide(3)), ("two", other)]


def test_a_copy_of_merged_results_beside_them_counts_each_run_once(tmp_path, study):
    store = plant_store(tmp_path, study, measured)
    (folder,) = store.folders
    compact(folder, grace_s=0)
    twice = Store([folder, folder])
    assert twice.sql("select count(*), count(distinct run_id) from runs").rows == [(12, 12)]


def test_copies_are_no_measures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN_MEASURE, encoding="utf-8")
    study = make_study(
        {
            "schema": 1,
            "name": "own",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1},
            "probe": {"measures": ["mine:probes"]},
            "sweep": {"seed": 2},
        }
    )
    (folder,) = plant_store(tmp_path, study, measured).folders
    cells = pq.read_table(folder.list_files("planned_cells", ".parquet")[0])
    assert json.loads(cells["measures"][0].as_py()) == ["mine:probes"]
    compact(folder, grace_s=0)
    assert not any(is_copy(name) for name in Store([folder]).columns()["runs"])
