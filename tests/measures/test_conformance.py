"""Every built-in measure passes the shipped suite; a wrong one does not."""

import sys
import types

import pytest

from symstudy.measures import LAYER_MEASURES, measure
from symstudy.models.fcn.network import Fcn
from symstudy.models.transformer.config import TransformerConfig
from symstudy.models.transformer.network import build_transformer
from symstudy.testing.measures import MeasureCase, MeasureSuite

OF_NEURONS = [item.name for item in LAYER_MEASURES if item.on != "attention"]
OF_HEADS = [item.name for item in LAYER_MEASURES if item.on in ("attention", "symmetry")]
LINEAR, RELU, TANH = (Fcn([4, 6, 5, 3], name) for name in ("linear", "relu", "tanh"))
ATTENTION = build_transformer(TransformerConfig(tokens=3, width=6, head_dim=3, heads=2), 12, 2)


MODELS = {"linear": LINEAR, "relu": RELU, "tanh": TANH}
ALIGNMENTS = {item.name for item in LAYER_MEASURES if item.source.endswith("arXiv:2410.03006")}
"""These are taken on tanh alone; tests/ground_truths/test_alignment.py has linear networks."""


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (name, model)
        for name in OF_NEURONS
        for model in MODELS
        if model == "tanh" or name not in ALIGNMENTS
    ],
)
class TestNeurons(MeasureSuite):
    """Measures of neurons, on networks with every symmetry that neurons may have."""

    @pytest.fixture
    def case(self, name, model):
        return MeasureCase(name=name, model=MODELS[model])


@pytest.mark.parametrize("name", OF_HEADS)
class TestHeads(MeasureSuite):
    """Measures of attention layers, and of the symmetries that these have."""

    inputs = 12

    @pytest.fixture
    def case(self, name):
        return MeasureCase(name=name, model=ATTENTION)


def wrong_order(view):
    return view.norms_KN[:, 0]


def wrong_mates(view):
    return view.norms_KN.amax(dim=1) - view.norms_KN.mean()


def wrong_places(view):
    return view.norms_KN.amax(dim=1).cumsum(dim=0)


def wrong_infinity(view):
    return 1.0 / view.norms_KN.amax(dim=1)


@pytest.fixture
def wrong(monkeypatch):
    module = types.ModuleType("wrong_measures")
    for function in (wrong_order, wrong_mates, wrong_places, wrong_infinity):
        declared = measure(on="layer", kind="number", meaning="wrong")(function)
        setattr(module, function.__name__, declared)
    monkeypatch.setitem(sys.modules, "wrong_measures", module)
    return lambda name: MeasureCase(name=f"wrong_measures:{name}", model=TANH)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("wrong_order", "test_it_is_invariant_under_what_it_says"),
        ("wrong_places", "test_runs_may_stand_in_any_order"),
        ("wrong_mates", "test_a_run_is_measured_alone_as_in_a_pack"),
        ("wrong_infinity", "test_it_is_missing_where_it_does_not_apply_and_never_infinite"),
    ],
)
def test_a_wrong_measure_fails_the_suite(wrong, name, test):
    with pytest.raises(AssertionError):
        getattr(MeasureSuite(), test)(wrong(name))


def test_all_built_in_measures_are_tested():
    assert {*OF_NEURONS, *OF_HEADS} == {item.name for item in LAYER_MEASURES}
