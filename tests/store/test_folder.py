from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store import StudyFolder, find_studies, open_location
from symstudy.store.tables.schema import SCHEMA_VERSION


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a folder with 'quotes', spaces and ümlaut"
    return StudyFolder(fs.LocalFileSystem(), str(place))


def test_what_is_written_is_read(folder):
    folder.write_json({"a": [1, "ü"]}, "study.json")
    assert folder.read_json("study.json") == {"a": [1, "ü"]}
    assert folder.exists()


def test_a_file_appears_whole_or_not_at_all(folder, monkeypatch, tmp_path):
    folder.write_bytes(b"old", "x")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(StoreError, match="No space left on device.*--results"):
        folder.write_bytes(b"new", "x")
    assert folder.read_bytes("x") == b"old"
    assert [path.name for path in tmp_path.rglob("*.tmp")] == []


def test_temporary_and_hidden_files_are_no_tables(folder):
    folder.write_table(pa.table({"a": [1]}), "runs", "a.parquet")
    folder.write_bytes(b"", "runs", ".b.parquet")
    folder.write_bytes(b"", "runs", "c.parquet.0.tmp")
    assert [path.rsplit("/", 1)[-1] for path in folder.list_files("runs", ".parquet")] == [
        "a.parquet"
    ]


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + bytes(20) + b"PAR1", b"not parquet at all"]
)
def test_damaged_files_are_not_whole(folder, content):
    folder.write_bytes(content, "runs", "a.parquet")
    assert not folder.is_whole(folder.join("runs", "a.parquet")) or content[4:8] == bytes(4)


def test_row_groups_are_those_asked_for(folder):
    import pyarrow.parquet as pq

    folder.write_table(pa.table({"a": [1, 2, 3]}), "t", "a.parquet", row_groups=[1, 2])
    assert pq.ParquetFile(folder.join("t", "a.parquet")).num_row_groups == 2


def test_a_location_that_cannot_be_opened_says_so():
    with pytest.raises(StoreError, match="must be a path or a URI"):
        open_location("nosuch://bucket/x")


def test_studies_are_found_in_their_parent(folder, tmp_path):
    folder.write_json({"schema_version": SCHEMA_VERSION}, "study.json")
    assert find_studies([str(tmp_path)]) == [folder]
    assert find_studies([folder.path]) == [folder]


def test_results_of_another_version_are_refused(folder):
    folder.write_json({"schema_version": SCHEMA_VERSION + 1}, "study.json")
    with pytest.raises(StoreError, match=f"must have schema version 4 or {SCHEMA_VERSION}"):
        find_studies([folder.path])


def test_what_is_no_json_is_named(folder):
    folder.write_bytes(b"{", "study.json")
    with pytest.raises(StoreError, match="must be JSON"):
        folder.read_json("study.json")


@pytest.mark.parametrize("name", ["../victim", "runs/../../victim", "a/..", "a\0b"])
def test_r2_no_path_leads_outside(folder, tmp_path, name):
    (tmp_path / "victim").write_bytes(b"private")
    calls = (
        lambda: folder.read_bytes(name),
        lambda: folder.write_bytes(b"", name),
        lambda: folder.delete("runs", name),
        lambda: folder.list_files(name, ""),
        lambda: folder.has_file(name),
    )
    for call in calls:
        with pytest.raises(StoreError, match="must be inside its folder"):
            call()
    assert (tmp_path / "victim").read_bytes() == b"private"


def test_links_to_files_are_not_followed(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"private")
    folder.write_bytes(b"", "runs", "a.parquet")
    link = Path(folder.join("runs", "b.parquet"))
    link.symlink_to(secret)
    for call in (
        lambda: folder.read_bytes("runs", "b.parquet"),
        lambda: folder.list_files("runs", ".parquet"),
    ):
        with pytest.raises(StoreError, match=r"b.parquet. is a symbolic link.*cp -L"):
            call()
    folder.write_bytes(b"ours", "runs", "b.parquet")
    assert not link.is_symlink()
    assert secret.read_bytes() == b"private"


def test_links_to_folders_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.parquet").write_bytes(b"private")
    folder.write_json({"schema_version": SCHEMA_VERSION}, "study.json")
    Path(folder.join("runs")).symlink_to(outside)
    for call in (
        lambda: folder.read_bytes("runs", "x.parquet"),
        lambda: folder.write_bytes(b"", "runs", "y.parquet"),
        lambda: folder.delete("runs", "x.parquet"),
        lambda: folder.list_files("runs", ".parquet"),
    ):
        with pytest.raises(StoreError, match="runs. is a symbolic link"):
            call()
    assert [path.name for path in outside.iterdir()] == ["x.parquet"]


def test_the_study_itself_may_be_a_link(folder, tmp_path):
    folder.write_json({"schema_version": SCHEMA_VERSION}, "study.json")
    (tmp_path / "short").symlink_to(folder.path)
    (found,) = find_studies([str(tmp_path / "short")])
    assert found.read_study() == {"schema_version": SCHEMA_VERSION}


WRONG: dict[str, object] = {
    "claims": None,
    "launches": [3],
    "swept": "lr",
    "rules": [],
    "frozen": [3],
    "title": 3,
    "preset": {},
    "schema_version": "4",
}


@pytest.mark.parametrize("key", WRONG)
def test_a_study_file_of_wrong_types_is_taken_from_its_copy(folder, key):
    good = {"schema_version": SCHEMA_VERSION, "name": "x", "claims": ["a"]}
    folder.write_study(good)
    folder.write_study({**good, key: WRONG[key]})
    assert folder.read_study() == {}
    folder.write_json(good, "study.copy.json")
    assert folder.read_study() == good
    find_studies([folder.path])


@pytest.mark.parametrize("content", [b"[" * 100_000, b"null", b"3", b'"text"'])
def test_json_of_a_wrong_kind_is_no_study(folder, content):
    folder.write_bytes(content, "study.json")
    assert folder.read_study() == {}
