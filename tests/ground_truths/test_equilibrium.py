"""G9, G13 and G24: which of many equal minima the noise of gradients selects."""

import itertools

import pytest
import torch
from scipy.optimize import minimize

from symstudy.study import PackConfig
from symstudy.theory.equilibrium import (
    balancing_scale,
    decay_kernel,
    layer_kernels,
    minimal_noise,
    noise_terms,
    norm_ratio,
    universal_kernel,
)
from symstudy.theory.noise import covariance_trace, entropic_loss, sample_gradients
from symstudy.training.engines.entropic import pack_loss
from symstudy.training.loop import make_engine, make_pack

CPU = PackConfig(device="cpu")


def engine_of(study, engine="auto"):
    """Return the engine of the study's runs, ready to train."""
    return make_engine(make_pack(study.runs(), PackConfig(engine=engine, device="cpu")))


def draws(seed):
    """Return a source of normal matrices."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


# G9


@pytest.mark.parametrize("inputs", [2, 4])
def test_g9_label_noise_selects_another_norm_ratio_than_weight_decay(study_of, inputs):
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 1},
        data={"kind": "teacher_student", "input_dim": inputs, "output_dim": 1, "teacher_depth": 1,
              "fresh": True, "label_noise": 1.0, "test_samples": 2},
        train={"optimizer": "sgd", "lr": 0.005, "batch_size": 1, "steps": 60_000,
               "dtype": "float64"},
        sweep={"seed": 24},
    )  # fmt: skip
    engine = engine_of(study)
    squares = torch.zeros(2, dtype=torch.float64)
    for step in range(0, 60_000, 200):
        engine.advance(step, 200)
        if step >= 30_000:
            w, u = engine.theta_KP[:, :inputs], engine.theta_KP[:, inputs:]
            squares += torch.stack([u.square().sum(), w.square().sum()])
    exact = norm_ratio(torch.ones(inputs, dtype=torch.float64),
                       torch.eye(inputs, dtype=torch.float64))  # fmt: skip
    assert exact == pytest.approx(1 / inputs)
    assert (squares[0] / squares[1]).item() == pytest.approx(exact, rel=0.1)


def test_g9_weight_decay_balances_the_norms(study_of):
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 1},
        data={"kind": "teacher_student", "input_dim": 4, "output_dim": 1, "teacher_depth": 1,
              "teacher_scale": 3.0},
        train={"optimizer": "sgd", "lr": 0.02, "batch_size": "full", "gamma": 0.05,
               "steps": 8000, "dtype": "float64"},
    )  # fmt: skip
    engine = engine_of(study)
    engine.advance(0, 8000)
    w, u = engine.theta_KP[0, :4], engine.theta_KP[0, 4:]
    assert u.norm() > 0.5
    assert (u.square().sum() / w.square().sum()).item() == pytest.approx(1, abs=1e-3)


# G13


def linear_task(seed, outputs=3, inputs=5):
    """Return a map, the second moments of its inputs and the covariance of its label noise."""
    draw = draws(seed)
    rotation, _ = torch.linalg.qr(draw(inputs, inputs))
    values = torch.tensor([2.0, 1.5, 1.0, 0.7, 0.4], dtype=torch.float64)
    root = draw(outputs, outputs)
    noise = root @ root.T / outputs + 0.2 * torch.eye(outputs, dtype=torch.float64)
    return draw(outputs, inputs), (rotation * values) @ rotation.T, noise


def quietest(v, covariance, noise, widths, seed):
    """Return the weights with product `v` and the least gradient noise, by SciPy's SLSQP."""
    sizes = [v.shape[1], *widths, v.shape[0]]
    shapes = [(o, i) for i, o in itertools.pairwise(sizes)]
    counts = [o * i for o, i in shapes]

    def unpack(row):
        return [w.view(s) for w, s in zip(row.split(counts), shapes, strict=True)]

    def product(row):
        weights = unpack(row)
        result = weights[0]
        for w in weights[1:]:
            result = w @ result
        return result.flatten()

    def value(row):
        leaf = torch.tensor(row, requires_grad=True)
        total = noise_terms(unpack(leaf), covariance, noise).sum()
        return total.item(), torch.autograd.grad(total, leaf)[0].numpy()

    constraint = {
        "type": "eq",
        "fun": lambda row: (product(torch.tensor(row)) - v.flatten()).numpy(),
        "jac": lambda row: torch.autograd.functional.jacobian(product, torch.tensor(row)).numpy(),
    }
    start = 0.5 * draws(seed)(sum(counts)).numpy()
    found = minimize(
        value, start, jac=True, method="SLSQP", constraints=[constraint],
        options={"maxiter": 1000, "ftol": 1e-14},
    )  # fmt: skip
    assert found.success
    return unpack(torch.tensor(found.x)), found.fun


