"""Searches through `run_study`: ledger, resumption, journal, halting."""

import json

import numpy as np
import pytest

from symstudy.errors import UserError
from symstudy.launch import InlineLauncher, run_study, worker
from symstudy.launch.search import SearchState
from symstudy.store import open_store, verify
from symstudy.store.tables.writer import write_pack
from symstudy.testing.searches import plant_search

TPE = {
    "method": "tpe",
    "space": {"train.lr": {"log": [1e-3, 0.3]}, "train.momentum": {"linear": [0.0, 0.9]}},
    "trials": 12,
    "batch": 4,
}
SGD = {"train": {"optimizer": "sgd"}, "model": {"width": 6}}


@pytest.fixture
def launch(tmp_path):
    """Run a study in this process; return what was done, and SQL access to it."""

    def run(study, **options):
        summary = run_study(study, str(tmp_path), InlineLauncher(device="cpu"), **options)
        return summary, open_store(tmp_path / study.name)

    return run


def asked_of(store):
    return store.sql(
        "select trial, run_id from planned where trial is not null order by trial, run_id"
    ).rows


def test_every_trial_is_in_the_ledger_and_every_run_ends_once(study_with, launch):
    study = study_with(TPE, sweep={"train.gamma": [0.0, 0.1], "seed": 2}, **SGD)
    summary, store = launch(study)
    assert (summary.done, summary.failed) == (48, 0)
    assert verify(store.folders[0]).is_proven
    trials = [json.loads(trial) for (trial, _) in asked_of(store)]
    assert {(t["branch"], t["number"]) for t in trials} == {
        (b, n) for b in (0, 1) for n in range(12)
    }
    again, _ = launch(study)
    assert again.done == 0


def test_a_search_killed_at_any_batch_ends_with_the_same_trials(
    study_with, launch, tmp_path, monkeypatch
):
    study = study_with(TPE, sweep={"seed": 2}, **SGD)
    run_study(study, str(tmp_path / "whole"), InlineLauncher(device="cpu"))
    whole = asked_of(open_store(tmp_path / "whole"))
    for deaths in range(8):
        count = 0

        def dying(*arguments, **options):
            nonlocal count
            count += 1
            # Sometimes before a pack is written, sometimes after.
            if count == 2 and deaths % 2:  # noqa: B023  # used in this round of the loop
                write_pack(*arguments, **options)
            if count == 2:
                raise KeyboardInterrupt
            write_pack(*arguments, **options)

        monkeypatch.setattr(worker, "write_pack", dying)
        try:
            launch(study)
        except KeyboardInterrupt:
            continue
        break
    monkeypatch.setattr(worker, "write_pack", write_pack)
    _, store = launch(study)
    assert deaths > 1
    assert asked_of(store) == whole
    assert verify(store.folders[0]).is_proven


def test_a_larger_budget_goes_on_from_the_smaller_one(study_with, launch):
    _, store = launch(study_with(TPE, **SGD))
    before = asked_of(store)
    summary, store = launch(study_with({**TPE, "trials": 16}, **SGD))
    assert summary.done == 4
    assert set(before) < set(asked_of(store))


def test_a_search_of_another_study_is_left_where_it_is(study_with, launch):
    launch(study_with(TPE, **SGD))
    changed = study_with({**TPE, "trials": 4}, train={"optimizer": "sgd"}, model={"width": 7})
    summary, store = launch(changed, extend=True)
    assert summary.done == 4
    assert verify(store.folders[0]).account.planned == 16


def test_runs_of_a_grid_in_the_same_folder_are_not_trained_again(study_with, launch, study_of):
    grid = study_of(
        model={"width": 6},
        train={"lr": 0.1, "steps": 20},
        sweep={"train.gamma": [0.0, 0.25, 0.5, 0.75, 1.0]},
    )
    launch(grid)
    bisection = {
        "method": "bisect",
        "objective": "gamma - 0.6",
        "space": {"train.gamma": {"linear": [0.0, 1.0]}},
        "batch": 3,
        "trials": 5,
    }
    study = study_with(bisection, model={"width": 6}, train={"lr": 0.1})
    summary, store = launch(study, extend=True)
    assert summary.done == 0
    assert store.sql("select count(*) from runs").rows == [(5,)]


