import pytest
import torch

from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.symmetry.neurons import neuron_sides
from symstudy.theory import neuron_maps
from symstudy.theory.neuron_maps import balance, random_neuron_map, rescale


def parameters(model, seed, runs=1):
    return torch.from_numpy(Stream(seed, "test").normal(runs, model.layout.size))


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "silu"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_neuron_map_keeps_the_function(activation, bias):
    model = Fcn([3, 5, 4, 2], activation, bias=bias)
    theta = parameters(model, 0, runs=2)
    x = torch.from_numpy(Stream(1, "test").normal(2, 9, 3))
    mapped = random_neuron_map(model.layout, 2, log_scale=0.5).apply(theta)
    assert (mapped - theta).abs().max() > 0.1
    before, after = model.forward(theta, x).output_KBO, model.forward(mapped, x).output_KBO
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


def test_signs_and_scales_are_drawn_only_where_the_activation_allows_them():
    tanh = random_neuron_map(Fcn([3, 40, 2], "tanh").layout, 0, log_scale=1.0)
    relu = random_neuron_map(Fcn([3, 40, 2], "relu").layout, 0, log_scale=1.0)
    assert set(tanh.signs["hidden1"].tolist()) == {-1.0, 1.0}
    assert (tanh.scales["hidden1"] == 1.0).all()
    assert (relu.signs["hidden1"] == 1.0).all()
    assert relu.scales["hidden1"].log().std() > 0.5


def test_the_inverse_undoes_a_map():
    model = Fcn([3, 6, 5, 2], "linear")
    theta = parameters(model, 3)
    element = random_neuron_map(model.layout, 4, log_scale=0.5)
    torch.testing.assert_close(element.inverse().apply(element.apply(theta)), theta)


@pytest.mark.parametrize("sizes", [[4, 9, 3], [4, 9, 7, 3], [4, 6, 6, 6, 6, 3]])
def test_balanced_neurons_have_sides_of_equal_norm(sizes):
    model = Fcn(sizes, "relu")
    theta = balance(model.layout, parameters(model, 5, runs=3))
    for group in model.layout.groups:
        into, out = neuron_sides(model.layout, group, theta)
        torch.testing.assert_close(into.norm(dim=2), out.norm(dim=2), rtol=1e-12, atol=0)


def test_an_orbit_has_one_balanced_point_and_it_is_the_shortest():
    model = Fcn([4, 6, 5, 3], "relu")
    theta = parameters(model, 6)
    scales = {
        group.name: torch.from_numpy(Stream(7, group.name).normal(1, group.size)).exp()
        for group in model.layout.groups
    }
    moved = rescale(model.layout, theta, scales)
    balanced = balance(model.layout, theta)
    torch.testing.assert_close(balance(model.layout, moved), balanced, rtol=1e-11, atol=1e-12)
    assert balanced.norm() < min(theta.norm(), moved.norm())


def test_a_neuron_without_a_living_side_keeps_its_scale():
    model = Fcn([2, 3, 2], "relu", bias=False)
    theta = parameters(model, 8)
    theta[0, 6:] = theta[0, 6:].view(2, 3).index_fill(1, torch.tensor([1]), 0.0).flatten()
    balanced = balance(model.layout, theta)
    torch.testing.assert_close(balanced[0, 2:4], theta[0, 2:4])
    assert (balanced[0, :2] - theta[0, :2]).abs().max() > 1e-3


def test_groups_that_are_not_homogeneous_are_not_balanced():
    model = Fcn([2, 3, 2], "tanh")
    theta = parameters(model, 9)
    torch.testing.assert_close(balance(model.layout, theta), theta, rtol=0, atol=0)


def test_parameters_that_are_not_finite_are_refused():
    model = Fcn([2, 3, 2], "relu")
    theta = parameters(model, 10)
    theta[0, 0] = float("inf")
    with pytest.raises(ValueError, match="must be finite to be balanced, but got 1 entries"):
        balance(model.layout, theta)


def test_balancing_that_does_not_end_is_told(monkeypatch):
    model = Fcn([2, 3, 3, 2], "relu")
    monkeypatch.setattr(neuron_maps, "MAX_SWEEPS", 2)
    with pytest.raises(ArithmeticError, match="must end within 2 sweeps"):
        balance(model.layout, parameters(model, 11))
