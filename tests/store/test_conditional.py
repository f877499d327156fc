"""A file is made if it is not there, and replaced if it is unchanged, by one process alone."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store import StudyFolder, open_location
from symstudy.store.files import objects
from symstudy.store.files.conditional import (
    Seen,
    create_if_absent,
    delete_if_unchanged,
    forget_lock,
    read_seen,
    replace_if_unchanged,
)
from symstudy.testing.object_store import s3_environment, s3_proxy

PLACE = ("control", "thing.json")


@pytest.fixture(params=["disk", "part of a disk", "S3"])
def folder(request, tmp_path):
    if request.param == "S3":
        return request.getfixturevalue("remote")
    if request.param == "disk":
        return StudyFolder(*open_location(str(tmp_path / "study")))
    return StudyFolder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "study")


def written(seen):
    """Return what was written; it must have been."""
    assert seen is not None
    return seen


def test_a_file_is_made_once(folder):
    assert read_seen(folder, *PLACE) is None
    first = create_if_absent(folder, b"first", *PLACE)
    assert first is not None
    assert create_if_absent(folder, b"second", *PLACE) is None
    assert read_seen(folder, *PLACE) == first
    assert folder.read_bytes(*PLACE) == b"first"


def test_a_file_is_replaced_only_as_it_was_seen(folder):
    first = written(create_if_absent(folder, b"first", *PLACE))
    second = written(replace_if_unchanged(folder, b"second", first, *PLACE))
    assert second.content == b"second"
    assert replace_if_unchanged(folder, b"third", first, *PLACE) is None
    assert folder.read_bytes(*PLACE) == b"second"
    assert replace_if_unchanged(folder, b"third", second, *PLACE) is not None


def test_what_is_not_there_cannot_be_replaced(folder):
    first = written(create_if_absent(folder, b"first", *PLACE))
    folder.delete(*PLACE)
    assert replace_if_unchanged(folder, b"second", first, *PLACE) is None
    assert not folder.has_file(*PLACE)


def test_a_file_is_given_up_only_as_it_was_seen(folder):
    first = written(create_if_absent(folder, b"first", *PLACE))
    second = written(replace_if_unchanged(folder, b"second", first, *PLACE))
    assert not delete_if_unchanged(folder, first, *PLACE)
    assert delete_if_unchanged(folder, second, *PLACE)
    assert (read_seen(folder, *PLACE) or Seen(b"", (None, None))).content == b""


def test_of_many_at_once_one_makes_the_file_and_one_replaces_it(folder):
    def create(number):
        return create_if_absent(folder, b"%d" % number, *PLACE)

    with ThreadPoolExecutor(8) as pool:
        (made,) = [seen for seen in pool.map(create, range(8)) if seen is not None]

    def replace(number):
        return replace_if_unchanged(folder, b"next %d" % number, made, *PLACE)

    with ThreadPoolExecutor(8) as pool:
        (won,) = [seen for seen in pool.map(replace, range(8)) if seen is not None]
    assert folder.read_bytes(*PLACE) == won.content


def test_nothing_but_the_file_and_the_lock_is_left(tmp_path):
    folder = StudyFolder(*open_location(str(tmp_path / "study")))
    seen = written(create_if_absent(folder, b"first", *PLACE))
    assert replace_if_unchanged(folder, b"second", Seen(b"x", ("y", None)), *PLACE) is None
    assert delete_if_unchanged(folder, seen, *PLACE)
    assert [path.name for path in (tmp_path / "study/control").iterdir()] == ["conditional.lock"]
    forget_lock(folder)
    assert list((tmp_path / "study/control").iterdir()) == []


def test_a_write_whose_answer_is_lost_has_been_made(s3, remote):
    lost: list[str] = []

    def fault(method, path, forward):
        forward()
        is_first = method == "PUT" and not lost
        if is_first:
            lost.append(path)
        return is_first

    with s3_proxy(s3, fault) as address, s3_environment(address):
        folder = StudyFolder(*open_location(f"s3://{remote.path}"))
        seen = create_if_absent(folder, b"mine", *PLACE)
    assert lost
    assert seen is not None
    assert seen == read_seen(remote, *PLACE)


def test_a_bucket_that_is_not_there_is_told(s3):
    with s3_environment(s3):
        folder = StudyFolder(*open_location("s3://no-such-bucket/study"))
        with pytest.raises(StoreError, match="Make the bucket"):
            create_if_absent(folder, b"first", *PLACE)


def test_a_file_system_without_conditional_writes_is_refused():
    place = objects.Place(fs._MockFileSystem(), "bucket/key")
    with pytest.raises(StoreError, match="can write on condition"):
        objects.open_objects(place)


def test_keys_of_a_profile_are_found(tmp_path, monkeypatch):
    file = tmp_path / "credentials"
    file.write_text("[lab]\naws_access_key_id = A\naws_secret_access_key = B\nregion = eu\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert objects.profile_credentials() == {"access_key_id": "A", "secret_access_key": "B"}
    monkeypatch.setenv("AWS_PROFILE", "none")
    assert objects.profile_credentials() == {}


@pytest.mark.parametrize("slow", [0, 1])
def test_r8_with_a_slow_put_one_is_inside(s3, remote, slow):
    """Two take the same object; the write of one of them arrives a second after it was sent."""
    sent = threading.Lock()
    count = 0

    def fault(method, path, forward):
        nonlocal count
        if method == "PUT":
            with sent:
                mine, count = count, count + 1
            if mine == slow:
                time.sleep(1.0)
        forward()
        return False

    with s3_proxy(s3, fault) as address, s3_environment(address):
        folder = StudyFolder(*open_location(f"s3://{remote.path}"))
        with ThreadPoolExecutor(2) as pool:
            takers = [
                pool.submit(create_if_absent, folder, uuid.uuid4().bytes, *PLACE) for _ in range(2)
            ]
            held = [taker.result() for taker in takers]
    assert count >= 2
    assert held.count(None) == 1
