"""Fault R1: results of somebody else lead nowhere outside of their folder."""

import os
from pathlib import Path

import pytest

from symstudy.errors import StoreError
from symstudy.store import StudyFolder, find_studies
from symstudy.store.files.conditional import create_if_absent, read_seen
from symstudy.store.files.names import is_folder_name


@pytest.fixture
def folder(store):
    return store.folders[0]


PLACES = [
    *("study.copy.json", "runs/x.parquet", "figures/c.csv", "findings/c.json", "control/x.json"),
    *("generations/000001-01234567/generation.json", "checkpoints/p.safetensors", "search/rungs/p"),
    *("tracebacks/r.txt", "loggers/x.json", "taken_back/x.parquet", "compact.json"),
]


def test_r1_a_link_anywhere_in_a_study_is_told_and_nothing_is_read(folder, tmp_path):
    private = tmp_path / "private"
    private.write_text("key")
    for name in PLACES:
        link = Path(folder.join(name))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(private)
        with pytest.raises(StoreError, match=rf"{link.name}' is a symbolic link, which is not"):
            find_studies([folder.path])
        link.unlink()


def test_r1_a_folder_that_is_a_link_is_told(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Path(folder.join("figures")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"figures' is a symbolic link"):
        find_studies([folder.path])


def test_r1_a_pipe_is_not_waited_for(folder):
    Path(folder.join("study.copy.json")).unlink(missing_ok=True)
    os.mkfifo(folder.join("study.copy.json"))
    with pytest.raises(StoreError, match=r"is a pipe, a socket or a device.*Remove it: rm"):
        find_studies([folder.path])


def test_r1_links_of_trackers_are_no_matter_since_they_are_not_read(folder, tmp_path):
    Path(folder.join("tracking")).mkdir()
    Path(folder.join("tracking", "latest-run")).symlink_to(tmp_path)
    assert find_studies([folder.path]) == [folder]


def test_r1_a_study_that_is_a_link_counts_if_the_user_made_it(folder, tmp_path, monkeypatch):
    place = tmp_path / "of a colleague"
    place.mkdir()
    (place / "planted").symlink_to(folder.path)
    assert [found.place for found in find_studies([str(place)])] == ["planted"]
    monkeypatch.setattr("symstudy.store.files.strangers.trusted_owners", lambda: frozenset([54321]))
    with pytest.raises(StoreError, match=r"links among studies must be your own.*Name that folder"):
        find_studies([str(place)])
    assert find_studies([str(place / "planted")])


def test_r1_locks_and_leases_are_not_followed_out(folder, tmp_path):
    private = tmp_path / "private"
    private.write_text("key")
    for name in ("lease.json", "conditional.lock"):
        Path(folder.join("control")).mkdir(exist_ok=True)
        Path(folder.join("control", name)).symlink_to(private)
    with pytest.raises(StoreError, match=r"lease\.json' is a symbolic link"):
        read_seen(folder, "control", "lease.json")
    with pytest.raises(StoreError, match=r"conditional\.lock' is a symbolic link"):
        create_if_absent(folder, b"ours", "control", "new.json")
    assert private.read_text() == "key"


def test_r1_a_study_whose_name_is_no_name_goes_by_its_folder(folder):
    frozen = folder.read_study()
    for name in ("../../victim", "/etc", "..", "a\x1b[2J", "a\\b", 3, "x" * 300):
        for file in ("study.json", "study.copy.json"):
            folder.write_json({**frozen, "name": name}, file)
        assert StudyFolder(folder.filesystem, folder.path).name == folder.place


def test_names_of_any_script_are_names():
    assert all(map(is_folder_name, ("größe", "研究", "my study")))


def test_r1_nothing_is_moved_through_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Path(folder.join("taken_back")).symlink_to(tmp_path / "elsewhere")
    (path, *_) = folder.list_files("runs", ".parquet")
    with pytest.raises(StoreError, match=r"taken_back' is a symbolic link"):
        folder.move(path, folder.join("taken_back", "x.parquet"))
