import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.files.sealed import (
    BrokenFileError,
    find_broken,
    is_sound,
    read_keys,
    read_seal,
)

TABLE = pa.table({"name": ["a", "b"], "value": [1.5, 2.0], "curve": [[1, 2], [3]]})


@pytest.fixture
def path(tmp_path):
    StudyFolder(*open_location(str(tmp_path))).write_table(TABLE, "t", "a.parquet", keys=["name"])
    return tmp_path / "t" / "a.parquet"


def keys_of(content):
    return read_keys(lambda at, count: bytes(content[at : at + count]), len(content))


def test_other_readers_read_a_sealed_file(path):
    assert pq.read_table(path, page_checksum_verification=True).equals(TABLE)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"select name, value, curve from read_parquet('{path}')"
        ).fetchall()
    assert found == [("a", 1.5, [1, 2]), ("b", 2.0, [3])]


def test_every_flipped_byte_but_of_the_seals_own_name_is_found(path):
    content = path.read_bytes()
    assert is_sound(content)
    at = content.index(b"symstudy seal")
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 0x04
        # Without its name it is no seal, and the pages' own checksums are asked: all is well.
        assert is_sound(bytes(flipped)) == (at <= place < at + 16), place


def test_a_truncated_file_is_not_sound(path):
    content = path.read_bytes()
    assert not any(is_sound(content[:size]) for size in range(len(content)))


def test_the_seal_tells_rows_from_the_footer(path):
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    assert read_seal(bytes(content)) == (False, True, True)
    content[10] ^= 1
    content[-12] ^= 1
    assert read_seal(bytes(content)) == (True, True, False)


def test_narrow_columns_are_read_without_the_rest(path, monkeypatch):
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    assert keys_of(content).equals(TABLE.select(["name"]))
    for glance in (8, 100, 300, len(content)):
        monkeypatch.setattr("symstudy.store.files.sealed.GLANCE", glance)
        assert keys_of(content).equals(TABLE.select(["name"])), glance


def test_a_flipped_byte_in_the_narrow_columns_is_found_at_once(path):
    content = bytearray(path.read_bytes())
    at = content.index(b"symstudy seal") - 20
    content[at] ^= 1
    assert read_seal(bytes(content)) == (True, False, True)
    with pytest.raises(BrokenFileError):
        keys_of(content)
    with pytest.raises(BrokenFileError):
        keys_of(content[:-3])


def test_a_file_without_narrow_columns_says_so(tmp_path):
    pq.write_table(TABLE, tmp_path / "x.parquet")
    assert keys_of((tmp_path / "x.parquet").read_bytes()) is None


def test_a_file_of_another_program_is_decoded(tmp_path):
    pq.write_table(TABLE, tmp_path / "x.parquet", write_page_checksum=True)
    content = (tmp_path / "x.parquet").read_bytes()
    assert read_seal(content) is None
    assert is_sound(content)
    assert not is_sound(content[:20] + bytes([content[20] ^ 1]) + content[21:])


def test_many_files_are_looked_at_together():
    names = [f"{i:02d}" for i in range(50)]
    assert find_broken(lambda name: int(name) % 7 > 0, names) == names[::7]
    assert find_broken(lambda name: int(name) % 7 > 0, names[:3]) == names[:1]
