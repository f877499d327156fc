"""A layer of which nothing is left counts nothing; living neurons near the dead are measured."""

import math

import pytest
import torch

from symstudy.measures import EXTRA_MEASURES, MEASURES
from symstudy.measures.compute import measure_extra, measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.symmetry.neurons import cluster_neurons

COUNTS = [item.name for item in MEASURES if item.kind == "count" and item.name != "neurons"]
EXTRA = [item.name for item in EXTRA_MEASURES if item.on != "attention"]
SMALL = [item.name for item in EXTRA_MEASURES if item.kind == "count" and item.on != "attention"]


def measures_at(norm, activation):
    """Return all measures of 8 random neurons of which the largest has this norm."""
    model = Fcn([4, 8, 3], activation, bias=False)
    theta = torch.randn(1, model.layout.size, generator=torch.Generator().manual_seed(0)).double()
    group = model.layout.groups[0]
    x = torch.randn(1, 20, 4, generator=torch.Generator().manual_seed(1)).double()
    scale = LayerView(model.layout, group, theta, torch.zeros(1, 20, 8)).scale_K
    theta = theta * norm / scale
    view = LayerView(model.layout, group, theta, model.forward(theta, x).hidden[group.name])
    return measure_layer(view) | measure_extra(view, EXTRA)


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
def test_a_dead_layer_counts_nothing(activation):
    measures = measures_at(0.99e-8, activation)
    for name in (*COUNTS, *SMALL):
        assert measures[name].item() in (0, -1), name
    assert not measures["distinct_curve"].any()
    for name in ("weight_effective_rank", "effective_rank", "stable_rank", "weight_stable_rank"):
        assert measures[name].item() == 0.0, name
    assert math.isnan(measures["min_distance"].item())


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
def test_a_layer_just_above_the_threshold_counts_as_any_other(activation):
    faint, plain = measures_at(1.01e-8, activation), measures_at(1.0, activation)
    for name in ("distinct_neurons", "living_neurons", "breaking_sorted", "permutation_breaking"):
        assert faint[name].item() == plain[name].item() > 0, name


def test_a_living_neuron_chained_to_the_dead_ones_has_a_distance():
    # 0.02 is the threshold: 0.015 is dead, 0.03 lives within 0.015 / sqrt(2) of it, 1 is far off.
    points = torch.tensor([[[1.0, 0.0], [0.0, 0.015], [0.0, 0.03]]]).double()
    clusters = cluster_neurons(points, torch.tensor([0.02]), reversible=0)
    assert clusters.count_above(torch.tensor([0.02])).item() == 1
    expected = math.hypot(1.0, 0.03)
    torch.testing.assert_close(clusters.gaps_K, torch.tensor([expected]).double())


def test_two_living_neurons_of_the_dead_cluster_have_no_distance():
    points = torch.tensor([[[0.0, 0.015], [0.0, 0.03], [0.0, 0.04]]]).double()
    clusters = cluster_neurons(points, torch.tensor([0.02]), reversible=0)
    assert torch.isnan(clusters.gaps_K).all()


def test_the_gap_is_that_of_every_pair_in_planted_layers():
    generator = torch.Generator().manual_seed(3)
    points = 0.05 * torch.randn(200, 8, 2, generator=generator).double()
    threshold = torch.full((200,), 0.03).double()
    found = cluster_neurons(points, threshold, reversible=0).gaps_K
    for run in range(200):
        assert found[run].item() == pytest.approx(gap_of(points[run], 0.03), nan_ok=True), run


def gap_of(rows, threshold):
    """Return the smallest distance of living rows of different clusters, found by unions."""
    norms = rows.norm(dim=1)
    far = torch.cdist(rows, rows)
    label = [-1 if norm <= threshold else i for i, norm in enumerate(norms)]
    for _ in rows:
        for i in range(len(rows)):
            for j in range(len(rows)):
                if far[i, j] / math.sqrt(2) <= threshold:
                    label[i] = label[j] = min(label[i], label[j])
    pairs = [
        float(far[i, j])
        for i in range(len(rows))
        for j in range(i)
        if min(norms[i], norms[j]) > threshold and label[i] != label[j]
    ]
    return min(pairs, default=math.nan)
