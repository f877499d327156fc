"""A crash after any file operation loses nothing that was done and doubles nothing."""

import hashlib
import shutil
from pathlib import Path

import pytest

from symstudy.store import Store, StudyFolder, open_location, verify
from symstudy.store.files import compaction
from symstudy.store.files.compaction import compact
from symstudy.store.files.repair import repair
from symstudy.store.tables.settling import settle
from symstudy.store.tables.writer import write_plan
from symstudy.testing.crashes import crashed_states, recorded, replay
from symstudy.testing.stores import plant_pack, plant_store

some_crashes = pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
"""Quick tests look at each fourth crash, slow ones at all."""
COLUMNS = "run_id, seed, pack_id, outcome, test_loss, steps_done, config"


def measures_of(run):
    return {"test_loss": run.cell.model.width + run.cell.train.gamma + run.seed}


def rows_of(folder):
    store = Store([folder])
    queries = (
        f"select {COLUMNS} from runs order by run_id",
        "select run_id, step, test_loss from history_files order by all",
        "select run_id, step, layer from layers_files order by all",
        "select run_id from planned order by all",
    )
    return [store.sql(query).rows for query in queries]


@pytest.fixture
def folder(tmp_path, study):
    return plant_store(tmp_path / "results", study, measures_of, pack_size=6).folders[0]


@pytest.fixture
def crashes(folder, tmp_path):
    """Record what an action does to the files, and yield the folder of every crash.

    Or of the last and every so many of the others, where `every` is more than 1.
    """

    def after(action, every=1):
        before = tmp_path / "before"
        shutil.copytree(folder.path, before)
        with recorded(Path(folder.path)) as operations:
            action()
        assert operations
        met = set()
        for count, lost in crashed_states(operations):
            target = tmp_path / "crashed" / "planted"
            replay(before, target, operations[:count], lost)
            is_over = count == len(operations)
            state = (is_over, *contents(target))
            is_new = state not in met
            met.add(state)
            if is_new and (is_over or len(met) % every == 0):
                crashed = StudyFolder(*open_location(str(target)))
                yield crashed, is_over, operations[count - 1 : count]
            shutil.rmtree(target)

    return after


def contents(folder):
    """Return what tells one state of a folder from another: names of files, and hashes."""
    return [
        (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).digest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def mend(folder):
    """Do what the next launch does before it trains."""
    return [*repair(folder), *settle(folder)]


@some_crashes
def test_a_crash_of_a_writer_loses_no_pack_that_was_written(folder, study, crashes, every):
    before = rows_of(folder)
    runs = [run._replace(run_id=f"new{place}") for place, run in enumerate(study.runs()[:2])]

    def write():
        plant_pack(folder, "planted", "new", runs, measures_of)

    seen = set()
    for crashed, is_over, _ in crashes(write, every):
        found = verify(crashed)
        assert not found.damaged
        assert not found.incomplete
        # A pack is there with all its rows or not at all, and once it was written it is there.
        (count, steps) = (
            Store([crashed]).sql(f"select count(*) from {table} where pack_id = 'new'").rows[0][0]
            for table in ("runs", "history_files")
        )
        assert (count, steps if count else 2) in {(0, 2), (2, 2)}
        assert count == 2 or not is_over
        mend(crashed)
        assert rows_of(crashed)[0][:12] == before[0]
        plant_pack(crashed, "planted", "new", runs, measures_of)
        assert len(rows_of(crashed)[0]) == 14
        assert not verify(crashed).twice
        seen.add(count)
    assert seen == {0, 2}


@some_crashes
@pytest.mark.parametrize("is_second", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_crash_of_a_compaction_loses_and_doubles_nothing(
    folder, study, crashes, is_second, every
):
    if is_second:
        compact(folder, grace_s=0)
        extra = [study.runs()[0]._replace(run_id="x")]
        write_plan(folder, "planted", "extra", extra)
        plant_pack(folder, "planted", "extra", extra, measures_of)
    before = rows_of(folder)
    count = 0
    for crashed, _, last in crashes(lambda: compact(folder, grace_s=0), every):
        assert rows_of(crashed) == before, last
        mend(crashed)
        assert rows_of(crashed) == before, last
        count += 1
    assert count > 15 // every


@some_crashes
def test_a_crash_of_a_repair_is_mended_by_the_next(folder, study, crashes, every):
    compact(folder, grace_s=0)
    plant_pack(folder, "planted", "pack0009", [study.runs()[0]._replace(run_id="x")], measures_of)
    place = Path(folder.path, "generations")
    for victim in (next(place.glob("*/layers/*.parquet")), place / "current.json"):
        content = victim.read_bytes()
        victim.write_bytes(content[: len(content) // 2])
    for crashed, _, last in crashes(lambda: repair(folder), every):
        mend(crashed)
        found = verify(crashed)
        assert found.account.missing == 12, last
        assert (found.twice, found.damaged, found.incomplete) == ([], [], [])
        assert mend(crashed) == []


@some_crashes
def test_a_crash_of_a_repair_loses_no_pack_that_can_be_saved(folder, crashes, monkeypatch, every):
    monkeypatch.setattr(compaction, "GROUP_BYTES", 1)
    compact(folder, grace_s=0)
    (victim,) = Path(folder.path, "generations").glob("*/history/*.parquet")
    content = bytearray(victim.read_bytes())
    content[60] ^= 0x10
    victim.write_bytes(bytes(content))
    for crashed, _, last in crashes(lambda: repair(folder), every):
        mend(crashed)
        found = verify(crashed)
        assert found.account.missing == 6, last
        assert found.is_consistent, last


@some_crashes
@pytest.mark.parametrize("is_merged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_crash_while_rows_are_settled_keeps_one_of_each_run(
    folder, study, crashes, is_merged, every
):
    before = [row[0] for row in rows_of(folder)[0]]
    plant_pack(folder, "planted", "other", study.runs()[3:6], measures_of)
    if is_merged:
        compact(folder, grace_s=0)
    for crashed, _, last in crashes(lambda: settle(folder), every):
        mend(crashed)
        assert [row[0] for row in rows_of(crashed)[0]] == before, last
        assert verify(crashed).is_proven, last
