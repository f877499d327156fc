"""What a launch does about results that it cannot write, and about what a race has left."""

import pytest

from symstudy.errors import LaunchError, StoreError
from symstudy.store import StudyFolder, verify
from symstudy.testing.stores import plant_pack


@pytest.mark.parametrize("table", ["history", "layers", "runs"])
def test_a_pack_that_could_not_be_written_is_not_done(study_of, run_inline, monkeypatch, table):
    study = study_of(sweep={"seed": 3}, pack={"size": 1})
    plain = StudyFolder.write_bytes
    failed: list[str] = []

    def full_disk(self, content, *parts):
        if parts[0] == table and not failed:
            failed.append(parts[-1])
            raise StoreError("the results must be writable, but: No space left on device.")
        plain(self, content, *parts)

    monkeypatch.setattr(StudyFolder, "write_bytes", full_disk)
    with pytest.raises((LaunchError, StoreError), match="No space left"):
        run_inline(study)
    monkeypatch.undo()
    summary, store = run_inline(study)
    assert failed
    assert summary.done >= 1
    assert verify(store.folders[0]).is_proven


def test_a_run_that_two_drivers_trained_is_settled_by_the_next_launch(
    study_of, run_inline, recorder
):
    study = study_of(sweep={"seed": 2})
    _, store = run_inline(study)
    (folder,) = store.folders
    runs = study.runs()[:1]
    plant_pack(folder, study.name, "other", runs, lambda run: {"test_loss": 1.0})
    assert verify(folder).twice == [runs[0].run_id]
    run_inline(study, listeners=[recorder])
    assert verify(folder).is_proven
    assert any("trained twice" in note for note in recorder.launches[0].notes)
