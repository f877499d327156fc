"""What a pack was told of its rungs: no pack trains without it, whatever became of the file."""

import json

import pytest

from symstudy.errors import StoreError
from symstudy.launch import InlineLauncher, run_study
from symstudy.launch.search.rungs import read_rungs
from symstudy.store import StudyFolder, open_location, open_store
from symstudy.store.tables.ledger import read_pack

HALVING = {
    "method": "random",
    "space": {"train.lr": {"log": [1e-3, 0.3]}},
    "trials": 6,
    "batch": 3,
    "halt": {"measure": "test_loss", "reduction": 3, "rungs": 1},
}


@pytest.fixture
def halved(study_with, tmp_path):
    """A study that stops runs at a rung, trained; and its folder."""
    study = study_with(
        HALVING,
        train={"optimizer": "sgd", "steps": 60},
        model={"width": 4},
        probe={"num": 8, "detail": 8},
    )
    summary = run_study(study, str(tmp_path), InlineLauncher(device="cpu"))
    assert summary.early
    return study, tmp_path / "small"


def forget(place, pack_id):
    """Delete the rows of a pack, which is then trained again."""
    for table in ("runs", "history", "layers"):
        (place / table / f"{pack_id}.parquet").unlink(missing_ok=True)


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"measure": "test_loss"}', None])
def test_what_is_no_rungs_of_a_pack_is_refused(tmp_path, content):
    folder = StudyFolder(*open_location(str(tmp_path)))
    if content is not None:
        folder.write_bytes(content.encode(), "search", "rungs", "p1.json")
    with pytest.raises(StoreError, match="the rungs of a pack must be"):
        read_rungs(folder, "p1", [])


def test_rungs_that_cannot_be_read_stop_the_pack_and_are_written_anew(halved):
    study, place = halved
    file = sorted((place / "search" / "rungs").glob("*.json"))[-1]
    file.write_text("{")
    forget(place, file.stem)
    again = run_study(study, str(place.parent), InlineLauncher(device="cpu"))
    assert again.early + again.done == 3
    assert again.early
    assert json.loads(file.read_text())["measure"] == "test_loss"


def test_a_half_of_a_pack_has_the_rungs_of_its_runs(halved):
    _, place = halved
    folder = open_store(place).folders[0]
    one, other = sorted((place / "search" / "rungs").glob("*.json"))
    (launch,) = (
        path.stem for path in (place / "packs").glob("*.parquet") if holds(folder, path, one)
    )
    runs = read_pack(folder, launch, one.stem)
    assert read_rungs(folder, one.stem, runs[1:]).branches.tolist() == [0] * (len(runs) - 1)
    with pytest.raises(StoreError, match="must be about run"):
        read_rungs(folder, other.stem, runs)


def holds(folder, path, rungs):
    """Return whether a file of packs has the pack of a file of rungs."""
    try:
        return bool(read_pack(folder, path.stem, rungs.stem))
    except StoreError:
        return False
