"""`verify` proves all tables, and `run` repairs what they lack."""

import shutil

import pyarrow.parquet as pq
import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.store import Store, StudyFolder, open_location, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.repair import repair
from symstudy.study import make_study
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


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """A study of two packs that keeps representations, trained."""
    place = tmp_path_factory.mktemp("paired")
    study = make_study(
        name="paired",
        model={"kind": "fcn", "depth": 3},
        data={"kind": "teacher_student", "input_dim": 3, "samples": 20, "test_samples": 30},
        train={"optimizer": "sgd", "batch_size": 5, "steps": 20},
        sweep={"model.width": [4, 5], "train.lr": [0.01, 0.02], "seed": 1},
        probe={"num": 4, "detail": 2, "samples": 8, "representations": 10},
        pack={"size": 2, "pad": "never"},
    )
    run_study(study, str(place), InlineLauncher(device="cpu"))
    return place / "paired"


@pytest.mark.parametrize(
    "keep", [lambda row: False, lambda row: row["layer"] != 2, lambda row: row["step"] != 0, None]
)
def test_r6_representations_that_are_lost_are_told_and_made_again(paired, tmp_path, keep):
    place = tmp_path / "paired"
    shutil.copytree(paired, place)
    folder = StudyFolder(*open_location(str(place)))
    assert verify(folder).is_proven
    first = min((place / "representations").glob("*.parquet"))
    if keep is None:
        first.unlink()
    else:
        rewrite(folder, "representations", keep, first.name)
    found = verify(folder)
    assert found.incomplete == [first.stem]
    assert not found.is_proven
    assert any("representations" in sentence for sentence in repair(folder))
    after = verify(folder)
    assert (after.incomplete, after.account.missing) == ([], 2)
    assert repair(folder) == []
