import shutil
import threading
from pathlib import Path

import pytest
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store import Store, StudyFolder, read_account, verify
from symstudy.store.files import compaction, disk, generations
from symstudy.store.files.cleaning import clear_leftovers
from symstudy.store.files.compaction import compact
from symstudy.store.files.generations import to_change, write_generation
from symstudy.store.files.locations import open_location
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.merging import write_part
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs
from symstudy.store.tables.writer import write_plan
from symstudy.testing.stores import plant_pack, plant_store, plant_study

QUERIES = (
    "select * exclude (finished_at) from runs order by run_id",
    "select * from history order by run_id, step",
    "select * from layers order by run_id, step, layer",
    "select run_id, config from planned order by run_id",
)


class Killed(BaseException):
    """Death: nothing of ours catches it."""


def measures_of(run):
    return {"test_loss": run.cell.model.width + run.cell.train.gamma + run.seed}


def rows_of(folder):
    store = Store([folder])
    return [store.sql(query).rows for query in QUERIES]


def files_of(folder, table):
    """Return the files that a table consists of."""
    return list_tables(folder, [table]).paths(table)


def files_there(folder):
    """Return all Parquet files, whether they count or not."""
    return sorted(Path(folder.path).rglob("*.parquet"))


@pytest.fixture
def folder(tmp_path, study):
    return plant_store(tmp_path / "results", study, measures_of, pack_size=4).folders[0]


@pytest.fixture
def kill_at(monkeypatch):
    """Have the process die before the n-th change of a file."""
    plain = {name: getattr(disk, name) for name in ("write_new", "rename", "delete")}

    def arm(place):
        changes = 0

        def watched(name):
            def change(*arguments):
                nonlocal changes
                changes += 1
                if changes >= place:
                    raise Killed
                return plain[name](*arguments)

            return change

        for name in plain:
            monkeypatch.setattr(disk, name, watched(name))

    def disarm():
        for name, function in plain.items():
            monkeypatch.setattr(disk, name, function)

    return arm, disarm


def test_merging_changes_files_and_no_row(folder):
    before = rows_of(folder)
    prints = Store([folder]).fingerprint
    done = compact(folder, grace_s=0)
    assert (done.files_before, done.files_after, done.deleted, done.waiting) == (11, 5, 9, 0)
    assert rows_of(folder) == before
    assert Store([folder]).fingerprint == prints
    assert len(files_of(folder, "runs")) == 1
    assert verify(folder).is_proven


def test_replaced_files_stay_until_the_time_of_grace_is_over(folder):
    before = rows_of(folder)
    done = compact(folder, clock=lambda: 1000.0)
    assert (done.deleted, done.waiting, done.files_after) == (0, 9, 5)
    assert len(folder.list_files("runs", ".parquet")) == 3
    assert rows_of(folder) == before
    assert compact(folder, clock=lambda: 1599.0).deleted == 0
    assert compact(folder, clock=lambda: 1600.0).deleted == 9
    assert rows_of(folder) == before


def test_merged_files_are_merged_again_with_new_ones(folder, study):
    compact(folder, grace_s=0)
    more = study.runs()[:2]
    plant_pack(folder, "planted", "later", [more[0]._replace(run_id="x")], measures_of)
    before = rows_of(folder)
    compact(folder, grace_s=0)
    assert len(files_of(folder, "runs")) == 1
    assert rows_of(folder) == before


@pytest.mark.slow
def test_a_death_at_any_change_loses_and_doubles_nothing(folder, tmp_path, kill_at):
    arm, disarm = kill_at
    before = rows_of(folder)
    died = 0
    for place in range(1, 80):
        copy = tmp_path / "copies" / f"{place}" / "planted"
        shutil.copytree(tmp_path / "results" / "planted", copy)
        victim = StudyFolder(*open_location(str(copy)))
        arm(place)
        try:
            compact(victim, grace_s=0)
        except Killed:
            died += 1
        else:
            break
        finally:
            disarm()
        assert rows_of(victim) == before, place
        compact(victim, grace_s=0)
        assert rows_of(victim) == before, place
        # Three tables in one file each, and both of the plan: nothing else is left.
        assert len(files_there(victim)) == 5
    # Three tables, a generation and its copy and the pointer are written; nine files are deleted.
    assert died >= 2 * 6 + 9


def test_a_pack_written_again_by_a_worker_that_did_not_know_counts_once(folder, study):
    before = rows_of(folder)
    compact(folder, grace_s=0)
    plant_pack(folder, "planted", "pack0000", study.runs()[:4], measures_of)
    assert rows_of(folder) == before
    assert verify(folder).twice == []
    assert compact(folder, grace_s=0).deleted == 3
    assert rows_of(folder) == before


def test_a_pack_of_failed_runs_is_left_alone_since_it_may_be_trained_again(tmp_path, study):
    def failed(run):
        return {"outcome": "error", "reason": "No.", "test_loss": None} if run.seed == 1 else {}

    folder = plant_store(tmp_path, study, failed, pack_size=1).folders[0]
    compact(folder, grace_s=0)
    assert len(files_of(folder, "runs")) == 1 + 4
    again = [run for run in study.runs() if run.seed == 1]
    for place, run in enumerate(study.runs()):
        if run in again:
            plant_pack(folder, "planted", f"pack{place:04d}", [run], measures_of)
    (account,) = read_account(Store([folder]))
    assert (account.planned, account.done, account.num_failed) == (12, 12, 0)


