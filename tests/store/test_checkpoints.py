"""States of packs as files: read as written, or noticed not to be."""

import json
import shutil

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files import states
from symstudy.store.files.checkpoints import (
    Checkpoint,
    delete_checkpoint,
    list_checkpoints,
    mend_checkpoints,
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
FILE = "checkpoints/p1.safetensors"


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
    others = tmp_path / "checkpoints/p2.safetensors.0123.tmp"
    for path in (left, others):
        path.write_bytes(b"half")
    delete_checkpoint(disk, "p1")
    assert not left.exists()
    assert others.exists()


@settings(max_examples=60, deadline=None)
@given(state=STATES, run_ids=st.lists(st.text(max_size=12), min_size=1, max_size=3, unique=True))
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
    content = bytearray(folder.read_bytes("checkpoints", "p1.safetensors"))
    content[40] ^= 1
    folder.write_bytes(bytes(content), "checkpoints", "p1.safetensors")
    assert list_checkpoints(folder) == [Checkpoint("p2", ("b",))]
    assert read_checkpoint(folder, "p1") is None
    assert folder.read_bytes("checkpoints", "p1.safetensors.damaged") == bytes(content)


def test_r2_a_state_under_another_packs_name_is_damaged(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    shutil.copy(tmp_path / FILE, tmp_path / "checkpoints/p2.safetensors")
    assert read_checkpoint(disk, "p2") is None
    assert (tmp_path / "checkpoints/p2.safetensors.damaged").exists()


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


def test_any_program_reads_the_file(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a", "b"], STATE)
    with safetensors.safe_open(tmp_path / FILE, "numpy") as file:
        assert json.loads(file.metadata()["run_ids"]) == ["a", "b"]
        np.testing.assert_array_equal(file.get_tensor("theta"), STATE["theta"])


def forge(path, change):
    """Change the head of a file and give it the checksum that belongs to it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])
    head["__metadata__"]["head_hash"] = states.UNKNOWN
    text = change(head)
    text = text if isinstance(text, bytes) else json.dumps(text, separators=(",", ":")).encode()
    opening = len(text).to_bytes(8, "little") + text
    told = states.hash_of([opening])
    sealed = opening.replace(states.hash_field(states.UNKNOWN), states.hash_field(told), 1)
    path.write_bytes(sealed + content[8 + length :])


def about(**values):
    return lambda head: {**head, "__metadata__": {**head["__metadata__"], **values}}


def without(key):
    def change(head):
        del head["__metadata__"][key]
        return head

    return change


def array(**values):
    return lambda head: {**head, "theta": {**head["theta"], **values}}


def overlapping(head):
    place = [0, 8]
    return {**head, "x": {"dtype": "I64", "shape": [1], "data_offsets": place}}


WRONG = {
    "a list": lambda head: [head],
    "a number": lambda head: 3,
    "deep nesting": lambda head: b"[" * 100_000,
    "no JSON": lambda head: b"{",
    "no texts": lambda head: {"theta": head["theta"]},
    "texts are a list": lambda head: {**head, "__metadata__": []},
    "another format": about(format="symstudy checkpoint 9"),
    "pack is a path": about(pack_id="../../../victim"),
    "pack is absolute": about(pack_id="/etc/passwd"),
    "pack is another": about(pack_id="p2"),
    "pack is a number": about(pack_id=1),
    "runs are no JSON": about(run_ids="["),
    "runs nest deeply": about(run_ids="[" * 100_000),
    "runs are a table": about(run_ids='{"a": 1}'),
    "runs are numbers": about(run_ids="[1, 2]"),
    "runs are none": about(run_ids="[]"),
    "a run twice": about(run_ids='["a", "a"]'),
    "version is null": about(symstudy=None),
    "array is a list": lambda head: {**head, "theta": []},
    "array of objects": array(dtype="OBJECT"),
    "array of a list as type": array(dtype=[]),
    "shape is a text": array(shape="3"),
    "shape is negative": array(shape=[-3, -4]),
    "shape is huge": array(shape=[1 << 70]),
    "shape does not fit": array(shape=[3, 5]),
    "place is one number": array(data_offsets=[0]),
    "place is backwards": array(data_offsets=[48, 0]),
    **{f"no {key}": without(key) for key in sorted(states.KEYS)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_r2_r5_a_head_of_wrong_content_is_set_aside_and_named(disk, tmp_path, wrong):
    write_checkpoint(disk, "p1", ["a"], STATE)
    write_checkpoint(disk, "p9", ["b"], STATE)
    forge(tmp_path / FILE, WRONG[wrong])
    forged = (tmp_path / FILE).read_bytes()
    (note,) = mend_checkpoints(disk)
    assert FILE in note
    assert "is set aside" in note
    assert list_checkpoints(disk) == [Checkpoint("p9", ("b",))]
    (tmp_path / FILE).write_bytes(forged)
    assert read_checkpoint(disk, "p1") is None
    assert (tmp_path / f"{FILE}.damaged").read_bytes() == forged


def test_arrays_that_overlap_are_damaged(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    forge(tmp_path / FILE, overlapping)
    assert read_checkpoint(disk, "p1") is None
    assert (tmp_path / f"{FILE}.damaged").exists()


def test_a_file_of_the_form_before_is_passed_over_and_deleted_with_its_pack(disk, tmp_path):
    old = tmp_path / "checkpoints/p1.checkpoint"
    old.parent.mkdir()
    old.write_bytes(b"symstudy checkpoint 1\n")
    assert read_checkpoint(disk, "p1") is None
    assert list_checkpoints(disk) == []
    (note,) = mend_checkpoints(disk)
    assert "p1.checkpoint" in note
    assert "are not read" in note
    delete_checkpoint(disk, "p1")
    assert not old.exists()


def test_a_checkpoint_that_is_a_link_is_not_followed(disk, tmp_path):
    write_checkpoint(disk, "p1", ["a"], STATE)
    private = tmp_path / "private"
    (tmp_path / FILE).rename(private)
    (tmp_path / FILE).symlink_to(private)
    for read in (list_checkpoints, lambda folder: read_checkpoint(folder, "p1")):
        with pytest.raises(StoreError, match=r"p1.*is a symbolic link"):
            read(disk)
    delete_checkpoint(disk, "p1")
    assert private.exists()
    assert list_checkpoints(disk) == []


def test_a_folder_that_cannot_be_written_is_told(disk, tmp_path):
    (tmp_path / "checkpoints").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="must be writable"):
        write_checkpoint(disk, "p1", ["a"], STATE)
