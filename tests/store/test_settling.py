import pytest

from symstudy.store import Store, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.settling import settle
from symstudy.testing.stores import plant_pack


@pytest.fixture
def folder(store, study):
    """Two packs share three runs; one of the shared runs was only stopped in the second."""
    planted = store.folders[0]
    runs = study.runs()[3:6]

    def measures(run):
        outcome = "stopped" if run == runs[0] else "done"
        return {"test_loss": -1.0, "outcome": outcome}

    plant_pack(planted, "planted", "other", runs, measures)
    return planted


def shown(folder):
    return Store([folder]).sql("select run_id, test_loss, outcome from runs order by run_id").rows


@pytest.mark.parametrize("is_merged", [False, True])
def test_each_run_keeps_the_row_that_was_shown(folder, is_merged):
    before = shown(folder)
    if is_merged:
        compact(folder, grace_s=0)
    assert len(verify(folder).twice) == 2
    assert "had been trained twice" in settle(folder)[0]
    assert shown(folder) == before
    assert verify(folder).is_proven
    counted = "select count(*) from history_files", "select count(*) from layers_files"
    assert [Store([folder]).sql(query).rows for query in counted] == [[(13,)], [(13,)]]
    assert settle(folder) == []


def test_a_death_at_any_file_leaves_what_the_next_call_mends(folder, monkeypatch):
    plain = StudyFolder.write_bytes
    before = shown(folder)
    for place in range(20):
        left = place

        def dies(self, *arguments):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            plain(self, *arguments)

        monkeypatch.setattr(StudyFolder, "write_bytes", dies)
        try:
            settle(folder)
        except KeyboardInterrupt:
            assert shown(folder) == before
        else:
            break
        finally:
            monkeypatch.setattr(StudyFolder, "write_bytes", plain)
    assert place >= 3
    assert verify(folder).is_proven


def test_a_run_that_failed_before_it_was_done_is_no_run_twice(store, study):
    folder = store.folders[0]
    failed = [run for run in study.runs() if run.cell.train.gamma == 0.1 and run.seed == 1]
    plant_pack(folder, "planted", "later", failed, lambda run: {})
    assert settle(folder) == []
    assert verify(folder).is_proven
