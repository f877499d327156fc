import dataclasses
import json

import pytest
import torch

from symstudy.errors import LaunchError, StoreError
from symstudy.launch import InlineLauncher, run_study, worker
from symstudy.store import verify
from symstudy.store.files.manifest import list_tables
from symstudy.store.tables.provenance import Provenance, current_provenance
from symstudy.store.tables.writer import write_pack


def test_every_run_is_trained_and_proven(study_of, run_inline):
    study = study_of(sweep={"model.width": [4, 8], "seed": 3})
    summary, store = run_inline(study)
    assert summary.done == 6
    assert verify(store.folders[0]).is_proven
    assert store.sql("select count(*) from runs where test_loss > 0").rows == [(6,)]


def test_running_twice_does_nothing_the_second_time(study_of, run_inline, recorder):
    study = study_of(sweep={"seed": 2})
    run_inline(study)
    summary, _ = run_inline(study, listeners=[recorder])
    assert summary.done == 0
    assert recorder.launches[0].ended == 2
    assert recorder.launches[0].packs == ()


def test_more_seeds_and_values_extend_the_study_in_place(study_of, run_inline):
    run_inline(study_of(sweep={"model.width": [4], "seed": 2}))
    summary, store = run_inline(study_of(sweep={"model.width": [4, 8], "seed": 3}))
    assert summary.done == 4
    found = verify(store.folders[0])
    assert found.is_proven
    assert found.account.planned == 6


def test_an_interrupted_study_goes_on_with_what_is_missing(study_of, run_inline, monkeypatch):
    study = dataclasses.replace(
        study_of(sweep={"seed": 4}), pack=dataclasses.replace(study_of().pack, size=1)
    )
    calls = []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_pack(*arguments, **options)

    monkeypatch.setattr(worker, "write_pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_inline(study)
    monkeypatch.setattr(worker, "write_pack", write_pack)
    summary, store = run_inline(study)
    assert summary.done == 2
    assert verify(store.folders[0]).is_proven


def test_results_do_not_depend_on_packing(study_of, tmp_path):
    study = study_of(sweep={"train.gamma": [0.0, 0.1], "seed": 3})
    tables = []
    for place, size in enumerate((1, 4, 6)):
        packed = dataclasses.replace(study, pack=dataclasses.replace(study.pack, size=size))
        run_study(packed, str(tmp_path / str(place)), InlineLauncher(device="cpu"))
        from symstudy.store import open_store

        store = open_store(tmp_path / str(place))
        tables.append(
            store.sql("select run_id, step, train_loss, test_loss from history order by all").rows
        )
    assert tables[0] == tables[1] == tables[2]


def test_a_diverged_run_is_a_row_with_its_reason(study_of, run_inline):
    study = study_of(train={"optimizer": "sgd", "steps": 60}, sweep={"train.lr": [0.01, 50.0]})
    summary, store = run_inline(study)
    assert (summary.done, summary.failed) == (1, 1)
    ((outcome, reason, steps),) = store.sql(
        "select outcome, reason, steps_done from runs where outcome <> 'done'"
    ).rows
    assert outcome == "diverged"
    assert "smaller train.lr" in reason
    assert 0 < steps < 60


def test_failed_runs_are_trained_again_only_if_asked(study_of, run_inline):
    study = study_of(train={"optimizer": "sgd", "steps": 60}, sweep={"train.lr": [0.01, 50.0]})
    run_inline(study)
    assert run_inline(study)[0].failed == 0
    summary, store = run_inline(study, retry=True)
    assert summary.failed == 1
    assert store.sql("select count(*) from runs").rows == [(2,)]


def test_an_exception_of_a_users_model_becomes_the_reason_of_its_runs(
    study_of, run_inline, failing_model
):
    study = study_of(model=failing_model)
    summary, store = run_inline(study)
    assert summary.failed == 1
    ((outcome, reason),) = store.sql("select outcome, reason from runs").rows
    assert outcome == "error"
    assert "RuntimeError" in reason


def test_a_pack_that_does_not_fit_is_split_until_it_does(study_of, run_inline, monkeypatch):
    import symstudy.training

    original = symstudy.training.train_pack

    def small(runs, *arguments):
        if len(runs) > 2:
            raise MemoryError
        return original(runs, *arguments)

    monkeypatch.setattr(symstudy.training, "train_pack", small)
    summary, store = run_inline(study_of(sweep={"seed": 7}, pack={"size": 7, "certify": 0}))
    assert summary.done == 7
    assert store.sql("select count(distinct pack_id) from runs").rows == [(4,)]
    assert verify(store.folders[0]).is_proven


def test_a_run_that_does_not_fit_alone_is_a_row(study_of, run_inline, monkeypatch):
    import symstudy.training

    def never(runs, *arguments):
        raise MemoryError

    monkeypatch.setattr(symstudy.training, "train_pack", never)
    summary, store = run_inline(study_of(sweep={"seed": 2}))
    assert summary.failed == 2
    assert store.sql("select distinct outcome from runs").rows == [("out_of_memory",)]


def test_another_study_of_the_same_name_is_refused(study_of, run_inline):
    run_inline(study_of())
    other = study_of(train={"steps": 10}, title="Another")
    with pytest.raises(StoreError, match="holds the 1 runs of 'A small study'.*--extend"):
        run_inline(other)
    summary, store = run_inline(other, extend=True)
    assert summary.done == 1
    assert store.sql("select count(*) from runs").rows == [(2,)]


def test_damaged_files_are_set_aside_and_their_runs_repeated(
    study_of, run_inline, tmp_path, recorder
):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    _, store = run_inline(study)
    before = store.sql("select run_id, test_loss from runs order by all").rows
    victim = sorted((tmp_path / "small" / "history").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-7])
    summary, store = run_inline(study, listeners=[recorder])
    assert summary.done == 2
    assert store.sql("select run_id, test_loss from runs order by all").rows == before
    assert verify(store.folders[0]).is_proven
    assert "set aside" in " ".join(recorder.launches[0].notes)


