"""G10 and G16: training from a symmetric state stays there; in the lazy limit it is linear."""

import itertools

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig
from symstudy.symmetry.neurons import neuron_matrix
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


# G10

STEPS = 300
SGD = [
    {"optimizer": "sgd", "batch_size": 4},
    {"optimizer": "sgd", "batch_size": "full", "gamma": 0.02},
    # Momentum makes the rate ten times as large; see the test of rounding below.
    {"optimizer": "sgd", "batch_size": 3, "momentum": 0.9, "gamma": 0.01, "lr": 0.002},
    {"optimizer": "sgd", "batch_size": 5, "sampling": "replacement"},
]
ADAM = [{"optimizer": "adam", "gamma": 0.01}, {"optimizer": "adamw", "batch_size": 4}]


def copies_apart(engine, copies):
    """Return the largest difference of neurons that started as copies."""
    layout = engine.pack.model.layout
    apart = []
    for group in layout.groups:
        neurons = neuron_matrix(layout, group, engine.theta_KP)
        blocks = neurons.unflatten(1, (-1, copies))
        apart.append((blocks - blocks[:, :, :1]).abs().max())
    return max(apart).item()


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("train", [*SGD, *ADAM], ids=str)
def test_g10_identical_neurons_stay_identical_under_any_method(study_of, engine, train):
    study = study_of(
        model={"depth": 3, "width": 8, "init_copies": 4},
        train={"lr": 0.02, "dtype": "float64", "steps": STEPS, **train},
        sweep={"seed": 2},
    )
    trained = engine_of(study, engine)
    start = trained.theta_KP.clone()
    trained.advance(0, STEPS)
    assert (trained.theta_KP - start).abs().max() > 0.1
    assert copies_apart(trained, 4) < 1e-10


def beyond_rank(engine, rank):
    """Return the singular value after the `rank` largest of a hidden layer's Gram matrix."""
    layout = engine.pack.model.layout
    (group,) = layout.groups
    neurons = neuron_matrix(layout, group, engine.theta_KP)
    return torch.linalg.svdvals(neurons)[:, rank].max().item()


@pytest.mark.parametrize("train", SGD, ids=str)
def test_g10_low_rank_states_stay_low_rank_under_sgd(study_of, train):
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 8, "init_rank": 2},
        train={"lr": 0.02, "dtype": "float64", "steps": STEPS, **train},
        sweep={"seed": 3},
    )
    engine = engine_of(study)
    start = engine.theta_KP.clone()
    engine.advance(0, STEPS)
    assert (engine.theta_KP - start).abs().max() > 0.1
    assert beyond_rank(engine, 2) < 1e-10


def test_g10_what_leaves_a_low_rank_saddle_under_sgd_is_rounding(study_of):
    # The state is a saddle, so rounding grows by a constant factor a step: 300 fast steps are too
    # many for 1e-10, and the exact statement is about fewer.
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 8, "init_rank": 2},
        train={"optimizer": "sgd", "lr": 0.02, "momentum": 0.9, "gamma": 0.01, "batch_size": 3,
               "dtype": "float64", "steps": STEPS},
        sweep={"seed": 3},
    )  # fmt: skip
    engine = engine_of(study)
    apart = []
    for step in range(0, STEPS, 100):
        engine.advance(step, 100)
        apart.append(beyond_rank(engine, 2))
    assert apart[0] < 1e-10 < apart[2]
    factors = [np.log(apart[1] / apart[0]), np.log(apart[2] / apart[1])]
    assert factors[1] == pytest.approx(factors[0], rel=0.2)


@pytest.mark.parametrize("train", ADAM, ids=str)
def test_g10_adam_destroys_low_rank_states(study_of, train):
    # The step of each coordinate does not depend on its size: no rotation commutes with that.
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 8, "init_rank": 2},
        train={"lr": 0.02, "dtype": "float64", "steps": STEPS, **train},
        sweep={"seed": 3},
    )
    engine = engine_of(study)
    assert beyond_rank(engine, 2) < 1e-10
    engine.advance(0, 10)
    assert beyond_rank(engine, 2) > 1e-3, "at once, not by rounding"
    engine.advance(10, STEPS - 10)
    assert beyond_rank(engine, 2) > 1e-3


