"""The whole traceback of a failed run, kept beside the results."""

import pytest

from symstudy.errors import StoreError
from symstudy.launch import read_traceback
from symstudy.launch.tracebacks import MAX_CHARACTERS, write_tracebacks
from symstudy.store import StudyFolder, open_location


@pytest.fixture
def folder(tmp_path):
    filesystem, path = open_location(str(tmp_path))
    return StudyFolder(filesystem, f"{path}/small")


def raised(message):
    """Return an error that was raised, with its traceback."""

    def fail():
        raise ValueError(message)

    with pytest.raises(ValueError, match=message[-3:]) as caught:
        fail()
    return caught.value


def test_each_failed_run_has_its_traceback(study_of, run_inline, failing_model):
    _, store = run_inline(study_of(model=failing_model, sweep={"seed": 2}))
    (folder,) = store.folders
    run_ids = [row[0] for row in store.sql("select run_id from runs").rows]
    assert len(run_ids) == 2
    for run_id in run_ids:
        text = read_traceback(folder, run_id)
        assert text.startswith("Traceback (most recent call last)")
        assert "train_pack" in text
        assert "RuntimeError" in text.splitlines()[-1]


def test_a_run_out_of_memory_has_its_traceback(study_of, run_inline, monkeypatch):
    def never(runs, *arguments):
        raise MemoryError

    monkeypatch.setattr("symstudy.training.train_pack", never)
    _, store = run_inline(study_of())
    ((run_id,),) = store.sql("select run_id from runs").rows
    assert read_traceback(store.folders[0], run_id).endswith("MemoryError\n")


def test_a_long_traceback_keeps_its_end(folder):
    write_tracebacks(folder, ["a1"], raised("x" * 50_000 + "the end"))
    text = read_traceback(folder, "a1")
    assert len(text) == MAX_CHARACTERS
    assert text.startswith("[the beginning is cut off]")
    assert text.endswith("the end\n")


def test_a_full_disk_costs_the_traceback_alone(folder, monkeypatch):
    def full(*_):
        raise StoreError("no space left")

    monkeypatch.setattr(StudyFolder, "write_bytes", full)
    write_tracebacks(folder, ["a1"], raised("x"))
    assert read_traceback(folder, "a1") == ""


@pytest.mark.parametrize("run_id", ["../../secret", "a/b", "", "a\0b", "A" * 99])
def test_a_name_from_a_row_is_no_path(folder, run_id):
    folder.write_bytes(b"secret", "secret.txt")
    assert read_traceback(folder, run_id) == ""
