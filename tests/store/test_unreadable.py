"""A file that cannot be read is told, and never taken for a damaged one that is set aside."""

import errno
import os
from pathlib import Path

import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store import Store, StudyFolder, find_studies, verify
from symstudy.store.files.repair import repair


@pytest.fixture
def folder(store):
    (folder,) = store.folders
    return folder


def refuse(monkeypatch, path):
    """Make the system refuse to open a file, as one that is another user's."""
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    real = Path.open

    def open_or_refuse(self, *args, **options):
        if str(self) == path:
            raise denied
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", open_or_refuse)


@pytest.mark.parametrize("table", ["runs", "history", "layers"])
def test_another_users_file_is_told_and_stays_where_it_is(folder, monkeypatch, table):
    path = folder.list_files(table, ".parquet")[0]
    refuse(monkeypatch, path)
    message = f"must be readable, but '{path}' is not: Permission denied"
    for ask in (verify, lambda one: Store([one]).sql("select count(*) from runs")):
        with pytest.raises(StoreError, match=message):
            ask(folder)
    assert Path(path).exists()
    assert not list(Path(folder.path).rglob("*.damaged"))


class CutOff(fs.FileSystem):  # type: ignore[misc]  # pyarrow has no types
    """Stands for an object store whose connection fails while a file is read."""

    def __init__(self, error):
        self.error = error

    def open_input_file(self, path):
        del path
        raise self.error


@pytest.mark.parametrize("error", [OSError("AWS Error NETWORK_CONNECTION"), TimeoutError("late")])
def test_a_store_that_is_cut_off_has_no_damaged_files(error):
    folder = StudyFolder(CutOff(error), "bucket/planted")
    for ask in (folder.is_sound, folder.is_whole):
        with pytest.raises(StoreError, match="must be readable, but 'bucket/planted/a.parquet'"):
            ask("bucket/planted/a.parquet")


def test_a_disk_that_fails_while_a_file_is_read_has_not_damaged_it(folder, monkeypatch):
    path = folder.list_files("runs", ".parquet")[0]

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        folder.is_whole(path)


def test_a_file_that_is_gone_is_not_sound_and_one_of_other_bytes_is_damaged(folder):
    path = folder.list_files("runs", ".parquet")[0]
    Path(path).write_bytes(b"PAR1 is not enough")
    assert not folder.is_sound(path)
    assert not folder.is_whole(path)
    assert repair(folder)
    assert not folder.is_sound(path)


def test_a_folder_that_cannot_be_looked_into_is_told(folder, monkeypatch):
    class Closed(fs.LocalFileSystem):  # type: ignore[misc]  # as above
        def get_file_info(self, path):
            message = f"Failed stat()ing path '{path}'"
            raise PermissionError(errno.EACCES, message)

    monkeypatch.setattr("symstudy.store.files.locations.fs.LocalFileSystem", Closed)
    with pytest.raises(StoreError, match="study.json' is not: Permission denied"):
        find_studies([folder.path])
