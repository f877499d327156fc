"""Runs of several widths through planner, worker and store."""

import dataclasses

import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.store import open_store, verify

WIDTHS = [4, 6, 9]


def test_a_padded_pack_is_planned_trained_stored_and_proven(study_of, run_inline, recorder):
    study = study_of(
        sweep={"model.width": WIDTHS, "train.gamma": [0.0, 0.1], "seed": 2},
        pack={"engine": "torch", "certify": 1},
    )
    summary, store = run_inline(study, listeners=[recorder])
    assert len(recorder.launches[0].packs) == 1
    assert (summary.done, summary.failed) == (12, 0)
    assert verify(store.folders[0]).is_proven
    found = store.sql(
        "select width, any_value(engine), count(*), min(num_parameters) from runs group by all "
        "order by all"
    )
    inputs, outputs = 8, 4
    assert found.rows == [
        (width, "padded-torch-cpu", 4, (inputs + 1) * width + (width + 1) * outputs)
        for width in WIDTHS
    ]
    ((certified, deviation),) = store.sql(
        "select count(distinct run_id), max(deviation / greatest(abs(alone), 1)) from certificates"
    ).rows
    assert certified == 1
    assert deviation < 1e-4


def test_results_do_not_depend_on_padding(study_of, tmp_path):
    study = study_of(
        train={"dtype": "float64"},
        sweep={"model.width": WIDTHS, "seed": 2},
        pack={"engine": "torch", "certify": 0},
    )
    tables = []
    for pad in ("always", "never"):
        chosen = dataclasses.replace(study, pack=dataclasses.replace(study.pack, pad=pad))
        run_study(chosen, str(tmp_path / pad), InlineLauncher(device="cpu"))
        store = open_store(tmp_path / pad)
        history = "select * from history order by run_id, step"
        layers = "select * exclude (distinct_curve) from layers order by run_id, step"
        tables.append([store.sql(query).rows for query in (history, layers)])
    for padded, apart in zip(*tables, strict=True):
        assert len(padded) == len(apart) > 0
        for left, right in zip(sum(padded, ()), sum(apart, ()), strict=True):
            # Words and nulls are equal; numbers are up to their last bits.
            is_number = isinstance(right, int | float)
            assert left == (pytest.approx(right, rel=1e-9, abs=1e-12) if is_number else right)


def test_a_padded_pack_that_does_not_fit_is_split(study_of, run_inline, monkeypatch):
    from symstudy import training

    train_pack = training.train_pack

    def small(runs, *arguments):
        if len(runs) > 2:
            raise MemoryError
        return train_pack(runs, *arguments)

    monkeypatch.setattr(training, "train_pack", small)
    study = study_of(
        sweep={"model.width": WIDTHS, "seed": 2}, pack={"engine": "torch", "certify": 0}
    )
    summary, store = run_inline(study)
    assert (summary.done, summary.failed) == (6, 0)
    assert verify(store.folders[0]).is_proven
