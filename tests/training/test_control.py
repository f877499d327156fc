"""What restores or removes symmetry: syre, products of weights, the entropic term."""

import itertools

import numpy as np
import pytest
import torch

from symstudy.errors import LaunchError, StudyFileError
from symstudy.study import PackConfig
from symstudy.study.cells import read_trained_cell
from symstudy.study.cost import estimate_cost
from symstudy.theory.noise import covariance_trace
from symstudy.training import train_pack
from symstudy.training.data import PackData
from symstudy.training.engines.entropic import pack_loss
from symstudy.training.engines.lanes import make_penalty
from symstudy.training.engines.stepper import Position, Stepper
from symstudy.training.loop import make_engine, make_pack

OPTIMIZERS = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "adam"},
    {"optimizer": "adamw"},
]
FORMS = ["hadamard", "gate", "factorised"]


def started(runs, engine="auto"):
    return make_engine(make_pack(runs, PackConfig(engine=engine, device="cpu")))


def trained(runs, engine, steps):
    engine = started(runs, engine)
    engine.advance(0, steps)
    return engine


def by_definition(pack, steps):
    """Train theta of the first run on l(theta + theta_0) + gamma sum D theta^2 by torch.optim."""
    train = pack.train
    penalty = make_penalty(pack)
    centre, stretch = (torch.from_numpy(a) for a in (penalty.centre_KP, penalty.stretch_KP))
    start = pack.model.initialise([pack.runs[0].seed], torch.ones(1, dtype=torch.float64))
    theta = start.clone().requires_grad_(True)
    if train.optimizer.kind == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            [theta], train.lr, train.value("momentum")
        )
    else:
        optimizer = torch.optim.Adam([theta], train.lr)
    data = PackData(pack.runs, np.dtype(np.float64)).block(0, steps)
    x, y = torch.from_numpy(data.split.x[0]), torch.from_numpy(data.split.y[0])
    for s in range(steps):
        rows = torch.from_numpy(data.rows[0, min(s, data.rows.shape[1] - 1)]).long()
        optimizer.zero_grad()
        loss = pack_loss(pack)(theta + centre, x[None, rows], y[None, rows]).sum()
        decay = train.gamma * (stretch * theta.square()).sum()
        if train.optimizer.kind == "adamw":
            (pull,) = torch.autograd.grad(decay, theta)
        else:
            loss = loss + decay
        loss.backward()
        optimizer.step()
        if train.optimizer.kind == "adamw":
            theta.data -= train.lr * pull
    return (theta + centre).detach()[0]


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("anisotropy", [0.0, 0.5])
def test_syre_trains_its_loss_by_definition(study_of, engine, optimizer, anisotropy):
    study = study_of(
        train={
            "lr": 0.02,
            "gamma": 0.05,
            "dtype": "float64",
            "syre": 0.3,
            "syre_anisotropy": anisotropy,
            **optimizer,
        }
    )
    found = trained(study.runs(), engine, 12)
    exact = by_definition(found.pack, 12)
    torch.testing.assert_close(found.theta_KP[0], exact, rtol=1e-9, atol=1e-11)


def test_an_anisotropy_alone_stretches_the_penalty(study_of):
    study = study_of(
        train={"optimizer": "sgd", "gamma": 0.05, "dtype": "float64", "syre_anisotropy": 0.5}
    )
    found = trained(study.runs(), "compiled", 12)
    penalty = make_penalty(found.pack)
    assert (penalty.centre_KP == 0).all()
    assert 0.5 < penalty.stretch_KP.min() < 0.6
    assert 1.4 < penalty.stretch_KP.max() < 1.5
    torch.testing.assert_close(found.theta_KP[0], by_definition(found.pack, 12))


