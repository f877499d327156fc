import pyarrow.parquet as pq

from symstudy.store import Store, read_account, verify
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs, read_pack
from symstudy.store.tables.writer import write_packs, write_plan
from symstudy.study import make_study, plan_packs
from symstudy.testing.stores import plant_pack, plant_store


def test_the_account_adds_up(store):
    (account,) = read_account(store)
    assert (account.planned, account.done, account.num_failed, account.missing) == (12, 10, 2, 0)
    assert account.failed == {("diverged", "The loss grew."): 2}


def test_a_complete_store_is_proven(store):
    found = verify(store.folders[0])
    assert found.is_proven
    assert found.account.planned == 12


def test_a_missing_run_is_not_proven_but_consistent(store, tmp_path):
    sorted((tmp_path / "planted" / "runs").iterdir())[0].unlink()
    found = verify(store.folders[0])
    assert not found.is_proven
    assert found.is_consistent
    assert found.account.missing == 5


def test_a_run_done_twice_is_found(store, study):
    plant_pack(
        store.folders[0], "planted", "again", study.runs()[:1], lambda run: {"test_loss": 0.0}
    )
    assert verify(store.folders[0]).twice == [study.runs()[0].run_id]


def test_a_run_without_its_history_is_found(store, tmp_path):
    sorted((tmp_path / "planted" / "history").iterdir())[0].unlink()
    assert verify(store.folders[0]).incomplete == ["pack0000"]


def test_an_unplanned_run_is_found(store, tmp_path):
    next((tmp_path / "planted" / "plan").iterdir()).unlink()
    assert len(verify(store.folders[0]).unplanned) == 12


def test_a_flipped_byte_anywhere_is_found(store, tmp_path):
    for victim in (tmp_path / "planted").rglob("*.parquet"):
        content = victim.read_bytes()
        victim.write_bytes(content[:100] + bytes([content[100] ^ 0x55]) + content[101:])
        assert str(victim) in verify(store.folders[0]).damaged, victim
        victim.write_bytes(content)
    assert verify(store.folders[0]).is_proven


def test_repair_sets_damaged_packs_aside_whole(store, study, tmp_path):
    victim = sorted((tmp_path / "planted" / "layers").iterdir())[1]
    victim.write_bytes(b"PAR1")
    folder = store.folders[0]
    assert len(repair(folder)) == 2
    assert len(ended_runs(folder, failed_count=True)) == 7
    assert planned_runs(folder) == {run.run_id for run in study.runs()}
    assert verify(folder).is_consistent


def test_failed_runs_count_as_ended_or_not(store):
    folder = store.folders[0]
    assert len(ended_runs(folder, failed_count=True)) == 12
    assert len(ended_runs(folder, failed_count=False)) == 10


def test_a_stopped_run_has_ended_is_not_failed_and_is_its_own_count(tmp_path, study):
    def measures(run):
        outcome = ("done", "stopped", "error")[run.seed]
        return {"outcome": outcome, "reason": None if outcome == "done" else "Why."}

    folder = plant_store(tmp_path, study, measures).folders[0]
    (account,) = read_account(Store([folder]))
    assert account == ("planted", 12, 4, 4, {("error", "Why."): 4}, 0)
    assert account.planned == account.done + account.stopped + account.num_failed + account.missing
    assert len(ended_runs(folder, failed_count=False)) == 8
    assert verify(folder).is_proven


def test_a_run_stopped_in_one_pack_and_done_in_another_is_there_twice(store, study):
    run = study.runs()[0]
    plant_pack(store.folders[0], "planted", "again", [run], lambda run: {"outcome": "stopped"})
    assert verify(store.folders[0]).twice == [run.run_id]
    assert read_account(Store(store.folders))[0].done == 10


def large_study():
    return make_study(
        {
            "schema": 1,
            "name": "large",
            "title": "Large",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
            "sweep": {
                "model.width": list(range(1, 41)),
                "train.gamma": {"log": [1e-5, 1.0], "num": 50},
                "seed": 10,
            },
        }
    )


def test_twenty_thousand_runs_are_planned_and_every_pack_is_found_again(store):
    folder, study = store.folders[0], large_study()
    runs = study.runs()
    packs = plan_packs(runs, study.pack, workers=16)
    write_plan(folder, "large", "large", runs)
    write_packs(folder, "large", packs)
    assert len(planned_runs(folder)) == 20_000 + 12
    path = folder.join("packs", "large.parquet")
    # A worker reads a part of the file: that of the packs next to its own.
    assert 5 < pq.read_metadata(path).num_row_groups < len(packs)
    for pack in packs[:: len(packs) // 7]:
        found = read_pack(folder, "large", pack.pack_id)
        assert tuple(found) == pack.runs
    place = {run.run_id: run for run in runs[::999]}
    planned = Store([folder]).sql(
        "select run_id, cell_id, seed, width, gamma, config from planned "
        "where run_id in (select unnest(?))",
        [list(place)],
    )
    assert len(planned.rows) == len(place)
    for run_id, *row in planned.rows:
        cell = place[run_id].cell
        expected = [cell.cell_id, place[run_id].seed, cell.model.width, cell.train.gamma]
        assert row == [*expected, cell.config]
