import json
from pathlib import Path

import pytest

from symstudy.errors import StoreError
from symstudy.store import Store, find_studies, read_account, verify
from symstudy.store.files import compaction
from symstudy.store.files.compaction import compact
from symstudy.store.files.generations import read_generation
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.parts import sealed
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs
from symstudy.store.tables.writer import write_packs
from symstudy.study import plan_packs
from symstudy.testing.stores import plant_pack


@pytest.fixture
def folder(store, study):
    planted = store.folders[0]
    planted.write_study({**planted.read_study(), "rules": {"claim": "hash"}})
    write_packs(planted, "launch", plan_packs(study.runs(), study.pack))
    return planted


def truncate(folder, *parts):
    content = folder.read_bytes(*parts)
    folder.write_bytes(content[: len(content) // 2], *parts)


def flip(folder, *parts, at):
    content = bytearray(folder.read_bytes(*parts))
    content[at] ^= 0x10
    folder.write_bytes(bytes(content), *parts)


def merged(folder, table):
    """Return the place of the one merged file of a table."""
    (path,) = [path for path in list_tables(folder).paths(table) if "/generations/" in path]
    return path.removeprefix(folder.join("")).split("/")


def generation(folder):
    """Return the place of the folder of the generation that counts."""
    return ["generations", read_generation(folder).name]


def ids(study):
    return {run.run_id for run in study.runs()}


def test_nothing_is_done_to_whole_results(folder):
    assert repair(folder) == []
    assert verify(folder).is_proven


@pytest.mark.parametrize("table", ["runs", "history", "layers"])
def test_a_damaged_pack_is_set_aside_whole_and_named(folder, study, table):
    truncate(folder, table, "pack0001.parquet")
    notes = repair(folder)
    assert any(f"{table}/pack0001.parquet was damaged" in note for note in notes)
    assert folder.has_file(table, "pack0001.parquet.damaged")
    assert len(ended_runs(folder, failed_count=True)) == 7
    plant_pack(folder, "planted", "pack0001", study.runs()[5:10], lambda run: {})
    assert verify(folder).is_proven


def test_a_pack_without_its_history_is_trained_again(folder):
    folder.delete("history", "pack0000.parquet")
    assert any("belongs to a damaged pack" in note for note in repair(folder))
    assert len(ended_runs(folder, failed_count=True)) == 7
    assert verify(folder).is_consistent


def test_a_lost_plan_is_made_again_from_packs_and_rows(folder, study):
    folder.delete("runs", "pack0000.parquet")
    truncate(folder, "plan", "planted.parquet")
    notes = repair(folder)
    assert any("planned again" in note for note in notes)
    assert planned_runs(folder) == ids(study)
    assert verify(folder).is_consistent
    assert read_account(Store([folder]))[0].missing == 5
    assert repair(folder) == []


def test_ended_runs_of_a_deleted_plan_are_planned_from_their_own_rows(folder, study):
    folder.delete("plan", "planted.parquet")
    folder.delete("packs", "launch.parquet")
    assert any("12 runs" in note for note in repair(folder))
    assert planned_runs(folder) == ids(study)
    widths = "select distinct width from planned order by 1"
    assert Store([folder]).sql(widths).rows == [(4,), (8,)]


@pytest.mark.parametrize("content", [b"", b'{"schema_version"', b"[]", b'{"checksum": "x"}'])
def test_a_damaged_study_file_comes_back_from_its_copy(folder, content):
    folder.write_bytes(content, "study.json")
    assert "from its copy" in repair(folder)[0]
    assert folder.read_json("study.json")["rules"] == {"claim": "hash"}
    assert folder.has_file("study.json.damaged")
    assert repair(folder) == []


def test_without_any_study_file_the_study_is_known_by_its_plan(folder):
    folder.delete("study.json")
    folder.delete("study.copy.json")
    assert find_studies([folder.path.rsplit("/", 1)[0]]) == [folder]
    assert "without the rules" in repair(folder)[0]
    assert folder.read_json("study.json")["name"] == "planted"
    assert verify(folder).is_proven


def test_a_study_file_with_a_flipped_letter_is_damaged(folder):
    values = folder.read_json("study.json")
    folder.write_json({**values, "rules": {"claim": "hasg"}}, "study.json")
    assert "study.json was damaged" in repair(folder)[0]
    assert folder.read_study()["rules"] == {"claim": "hash"}


def test_damaged_packs_of_a_launch_are_set_aside(folder):
    truncate(folder, "packs", "launch.parquet")
    assert "packs/launch.parquet was damaged" in repair(folder)[0]
    assert verify(folder).is_proven


def rows(folder):
    query = "select * exclude (finished_at) from runs order by run_id"
    return Store([folder]).sql(query).rows


@pytest.mark.parametrize("grace_s", [0.0, 600.0])
def test_a_damaged_pointer_is_made_again_from_the_generation(folder, grace_s):
    before = rows(folder)
    compact(folder, grace_s=grace_s)
    truncate(folder, "generations", "current.json")
    with pytest.raises(StoreError, match=r"current.json.*Run the study again"):
        Store([folder])
    assert "is made again from 000001-" in repair(folder)[0]
    assert folder.has_file("generations", "current.json.damaged")
    assert rows(folder) == before
    assert verify(folder).is_proven
    assert repair(folder) == []


def test_a_lost_pointer_is_made_again(folder):
    before = rows(folder)
    compact(folder, grace_s=0)
    folder.delete("generations", "current.json")
    repair(folder)
    assert rows(folder) == before


def test_a_compaction_after_a_lost_pointer_deletes_nothing_that_counted(folder, study):
    before = rows(folder)
    compact(folder, grace_s=0)
    folder.delete("generations", "current.json")
    compact(folder, grace_s=0)
    assert rows(folder) == before


@pytest.mark.parametrize("file", ["generation.json", "generation.copy.json"])
def test_the_file_of_a_generation_comes_back_from_its_copy(folder, file):
    before = rows(folder)
    compact(folder, grace_s=0)
    truncate(folder, *generation(folder), file)
    assert rows(folder) == before
    assert "made again from its copy" in repair(folder)[0]
    assert repair(folder) == []


def test_a_generation_that_says_something_else_is_read_from_its_copy(folder):
    before = rows(folder)
    compact(folder)
    place = (*generation(folder), "generation.json")
    folder.write_bytes(folder.read_bytes(*place).replace(b"pack0001", b"pack0009"), *place)
    assert rows(folder) == before
    assert verify(folder).twice == []
    assert "made again from its copy" in repair(folder)[0]


def test_without_generation_and_copy_its_runs_are_trained_again(folder, study):
    compact(folder, grace_s=0)
    for file in ("generation.json", "generation.copy.json"):
        truncate(folder, *generation(folder), file)
    with pytest.raises(StoreError, match=r"generation.json.*Run the study again"):
        Store([folder])
    assert "merged files do not count" in repair(folder)[0]
    assert planned_runs(folder) == ids(study)
    assert read_account(Store([folder]))[0].missing == 12
    plant_all(folder, study)
    compact(folder, grace_s=0)
    assert verify(folder).is_proven


OUTSIDE = ["../../victim.parquet", "/etc/victim.parquet", "runs/../../victim.parquet", "runs", 3]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("key", ["files", "retired", "packs"])
def test_a_generation_that_names_other_places_is_damaged(folder, tmp_path, path, key):
    """With the right checksum: what a file says is never taken for granted."""
    victim = tmp_path / "victim.parquet"
    victim.write_bytes(b"private")
    compact(folder, grace_s=0)
    values = json.loads(folder.read_bytes(*generation(folder), "generation.json"))
    part = values["parts"][0]
    if key == "packs":
        part["packs"] = [path if path != "runs" else None]
    elif key == "files":
        part["files"]["runs"] = path
    else:
        values["retired"] = {str(path): 0.0}
    values.pop("checksum")
    for file in ("generation.json", "generation.copy.json"):
        folder.write_bytes(sealed(values), *generation(folder), file)
    with pytest.raises(StoreError, match=r"generation.json.*is damaged"):
        Store([folder])
    repair(folder)
    assert victim.read_bytes() == b"private"


@pytest.mark.parametrize("name", ["../../x", "000001-0123456789", None, 3, []])
def test_a_pointer_that_names_no_generation_is_damaged(folder, name):
    compact(folder)
    folder.write_bytes(sealed({"generation": name}), "generations", "current.json")
    with pytest.raises(StoreError, match="is damaged"):
        Store([folder])
    repair(folder)
    assert verify(folder).is_proven


def test_replaced_files_that_are_still_there_stand_in_for_damaged_merged_ones(folder):
    compact(folder, grace_s=600)
    flip(folder, *merged(folder, "layers"), at=60)
    repair(folder)
    assert verify(folder).is_proven


def test_of_a_merged_file_only_the_damaged_packs_are_lost(folder, monkeypatch):
    monkeypatch.setattr(compaction, "GROUP_BYTES", 1)
    compact(folder, grace_s=0)
    flip(folder, *merged(folder, "history"), at=60)
    notes = repair(folder)
    assert any("of the 3 packs" in note and "2 are saved" in note for note in notes)
    assert verify(folder).is_consistent
    assert read_account(Store([folder]))[0].missing == 5
    lost = sorted({"pack0000", "pack0001"} & packs_missing(folder))
    assert lost == ["pack0000"]
    assert repair(folder) == []


def packs_missing(folder):
    there = {row[0] for row in Store([folder]).sql("select distinct pack_id from runs").rows}
    return {"pack0000", "pack0001", "pack0002"} - there


def test_a_lost_pack_of_a_merged_file_counts_when_it_is_trained_again(folder, study, monkeypatch):
    monkeypatch.setattr(compaction, "GROUP_BYTES", 1)
    compact(folder, grace_s=0)
    flip(folder, *merged(folder, "runs"), at=60)
    repair(folder)
    plant_pack(folder, "planted", "pack0000", study.runs()[:5], lambda run: {})
    assert verify(folder).is_proven
    compact(folder, grace_s=0)
    assert verify(folder).is_proven
    assert len(list_tables(folder).files["runs"]) == 1


def test_a_merged_file_without_a_readable_footer_is_lost_and_trained_again(folder, study):
    compact(folder, grace_s=0)
    truncate(folder, *merged(folder, "layers"))
    with pytest.raises(StoreError, match=r"damaged: .*layers/0000"):
        Store([folder])
    assert any("0 are saved" in note for note in repair(folder))
    assert read_account(Store([folder]))[0].missing == 12
    for place, start in enumerate((0, 5, 10)):
        runs = study.runs()[start : start + 5]
        plant_pack(folder, "planted", f"pack{place:04d}", runs, lambda run: {})
    assert verify(folder).is_proven


def plant_all(folder, study):
    for place, start in enumerate((0, 5, 10)):
        runs = study.runs()[start : start + 5]
        plant_pack(folder, "planted", f"pack{place:04d}", runs, lambda run: {})


def test_packs_of_a_lost_merged_file_may_be_trained_again_as_the_same_packs(folder, study):
    rows = Store([folder]).sql("select run_id, step from history order by all").rows
    compact(folder, grace_s=0)
    truncate(folder, *merged(folder, "runs"))
    repair(folder)
    plant_all(folder, study)
    assert Store([folder]).sql("select run_id, step from history order by all").rows == rows
    assert verify(folder).is_proven
    assert repair(folder) == []


def test_a_merged_file_that_is_a_link_is_refused(folder, tmp_path):
    compact(folder, grace_s=0)
    place = folder.join(*merged(folder, "runs"))
    Path(place).rename(tmp_path / "elsewhere.parquet")
    Path(place).symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(StoreError, match="is a symbolic link"):
        Store([folder])


def test_a_merged_file_that_was_deleted_is_named_and_then_trained_again(folder):
    compact(folder, grace_s=0)
    folder.delete(*merged(folder, "history"))
    with pytest.raises(StoreError, match=r"damaged: .*history/0000"):
        Store([folder])
    assert verify(folder).damaged
    repair(folder)
    assert read_account(Store([folder]))[0].missing == 12


def test_a_damaged_merged_plan_is_made_again(folder, study):
    from symstudy.store.tables.writer import write_plan

    write_plan(folder, "planted", "second", [])
    compact(folder, grace_s=0)
    flip(folder, *merged(folder, "plan"), at=60)
    assert any("planned again" in note for note in repair(folder))
    assert planned_runs(folder) == ids(study)
    assert verify(folder).is_proven


def test_what_was_repaired_is_json_as_before(folder):
    folder.write_bytes(b"{", "study.json")
    repair(folder)
    assert json.loads(folder.read_bytes("study.json"))["name"] == "planted"
