"""G11, G12, G15, G19: planted symmetric states and the laws of the symmetries around them."""

import numpy as np
import pytest
import torch

from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.study import PackConfig, make_study
from symstudy.symmetry import symmetries_of
from symstudy.symmetry.neurons import breaking_sorted, cluster_neurons
from symstudy.symmetry.scaling import Scaling
from symstudy.training.loop import make_engine, make_pack

EPSILON = torch.tensor([1e-3])
CENTRES, COPIES, DEAD = 6, 7, 4


def normal(seed, name, *shape):
    return torch.from_numpy(Stream(seed, name).normal(*shape))


def symmetry_of(model, kind):
    return next(s for s in symmetries_of(model.layout) if s.kind == kind)


def planted_layer(seed, norms, *, signs=False, dead=0):
    """Return copies of neurons of these norms, jittered by 1e-6, `dead` ones too, mixed up."""
    centres = normal(seed, "centres", len(norms), 10)
    centres *= torch.tensor(norms, dtype=torch.float64)[:, None] / centres.norm(dim=1, keepdim=True)
    neurons = torch.cat([centres.repeat(COPIES, 1), torch.zeros(dead, 10, dtype=torch.float64)])
    if signs:
        neurons *= torch.from_numpy(Stream(seed, "signs").integers(2, len(neurons), 1) * 2.0 - 1.0)
    neurons += 1e-6 * normal(seed, "jitter", *neurons.shape)
    return neurons[torch.from_numpy(Stream(seed, "order").permutation(len(neurons)))][None]


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_g11_planted_neurons_are_counted_exactly(signs, seed):
    layer = planted_layer(seed, range(1, CENTRES + 1), signs=signs)
    assert (
        cluster_neurons(layer, EPSILON, reversible=layer.shape[2] * signs)
        .count_above(EPSILON)
        .item()
        == CENTRES
    )
    # At distinct norms the paper's sorted measure finds the five breaks between six clusters.
    assert breaking_sorted(layer, EPSILON, reversible=layer.shape[2] * signs).item() == CENTRES - 1


@pytest.mark.parametrize("seed", range(5))
def test_g11_sorted_counting_overestimates_at_equal_norms(seed):
    layer = planted_layer(seed, [1.0] * CENTRES)
    assert cluster_neurons(layer, EPSILON, reversible=0).count_above(EPSILON).item() == CENTRES
    assert breaking_sorted(layer, EPSILON, reversible=0).item() > CENTRES


@pytest.mark.parametrize("seed", range(5))
def test_g11_dead_neurons_are_no_cluster(seed):
    layer = planted_layer(seed, range(1, CENTRES + 1), dead=DEAD)
    assert cluster_neurons(layer, EPSILON, reversible=0).count_above(EPSILON).item() == CENTRES


@pytest.mark.parametrize(("activation", "signs"), [("tanh", True), ("silu", False)])
@pytest.mark.parametrize("dead", [0, DEAD])
def test_g11_the_degrees_of_a_planted_network_are_exact(activation, signs, dead):
    layer = planted_layer(0, range(1, CENTRES + 1), signs=signs, dead=dead)
    model = Fcn([7, layer.shape[1], 2], activation)
    swap = symmetry_of(model, "permutation")
    theta = swap.write(normal(0, "rest", 1, model.layout.size), layer[:, :, :8], layer[:, :, 8:])
    broken = CENTRES - 1 + (dead > 0)
    assert swap.breaking(theta, 1e-4).item() == broken
    assert swap.degree(theta, 1e-4).item() == layer.shape[1] - 1 - broken


def planted_pair(rank, seed, runs=20, sizes=(9, 8, 7)):
    """Return a linear network whose two layers have a common rank, in the balanced gauge."""
    inputs, hidden, outputs = sizes
    model = Fcn(sizes, "linear", bias=False)
    product = normal(seed, "left", runs, outputs, rank) @ normal(seed, "right", runs, rank, inputs)
    left, sigma, right = torch.linalg.svd(product, full_matrices=False)
    root = sigma[:, None, :rank].sqrt()
    turn = torch.linalg.qr(normal(seed, "turn", runs, hidden, hidden)).Q[:, :, :rank]
    w1 = (turn * root) @ right[:, :rank]
    w2 = (left[:, :, :rank] * root) @ turn.mT
    return model, torch.cat([w1.flatten(1), w2.flatten(1)], dim=1), sigma[:, :rank]


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_g12_double_rotation_reports_the_planted_rank_in_any_gauge(rank):
    model, theta, sigma = planted_pair(rank, seed=rank)
    pair = symmetry_of(model, "double_rotation")
    element = pair.sample(20, torch.Generator().manual_seed(rank))
    assert torch.linalg.cond(element).max().item() <= 100.0 * (1 + 1e-12)
    moved = pair.act(element, theta)
    before, after = pair.values(theta), pair.values(moved)
    assert ((after[:, :rank] - sigma).abs() / sigma).max().item() < 1e-9
    assert (after > 1e-8 * after[:, :1]).sum(dim=1).tolist() == [rank] * 20
    assert (before > 1e-8 * before[:, :1]).sum(dim=1).tolist() == [rank] * 20
    assert pair.breaking(moved, 1e-8).tolist() == [rank] * 20
    # The raw eigenvalues are another matter: 2 sigma when balanced, and more in any other gauge.
    torch.testing.assert_close(pair.raw_values(theta)[:, :rank], 2.0 * sigma)
    change = (pair.raw_values(moved)[:, 0] / pair.raw_values(theta)[:, 0] - 1.0).abs()
    assert change.min().item() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_g12_the_raw_sum_is_at_least_twice_the_nuclear_norm(seed):
    model = Fcn([9, 8, 7], "linear", bias=False)
    pair = symmetry_of(model, "double_rotation")
    theta = normal(seed, "theta", 50, model.layout.size)
    element = pair.sample(50, torch.Generator().manual_seed(seed))
    for state in (theta, pair.act(element, theta)):
        excess = pair.raw_values(state).sum(dim=1) - 2.0 * pair.values(state).sum(dim=1)
        assert excess.min().item() > 0.0
    model, balanced, _ = planted_pair(4, seed)
    pair = symmetry_of(model, "double_rotation")
    excess = pair.raw_values(balanced).sum(dim=1) - 2.0 * pair.values(balanced).sum(dim=1)
    assert excess.abs().max().item() < 1e-9


