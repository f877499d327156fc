import subprocess
import sys
import threading
import time

import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files import local_lock, lock
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.files.lock import TOKEN, locked, token_held
from symstudy.testing.object_store import s3_environment, s3_proxy

HOLD = """
import sys, time
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.files.lock import locked
with locked(StudyFolder(*open_location(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


def at_once(_seconds):
    """Wait no time at all."""


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(*open_location(str(tmp_path / "study")))


@pytest.fixture
def objects(tmp_path):
    """A folder that has no locks of the operating system."""
    return StudyFolder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "study")


def test_a_second_one_waits_and_then_says_that_another_is_at_work(folder):
    with (
        locked(folder),
        pytest.raises(StoreError, match="one process at a time"),
        locked(folder, patience_s=0.2),
    ):
        pass
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


def test_where_the_disk_has_no_locks_a_file_is_one(folder, monkeypatch):
    def no_locks(path, timeout):
        raise NotImplementedError

    monkeypatch.setattr(local_lock, "FileLock", no_locks)
    with locked(folder):
        assert folder.has_file("control", "files.lock.soft")
        with pytest.raises(StoreError, match="one process"), locked(folder, patience_s=0.1):
            pass
    with locked(folder, patience_s=0.0):
        pass


def test_an_object_store_has_a_token(objects):
    waits: list[float] = []
    with locked(objects, sleep=at_once):
        assert objects.has_file(*TOKEN)
        with (
            pytest.raises(StoreError, match="one process at a time"),
            token_held(objects, 2.0, waits.append),
        ):
            pass
    assert not objects.has_file(*TOKEN)
    assert sum(waits) == 2.0


def test_a_token_that_stands_still_is_taken_over(objects):
    objects.write_bytes(b"of a dead process", *TOKEN)
    waits: list[float] = []
    with locked(objects, sleep=waits.append):
        assert objects.read_bytes(*TOKEN) != b"of a dead process"
    assert sum(waits) == lock.STALE_S


def test_a_token_that_changes_is_not_taken_over(objects, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_S", 0.01)
    monkeypatch.setattr(lock, "STALE_S", 5.0)

    def briefly(_seconds):
        time.sleep(0.03)

    with (
        locked(objects, sleep=at_once),
        pytest.raises(StoreError, match="one process"),
        locked(objects, patience_s=2 * lock.STALE_S, sleep=briefly),
    ):
        pass


def test_who_lost_the_token_is_told_and_leaves_it_to_the_other(objects, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_S", 600.0)
    with (
        pytest.raises(StoreError, match="another has taken over"),
        locked(objects, sleep=at_once),
    ):
        objects.write_bytes(b"of another", *TOKEN)
    assert objects.read_bytes(*TOKEN) == b"of another"


def test_results_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "study").write_text("a file")
    with (
        pytest.raises(StoreError, match="must be writable"),
        locked(StudyFolder(*open_location(str(tmp_path / "study")))),
    ):
        pass


def test_a_lock_that_is_a_link_is_refused(folder, tmp_path):
    (tmp_path / "study/control").mkdir(parents=True)
    (tmp_path / "study/control/files.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="is a symbolic link"), locked(folder):
        pass
    assert not (tmp_path / "victim").exists()


def test_r8_with_a_slow_put_one_is_inside_at_a_time(s3, remote):
    """Writing, waiting and reading back lets both in when one write takes a second."""
    counting = threading.Lock()
    inside = most = count = 0

    def fault(method, path, forward):
        nonlocal count
        if method == "PUT":
            with counting:
                mine, count = count, count + 1
            if mine == 0:
                time.sleep(1.0)
        forward()
        return False

    def enter():
        nonlocal inside, most
        with locked(StudyFolder(*open_location(f"s3://{remote.path}"))):
            with counting:
                inside += 1
                most = max(most, inside)
            time.sleep(1.2)
            with counting:
                inside -= 1

    with s3_proxy(s3, fault) as address, s3_environment(address):
        threads = [threading.Thread(target=enter) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (most, inside) == (1, 0)