def pair_basis(layout, copies):
    """Return an orthonormal basis of the parameters in which blocks of neurons are copies."""
    labels = {group.name: np.arange(group.size) // copies for group in layout.groups}
    ids = np.empty(layout.size, np.int64)
    names: dict[tuple[str, ...], int] = {}
    for block in layout.blocks:
        for place in itertools.product(*(range(n) for n in block.shape)):
            at = block.offset + int(np.ravel_multi_index(place, block.shape))
            kept = [
                labels[a][i] if a in labels else i for a, i in zip(block.axes, place, strict=True)
            ]
            ids[at] = names.setdefault((block.name, *map(str, kept)), len(names))
    members = np.eye(len(names))[ids]
    return torch.from_numpy(members / np.linalg.norm(members, axis=0))


def test_g10_symmetric_training_is_that_of_a_smaller_model(study_of):
    study = study_of(
        model={"width": 8, "init_copies": 2},
        train={"optimizer": "sgd", "lr": 0.02, "gamma": 0.01, "dtype": "float64", "steps": 100},
    )
    engine = engine_of(study)
    basis = pair_basis(engine.pack.model.layout, 2)
    start = engine.theta_KP.clone()
    torch.testing.assert_close(start @ basis @ basis.T, start)
    alpha = (start @ basis).requires_grad_(True)
    assert alpha.shape[1] < 0.6 * start.shape[1]
    loss, block = pack_loss(engine.pack), engine.pack.data.block(0, 100)
    optimizer = torch.optim.SGD([alpha], 0.02, weight_decay=0.02)
    for s in range(100):
        rows = torch.from_numpy(block.rows[0, s]).long()
        x, y = (torch.from_numpy(a[0])[None, rows] for a in (block.split.x, block.split.y))
        optimizer.zero_grad()
        loss(alpha @ basis.T, x, y).sum().backward()
        optimizer.step()
    engine.advance(0, 100)
    torch.testing.assert_close(engine.theta_KP, alpha.detach() @ basis.T, rtol=1e-9, atol=1e-10)


# G16


def features_of(engine):
    """Return grad f of each output of each training sample, a row each, and f itself."""
    model, data = engine.pack.model, engine.pack.data.train
    x = torch.from_numpy(data.x)

    def outputs(theta_P):
        return model.forward(theta_P[None], x).output_KBO[0].flatten()

    theta = engine.theta_KP[0].clone()
    return torch.autograd.functional.jacobian(outputs, theta), outputs(theta)


def test_g16_symmetric_training_in_the_lazy_limit_is_a_masked_kernel_regression(study_of):
    study = study_of(
        model={"width": 6, "init_copies": 2},
        data={"input_dim": 3, "output_dim": 2, "samples": 12},
        train={"optimizer": "sgd", "lr": 0.1, "batch_size": "full", "dtype": "float64"},
    )
    engine = engine_of(study)
    start = engine.theta_KP[0].clone()
    basis = pair_basis(engine.pack.model.layout, 2)
    p = basis @ basis.T
    j, outputs = features_of(engine)
    torch.testing.assert_close(j @ p, j, rtol=1e-10, atol=1e-12)
    # Targets next to the initial outputs keep the network where it is linear in theta.
    small = 1e-7
    wanted = draws(0)(24)
    data = engine.pack.data
    data.train = data.train._replace(y=(outputs + small * wanted).view(1, 12, 2).numpy())
    engine.advance(0, 400)
    a, q = j.T @ j / 12, j.T @ wanted / 12
    shift = torch.zeros_like(start)
    for _ in range(400):
        shift = shift - 0.2 * p @ a @ p @ shift + 0.2 * p @ q
    moved = (engine.theta_KP[0] - start) / small
    torch.testing.assert_close(moved, shift, rtol=1e-6, atol=1e-6)


def test_g16_the_recursion_ends_at_the_pseudo_inverse(study_of):
    engine = engine_of(
        study_of(
            model={"width": 4, "init_copies": 2},
            data={"input_dim": 3, "output_dim": 1, "samples": 6},
            train={"dtype": "float64", "batch_size": "full"},
        )
    )
    j, _ = features_of(engine)
    basis = pair_basis(engine.pack.model.layout, 2)
    p = basis @ basis.T
    a, q = p @ (j.T @ j / 6) @ p, p @ (j.T @ draws(1)(6) / 6)
    values = torch.linalg.eigvalsh(a)
    end = torch.linalg.pinv(a, rtol=1e-10) @ q
    # The m-th step in closed form, sum_k (I - 2 lr A)^k 2 lr q, by repeated squaring.
    for share, converges in ((0.9, True), (1.1, False)):
        lr = share / values[-1]
        once = torch.eye(len(a), dtype=torch.float64) - 2 * lr * a
        shift, power = 2 * lr * q, once
        for _ in range(26 if converges else 10):
            shift = shift + power @ shift
            power = power @ power
        if converges:
            torch.testing.assert_close(shift, end, rtol=1e-6, atol=1e-6)
        else:
            assert (shift - end).abs().max() > 1e6
