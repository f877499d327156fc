import torch

from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.symmetry.neurons import (
    balanced_directions,
    breaking_sorted,
    cluster_neurons,
    neuron_matrix,
)

EPS = torch.tensor([1e-3])


def test_sorted_breaking_bounds_the_clusters():
    layer = torch.randn(50, 12, 4, dtype=torch.float64)
    thresholds = torch.full((50,), 0.8)
    exact = cluster_neurons(layer, thresholds, reversible=0)
    # Every cluster but one begins with a broken neighbour; the origin may join two of them.
    norms = layer.norm(dim=2)
    living = (norms > thresholds[:, None]).all(dim=1)
    assert living.any()
    count = exact.count_above(thresholds)[living]
    assert (count <= breaking_sorted(layer, thresholds, reversible=0)[living] + 1).all()


def test_the_gap_is_the_smallest_distance_between_clusters():
    centres = torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]], dtype=torch.float64)
    layer = centres.repeat(2, 1)[None]
    gap = cluster_neurons(layer, EPS, reversible=0).gaps_K
    torch.testing.assert_close(gap, torch.tensor([2**0.5], dtype=torch.float64))


def test_neurons_are_incoming_bias_and_outgoing():
    model = Fcn([3, 4, 2], "tanh")
    theta = torch.randn(2, model.layout.size)
    neurons = neuron_matrix(model.layout, model.layout.groups[0], theta)
    w1, b1 = theta[1, :12].view(4, 3), theta[1, 12:16]
    w2 = theta[1, 16:24].view(2, 4)
    torch.testing.assert_close(neurons[1, 2], torch.cat([w1[2], b1[2:3], w2[:, 2]]))


def test_directions_do_not_change_when_neurons_are_rescaled():
    into, out = torch.randn(1, 6, 3).double(), torch.randn(1, 6, 2).double()
    scale = torch.rand(1, 6, 1).double() + 0.5
    torch.testing.assert_close(
        balanced_directions(into * scale, out / scale), balanced_directions(into, out)
    )


def test_copies_of_a_relu_neuron_are_one_direction():
    model = Fcn([3, 6, 2], "relu", bias=False)
    centres = torch.tensor([[1.0, 0.0, 0.5, 1.0, 0.0], [0.0, 1.0, 0.5, 0.0, 1.0]]).double()
    rows = centres.repeat(3, 1)
    scale = torch.tensor([[0.5], [0.7], [1.0], [1.3], [1.7], [2.2]]).double()
    theta = torch.cat([(rows[:, :3] * scale).flatten(), (rows[:, 3:] / scale).T.flatten()])[None]
    view = LayerView(model.layout, model.layout.groups[0], theta, torch.randn(1, 4, 6).double())
    measures = measure_layer(view)
    assert measures["distinct_directions"].item() == 2
    assert measures["distinct_neurons"].item() == 6


def test_measures_do_not_change_when_neurons_change_places():
    model = Fcn([3, 6, 2], "tanh")
    theta = torch.randn(1, model.layout.size).double()
    hidden = torch.randn(1, 9, 6).double()
    order = torch.randperm(6)
    w1, b1, w2 = theta[0, :18].view(6, 3), theta[0, 18:24], theta[0, 24:36].view(2, 6)
    moved = torch.cat([w1[order].flatten(), b1[order], w2[:, order].flatten(), theta[0, 36:]])[None]
    group = model.layout.groups[0]
    before = measure_layer(LayerView(model.layout, group, theta, hidden))
    after = measure_layer(LayerView(model.layout, group, moved, hidden[:, :, order]))
    for name, value in before.items():
        assert torch.allclose(after[name].double(), value.double(), equal_nan=True), name