def test_theta_0_has_its_scale_in_weights_and_biases_and_its_own_stream(study_of):
    study = study_of(
        model={"width": 400, "depth": 3},
        sweep={"train.syre": [0.1, 0.2], "train.gamma": [0.0, 0.1], "seed": 2},
    )
    pack = make_pack(study.runs(), PackConfig())
    centre = make_penalty(pack).centre_KP
    for block in pack.model.layout.blocks:
        if block.size < 400:
            continue
        spread = centre[0, block.offset : block.stop].std() * block.fan_in**0.5
        assert spread == pytest.approx(0.1, rel=0.12), block.name
    # Cells of a seed share it up to their scale; seeds do not.
    runs = {(r.cell.train.syre, r.cell.train.gamma, r.seed): k for k, r in enumerate(pack.runs)}
    np.testing.assert_allclose(centre[runs[0.2, 0.0, 0]], 2 * centre[runs[0.1, 0.1, 0]], rtol=1e-6)
    assert abs(np.corrcoef(centre[runs[0.1, 0.0, 0]], centre[runs[0.1, 0.0, 1]])[0, 1]) < 0.05


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_measures_are_those_of_theta(study_of, engine):
    study = study_of(
        train={"gamma": 0.1, "dtype": "float64", "syre": 0.5, "syre_anisotropy": 0.3},
        probe={"num": 2, "detail": 1},
    )
    runs = study.runs()
    found = train_pack(runs, PackConfig(engine=engine, device="cpu")).runs
    pack = make_pack(runs, PackConfig())
    penalty = make_penalty(pack)
    centre, stretch = (torch.from_numpy(a) for a in (penalty.centre_KP, penalty.stretch_KP))
    theta = (trained(runs, engine, 20).theta_KP - centre).requires_grad_(True)
    x, y = torch.from_numpy(pack.data.train.x), torch.from_numpy(pack.data.train.y)
    objective = pack_loss(pack)(theta + centre, x, y) + 0.1 * (stretch * theta.square()).sum()
    (gradient,) = torch.autograd.grad(objective.sum(), theta)
    assert found["objective"][0] == pytest.approx(objective.item(), rel=1e-12)
    assert found["theta_norm"][0] == pytest.approx(theta.norm().item(), rel=1e-12)
    assert found["grad_norm"][0] == pytest.approx(gradient.norm().item(), rel=1e-10)


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_run_without_syre_has_the_same_bits_beside_one_with_it(study_of, engine, optimizer):
    train = {"gamma": 0.05, "dtype": "float64", **optimizer}
    (alone,) = study_of(train=train).runs()
    beside = study_of(train=train, sweep={"train.syre": [0.0, 0.4]}).runs()
    assert beside[0].run_id == alone.run_id
    mixed, pure = trained(beside, engine, 15).theta_KP, trained([alone], engine, 15).theta_KP
    tolerance = 0 if engine == "compiled" else 1e-12
    torch.testing.assert_close(mixed[0], pure[0], rtol=tolerance, atol=tolerance)
    assert (mixed[1] - mixed[0]).abs().max() > 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("syre", [0.0, 0.3])
def test_the_steps_of_a_gpu_are_those_of_the_kernels(study_of, optimizer, syre):
    study = study_of(
        train={"gamma": 0.05, "dtype": "float64", "syre": syre, **optimizer},
        sweep={"train.syre_anisotropy": [0.0, 0.4], "train.lr": [0.01, 0.02]},
    )
    states = []
    for by_kernels in (True, False):
        engine = started(study.runs(), "torch")
        stepper = Stepper(engine.lanes, 0, 3, by_kernels=by_kernels)
        is_sound = torch.tensor([True, True, False, True])
        for s in range(3):
            gradient = torch.sin((s + 1) * engine.theta_KP)
            stepper.step(gradient, is_sound, Position(s, s))
        states.append(engine.theta_KP.clone())
    torch.testing.assert_close(states[0], states[1], rtol=1e-12, atol=1e-14)
    assert (states[0][2] == started(study.runs(), "torch").theta_KP[2]).all()


def test_an_anisotropy_without_a_penalty_is_no_other_run(study_of):
    plain, stretched = (
        study_of(train={"syre_anisotropy": spread}).runs()[0].run_id for spread in (0.0, 0.5)
    )
    assert plain == stretched


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_the_entropic_term_is_descended(study_of, optimizer):
    # Without momentum or moments the first step shows the gradient itself.
    study = study_of(
        train={"lr": 0.01, "dtype": "float64", "entropic": 0.3, "batch_size": 8, **optimizer}
    )
    engine = started(study.runs())
    theta = engine.theta_KP.clone().requires_grad_(True)
    block = engine.pack.data.block(0, 1)
    rows = torch.from_numpy(block.rows[0, 0]).long()
    x, y = (torch.from_numpy(a[0])[None, rows] for a in (block.split.x, block.split.y))
    loss = pack_loss(engine.pack)
    full = loss(theta, x, y) + 0.3 * covariance_trace(loss, theta, x, y, unbiased=True)
    (gradient,) = torch.autograd.grad(full.sum(), theta)
    engine.advance(0, 1)
    moved = engine.theta_KP - theta.detach()
    if optimizer["optimizer"] == "sgd":
        torch.testing.assert_close(moved, -0.01 * gradient, rtol=1e-9, atol=1e-14)
    else:
        large = gradient.abs() > 1e-6
        assert (moved.sign() == -gradient.sign())[large].all()


