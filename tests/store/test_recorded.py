"""Which columns hold values: the same as counting all of them says."""

import shutil
from pathlib import Path

import pytest

from symstudy.errors import StoreError
from symstudy.store import Store, open_store
from symstudy.store.files.compaction import compact
from symstudy.store.tables.recorded import recorded_columns
from symstudy.testing.stores import plant_store


@pytest.fixture
def planted(tmp_path, study_of):
    """Plant a study in three packs; the last pack alone has an accuracy, and one reason."""

    def measures(run):
        if run.cell.model.width < 32:
            return {"test_loss": 1.0}
        failed = {"outcome": "diverged", "reason": "it ended"} if run.seed else {}
        return {"test_loss": 1.0, "test_accuracy": 0.5, "rank": 3.0, **failed}

    sweep = {"model.width": [8, 16, 32], "seed": 4}
    return plant_store(tmp_path, study_of(sweep=sweep), measures, pack_size=4)


def counted(store):
    """Return which columns have values, by counting them, and the names of all."""
    names = store.columns()["runs"]
    counts = ", ".join(f"count({store.quoted(name)})" for name in names)
    row = store.sql(f"select {counts} from runs").rows[0]
    return {name for name, count in zip(names, row, strict=True) if count}, names


@pytest.mark.parametrize("is_merged", [False, True])
def test_columns_with_values_are_those_that_counting_finds(planted, is_merged):
    if is_merged:
        compact(planted.folders[0])
        planted = Store(planted.folders)
    known, names = counted(planted)
    assert recorded_columns(planted, names) == known
    assert {"test_accuracy", "mean_rank", "reason", "width"} <= known < set(names)


def test_a_damaged_file_is_named(planted):
    path = Path(planted.tables.files["runs"][0][1].path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StoreError, match="symstudy verify"):
        recorded_columns(planted, ["test_loss", "train_loss"])


def test_without_runs_the_columns_of_cells_are_known(tmp_path, study_of):
    plant_store(tmp_path, study_of(sweep={"seed": 2}), lambda _: {"test_loss": 1.0})
    shutil.rmtree(tmp_path / "small" / "runs")
    store = open_store(tmp_path)
    assert "width" in recorded_columns(store, ["width", "test_loss"])
    assert "test_loss" not in recorded_columns(store, ["width", "test_loss"])
