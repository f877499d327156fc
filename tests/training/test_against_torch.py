"""Packed training takes the steps that a plain torch loop takes."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from symstudy.errors import ModelError, StudyFileError
from symstudy.models.fcn.network import Fcn
from symstudy.study import PackConfig
from symstudy.training import loop
from symstudy.training.data import PackData
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.schedule import learning_rates

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p, t, o: torch.optim.SGD(p, t.lr, o.momentum, weight_decay=2 * t.gamma),
    "adam": lambda p, t, o: torch.optim.Adam(
        p, t.lr, (o.beta1, o.beta2), o.epsilon, weight_decay=2 * t.gamma
    ),
    "adamw": lambda p, t, o: torch.optim.AdamW(
        p, t.lr, (o.beta1, o.beta2), o.epsilon, weight_decay=2 * t.gamma
    ),
    "rmsprop": lambda p, t, o: torch.optim.RMSprop(
        p, t.lr, o.alpha, o.epsilon, 2 * t.gamma, o.momentum, o.centred
    ),
    "nadam": lambda p, t, o: torch.optim.NAdam(p, t.lr, weight_decay=2 * t.gamma),
    "muon": lambda p, t, o: MuonAndAdamW(list(p), t.lr, 2 * t.gamma),
}


class MuonAndAdamW:
    """torch's Muon for matrices, and its AdamW for biases."""

    def __init__(self, parameters, rate, decay):
        matrices = [each for each in parameters if each.ndim == 2]
        others = [each for each in parameters if each.ndim != 2]
        self.optimizers = [
            torch.optim.Muon(matrices, lr=rate, weight_decay=decay),
            torch.optim.AdamW(others, lr=rate, weight_decay=decay),
        ]

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()


def plain_loop(run, steps):
    """Train one run with torch's own module and optimiser, on the same batches."""
    cell = run.cell
    shape = cell.data.shape
    sizes = [shape.inputs, *[cell.model.width] * (cell.model.depth - 1), shape.outputs]
    start = Fcn(sizes, cell.model.activation).initialise([run.seed], torch.ones(1).double())[0]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, dtype=torch.float64), nn.Tanh()]
    module = nn.Sequential(*layers[:-1])
    nn.utils.vector_to_parameters(start, module.parameters())
    optimizer = OPTIMIZERS[cell.train.optimizer.kind](
        module.parameters(), cell.train, cell.train.optimizer
    )
    data = PackData([run], np.dtype(np.float64))
    block = data.block(0, steps)
    x, y = torch.from_numpy(block.split.x[0]), torch.from_numpy(block.split.y[0])
    rates = learning_rates([cell.train], 0, steps)[0]
    for s in range(steps):
        for each in getattr(optimizer, "optimizers", [optimizer]):
            for group in each.param_groups:
                group["lr"] = float(rates[s])
        rows = torch.from_numpy(block.rows[0, min(s, block.rows.shape[1] - 1)]).long()
        optimizer.zero_grad()
        output = module(x[rows])
        if cell.train.loss.kind == "cross_entropy":
            smoothing = cell.train.loss.label_smoothing
            label = y[rows].argmax(dim=1)
            loss = nn.functional.cross_entropy(output, label, label_smoothing=smoothing)
        elif cell.train.loss.kind == "mse":
            loss = nn.functional.mse_loss(output, y[rows])
        else:
            loss = (output - y[rows]).square().sum(dim=1).mean()
        loss.backward()
        if cell.train.clip_norm:
            nn.utils.clip_grad_norm_(module.parameters(), cell.train.clip_norm)
        optimizer.step()
    return nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"optimizer": "adam", "loss": "mse", "batch_size": "full"},
        {"optimizer": "sgd", "sampling": "replacement"},
    ],
)
@pytest.mark.parametrize(
    "data",
    [{}, {"kind": "digits", "samples": 60}, {"fresh": True}],
    ids=["teacher", "digits", "fresh"],
)
def test_steps_are_those_of_torch(study_of, engine, train, data):
    if data.get("fresh"):
        train = {**train, "batch_size": 8}
    study = study_of(
        model={"depth": 3},
        data=data,
        train={"dtype": "float64", "gamma": 0.01, "lr": 0.02, **train},
    )
    (run,) = study.runs()
    trained = make_engine(make_pack([run], PackConfig(engine=engine, device="cpu")))
    trained.advance(0, 12)
    torch.testing.assert_close(trained.theta_KP[0], plain_loop(run, 12), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": "rmsprop"},
        {"optimizer": "rmsprop", "momentum": 0.9, "centred": True},
        {"optimizer": "nadam"},
        {"optimizer": "muon"},
    ],
)
def test_steps_that_torch_takes_are_its_own(study_of, monkeypatch, train):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    train = {"dtype": "float64", "gamma": 0.01, "lr": 0.02, **train}
    (run,) = study_of(model={"depth": 3}, train=train).runs()
    trained = make_engine(make_pack([run], PackConfig(device="cpu")))
    trained.advance(0, 12)
    # torch keeps a product of momenta of its NAdam in float32.
    tolerance = 1e-6 if train["optimizer"] == "nadam" else 1e-9
    expected = plain_loop(run, 12)
    torch.testing.assert_close(trained.theta_KP[0], expected, rtol=tolerance, atol=1e-2 * tolerance)


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam", "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6},
        {"optimizer": "adamw"},
        {"optimizer": "rmsprop", "momentum": 0.8, "alpha": 0.9},
        {"optimizer": "nadam"},
    ],
)
def test_clipped_steps_of_a_falling_rate_are_those_of_torch(study_of, engine, train):
    settings = {"dtype": "float64", "gamma": 0.03, "lr": 0.02, "steps": 12, "schedule": "cosine",
                "clip_norm": 0.05, **train}  # fmt: skip
    (run,) = study_of(model={"depth": 3}, train=settings).runs()
    trained = make_engine(make_pack([run], PackConfig(engine=engine, device="cpu")))
    trained.advance(0, 12)
    tolerance = 1e-6 if train["optimizer"] == "nadam" else 1e-9
    expected = plain_loop(run, 12)
    torch.testing.assert_close(trained.theta_KP[0], expected, rtol=tolerance, atol=1e-2 * tolerance)
    # It is clipped: what is not ends elsewhere.
    (free,) = study_of(model={"depth": 3}, train={**settings, "clip_norm": 0.0}).runs()
    assert (plain_loop(free, 12) - expected).abs().max() > 1e-4