def test_results_that_cannot_be_written_are_named(study_of, tmp_path):
    place = tmp_path / "file"
    place.write_text("not a folder")
    with pytest.raises(StoreError, match="must be writable"):
        run_study(study_of(), str(place), InlineLauncher(device="cpu"))


def test_runs_trained_alone_are_compared_with_their_packs(study_of, run_inline):
    _, store = run_inline(study_of(sweep={"seed": 6}, pack={"size": 3, "certify": 2}))
    runs, deviation = store.sql(
        "select count(distinct run_id), max(deviation) from certificates"
    ).rows[0]
    assert (runs, deviation) == (2, 0.0)


def test_the_study_is_frozen_with_its_rules_and_launches(study_of, run_inline, tmp_path):
    run_inline(study_of(), rules={"a_claim": "hash1"})
    run_inline(study_of(sweep={"seed": 2}), rules={"a_claim": "hash2"})
    frozen = json.loads((tmp_path / "small" / "study.json").read_text())
    assert frozen["rules"] == {"a_claim": "hash1"}
    assert [launch["new_runs"] for launch in frozen["launches"]] == [1, 1]
    assert frozen["launches"][0]["symstudy_version"]


def test_provenance_is_in_every_row(study_of, run_inline):
    _, store = run_inline(study_of())
    ((version, torch_version, host, engine),) = store.sql(
        "select symstudy_version, torch_version, host, engine from runs"
    ).rows
    assert all((version, torch_version, host))
    assert engine == "compiled"


def test_progress_is_told(study_of, run_inline, recorder):
    run_inline(study_of(sweep={"seed": 3}), listeners=[recorder])
    assert recorder.progress[-1][1] == 3 * 20
    assert recorder.reports[0].run_steps >= 3 * 20


def test_a_study_of_many_packs_ends_with_few_files(study_of, run_inline, monkeypatch):
    monkeypatch.setattr("symstudy.launch.session.MANY_FILES", 3)
    study = study_of(sweep={"seed": 5}, pack={"size": 1})
    summary, store = run_inline(study)
    assert summary.done == 5
    (folder,) = store.folders
    assert len(list_tables(folder).files["runs"]) == 1
    assert verify(folder).is_proven
    again, _ = run_inline(study)
    assert again.done == 0


def test_a_study_that_cannot_be_compacted_is_done_all_the_same(study_of, run_inline, monkeypatch):
    def full(*_, **__):
        raise StoreError("no space left")

    monkeypatch.setattr("symstudy.launch.session.MANY_FILES", 3)
    monkeypatch.setattr("symstudy.launch.session.compact", full)
    summary, store = run_inline(study_of(sweep={"seed": 5}, pack={"size": 1}))
    assert summary.done == 5
    assert verify(store.folders[0]).is_proven


def test_a_machine_with_other_versions_trains_nothing(study_of, run_inline, monkeypatch):
    class Old(Provenance):
        def deviations(self):
            return ["torch 2.1 instead of 2.13"]

    def provenance(folder):
        return Old(*current_provenance(folder))

    monkeypatch.setattr("symstudy.launch.session.current_provenance", provenance)
    with pytest.raises(LaunchError, match=r"driver's versions, but .* torch 2.1 instead of 2.13"):
        run_inline(study_of(sweep={"seed": 2}))


def test_versions_that_differ_are_told(tmp_path):
    here = current_provenance(tmp_path)
    assert here.deviations() == []
    assert here._replace(numpy_version="1.0").deviations() == [
        f"numpy {here.numpy_version} instead of 1.0"
    ]


def test_another_build_of_the_same_version_is_no_deviation(tmp_path):
    here = current_provenance(tmp_path)
    built = f"{here.torch_version.partition('+')[0]}+cu999"
    assert here._replace(torch_version=built).deviations() == []


def test_the_inline_launcher_gives_torch_its_threads_back(study_of, run_inline):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run_inline(study_of(pack={"engine": "torch", "cpus": 1}))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_counts_of_a_launch_are_a_table_in_a_notebook(study_of, run_inline):
    summary, store = run_inline(study_of(sweep={"seed": 2}))
    assert "<th>done</th>" in summary._repr_html_()
    assert "<td>2</td>" in summary._repr_html_()
    assert "<td>2</td>" in store.sql("select count(*) as n from runs")._repr_html_()