def test_g12_the_raw_recipe_misses_planted_symmetric_directions():
    # Each side alone has no null direction; the product has three.
    model, theta, _ = planted_pair(5, seed=0, runs=1)
    pair = symmetry_of(model, "double_rotation")
    first, second = pair.read(theta)
    null = torch.linalg.svd(second[0].mT).Vh[5:]
    first = first + (null.T @ normal(0, "inputs", 3, 9))[None]
    theta = pair.write(theta, first, second)
    assert pair.degree(theta).item() == 3
    assert 8 - pair.raw_breaking(theta).item() == 0


def residuals(seed, lengths):
    """Return the residuals of the expansion around a symmetric pair of tanh neurons.

    Without and with the quadratic term, for breaking parts of the given lengths.
    """
    model = Fcn([4, 3, 1], "tanh")
    swap = symmetry_of(model, "permutation")
    # The parameters that two equal neurons break by: a direction that the swap turns around.
    base, breaking = swap.decompose(normal(seed, "theta", 1, model.layout.size), (0, 1))
    breaking = breaking / breaking.norm()
    x = normal(seed, "x", 1, 1, 4)

    def f(t):
        return model.forward(base + t * breaking, x).output_KBO.squeeze()

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(f(t), t, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, t)
    at_zero = f(torch.zeros((), dtype=torch.float64))
    changes = torch.stack(
        [f(torch.tensor(length, dtype=torch.float64)) - at_zero for length in lengths]
    ).detach()
    quadratic = 0.5 * curvature * torch.tensor(lengths, dtype=torch.float64) ** 2
    return slope.item(), changes.abs().numpy(), (changes - quadratic).abs().numpy()


@pytest.mark.parametrize("seed", range(10))
def test_g15_the_quadratic_term_raises_the_order_from_two_to_four(seed):
    lengths = np.geomspace(0.01, 0.1, 7)
    slope, without, with_quadratic = residuals(seed, lengths.tolist())
    assert abs(slope) < 1e-12
    orders = [np.polyfit(np.log(lengths), np.log(r), 1)[0] for r in (without, with_quadratic)]
    assert orders == pytest.approx([2.0, 4.0], abs=0.2)


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("gamma", [0.0, 0.02])
def test_g19_softmax_column_sums_stay_under_sgd_and_decay_with_gamma(engine, gamma):
    lr, steps = 0.05, 300
    study = make_study(
        {
            "schema": 1,
            "name": "softmax",
            "model": {"kind": "fcn", "width": 12, "activation": "tanh"},
            "data": {"kind": "digits", "samples": 200},
            "train": {
                "optimizer": "sgd", "lr": lr, "batch_size": 16, "steps": steps,
                "gamma": gamma, "dtype": "float64",
            },
            "sweep": {"seed": 3},
        }
    )  # fmt: skip
    pack = make_pack(study.runs(), PackConfig(engine=engine, device="cpu"))
    shift = symmetry_of(pack.model, "translation")
    trainer = make_engine(pack)
    before = trainer.theta_KP.clone()
    trainer.advance(0, steps)
    after = trainer.theta_KP
    assert (after - before).norm(dim=1).min().item() > 0.1
    expected = shift.conserved(before) * (1.0 - 2.0 * lr * gamma) ** steps
    assert (shift.conserved(after) - expected).abs().max().item() < 1e-12


def test_g19_the_squared_norm_of_a_scaled_block_grows_by_the_squared_step():
    w = Block(name="w", shape=(5, 4), offset=0, axes=("h", "input"), role="weight", fan_in=4)
    v = Block(name="v", shape=(2, 5), offset=20, axes=("output", "h"), role="weight", fan_in=5)
    rows = DeclaredSymmetry(kind="scaling", blocks=("w",), axis="h")
    scale = Scaling(Layout(blocks=(w, v), symmetries=(rows,)), rows)
    theta, x, y = (
        normal(0, name, *s) for name, s in (("t", (3, 30)), ("x", (8, 4)), ("y", (8, 2)))
    )
    lr = 0.1
    for _ in range(50):
        theta.requires_grad_()
        rows_KHI = theta[:, :20].view(3, 5, 4)
        hidden = torch.tanh(x @ (rows_KHI / rows_KHI.norm(dim=2, keepdim=True)).mT)
        loss = (hidden @ theta[:, 20:].view(3, 2, 5).mT - y).square().sum(dim=(1, 2))
        (gradient,) = torch.autograd.grad(loss.sum(), theta)
        theta = theta.detach()
        step = theta - lr * gradient
        grown = scale.conserved(theta) + lr**2 * scale.conserved(gradient)
        relative = (scale.conserved(step) - grown).abs() / grown
        assert relative.max().item() < 1e-12
        assert (lr**2 * scale.conserved(gradient)).max().item() > 1e-12
        theta = step