def test_muon_without_a_matrix_is_refused(study_of):
    study = study_of(train={"optimizer": "muon", "matrices": "hidden"})
    with pytest.raises(ModelError, match="'hidden' names none of fcn.*Type train.matrices=all"):
        make_pack(study.runs(), PackConfig(device="cpu"))


SMOOTHED = {"optimizer": "sgd", "dtype": "float64", "lr": 0.1, "label_smoothing": 0.2}


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_steps_and_losses_with_label_smoothing_are_those_of_torch(study_of, engine):
    study = study_of(data={"kind": "digits", "samples": 60}, train=SMOOTHED)
    (run,) = study.runs()
    pack = make_pack([run], PackConfig(engine=engine, device="cpu"))
    trained = make_engine(pack)
    trained.advance(0, 12)
    expected = plain_loop(run, 12)
    torch.testing.assert_close(trained.theta_KP[0], expected, rtol=1e-9, atol=1e-11)
    x, y = torch.from_numpy(pack.data.test.x), torch.from_numpy(pack.data.test.y[0])
    output = pack.model.forward(expected[None], x).output_KBO[0]
    loss = nn.functional.cross_entropy(output, y.argmax(dim=1), label_smoothing=0.2)
    assert trained.evaluate(pack.data.test).loss_K[0] == pytest.approx(float(loss), rel=1e-9)


def test_label_smoothing_of_0_has_no_part_in_identity(study_of):
    data = {"kind": "digits", "samples": 60}
    plain, zero, some = (
        study_of(data=data, train={**SMOOTHED, "label_smoothing": value}).runs()[0].run_id
        for value in (None, 0.0, 0.1)
    )
    assert plain == zero != some
    with pytest.raises(StudyFileError, match="must be 0 for regression, but got 0.2"):
        study_of(train=SMOOTHED)


def test_the_compiled_solver_minimises_the_smoothed_loss(study_of):
    train = {"optimizer": "lbfgs", "lr": None, "batch_size": "full", "gamma": 0.05, "steps": 400}
    study = study_of(
        model={"depth": 1, "width": 4},
        data={"kind": "digits", "samples": 60},
        train={**train, "label_smoothing": 0.3, "restarts": 1},
    )
    found = []
    for engine in ("compiled", "torch"):
        pack = make_pack(study.runs(), PackConfig(engine=engine, device="cpu"))
        trained = make_engine(pack)
        trained.advance(0, 400)
        while trained.run_deferred(400, 400):
            pass
        found.append(trained.evaluate(pack.data.train).loss_K[0])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_the_gradient_is_that_of_the_split(study_of):
    (run,) = study_of(train={"dtype": "float64"}).runs()
    pack = make_pack([run], PackConfig())
    for engine in ("compiled", "torch"):
        trained = loop.make_engine(pack._replace(config=PackConfig(engine=engine)))
        theta = trained.theta_KP.clone().requires_grad_(True)
        x, y = torch.from_numpy(pack.data.train.x), torch.from_numpy(pack.data.train.y)
        loss = (pack.model.forward(theta, x).output_KBO - y).square().sum(dim=2).mean()
        (expected,) = torch.autograd.grad(loss, theta)
        torch.testing.assert_close(trained.gradient(pack.data.train), expected)
