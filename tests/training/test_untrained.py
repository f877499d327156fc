"""Runs that are measured as they begin."""

import numpy as np
import pytest
import torch

from symstudy.study import make_study
from symstudy.testing.weights import planted_layers, state_dict_of, write_weights
from symstudy.training import train_pack
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.speed import measure_speed

RANKS = [(8, 8), (5, 3), (2, 7)]


def files(tmp_path, **sweep):
    layers = planted_layers(RANKS, heads=4, directions=8)
    path = write_weights(tmp_path / "w.safetensors", state_dict_of(layers, "torchvision"))
    return make_study(
        {
            "schema": 1,
            "name": "files",
            "model": {"kind": "pretrained", "heads": 4, "path": str(path)},
            "data": {"kind": "none"},
            "train": {"optimizer": "none"},
            "probe": {"measures": ["double_rotation_breaking", "query_rank", "output_rank"]},
            "sweep": sweep,
        }
    )


def test_a_file_has_a_row_for_each_attention_layer(tmp_path):
    study = files(tmp_path)
    result = train_pack(study.runs(), study.pack)
    assert result.runs["outcome"] == ["done"]
    assert result.runs["engine"] == ["untrained"]
    assert result.layers["layer"].tolist() == [1, 2, 3]
    assert result.layers["query_key_breaking"].tolist() == [32, 20, 8]
    assert result.layers["value_output_breaking"].tolist() == [32, 12, 28]
    assert result.layers["double_rotation_breaking"].tolist() == [64, 32, 36]
    # Heads of rank r in independent frames: r of each.
    assert result.layers["query_rank"].tolist()[1:] == [20, 8]
    assert result.layers["output_rank"].tolist()[1:] == [12, 28]
    assert result.runs["mean_query_key_breaking"].tolist() == [20.0]


def test_there_is_one_probe_without_losses(tmp_path):
    study = files(tmp_path)
    result = train_pack(study.runs(), study.pack)
    assert result.history["step"].tolist() == [0]
    assert np.isnan(result.history["test_loss"]).all()
    norm = np.sqrt(2 * sum(4 * (a + b) for a, b in RANKS))
    # In the balanced gauge it would be the root of twice the sum of all singular values, 1 each.
    assert result.runs["theta_norm"][0] >= norm
    assert (result.runs["steps_done"][0], result.runs["decay_budget"][0]) == (0, 0.0)


def test_seeds_of_random_weights_share_a_pack_and_differ(tmp_path):
    study = files(tmp_path, **{"model.weights": ["random"], "seed": 3})
    together = train_pack(study.runs(), study.pack)
    alone = train_pack(study.runs()[1:2], study.pack)
    values = together.runs["mean_query_key_effective_rank"]
    assert len(set(values.tolist())) == 3
    assert values[1] == alone.runs["mean_query_key_effective_rank"][0]


def test_the_speed_of_measuring_can_be_probed(tmp_path):
    study = files(tmp_path, **{"model.weights": ["file", "random"]})
    speed = measure_speed(study.runs(), study.pack)
    assert all(np.isfinite(factor) for factor in speed.factors.values())
    assert len(speed.factors) == 2


def test_a_pack_goes_on_from_its_state(tmp_path):
    study = files(tmp_path, **{"model.weights": ["random"], "seed": 2})
    pack = make_pack(study.runs(), study.pack)
    engine, other = make_engine(pack), make_engine(pack)
    engine.freeze(np.array([1]))
    other.restore(engine.state())
    assert other.is_frozen_K.tolist() == [False, True]
    assert (other.theta_KP == engine.theta_KP).all()


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_any_network_can_be_measured_at_its_initialisation(study_of, engine):
    from symstudy.study import PackConfig

    study = study_of(train={"optimizer": "none", "lr": None})
    trained = study_of(train={"optimizer": "sgd", "steps": 5})
    config = PackConfig(engine=engine)
    result = train_pack(study.runs(), config)
    begun = train_pack(trained.runs(), config).history
    assert result.history["step"].tolist() == [0]
    first = begun["test_loss"][begun["step"] == 0]
    assert result.runs["test_loss"].tolist() == first.tolist()
    assert np.isfinite(result.runs["mean_distinct_neurons"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("naming", ["torchvision", "huggingface"])
def test_a_network_of_the_size_of_vit_b_16_is_counted_exactly(tmp_path, naming):
    ranks = [(64 - n, 40 + n) for n in range(12)]
    planted = planted_layers(ranks, heads=12, directions=64, dtype=torch.float32)
    path = write_weights(tmp_path / "w.safetensors", state_dict_of(planted, naming))
    study = make_study(
        {
            "schema": 1,
            "name": "files",
            "model": {"kind": "pretrained", "path": str(path)},
            "data": {"kind": "none"},
            "train": {"optimizer": "none"},
        }
    )
    found = train_pack(study.runs(), study.pack).layers
    assert found["query_key_breaking"].tolist() == [12 * rank for rank, _ in ranks]
    assert found["value_output_breaking"].tolist() == [12 * rank for _, rank in ranks]
    assert (found["head_directions"] == 768).all()