def cosine(a, b):
    return ((a * b).sum() / a.norm() / b.norm()).item()


@pytest.mark.parametrize("widths", [[4], [4, 6], [3, 5, 4]])
def test_g13_least_noise_has_one_kernel_for_all_layers_and_networks(widths):
    v, covariance, noise = linear_task(0)
    kernel = universal_kernel(v, covariance, noise)
    weights, total = quietest(v, covariance, noise, widths, seed=1)
    depth = len(weights)
    for layer in layer_kernels(weights):
        assert cosine(layer, kernel) > 0.9999
    assert total == pytest.approx(minimal_noise(v, covariance, noise, depth), rel=1e-8)
    terms = noise_terms(weights, covariance, noise)
    torch.testing.assert_close(terms, terms.mean().expand(depth), rtol=1e-3, atol=0)


def test_g13_two_networks_on_transformed_inputs_have_one_representation():
    v, covariance, noise = linear_task(0)
    z = draws(5)(5, 5)
    inverse = torch.linalg.inv(z)
    a, _ = quietest(v, covariance, noise, [4], seed=1)
    b, _ = quietest(v @ inverse, z @ covariance @ z.T, noise, [5, 4], seed=2)
    for of_a, of_b in itertools.product(layer_kernels(a), layer_kernels(b)):
        assert cosine(of_a, z.T @ of_b @ z) > 0.9999


@pytest.mark.parametrize("depth", [2, 3])
def test_g13_weight_decay_has_a_kernel_of_its_own(study_of, depth):
    # At small gamma the balanced minimum has almost the map's own singular values.
    study = study_of(
        model={"kind": "deep_linear", "depth": depth, "width": 6, "init_scale": 1.5},
        data={"kind": "spectrum", "input_dim": 4, "samples": 8, "exponent": 0.5},
        train={"optimizer": "lbfgs", "lr": None, "batch_size": "full", "gamma": 1e-4,
               "steps": 20_000},
    )  # fmt: skip
    engine = engine_of(study)
    engine.advance(0, 20_000)
    layout, data = engine.pack.model.layout, engine.pack.data.train
    weights = [
        engine.theta_KP[0, b.offset : b.stop].reshape(b.shape).double() for b in layout.blocks
    ]
    v = torch.from_numpy(data.y[0].T @ data.x[0] / len(data.x[0]))
    eye = torch.eye(4, dtype=torch.float64)
    for layer, kernel in enumerate(layer_kernels(weights), start=1):
        assert cosine(kernel, decay_kernel(v, layer, depth)) > 0.9999
    if depth == 3:
        assert cosine(kernel, universal_kernel(v, eye, eye)) < 0.999


def exact_samples(v, covariance, noise):
    """Return inputs and noisy targets with exact moments: every input with every noise."""
    inputs = torch.linalg.cholesky(5 * covariance).T
    errors = torch.linalg.cholesky(3 * noise).T
    signed = torch.cat([errors, -errors])
    x = inputs[:, None].expand(5, 6, 5).reshape(1, 30, 5).contiguous()
    return x, (x[0].view(5, 6, 5) @ v.T + signed).reshape(1, 30, 3)


def test_g13_training_with_an_entropic_term_comes_to_the_universal_kernel(study_of):
    v, covariance, noise = linear_task(0)
    x, y = exact_samples(v, covariance, noise)
    kernel = universal_kernel(v, covariance, noise)
    apart = []
    for shares in ([0.0], [2e-3, 1e-3]):
        study = study_of(
            model={"kind": "deep_linear", "depth": 2, "width": 4},
            data={"input_dim": 5, "output_dim": 3, "samples": 30},
            train={"optimizer": "sgd", "lr": 0.03, "dtype": "float64", "batch_size": "full"},
            sweep={"train.entropic": shares},
        )
        engine = engine_of(study)
        data = engine.pack.data
        data.train = data.train._replace(x=x.numpy(), y=y.numpy())
        engine.advance(0, 4000)
        for theta in engine.theta_KP:
            (layer,) = layer_kernels([theta[:20].view(4, 5), theta[20:].view(3, 4)])
            apart.append(1 - cosine(layer, kernel))
    assert apart[0] > 0.01, "without it the kernel is what the start makes it"
    assert max(apart[1:]) < 1e-4
    # The loss gives way to the term by a share of its coefficient, and the cosine by its square.
    assert apart[1] / apart[2] == pytest.approx(4, rel=0.2)


