"""States of packs as files: read as written, or noticed not to be."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files import checkpoints
from symstudy.store.files.checkpoints import (
    Checkpoint,
    delete_checkpoint,
    list_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from symstudy.store.files.folder import StudyFolder

DTYPES = st.sampled_from(["<f4", "<f8", "<i8", "<i4", "|u1", "|b1"])
STATES = st.dictionaries(
    st.text(min_size=1, max_size=20),
    DTYPES.flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    max_size=5,
)
STATE = {
    "theta": np.arange(12, dtype=np.float32).reshape(3, 4),
    "diverged": np.array([-1, 7]),
    "nothing": np.empty((2, 0)),
    "is_frozen": np.array([True, False]),
    "seconds": np.array(2.5),
}
FILE = "checkpoints/p1.checkpoint"


@pytest.fixture(params=["disk", "object store"])
def folder(request, tmp_path):
    """Return a study's folder: on a disk, and where pyarrow has no local files."""
    if request.param == "disk":
        return StudyFolder(fs.LocalFileSystem(), str(tmp_path))
    return StudyFolder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "study")


@pytest.fixture
def disk(tmp_path):
    return StudyFolder(fs.LocalFileSystem(), str(tmp_path))


def assert_same(left, right):
    assert list(left) == list(right)
    for name, array in left.items():
        assert array.dtype == right[name].dtype
        np.testing.assert_array_equal(array, right[name])


def test_a_state_is_read_as_it_was_written(folder):
    assert read_checkpoint(folder, "p1") is None
    assert list_checkpoints(folder) == []
    write_checkpoint(folder, "p1", ["a", "b"], STATE)
    write_checkpoint(folder, "p0", ["c"], {})
    assert_same(read_checkpoint(folder, "p1"), STATE)
    assert read_checkpoint(folder, "p0") == {}
    assert list_checkpoints(folder) == [Checkpoint("p0", ("c",)), Checkpoint("p1", ("a", "b"))]


def test_the_last_state_replaces_the_one_before(folder):
    write_checkpoint(folder, "p1", ["a"], STATE)
    write_checkpoint(folder, "p1", ["a"], {"theta": np.zeros(2)})
    assert_same(read_checkpoint(folder, "p1"), {"theta": np.zeros(2)})


def test_a_deleted_state_is_gone(folder):
    write_checkpoint(folder, "p1", ["a"], STATE)
    write_checkpoint(folder, "p10", ["b"], STATE)
    delete_checkpoint(folder, "p1")
    delete_checkpoint(folder, "p1")
    assert list_checkpoints(folder) == [Checkpoint("p10", ("b",))]


def test_what_killed_writers_left_is_deleted_with_the_state(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    left = tmp_path / f"{FILE}.0123.tmp"
    others = tmp_path / "checkpoints/p2.checkpoint.0123.tmp"
    for path in (left, others):
        path.write_bytes(b"half")
    delete_checkpoint(disk, "p1")
    assert not left.exists()
    assert others.exists()


@settings(max_examples=60, deadline=None)
@given(state=STATES, run_ids=st.lists(st.text(max_size=12), max_size=3))
def test_any_state_of_numbers_survives(tmp_path_factory, state, run_ids):
    folder = StudyFolder(fs.LocalFileSystem(), str(tmp_path_factory.mktemp("any")))
    write_checkpoint(folder, "p", run_ids, state)
    assert_same(read_checkpoint(folder, "p"), state)
    assert list_checkpoints(folder) == [Checkpoint("p", tuple(run_ids))]


def test_a_read_state_may_be_written_to(disk):
    write_checkpoint(disk, "p1", ["a"], STATE)
    state = read_checkpoint(disk, "p1")
    assert state is not None
    state["theta"][0] = 5.0
    assert_same(read_checkpoint(disk, "p1"), STATE)


def test_every_truncation_is_noticed(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    whole = (tmp_path / FILE).read_bytes()
    for size in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:size])
        assert list_checkpoints(disk) == [], size
        assert not (tmp_path / FILE).exists()
        (tmp_path / FILE).write_bytes(whole[:size])
        assert read_checkpoint(disk, "p1") is None, size
        assert (tmp_path / f"{FILE}.damaged").read_bytes() == whole[:size]


def test_every_flipped_byte_is_noticed(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    whole = (tmp_path / FILE).read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        (tmp_path / FILE).write_bytes(bytes(flipped))
        assert read_checkpoint(disk, "p1") is None, place
        assert not (tmp_path / FILE).exists()


def test_a_longer_file_is_noticed(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"\0")
    assert list_checkpoints(disk) == []
    assert (tmp_path / f"{FILE}.damaged").exists()


def test_a_damaged_head_is_set_aside_by_the_list_and_the_rest_is_listed(folder):
    write_checkpoint(folder, "p1", ["a"], STATE)
    write_checkpoint(folder, "p2", ["b"], STATE)
    content = bytearray(folder.read_bytes("checkpoints", "p1.checkpoint"))
    content[40] ^= 1
    folder.write_bytes(bytes(content), "checkpoints", "p1.checkpoint")
    assert list_checkpoints(folder) == [Checkpoint("p2", ("b",))]
    assert read_checkpoint(folder, "p1") is None
    assert folder.read_bytes("checkpoints", "p1.checkpoint.damaged") == bytes(content)


def test_a_state_under_another_packs_name_is_damaged(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    shutil.copy(tmp_path / FILE, tmp_path / "checkpoints/p2.checkpoint")
    assert read_checkpoint(disk, "p2") is None
    assert (tmp_path / "checkpoints/p2.checkpoint.damaged").exists()


def test_a_state_of_another_version_is_listed_and_not_read(disk, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("importlib.metadata.version", lambda _: "0.0.1")
        write_checkpoint(disk, "p1", ["a"], STATE)
    assert read_checkpoint(disk, "p1") is None
    assert list_checkpoints(disk) == [Checkpoint("p1", ("a",))]
    assert (tmp_path / FILE).exists()


def test_a_state_holds_numbers_alone(disk):
    for array in (np.array(["text"]), np.array([object()])):
        with pytest.raises(TypeError, match="must hold numbers"):
            write_checkpoint(disk, "p1", ["a"], {"odd": array})
    assert list_checkpoints(disk) == []


def test_a_file_that_claims_objects_is_damaged(disk, monkeypatch):
    monkeypatch.setattr(checkpoints, "KINDS", "biufO")
    write_checkpoint(disk, "p1", ["a"], {"odd": np.empty(0, object)})
    monkeypatch.undo()
    assert read_checkpoint(disk, "p1") is None


def test_a_folder_that_cannot_be_written_is_told(disk, tmp_path):
    (tmp_path / "checkpoints").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="must be writable"):
        write_checkpoint(disk, "p1", ["a"], STATE)
