import subprocess
import sys
import time

import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder, open_location
from symstudy.store.files.lock import locked, token_held

HOLD = """
import sys, time
from symstudy.store.files.folder import StudyFolder, open_location
from symstudy.store.files.lock import locked
with locked(StudyFolder(*open_location(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(*open_location(str(tmp_path / "study")))


def test_a_second_one_waits_and_then_says_who_is_at_work(folder):
    waits: list[float] = []
    with (
        locked(folder),
        pytest.raises(StoreError, match="one process at a time"),
        locked(folder, patience_s=0.3, sleep=waits.append),
    ):
        pass
    assert len(waits) == 3
    with locked(folder, patience_s=0.0):
        pass


def test_the_lock_of_a_killed_process_is_free(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="one process"), locked(folder, patience_s=0.2):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(folder, patience_s=10.0):
        pass


def test_an_object_store_has_a_token(tmp_path):
    place = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    remote = StudyFolder(place, "study")
    waits: list[float] = []
    with locked(remote, sleep=lambda s: None):
        assert remote.has_file("control", "files.lock.token")
        with (
            pytest.raises(StoreError, match="one process at a time"),
            token_held(remote, 0.2, waits.append),
        ):
            pass
    assert not remote.has_file("control", "files.lock.token")
    assert len(waits) == 2


def test_a_token_left_by_a_dead_process_counts_for_an_hour(tmp_path, monkeypatch):
    place = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    remote = StudyFolder(place, "study")
    remote.write_bytes(b"old", "control", "files.lock.token")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3700.0)
    with locked(remote, patience_s=0.0, sleep=lambda s: None):
        assert remote.read_bytes("control", "files.lock.token") != b"old"


def test_results_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "study").write_text("a file")
    with (
        pytest.raises(StoreError, match="must be writable"),
        locked(StudyFolder(*open_location(str(tmp_path / "study")))),
    ):
        pass
