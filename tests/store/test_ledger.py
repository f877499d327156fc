from symstudy.store import read_account, verify
from symstudy.store.ledger import ended_runs, planned_runs, repair
from symstudy.testing.stores import plant_pack


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