def test_g13_the_noise_is_that_of_the_gradients_of_samples(study_of):
    # E |grad|^2 = 4 S where the network is the map V.
    v, covariance, noise = linear_task(0)
    x, y = exact_samples(v, covariance, noise)
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 4},
        data={"input_dim": 5, "output_dim": 3}, train={"dtype": "float64"},
    )  # fmt: skip
    draw = draws(3)
    w1, w2 = draw(4, 5), draw(3, 4)
    # The residual of every sample must be its noise alone.
    rest = v - w2 @ w1
    theta = torch.cat([w1.flatten(), w2.flatten()])[None]
    trace = covariance_trace(pack_loss(make_pack(study.runs(), CPU)), theta, x, y - x @ rest.T)
    exact = 4 * noise_terms([w1, w2], covariance, noise).sum()
    assert trace.item() == pytest.approx(exact.item(), rel=1e-10)


# G24


def entropy_of(engine, theta):
    """Return F of parameters on the training data of the first run."""
    data = engine.pack.data.train
    x, y = (torch.from_numpy(a).expand(len(theta), *a.shape[1:]) for a in (data.x, data.y))
    return entropic_loss(
        pack_loss(engine.pack), theta, x, y, gamma=0.02, lr=0.3, batch_size=5
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_g24_permutations_and_signs_leave_the_entropic_loss_as_it_is(study_of, seed):
    engine = engine_of(study_of(model={"bias": False}, train={"dtype": "float64"}))
    w1, w2 = engine.theta_KP[0, :64].view(8, 8), engine.theta_KP[0, 64:].view(4, 8)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(8, generator=generator)
    signs = (torch.randint(0, 2, (8,), generator=generator) * 2 - 1).double()
    moved = torch.cat([(signs[:, None] * w1)[order].flatten(), (w2 * signs)[:, order].flatten()])
    both = torch.stack([engine.theta_KP[0], moved])
    before, after = entropy_of(engine, both).tolist()
    assert after == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_g24_rotations_do_too_and_other_maps_do_not(study_of, seed):
    engine = engine_of(
        study_of(model={"kind": "deep_linear", "width": 5}, train={"dtype": "float64"})
    )
    w1, w2 = engine.theta_KP[0, :40].view(5, 8), engine.theta_KP[0, 40:].view(4, 5)
    rotation, _ = torch.linalg.qr(draws(seed)(5, 5))
    maps = [torch.eye(5, dtype=torch.float64), rotation, 1.5 * rotation]
    rows = [torch.cat([(g @ w1).flatten(), (w2 @ torch.linalg.inv(g)).flatten()]) for g in maps]
    before, rotated, scaled = entropy_of(engine, torch.stack(rows)).tolist()
    assert rotated == pytest.approx(before, rel=1e-9)
    assert abs(scaled - before) > 1e-2


def test_g24_noise_is_least_at_the_balancing_scale(study_of):
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 1},
        data={"kind": "identity", "input_dim": 1, "samples": 40, "label_noise": 1.0},
        train={"dtype": "float64"},
    )
    engine = engine_of(study)
    data, loss = engine.pack.data.train, pack_loss(engine.pack)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    gradients = sample_gradients(loss, engine.theta_KP, x, y)[0]
    noise_w, noise_u = gradients.var(dim=0, correction=0).tolist()
    exact = balancing_scale(noise_u, noise_w)
    grid = torch.linspace(exact - 1, exact + 1, 20_001, dtype=torch.float64)
    w, u = engine.theta_KP[0]
    orbit = torch.stack([w * (-grid).exp(), u * grid.exp()], dim=1)
    noise = covariance_trace(loss, orbit, x.expand(len(grid), -1, -1), y.expand(len(grid), -1, -1))
    assert grid[noise.argmin()].item() == pytest.approx(exact, abs=1e-4)
    assert (noise.diff().diff() > 0).all()
