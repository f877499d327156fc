"""Modules that declare no layout are measured like those that do."""

from pathlib import Path

import numpy as np
import pytest

from symstudy.components import registry
from symstudy.study import PackConfig
from symstudy.training import train_pack


@pytest.fixture(autouse=True)
def sample_layouts(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    registry.find_component.cache_clear()


def layers_of(study_of, name, **pack):
    study = study_of(
        model={"kind": f"sample_layouts:{name}"},
        data={"kind": "digits", "samples": 40},
        train={"optimizer": "adam", "batch_size": 8, "steps": 4},
        probe={"num": 2, "detail": 2, "samples": 16, "measures": ["sign_flip_distance"]},
        sweep={"seed": 2},
    )
    return train_pack(study.runs(), PackConfig(device="cpu", **pack)).layers


@pytest.mark.parametrize("vmap", ["always", "never"])
def test_a_derived_layout_gives_the_numbers_of_a_declared_one(study_of, vmap):
    declared = layers_of(study_of, "Declared", vmap=vmap)
    derived = layers_of(study_of, "Plain", vmap=vmap)
    assert set(declared) == set(derived)
    measured = {"distinct_neurons", "rank", "effective_rank", "sign_flip_distance", "max_norm"}
    assert measured <= set(derived)
    for name in measured:
        assert np.isfinite(derived[name]).all(), name
        assert np.array_equal(declared[name], derived[name]), name


@pytest.mark.parametrize(
    ("name", "said"),
    [("Plain", "1 groups of neurons, 0 attention layers"), ("Bare", "no neurons or heads")],
)
def test_validate_is_told_what_is_measured(study_of, name, said):
    study = study_of(
        model={"kind": f"sample_layouts:{name}"}, data={"kind": "digits", "samples": 40}
    )
    cell = study.cells[0]
    assert said in cell.model.build(cell.data.shape).facts.measured