def test_the_entropic_term_is_in_the_objective_and_its_gradient(study_of):
    study = study_of(
        train={"gamma": 0.01, "dtype": "float64", "batch_size": "full"},
        sweep={"train.entropic": [0.01, 0.1]},
    )
    runs = study.runs()
    found = train_pack(runs, study.pack).runs
    engine = trained(runs, "torch", 20)
    data, loss = engine.pack.data.train, pack_loss(engine.pack)
    x, y = torch.from_numpy(data.x[data.lane_x]), torch.from_numpy(data.y[data.lane_y])
    theta = engine.theta_KP.clone().requires_grad_(True)
    weight = torch.tensor([0.01, 0.1], dtype=torch.float64)
    objective = loss(theta, x, y) + weight * covariance_trace(loss, theta, x, y)
    objective = objective + 0.01 * theta.square().sum(dim=1)
    (gradient,) = torch.autograd.grad(objective.sum(), theta)
    np.testing.assert_allclose(found["objective"], objective.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(found["grad_norm"], gradient.norm(dim=1).numpy(), rtol=1e-8)


def test_the_covariance_of_a_batch_is_that_of_the_data_on_average(study_of):
    study = study_of(data={"samples": 5}, train={"dtype": "float64", "batch_size": "full"})
    engine = started(study.runs(), "torch")
    data, loss = engine.pack.data.train, pack_loss(engine.pack)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    whole = covariance_trace(loss, engine.theta_KP, x, y)
    pairs = [torch.tensor(rows) for rows in itertools.product(range(5), repeat=2)]
    parts = [
        covariance_trace(loss, engine.theta_KP, x[:, rows], y[:, rows], unbiased=True)
        for rows in pairs
    ]
    torch.testing.assert_close(torch.stack(parts).mean(dim=0), whole)


def test_runs_with_an_entropic_term_share_packs_among_themselves_only(study_of):
    study = study_of(sweep={"train.entropic": [0.0, 0.1, 0.2]})
    shapes = [cell.shape for cell in study.cells]
    assert shapes[0] != shapes[1] == shapes[2]
    plain, entropic, _ = (estimate_cost(c, device="cpu", engine="auto") for c in study.cells)
    assert plain.is_compiled
    assert not entropic.is_compiled
    assert entropic.seconds > plain.seconds
    together = train_pack(study.runs()[1:], study.pack).runs
    alone = train_pack(study.runs()[2:], study.pack).runs
    np.testing.assert_allclose(together["objective"][1], alone["objective"][0], rtol=1e-5)


def test_what_an_entropic_term_needs_is_said(study_of):
    with pytest.raises(StudyFileError, match=r"at least 2 where train\.entropic is above 0"):
        study_of(train={"entropic": 0.1, "batch_size": 1})
    study = study_of(train={"entropic": 0.1})
    with pytest.raises(LaunchError, match=r"must have train\.entropic = 0.*but got 0\.1"):
        train_pack(study.runs(), PackConfig(engine="compiled"))


@pytest.mark.parametrize("key", ["syre", "entropic"])
def test_a_minimiser_refuses_what_it_does_not_minimise(study_of, key):
    with pytest.raises(StudyFileError, match=rf"train\.{key}: must be 0 for lbfgs, but got 0\.1"):
        study_of(train={"optimizer": "lbfgs", "batch_size": "full", "lr": None, key: 0.1})


@pytest.mark.parametrize("form", FORMS)
def test_products_of_weights_start_at_the_usual_scale(study_of, form):
    study = study_of(
        model={"depth": 3, "width": 200, "reparametrise": form, "init_scale": 0.5},
        train={"dtype": "float64"},
    )
    pack = make_pack(study.runs(), PackConfig())
    theta = make_engine(pack).theta_KP
    weights = pack.model.network_parameters(theta)
    for block in pack.model.network_layout.blocks:
        values = weights[0, block.offset : block.stop]
        if block.role == "bias":
            assert (values == 0).all()
        else:
            root = (values.square().mean() * block.fan_in).sqrt().item()
            assert root == pytest.approx(0.5, rel=0.15), block.name


@pytest.mark.parametrize("form", FORMS)
def test_neurons_are_measured_on_the_products(study_of, form):
    study = study_of(
        model={"reparametrise": form}, train={"dtype": "float64", "gamma": 0.01, "syre": 0.1}
    )
    found = train_pack(study.runs(), study.pack)
    engine = trained(study.runs(), "auto", 20)
    weights = engine.pack.model.network_parameters(engine.theta_KP)
    parts = {block.name: block for block in engine.pack.model.network_layout.blocks}
    of_neurons = [n for n in parts if n != "layers.1.bias"]
    exact = sum(weights[0, parts[n].offset : parts[n].stop].square().sum() for n in of_neurons)
    assert found.runs["mean_squared_norm"][0] == pytest.approx(exact.item())
    assert found.runs["num_parameters"][0] == engine.theta_KP.shape[1] > weights.shape[1]
    assert found.runs["engine"][0] == "torch-cpu"


@pytest.mark.parametrize("form", FORMS)
def test_a_users_own_module_takes_products_too(study_of, form):
    study = study_of(
        model={
            "kind": "torch.nn:Linear", "in_features": 8, "out_features": 4, "reparametrise": form,
        },
        train={"lr": 0.05, "steps": 300},
    )  # fmt: skip
    (cell,) = study.cells
    assert "reparametrise" not in cell.model.arguments
    assert read_trained_cell(cell.config) == cell
    result = train_pack(study.runs(), study.pack)
    first = result.history["test_loss"][result.history["step"] == 0]
    assert result.runs["test_loss"][0] < 0.5 * first[0]


def test_products_keep_no_special_initial_weights(study_of):
    with pytest.raises(StudyFileError, match="must be 'none' or 'gate' where init_copies"):
        study_of(model={"reparametrise": "hadamard", "init_copies": 2})
    assert study_of(model={"reparametrise": "gate", "init_copies": 2}).runs()
