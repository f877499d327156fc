"""`verify` proves all tables, and `run` repairs what they lack."""

import pyarrow.parquet as pq
import pytest

from symstudy.store import Store, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.repair import repair
from symstudy.testing.stores import plant_store


@pytest.fixture
def folder(tmp_path, study):
    """A study with two probes and two layers a run."""

    def measures(run):
        return {
            "test_loss": 1.0,
            "history": [{"step": 0, "test_loss": 2.0}],
            "layers": [{"step": 0, "layer": layer, "rank": 1.0} for layer in (1, 2)],
        }

    return plant_store(tmp_path, study, measures, pack_size=5).folders[0]


def rewrite(folder, table, keep, name="pack0001.parquet"):
    """Write a file again, with a valid seal, with the rows that are kept."""
    rows = pq.read_table(folder.join(table, name))
    folder.write_table(rows.filter([keep(row) for row in rows.to_pylist()]), table, name)


@pytest.mark.parametrize(
    ("table", "keep"),
    [
        ("layers", lambda row: False),
        ("layers", lambda row: row["layer"] != 2),
        ("layers", lambda row: row["step"] != 0),
        ("history", lambda row: row["step"] != 0),
        ("history", lambda row: row["step"] == 0),
        ("history", lambda row: False),
    ],
)
def test_a_pack_that_lacks_rows_is_told_and_trained_again(folder, table, keep):
    assert verify(folder).is_proven
    rewrite(folder, table, keep)
    found = verify(folder)
    assert found.incomplete == ["pack0001"]
    assert not found.is_consistent
    assert any("lacked rows" in sentence for sentence in repair(folder))
    after = verify(folder)
    assert (after.incomplete, after.account.missing) == ([], 5)
    assert repair(folder) == []


def test_one_run_without_a_layer_is_taken_out_and_its_mates_stay(folder):
    run = Store([folder]).sql("select run_id from runs where pack_id = 'pack0001'").rows[2][0]
    rewrite(folder, "layers", lambda row: (row["run_id"], row["layer"]) != (run, 2))
    assert verify(folder).incomplete == ["pack0001"]
    repair(folder)
    assert Store([folder]).sql("select run_id from missing").rows == [(run,)]
    assert verify(folder).is_consistent


def test_rows_that_a_merged_file_lacks_are_told_too(folder):
    compact(folder, grace_s=0)
    (path,) = list_tables(folder).paths("layers")
    before = pq.read_table(path)
    run = before["run_id"][0].as_py()
    schema = before.schema.with_metadata(pq.read_metadata(path).metadata)
    kept = before.filter([row["run_id"] != run for row in before.to_pylist()]).cast(schema)
    folder.write_table(kept, *path.removeprefix(f"{folder.path}/").split("/"))
    assert len(verify(folder).incomplete) == 1
    repair(folder)
    assert Store([folder]).sql("select run_id from missing").rows == [(run,)]


def test_failed_runs_need_no_rows(store):
    assert verify(store.folders[0]).incomplete == []
