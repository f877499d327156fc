"""Results that version 4 wrote open, say what they said, and verify; merged half-way or not."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from symstudy.store import Store, StudyFolder, find_studies, open_location, verify
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.repair import repair

ARCHIVE = Path(__file__).with_name("version_4.tar.gz")
STUDIES = ("dense", "attention", "minima", "search", "unfinished")


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    place = tmp_path_factory.mktemp("version_4")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture(scope="session")
def expected(unpacked):
    return json.loads((unpacked / "expected.json").read_text())


@pytest.fixture
def folder_of(unpacked, tmp_path):
    def copy(study):
        shutil.copytree(unpacked / "results" / study, tmp_path / study)
        return StudyFolder(*open_location(str(tmp_path / study)))

    return copy


def check(folder, expected):
    """Require the rows that the study had; columns are found by name."""
    study = folder.name
    store = Store([folder])
    frame = store.df("select * exclude (finished_at) from runs order by run_id")
    # As the expected rows were written.
    found = json.loads(frame.to_json(orient="records", double_precision=15))
    ids = {row["run_id"] for row in found}
    wanted = [row for row in expected[study] if row["run_id"] in ids]
    names = common(found[0], wanted)
    assert [pick(row, names) for row in found] == [pick(row, names) for row in wanted]
    if study == "unfinished":
        # What is expected of it is what a launch makes of it.
        assert 0 < len(ids) < len(expected[study])
        assert verify(folder).is_consistent
        return
    assert len(ids) == len(expected[study])
    for table in ("history", "layers"):
        counted = store.sql(f"select count(*) from {table}").rows
        assert counted == [(expected[f"{study}/{table}"],)]
    assert verify(folder).is_proven


def only_migrated(notes):
    """Return whether a repair has done no more than to write the study's cells down."""
    return all("was of schema version 4" in note for note in notes)


def pick(row, names):
    """Return some columns of a row."""
    return {name: row[name] for name in names}


def common(row, rows):
    """Return the columns that are compared; ours may have others beside."""
    # The rate of a run was overwritten by that of its last step.
    names = sorted((row.keys() & rows[0].keys()) - {"lr"})
    assert {"run_id", "pack_id", "test_loss", "outcome", "seed", "width"} <= set(names)
    return names


@pytest.mark.parametrize("study", STUDIES)
def test_it_opens_and_verifies(folder_of, expected, study):
    folder = folder_of(study)
    assert find_studies([folder.path]) == [folder]
    check(folder, expected)
    assert only_migrated(repair(folder))


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("grace_s", [0.0, 1e12])
def test_it_is_compacted(folder_of, expected, study, grace_s):
    folder = folder_of(study)
    for _ in range(2):
        compact(folder, grace_s=grace_s)
        check(folder, expected)


def test_its_merged_files_count_where_their_old_ones_are_gone(folder_of, expected):
    folder = folder_of("attention")
    for table in ("runs", "history", "layers", "certificates"):
        for path in folder.list_files(table, ".parquet"):
            Path(path).unlink()
    check(folder, expected)
    moved = Path(folder.path, "compacted/runs").glob("*.parquet")
    for path in moved:
        path.rename(Path(folder.path, "runs", path.name))
    check(folder, expected)
    compact(folder, grace_s=0.0)
    assert only_migrated(repair(folder))
    check(folder, expected)


def test_its_merged_files_are_merged_again_with_new_packs(folder_of, unpacked, expected):
    """A file that version 4 had moved into the folder of its table does not count beside."""
    folder = folder_of("attention")
    (merged,) = Path(folder.path, "compacted/runs").glob("*.parquet")
    merged.rename(Path(folder.path, "runs", merged.name))
    for table in ("runs", "history", "layers"):
        (source,) = [list_tables(folder).paths(table)[0]]
        assert "merged-" in source
        shutil.copy(source, Path(folder.path, table, "again.parquet"))
    done = compact(folder, grace_s=1e12)
    assert done.merged == 4 + 3
    assert len(list_tables(folder).paths("runs")) == 1
    compact(folder, grace_s=0.0)
    left = sorted(path.name for path in Path(folder.path, "compacted").rglob("*.parquet"))
    assert left == []
    assert not folder.has_file("compact.json")


def test_a_damaged_compact_json_is_set_aside_and_its_runs_are_not_lost(folder_of, expected):
    folder = folder_of("attention")
    folder.write_bytes(b'{"merged": [', "compact.json")
    assert "merged files do not count" in repair(folder)[0]
    assert folder.has_file("compact.json.damaged")
    check(folder, expected)


@pytest.mark.parametrize("name", ["../../victim", "a/b", 3, None])
def test_a_compact_json_that_names_other_places_is_damaged(folder_of, expected, name):
    from symstudy.store.files.parts import sealed

    folder = folder_of("attention")
    values = json.loads(folder.read_bytes("compact.json"))
    values.pop("checksum")
    values["merged"][0]["name"] = name
    folder.write_bytes(sealed(values), "compact.json")
    repair(folder)
    check(folder, expected)