def test_failed_runs_have_no_value_and_are_trained_again_on_request(study_with, launch):
    search = {**TPE, "method": "random", "space": {"train.lr": {"log": [1e-3, 1e6]}}}
    study = study_with(search, train={"optimizer": "sgd"}, model={"activation": "linear"})
    summary, store = launch(study)
    assert summary.failed > 0
    state = SearchState(study.search, store.folders[0])
    assert {a.value("mean") is None for a in state.asked(0)} == {True, False}
    again, _ = launch(study, retry=True)
    assert again.failed == summary.failed


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("objective", "test_los", "test_loss"),
        ("objective", "test_loss; drop table runs", "syntax error"),
        ("feasible", "grad_ratio <", "syntax error"),
        ("halt", {"measure": "test_lsos"}, "columns of history"),
    ],
)
def test_sql_that_cannot_be_asked_is_refused_before_anything_is_trained(
    study_with, launch, tmp_path, key, value, text
):
    with pytest.raises(UserError, match=text):
        launch(study_with({**TPE, key: value}, **SGD))
    assert not (tmp_path / "small" / "study.json").exists()


def test_the_journal_opens_in_optuna_and_agrees_with_the_ledger(study_with, launch, tmp_path):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    study = study_with({**TPE, "direction": "maximize"}, sweep={"seed": 2}, **SGD)
    path = tmp_path / "small" / "search" / "journal.log"
    _, store = launch(study)

    def trials():
        storage = JournalStorage(JournalFileBackend(str(path)))
        return optuna.load_study(study_name="small", storage=storage).trials

    best = store.sql(
        "select max(mean) from (select avg(test_loss) as mean from runs group by cell_id)"
    )
    assert len(trials()) == 12
    assert max(t.value for t in trials()) == pytest.approx(best.rows[0][0])
    before = [(t.params, t.value) for t in trials()]
    # Lost, damaged, or of another search: it is made anew from the ledger.
    damages = (path.unlink, lambda: path.write_bytes(path.read_bytes()[:500]))
    for trials_wanted, damage in enumerate(damages, 13):
        damage()
        launch(
            study_with(
                {**TPE, "direction": "maximize", "trials": trials_wanted}, sweep={"seed": 2}, **SGD
            )
        )
        assert [(t.params, t.value) for t in trials()][:12] == before


def test_hopeless_runs_are_stopped_and_their_packs_can_be_repeated(study_with, launch, tmp_path):
    halt = {"measure": "test_loss", "reduction": 3, "rungs": 2}
    study = study_with(
        {**TPE, "halt": halt, "trials": 18},
        train={"optimizer": "sgd", "steps": 200},
        model={"width": 6},
        probe={"num": 12, "detail": 6},
        sweep={"seed": 2},
    )
    summary, store = launch(study)
    assert summary.early > 10
    assert summary.done >= 3
    stops = store.sql(
        "select distinct steps_done from runs where outcome = 'stopped' order by all"
    ).rows
    assert len(stops) == 2
    # A run that went on had, at each rung, a loss among the best third that its pack knew of.
    rows = store.sql(
        "select runs.outcome, avg(history.test_loss) from history join runs using (run_id) "
        "where history.step = (select min(steps_done) from runs where outcome = 'stopped') "
        "group by all order by all"
    ).rows
    losses = dict(rows)
    assert losses["done"] < losses["stopped"]
    # The same pack with what it was told stops the same runs.
    files = sorted((tmp_path / "small" / "search" / "rungs").glob("*.json"))
    before = store.sql("select run_id, outcome, steps_done from runs order by all").rows
    last = files[-1].stem
    for table in ("runs", "history", "layers"):
        for path in (tmp_path / "small" / table).glob(f"{last}.parquet"):
            path.unlink()
    launch(study)
    after = open_store(tmp_path / "small")
    assert after.sql("select run_id, outcome, steps_done from runs order by all").rows == before


def test_a_planted_search_asks_as_a_trained_one_does(study_with, tmp_path):
    study = study_with({**TPE, "trials": 30}, **SGD)

    def measures(run):
        return {"test_loss": (np.log10(run.cell.train.lr) + 1.5) ** 2}

    plant_search(tmp_path, study, measures, rounds=2)
    store = plant_search(tmp_path, study, measures)
    ((count, best),) = store.sql("select count(*), min(test_loss) from runs").rows
    assert count == 30
    assert best < 1e-2