def test_an_object_store_is_compacted_too(tmp_path, folder):
    # A file system that is not local: no renames under temporary names, no locks of the system.
    place = fs.SubTreeFileSystem(str(tmp_path / "results"), fs.LocalFileSystem())
    remote = StudyFolder(place, "planted")
    before = rows_of(remote)
    assert compact(remote, grace_s=0).files_after == 5
    assert rows_of(remote) == before
    assert verify(remote).is_proven
    assert repair(remote) == []


def test_a_store_opened_before_goes_on_when_its_files_are_gone(folder):
    store = Store([folder])
    before = store.sql(QUERIES[1]).rows
    compact(folder, grace_s=0)
    assert store.sql(QUERIES[1]).rows == before
    assert ended_runs(folder, failed_count=True) == planned_runs(folder)


def test_readers_see_all_rows_while_files_are_merged_and_packs_arrive(tmp_path, study):
    folder = plant_store(tmp_path, study, measures_of, pack_size=1).folders[0]
    problems = []
    over = threading.Event()

    def read():
        while not over.is_set():
            store = Store([folder])
            (count, distinct) = store.sql("select count(*), count(distinct run_id) from runs").rows[
                0
            ]
            (steps,) = store.sql("select count(*) from history").rows[0]
            if count != distinct or count < 12 or steps < 12:
                problems.append((count, distinct, steps))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    run = study.runs()[0]
    for place in range(6):
        plant_pack(
            folder, "planted", f"new{place}", [run._replace(run_id=f"n{place}")], measures_of
        )
        compact(folder, grace_s=0)
    over.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert len(list_tables(folder).files["runs"]) == 1
    assert Store([folder]).sql("select count(*) from runs").rows == [(18,)]


def test_a_plan_that_is_written_again_under_its_name_is_read(folder, study):
    """A file of the plan is known by more than its name: the new one may plan other runs."""
    write_plan(folder, "planted", "search", study.runs()[:2])
    compact(folder, grace_s=0)
    new = study.runs()[0]._replace(run_id="new")
    write_plan(folder, "planted", "search", [new])
    assert "new" in planned_runs(folder)
    assert len(planned_runs(folder)) == 13
    compact(folder, grace_s=0)
    assert len(planned_runs(folder)) == 13


def test_a_pack_that_is_written_again_while_it_is_merged_counts_as_written(
    folder, study, monkeypatch
):
    query = "select distinct test_loss from runs where pack_id = 'pack0000'"

    def meanwhile(*arguments):
        monkeypatch.undo()
        done = write_part(*arguments)
        plant_pack(folder, "planted", "pack0000", study.runs()[:4], lambda run: {"test_loss": -1.0})
        return done

    monkeypatch.setattr("symstudy.store.files.compaction.write_part", meanwhile)
    for _ in range(2):
        compact(folder, grace_s=0)
        assert Store([folder]).sql(query).rows == [(-1.0,)]
        assert verify(folder).is_proven


def test_a_generation_is_never_changed(folder, study):
    compact(folder)
    before = {path: path.read_bytes() for path in Path(folder.path, "generations").glob("*/**/*.*")}
    plant_pack(folder, "planted", "x", [study.runs()[0]._replace(run_id="x")], measures_of)
    compact(folder)
    repair(folder)
    assert before
    assert {path: path.read_bytes() for path in before} == before


def test_the_pointer_moves_when_all_that_it_points_to_is_written(folder, monkeypatch):
    moved = []
    move = generations.move_pointer

    def checked(folder, name, seen):
        for file in (generations.COPY, generations.CONTENTS):
            assert folder.has_file(generations.GENERATIONS, name, file)
        moved.append(name)
        return move(folder, name, seen)

    monkeypatch.setattr(generations, "move_pointer", checked)
    compact(folder, grace_s=0)
    assert len(moved) == 1


def test_of_two_that_merge_at_once_one_moves_the_pointer(folder):
    before = rows_of(folder)
    seen = to_change(folder)
    compact(folder)
    with pytest.raises(StoreError, match="another has just done so"):
        write_generation(folder, seen, [], at=0.0)
    assert rows_of(folder) == before


def test_who_was_thought_dead_cannot_make_deleted_files_count(folder, monkeypatch):
    """It had written its files when another cleared them up; then it goes on."""

    def late(folder, before, parts, **options):
        monkeypatch.undo()
        clear_leftovers(folder, to_change(folder))
        return write_generation(folder, before, parts, **options)

    before = rows_of(folder)
    monkeypatch.setattr(compaction, "write_generation", late)
    with pytest.raises(StoreError, match="another has just done so"):
        compact(folder, grace_s=0)
    assert rows_of(folder) == before
    assert compact(folder, grace_s=0).files_after == 5


def test_results_in_s3_are_compacted_and_repaired(remote, study):
    plant_study(remote, study)
    write_plan(remote, study.name, "planted", study.runs())
    for place in range(3):
        runs = study.runs()[4 * place : 4 * place + 4]
        plant_pack(remote, "planted", f"pack{place:04d}", runs, measures_of)
    before = rows_of(remote)
    assert compact(remote, grace_s=0).files_after == 5
    assert rows_of(remote) == before
    assert repair(remote) == []
    assert verify(remote).is_proven
