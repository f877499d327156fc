"""Scans that name runs read their packs' files alone, and never lose a row."""

import pyarrow.dataset as ds
import pytest

from symstudy.store import Store, open_store
from symstudy.store.tables import packed
from symstudy.store.tables.packed import chosen_runs
from symstudy.testing.stores import plant_store

ONE, OTHER = "5feceb66ffc86f38d952", "6b86b273ff34fce19d6b"

RUN = ds.field("run_id")
CONDITIONS = {
    "one run": (RUN == ONE, (ONE,)),
    "one run and more": ((RUN == ONE) & (ds.field("step") > 5), (ONE,)),
    "more and one run": ((ds.field("x") == "a) and (b") & (RUN == ONE), (ONE,)),
    "a quote in a text": ((ds.field("x") == 'a" and (run_id == "') & (RUN == ONE), (ONE,)),
    "either of two": ((RUN == ONE) | (RUN == OTHER), None),
    "one run or more": ((RUN == ONE) | (ds.field("step") > 5), None),
    "not this run": (RUN != ONE, None),
    "a text that looks like a run": (ds.field("x") == f'(run_id == "{ONE}")', None),
    "a text with and": (ds.field("x") == f'a" and (run_id == "{ONE}")', None),
    "nothing": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
def test_only_runs_outside_of_which_nothing_holds_are_chosen(name):
    expression, runs = CONDITIONS[name]
    assert chosen_runs(str(expression)) == runs


@pytest.fixture
def planted(tmp_path, study_of):
    """Plant two studies of twelve runs in packs of four, with two probes a run."""

    def measures(run):
        steps = [{"step": step, "test_loss": run.seed + step / 10} for step in (0, 5)]
        return {"test_loss": float(run.seed), "history": steps}

    sweep = {"model.width": [8, 16, 32], "train.gamma": [0.0, 0.1], "seed": 2}
    for name in ("first", "second"):
        plant_store(tmp_path, study_of(sweep=sweep, name=name), measures, pack_size=4)
    return tmp_path


@pytest.fixture
def read_files(monkeypatch):
    """The number of files of each scan that was narrowed."""
    counts = []
    usual = packed.paths_of_packs

    def counted(keys, paths, packs):
        chosen = usual(keys, paths, packs)
        counts.append(len(chosen))
        return chosen

    monkeypatch.setattr("symstudy.store.tables.scans.paths_of_packs", counted)
    return counts


@pytest.mark.parametrize("studies", ["one study", "two studies"])
def test_the_history_of_a_run_is_read_from_the_file_of_its_pack(planted, read_files, studies):
    store = open_store(planted / "first" if studies == "one study" else planted)
    runs = store.sql("select study, run_id, seed from runs order by all").rows
    assert not read_files
    for study, run_id, seed in runs:
        where = f"run_id = '{run_id}' and study = '{study}'"
        rows = store.sql(f"select step, test_loss from history where {where} order by step").rows
        assert [row[1] for row in rows[:2]] == pytest.approx([seed, seed + 0.5])
    assert set(read_files) == {1}


def test_a_narrowed_query_gives_what_all_files_give(planted, read_files):
    store = open_store(planted)
    every = store.df("select * from history order by all")
    for run_id in list(every["run_id"].unique())[:3]:
        narrow = store.df(f"select * from history where run_id = '{run_id}' order by all")
        whole = every[every["run_id"] == run_id].reset_index(drop=True)
        assert narrow.equals(whole)
    chosen = list(every["run_id"].unique()[:2])
    listed = ", ".join(f"'{run_id}'" for run_id in chosen)
    both = store.df(f"select * from history where run_id in ({listed}) order by all")
    assert both.equals(every[every["run_id"].isin(chosen)].reset_index(drop=True))
    assert read_files
    assert store.sql("select * from history where run_id = 'ffff'").rows == []
    assert store.sql("select * from runs where run_id = 'ffff'").rows == []


def test_rows_of_files_that_were_merged_are_found_too(planted, read_files):
    from symstudy.store.files.compaction import compact

    store = open_store(planted / "first")
    every = store.sql("select run_id, step, test_loss from history order by all").rows
    compact(store.folders[0])
    merged = Store(store.folders)
    for run_id in {row[0] for row in every}:
        query = (
            f"select run_id, step, test_loss from history where run_id = '{run_id}' order by all"
        )
        assert merged.sql(query).rows == [row for row in every if row[0] == run_id]
    assert read_files
