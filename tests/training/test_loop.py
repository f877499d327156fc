import dataclasses

import numpy as np
import pytest

from symstudy.errors import LaunchError
from symstudy.study import PackConfig
from symstudy.training import train_pack


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_a_diverging_run_is_frozen_and_its_mates_go_on(study_of, engine):
    study = study_of(
        train={"optimizer": "sgd", "steps": 60}, sweep={"train.lr": [0.01, 50.0, 0.02]}
    )
    config = PackConfig(engine=engine)
    runs = study.runs()
    result = train_pack(runs, config)
    assert result.runs["outcome"] == ["done", "diverged", "done"]
    assert 0 < result.runs["steps_done"][1] < 60
    assert "smaller train.lr" in result.runs["reason"][1]
    assert np.isnan(result.runs["test_loss"][1])
    alone = train_pack([runs[2]], config)
    assert result.runs["test_loss"][2] == alone.runs["test_loss"][0]


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_a_run_diverges_at_the_same_step_in_any_pack(study_of, engine):
    study = study_of(
        train={"optimizer": "sgd", "steps": 60}, sweep={"train.lr": [0.01, 50.0, 20.0]}
    )
    config = PackConfig(engine=engine)
    together = train_pack(study.runs(), config).runs["steps_done"]
    apart = [train_pack([run], config).runs["steps_done"][0] for run in study.runs()]
    assert together.tolist() == apart


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_a_run_diverges_at_the_first_step_whose_loss_is_too_large(study_of, engine):
    """However many steps its next probe is away."""
    steps = []
    for planned in (30, 60):
        study = study_of(train={"optimizer": "sgd", "lr": 50.0, "steps": planned})
        steps.append(train_pack(study.runs(), PackConfig(engine=engine)).runs["steps_done"][0])
    assert 0 < steps[0] == steps[1] < 30


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_a_run_that_overflows_in_its_last_step_takes_no_mate_with_it(study_of, engine):
    study = study_of(
        model={"activation": "polynomial", "depth": 4},
        train={"optimizer": "sgd", "steps": 1},
        sweep={"train.lr": [1e-3, 1e5]},
    )
    config = PackConfig(engine=engine)
    result = train_pack(study.runs(), config)
    assert result.layers["run_id"].tolist().count(study.runs()[0].run_id) == 2 * 3
    assert result.layers["run_id"].tolist().count(study.runs()[1].run_id) == 1 * 3
    assert np.isfinite(result.runs["mean_rank"]).tolist() == [True, False]
    alone = train_pack(study.runs()[1:], config)
    assert "mean_rank" not in alone.runs


def test_history_has_a_row_for_each_run_and_probe(study_of):
    study = study_of(sweep={"seed": 3})
    history = train_pack(study.runs(), study.pack).history
    assert sorted(set(history["step"].tolist())) == [0, 1, 4, 20]
    assert len(history["step"]) == 3 * 4
    detailed = ~np.isnan(history["grad_norm"])
    assert set(history["step"][detailed].tolist()) == {0, 20}


def test_layers_have_a_row_for_each_run_detailed_probe_and_layer(study_of):
    study = study_of(model={"depth": 4}, sweep={"seed": 2})
    layers = train_pack(study.runs(), study.pack).layers
    assert len(layers["step"]) == 2 * 2 * 3
    assert set(layers["layer"].tolist()) == {1, 2, 3}
    assert layers["distinct_curve"].shape == (12, 7)


def test_final_measures_are_means_over_layers(study_of):
    study = study_of(model={"depth": 3})
    result = train_pack(study.runs(), study.pack)
    last = result.layers["step"] == 20
    assert result.runs["mean_effective_rank"][0] == pytest.approx(
        result.layers["effective_rank"][last].mean()
    )


def test_probes_do_not_disturb_the_training(study_of):
    few, many = (study_of(probe={"num": num, "detail": 1}) for num in (2, 15))
    losses = [train_pack(study.runs(), study.pack).runs["test_loss"][0] for study in (few, many)]
    assert losses[0] == losses[1]


def test_the_objective_adds_the_penalty_of_all_parameters(study_of):
    study = study_of(train={"gamma": 0.1, "dtype": "float64"})
    runs = train_pack(study.runs(), study.pack).runs
    assert runs["objective"][0] == pytest.approx(
        runs["train_loss"][0] + 0.1 * runs["theta_norm"][0] ** 2
    )


def test_the_gradient_vanishes_at_a_minimum(study_of):
    study = study_of(
        model={"kind": "deep_linear", "depth": 1},
        train={
            "optimizer": "sgd",
            "lr": 0.1,
            "gamma": 0.1,
            "dtype": "float64",
            "batch_size": "full",
            "steps": 2000,
        },
    )
    assert train_pack(study.runs(), study.pack).runs["grad_ratio"][0] < 1e-12


def test_a_network_without_hidden_layers_has_no_layers(study_of):
    study = study_of(model={"depth": 1})
    result = train_pack(study.runs(), study.pack)
    assert result.layers == {}
    assert "mean_distinct_neurons" not in result.runs


def test_progress_counts_the_steps_of_living_runs(study_of):
    study = study_of(sweep={"seed": 3})
    told: list[tuple[int, int]] = []
    train_pack(study.runs(), study.pack, lambda alive, steps: told.append((alive, steps)))
    assert sum(steps for _, steps in told) == 3 * 20
    assert told[-1][0] == 3


def test_a_compiled_engine_that_cannot_serve_is_refused(study_of):
    layer = {"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4}
    study = study_of(model={**layer, "reparametrise": "gate"})
    with pytest.raises(LaunchError, match=r"a model of dense layers.*torch\.nn:Linear.*'gate'"):
        train_pack(study.runs(), dataclasses.replace(study.pack, engine="compiled"))


def test_a_users_own_module_is_trained(study_of):
    study = study_of(
        model={"kind": "torch.nn:Linear", "in_features": 8, "out_features": 4},
        train={"lr": 0.05, "steps": 300},
        sweep={"seed": 2},
    )
    result = train_pack(study.runs(), study.pack)
    first = result.history["step"] == 0
    assert (result.runs["test_loss"] < result.history["test_loss"][first]).all()
    assert result.runs["engine"] == ["compiled"] * 2
