import pytest
import torch

from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn
from symstudy.symmetry.ranks import smallest_above


def measured(model, theta, hidden=None):
    (group,) = model.layout.groups
    if hidden is None:
        hidden = torch.zeros(len(theta), 5, group.size).double()
    return measure_layer(LayerView(model.layout, group, theta, hidden))


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def layers_of(model, theta):
    """Return incoming weights, biases and outgoing weights of a network 3-6-2."""
    return theta[:, :18].view(-1, 6, 3), theta[:, 18:24], theta[:, 24:36].view(-1, 2, 6)


def joined(w1, b1, w2, theta):
    return torch.cat([w1.flatten(1), b1, w2.flatten(1), theta[:, 36:]], dim=1)


@pytest.mark.parametrize("name", ["linear", "relu"])
def test_balance_is_conserved_to_first_order_in_a_step(name):
    model = Fcn([3, 6, 2], name)
    theta, x, y = normal(2, model.layout.size), normal(2, 9, 3, seed=1), normal(2, 9, 2, seed=2)
    theta.requires_grad_(True)
    loss = (model.forward(theta, x).output_KBO - y).square().sum()
    (gradient,) = torch.autograd.grad(loss, theta)
    before = measured(model, theta)["balance"]
    drifts = [
        (measured(model, theta.detach() - lr * gradient)["balance"] - before).abs()
        for lr in (1e-3, 1e-4)
    ]
    torch.testing.assert_close(drifts[0] / drifts[1], torch.full((2,), 100.0).double())


def test_balance_is_the_trace_of_its_definition():
    model = Fcn([3, 6, 2], "tanh")
    theta = normal(4, model.layout.size)
    w1, b1, w2 = layers_of(model, theta)
    expected = w2.square().sum((1, 2)) - w1.square().sum((1, 2)) - b1.square().sum(1)
    torch.testing.assert_close(measured(model, theta)["balance"], expected)


def test_rotating_the_hidden_layer_changes_neither_balance_nor_singular_values():
    model = Fcn([3, 6, 2], "linear")
    theta = normal(3, model.layout.size)
    w1, b1, w2 = layers_of(model, theta)
    rotation, _ = torch.linalg.qr(normal(6, 6, seed=3))
    rotated = joined(rotation @ w1, b1 @ rotation.T, w2 @ rotation.T, theta)
    before, after = measured(model, theta), measured(model, rotated)
    for name in ("balance", "weight_largest", "weight_smallest", "product_rank_exact"):
        assert torch.allclose(after[name].double(), before[name].double()), name


def test_largest_and_smallest_are_the_ends_of_the_spectrum():
    model = Fcn([3, 6, 2], "tanh", bias=False)
    theta = normal(2, model.layout.size)
    values = torch.linalg.svdvals(theta[:, :18].view(2, 6, 3))
    measures = measured(model, theta)
    torch.testing.assert_close(measures["weight_largest"], values[:, 0])
    torch.testing.assert_close(measures["weight_smallest"], values[:, -1])


def test_the_smallest_value_leaves_out_those_below_the_threshold():
    values = torch.tensor([[10.0, 0.2, 0.05], [3.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    smallest = smallest_above(values, 0.01)
    torch.testing.assert_close(smallest, torch.tensor([0.2, 1.0, torch.nan]), equal_nan=True)


@pytest.mark.parametrize(("size", "count"), [(1e-9, 2), (1e-4, 6)])
def test_exact_counts_see_what_the_threshold_of_breaking_does_not(size, count):
    model = Fcn([3, 6, 2], "tanh")
    theta = normal(1, model.layout.size)
    w1, b1, w2 = layers_of(model, theta)
    first = torch.tensor([0, 0, 0, 3, 3, 3])
    copied = joined(w1[:, first], b1[:, first], w2[:, :, first], theta)
    measures = measured(model, copied + size * normal(1, model.layout.size, seed=4))
    assert measures["distinct_exact"].item() == count
    assert measures["distinct_neurons"].item() == 2


@pytest.mark.parametrize(("size", "count"), [(1e-9, 1), (1e-4, 2)])
def test_the_exact_product_rank_sees_a_small_second_direction(size, count):
    model = Fcn([3, 6, 2], "linear", bias=False)
    w1 = normal(1, 6, 1) * normal(1, 1, 3, seed=1) + size * normal(1, 6, 3, seed=2)
    theta = torch.cat([w1.flatten(1), normal(1, 12, seed=3)], dim=1)
    measures = measured(model, theta)
    assert measures["product_rank_exact"].item() == count
    assert measures["product_rank"].item() == 1
