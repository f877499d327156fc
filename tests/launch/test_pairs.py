"""Pairs of runs: measured once both have ended, exactly once, whenever they are asked for."""

import dataclasses

import numpy as np
import pytest
import torch

from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch import run_study
from symstudy.launch.events import PairsMeasured
from symstudy.launch.pairs import measured
from symstudy.store import open_store
from symstudy.store.files.compaction import compact
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.study.pairs import PairsConfig, pairs_of_runs
from symstudy.study.study import make_study

OWN = """
import symstudy

@symstudy.measures.measure(on="pair", kind="number", meaning="squared distance of the samples")
def apart(view):
    return ((view.first_KBN[:, :, :1] - view.second_KBM[:, :, :1]) ** 2).sum(dim=(1, 2))
"""


def study_of(pairs=None, data=None, probe=None, seeds=2):
    return make_study(
        name="twins",
        model={"kind": "deep_linear", "depth": 3},
        data={"kind": "teacher_student", "input_dim": 3, "samples": 20, "test_samples": 30}
        | (data or {}),
        train={"lr": 0.01, "optimizer": "sgd", "batch_size": 5, "steps": 20},
        sweep={
            "model.width": [4, 5],
            "train.replica": [0, 1],
            "zip": [["model.width", "train.replica"]],
            "train.gamma": [0.0, 0.1],
            "seed": seeds,
        },
        probe={"num": 4, "detail": 2, "samples": 8, "representations": 10} | (probe or {}),
        pairs={"between": ["model.width", "train.replica"], "draws": 19} | (pairs or {}),
    )


def folder_of(results):
    filesystem, path = open_location(str(results))
    return StudyFolder(filesystem, f"{path}/twins")


def rows_of(results, columns="*"):
    query = f"select {columns} from pairs order by run_a, run_b, step_a, layer_a, layer_b"
    return open_store(results / "twins").df(query)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    results = tmp_path_factory.mktemp("pairs")
    summary = run_study(study_of(), str(results))
    assert summary.pairs == 4
    return results


def test_every_pair_has_a_row_a_probe_and_two_layers_with_the_firsts_hyperparameters(trained):
    rows = rows_of(trained)
    assert len(rows) == 2 * 2 * 2 * (2 * 2)
    assert set(rows["width"]) == {4}
    assert rows.groupby(["seed", "gamma"]).size().tolist() == [8] * 4
    assert set(rows["step_a"]) == {0, 20}
    assert rows["is_last"].tolist() == (rows["step_a"] == 20).tolist()
    assert rows.loc[~rows["is_last"], "cka_p"].isna().all()
    assert rows.loc[rows["is_last"], "cka_p"].between(1 / 20, 1).all()


def test_values_are_those_of_the_activations_that_were_kept(trained):
    store = open_store(trained / "twins")
    row = rows_of(trained).iloc[-1]
    rows = []
    for run, layer in ((row["run_a"], row["layer_a"]), (row["run_b"], row["layer_b"])):
        kept = store.sql(
            "select activations, num_samples, num_neurons from representations "
            "where run_id = ? and layer = ? and step = ?",
            [run, layer, row["step_a"]],
        ).rows
        ((flat, samples, neurons),) = kept
        rows.append(np.array(flat).reshape(samples, neurons))
    first, second = (each @ each.T for each in rows)
    expected = (first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second))
    assert row["gram_cosine"] == pytest.approx(expected)
    assert rows[0].shape == (10, 4)
    assert rows[1].shape == (10, 5)


def test_kept_activations_are_those_of_the_trained_network():
    from symstudy.study.sections import PackConfig
    from symstudy.training.loop import Training

    runs = study_of().runs()[:1]
    training = Training(runs, PackConfig())
    while not training.is_over():
        training.work()
    columns = training.result().representations
    place = columns["layer"].index(2, columns["step"].index(20))
    theta = training.engine.theta_KP
    inputs = torch.from_numpy(training.pack.data.test.x[:1, :10])
    hidden = training.pack.model.forward(theta, inputs).hidden
    last = training.pack.model.network_layout.hidden_layers[-1].name
    np.testing.assert_allclose(
        columns["activations"][place], hidden[last][0].reshape(-1).numpy(), rtol=1e-5
    )


def test_a_rotated_copy_is_aligned_as_no_permutation_is():
    rows = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    rng = np.random.default_rng(0)
    orders = torch.from_numpy(np.stack([np.arange(40), *(rng.permutation(40) for _ in range(19))]))
    found = measured(PairsConfig(between=("seed",)), rows, 2.0 * rows @ rotation, orders)
    for name in ("gram_cosine", "cka", "gram_correlation"):
        assert found[name] == pytest.approx(1.0, abs=1e-6)
        assert found[f"{name}_p"] == 1 / 20
        assert found[f"{name}_permuted"] < 0.5


def test_samples_of_nothing_in_common_are_not_aligned_beyond_chance():
    ranks = []
    for seed in range(40):
        draw = torch.Generator().manual_seed(seed)
        first, second = torch.randn(30, 3, generator=draw), torch.randn(30, 5, generator=draw)
        rng = np.random.default_rng(seed)
        orders = np.stack([np.arange(30), *(rng.permutation(30) for _ in range(19))])
        config = PairsConfig(between=("seed",), measures=("cka",))
        ranks.append(measured(config, first, second, torch.from_numpy(orders))["cka_p"])
    assert np.mean(np.array(ranks) <= 0.1) < 0.3
    assert np.mean(ranks) == pytest.approx(0.525, abs=0.15)


