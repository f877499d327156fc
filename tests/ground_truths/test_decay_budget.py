"""G25: a neuron that the data do not see shrinks by the product of 1 - 2 lr gamma."""

import numpy as np
import pytest
import torch

from symstudy.study import PackConfig
from symstudy.symmetry.neurons import neuron_matrix
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.schedule import decay_budget, learning_rates

STEPS = 400


def shrunk(study_of, engine="compiled", **train):
    """Train ReLU networks whose neuron 0 never fires; return its norms over those at the start.

    Returns:
        Shares left of each run, and the training tables.
    """
    study = study_of(
        model={"activation": "relu", "width": 6},
        train={"dtype": "float64", "lr": 0.05, "steps": STEPS, **train},
        sweep={"train.gamma": [0.0, 0.01, 0.1]},
    )
    pack = make_pack(study.runs(), PackConfig(engine=engine, device="cpu"))
    trained = make_engine(pack)
    layout = pack.model.layout
    bias = next(b for b in layout.blocks if b.role == "bias" and b.axes == ("hidden1",))
    # Far below zero on every sample; shrinking as a whole, the neuron stays there.
    trained.theta_KP[:, bias.offset] = -1e3
    start = neuron_matrix(layout, layout.groups[0], trained.theta_KP.clone())
    trained.advance(0, STEPS)
    end = neuron_matrix(layout, layout.groups[0], trained.theta_KP)
    # The data turn the others.
    assert (torch.cosine_similarity(start, end, dim=2)[:, 1:] < 0.999).any()
    share = end[:, 0].norm(dim=1) / start[:, 0].norm(dim=1)
    return share.numpy(), [run.cell.train for run in pack.runs]


def products(trains):
    """Return the product over all steps of 1 - 2 lr gamma of each run."""
    gamma = np.array([train.gamma for train in trains])
    return np.prod(1 - 2 * gamma[:, None] * learning_rates(trains, 0, STEPS), axis=1)


@pytest.mark.parametrize("engine", ["compiled", "torch"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_g25_a_neuron_without_a_signal_shrinks_by_its_budget(study_of, engine, optimizer, schedule):
    share, trains = shrunk(study_of, engine, optimizer=optimizer, schedule=schedule)
    np.testing.assert_allclose(share, products(trains), rtol=1e-12)
    # The recorded budget is the logarithm to first order in lr gamma.
    budgets = decay_budget(trains, np.array([STEPS]))[:, 0]
    np.testing.assert_allclose(-np.log(share), budgets, rtol=0.01)
    assert budgets.max() > 1.9


@pytest.mark.parametrize("optimizer", ["lion", "muon"])
def test_g25_a_warm_up_spends_less_of_the_budget_of_what_decays_beside_its_step(
    study_of, optimizer
):
    # No gradient: the sign of its mean is 0, and so is its row of an orthogonal matrix.
    share, trains = shrunk(study_of, "auto", optimizer=optimizer, warmup=0.5)
    np.testing.assert_allclose(share, products(trains), rtol=1e-12)
    budgets = decay_budget(trains, np.array([STEPS]))[:, 0]
    assert budgets[2] == pytest.approx(2 * 0.1 * 0.05 * STEPS * 0.75, rel=0.01)


def test_g25_momentum_counts_as_a_larger_rate(study_of):
    share, trains = shrunk(study_of, optimizer="sgd", momentum=0.8, lr=0.01)
    expected = []
    for train in trains:
        size, speed = 1.0, 0.0
        for _ in range(STEPS):
            speed = train.value("momentum") * speed + 2 * train.gamma * size
            size -= train.lr * speed
        expected.append(size)
    np.testing.assert_allclose(share, expected, rtol=1e-11)
    # The budget with lr / (1 - momentum) leaves out how the momentum builds up, and second order.
    budgets = decay_budget(trains, np.array([STEPS]))[:, 0]
    np.testing.assert_allclose(-np.log(share), budgets, rtol=0.05)


def test_g25_coupled_adam_has_no_budget(study_of):
    share, trains = shrunk(study_of, optimizer="adam")
    assert np.isnan(decay_budget(trains, np.array([STEPS]))[1:]).all()
    assert (np.abs(np.log(share[1:] / products(trains)[1:])) > 0.1).any()
