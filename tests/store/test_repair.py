import json

import pytest

from symstudy.errors import StoreError
from symstudy.store import Store, find_studies, read_account, verify
from symstudy.store.files import compaction as compactions
from symstudy.store.files.compaction import compact
from symstudy.store.files.manifest import list_tables
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


def name_of(folder, table):
    return folder.list_files(table, ".parquet")[0].rsplit("/", 1)[-1]


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


@pytest.mark.parametrize("grace_s", [0.0, 600.0])
def test_a_damaged_manifest_is_made_again_from_the_merged_files(folder, grace_s):
    before = Store([folder]).sql("select * exclude (finished_at) from runs order by run_id").rows
    compact(folder, grace_s=grace_s)
    truncate(folder, "compact.json")
    with pytest.raises(StoreError, match=r"compact.json.*Run the study again"):
        Store([folder])
    assert "made again from the merged files" in repair(folder)[0]
    after = Store([folder]).sql("select * exclude (finished_at) from runs order by run_id").rows
    assert after == before
    assert verify(folder).is_proven
    assert len(folder.list_files("runs", ".parquet")) == (1 if grace_s == 0 else 3)


def test_a_manifest_lost_half_way_through_the_deletions_is_made_again(folder):
    compact(folder, grace_s=600)
    folder.delete("runs", "pack0000.parquet")
    folder.delete("history", "pack0000.parquet")
    folder.delete("compact.json")
    compact(folder, grace_s=0)
    assert verify(folder).is_proven


def test_replaced_files_that_are_still_there_stand_in_for_damaged_merged_ones(folder):
    compact(folder, grace_s=600)
    flip(folder, "compacted", "layers", name_of(folder, "compacted/layers"), at=60)
    repair(folder)
    assert verify(folder).is_proven


def test_of_a_merged_file_only_the_damaged_packs_are_lost(folder, monkeypatch):
    monkeypatch.setattr(compactions, "GROUP_BYTES", 1)
    compact(folder, grace_s=0)
    flip(folder, "history", name_of(folder, "history"), at=60)
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
    monkeypatch.setattr(compactions, "GROUP_BYTES", 1)
    compact(folder, grace_s=0)
    flip(folder, "runs", name_of(folder, "runs"), at=60)
    repair(folder)
    plant_pack(folder, "planted", "pack0000", study.runs()[:5], lambda run: {})
    assert verify(folder).is_proven
    compact(folder, grace_s=0)
    assert verify(folder).is_proven
    assert len(list_tables(folder).files["runs"]) == 1


def test_a_merged_file_without_a_readable_footer_is_lost_and_trained_again(folder, study):
    compact(folder, grace_s=0)
    truncate(folder, "layers", name_of(folder, "layers"))
    with pytest.raises(StoreError, match=r"damaged: .*layers/merged"):
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
    truncate(folder, "runs", name_of(folder, "runs"))
    repair(folder)
    plant_all(folder, study)
    assert Store([folder]).sql("select run_id, step from history order by all").rows == rows
    assert verify(folder).is_proven
    assert repair(folder) == []


def test_a_repair_that_dies_between_the_tables_of_a_merged_file_is_taken_up(folder, study):
    compact(folder, grace_s=0)
    truncate(folder, "runs", name_of(folder, "runs"))
    history = name_of(folder, "history")
    kept = folder.read_bytes("history", history)
    repair(folder)
    folder.write_bytes(kept, "history", history)
    plant_all(folder, study)
    assert len(verify(folder).twice) == 12
    assert any("belongs to a damaged pack" in note for note in repair(folder))
    assert verify(folder).is_proven


def test_a_merged_file_that_was_deleted_is_named_and_then_trained_again(folder):
    compact(folder, grace_s=0)
    folder.delete("history", name_of(folder, "history"))
    with pytest.raises(StoreError, match=r"damaged: .*history/merged"):
        Store([folder])
    assert verify(folder).damaged
    repair(folder)
    assert read_account(Store([folder]))[0].missing == 12


def test_a_damaged_merged_plan_is_made_again(folder, study):
    from symstudy.store.tables.writer import write_plan

    write_plan(folder, "planted", "second", [])
    compact(folder, grace_s=0)
    flip(folder, "plan", name_of(folder, "plan"), at=60)
    assert any("planned again" in note for note in repair(folder))
    assert planned_runs(folder) == ids(study)
    assert verify(folder).is_proven


def test_what_was_repaired_is_json_as_before(folder):
    folder.write_bytes(b"{", "study.json")
    repair(folder)
    assert json.loads(folder.read_bytes("study.json"))["name"] == "planted"