def test_a_launch_that_is_killed_between_goes_on_and_measures_none_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("symstudy.launch.pairs.BATCH", 1)

    def killer(event):
        if isinstance(event, PairsMeasured):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study_of(), str(tmp_path), listeners=[killer])
    assert len(rows_of(tmp_path)) == 8
    assert run_study(study_of(), str(tmp_path)).pairs == 3
    assert run_study(study_of(), str(tmp_path)).pairs == 0
    columns = ["run_a", "run_b", "step_a", "layer_a", "layer_b"]
    rows = rows_of(tmp_path)
    assert len(rows) == 32
    assert not rows.duplicated(columns).any()


def test_pairs_may_be_asked_for_later_and_otherwise(trained, tmp_path):
    study = dataclasses.replace(study_of(), pairs=None)
    assert run_study(study, str(tmp_path)).pairs == 0
    assert rows_of(tmp_path).empty
    assert run_study(study_of(), str(tmp_path)).pairs == 4
    columns = "run_a, run_b, step_a, layer_a, layer_b, cka, cka_p"
    assert rows_of(tmp_path, columns).equals(rows_of(trained, columns))
    other = study_of(pairs={"measures": ["cka"], "draws": 0})
    assert run_study(other, str(tmp_path)).pairs == 4
    rows = rows_of(tmp_path)
    assert len(rows) == 32
    assert rows["gram_cosine"].isna().all()
    assert rows["cka_p"].isna().all()


def test_merged_files_have_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("symstudy.launch.pairs.BATCH", 1)
    run_study(study_of(), str(tmp_path))
    before = rows_of(tmp_path)
    kept = "select run_id, step, layer, activations from representations order by all"
    activations = open_store(tmp_path / "twins").sql(kept).rows
    compact(folder_of(tmp_path))
    assert rows_of(tmp_path).equals(before)
    assert open_store(tmp_path / "twins").sql(kept).rows == activations
    assert run_study(study_of(), str(tmp_path)).pairs == 0


def test_a_damaged_file_is_set_aside_and_its_pairs_measured_again(tmp_path):
    run_study(study_of(), str(tmp_path))
    before = rows_of(tmp_path, "run_a, run_b, step_a, layer_a, layer_b, cka")
    (file,) = (tmp_path / "twins" / "pairs").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    assert run_study(study_of(), str(tmp_path)).pairs == 4
    assert rows_of(tmp_path, "run_a, run_b, step_a, layer_a, layer_b, cka").equals(before)


def test_a_measure_of_ones_own_is_a_column_with_its_chance(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    study = study_of(pairs={"measures": ["cka", "mine:apart"]})
    assert run_study(study, str(tmp_path / "results")).pairs == 4
    rows = rows_of(tmp_path / "results")
    assert (rows["apart"] > 0).all()
    assert rows.loc[rows["is_last"], "apart_p"].between(1 / 20, 1).all()


@pytest.mark.parametrize("name", ["CKA", "cka_p", "Run_A", "pair_settings", "Apart"])
def test_a_measure_of_pairs_that_sql_takes_for_another_column_is_refused(
    name, tmp_path, monkeypatch
):
    module = f"mine_{name}_of_pairs"  # Python keeps a module that it has imported by its name
    (tmp_path / f"{module}.py").write_text(f"{OWN}\n{OWN.replace('apart', name)}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    study_of(pairs={"measures": [f"{module}:apart"]})
    with pytest.raises(StudyFileError, match=r"pairs\.measures: must name measures that are no"):
        study_of(pairs={"measures": [f"{module}:apart", f"{module}:{name}"]})


def test_runs_of_other_samples_are_no_pair(tmp_path):
    with pytest.raises(LaunchError, match=r"same test inputs.*train\.replica"):
        run_study(study_of(pairs={"between": ["seed"]}), str(tmp_path))
    assert not (tmp_path / "twins" / "study.json").exists()


def test_runs_of_two_seeds_are_pairs_where_data_are_the_same_and_behind_a_matrix():
    study = make_study(
        name="seeds",
        model={"kind": "deep_linear"},
        data={"kind": "digits", "input_matrix": "gaussian"},
        train={"lr": 0.01, "batch_size": 5, "steps": 1},
        sweep={"seed": 3},
        probe={"representations": 10},
        pairs={"between": ["seed"]},
    )
    from symstudy.launch.pairs import check_pairs

    check_pairs(study)
    assert study.pairs is not None
    pairs = pairs_of_runs(study.pairs, study.runs())
    assert [(pair.first.seed, pair.second.seed) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"pairs": {"between": []}}, "between", "at least one key"),
        ({"pairs": {"between": ["model.depth"]}}, "between", "keys that are swept"),
        ({"pairs": {"measures": ["ckb"]}}, "measures", "cka"),
        ({"pairs": {"measures": ["rank"]}}, "measures", "gram_cosine"),
        ({"probe": {"representations": 0}}, "between", "probe.representations=256"),
    ],
)
def test_what_is_wrong_with_pairs_is_told_by_key(changes, key, words):
    with pytest.raises(StudyFileError, match=rf"pairs\.{key}: .*{words}"):
        study_of(**changes)


def test_more_samples_than_there_are_fail_the_run_with_the_reason(tmp_path):
    summary = run_study(study_of(probe={"representations": 31}), str(tmp_path))
    assert summary.failed == 8
    reasons = open_store(tmp_path / "twins").sql("select distinct reason from runs").rows
    assert "at most the 30 test samples" in str(reasons)


def test_identifiers_of_runs_are_those_of_a_study_without_pairs():
    with_pairs = {run.run_id for run in study_of().runs()}
    without = study_of().document
    without = {name: table for name, table in without.items() if name != "pairs"}
    assert {run.run_id for run in make_study(without).runs()} == with_pairs
