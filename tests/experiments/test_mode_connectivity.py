"""Pairs of networks: planted symmetries are taken out whole, and what is no pair is refused."""

import pytest
import torch

from symstudy.errors import UserError
from symstudy.experiments.mode_connectivity import (
    Barriers,
    TrainedPair,
    main,
    measure_barriers,
    train_pair,
)
from symstudy.models.fcn.network import Fcn
from symstudy.programs.run import ProgramRun
from symstudy.theory.neuron_maps import random_neuron_map

CONFIG = {
    "activation": "relu", "depth": 3, "width": 6, "data": "digits", "lr": 3e-3, "gamma": 1e-4,
    "batch_size": 64, "steps": 60, "draws": 19,
}  # fmt: skip


def planted(activation, log_scale=0.0):
    """Return a network and the same with its neurons mapped, and a loss of its outputs."""
    model = Fcn([4, 7, 3], activation)
    generator = torch.Generator().manual_seed(0)
    theta_P = torch.randn(model.layout.size, generator=generator, dtype=torch.float64)
    x = torch.randn(1, 50, 4, generator=generator, dtype=torch.float64)
    wanted = model.forward(theta_P[None], x).output_KBO

    def loss(theta_KP):
        given = model.forward(theta_KP, x.expand(len(theta_KP), -1, -1)).output_KBO
        return (given - wanted).square().mean(dim=(1, 2))

    other_KP = random_neuron_map(model.layout, 5, log_scale=log_scale).apply(theta_P[None])
    theta_KP = torch.cat([theta_P[None], other_KP])
    return TrainedPair(model.layout, theta_KP, loss, loss(theta_KP), torch.ones(2))


@pytest.mark.parametrize(("activation", "log_scale"), [("tanh", 0.0), ("relu", 1.0)])
def test_the_barrier_of_one_function_in_two_orders_is_gone_after_matching(activation, log_scale):
    found = measure_barriers(planted(activation, log_scale), draws=19, seed=0)
    assert found.raw > 0.1
    assert found.balanced > 0.1
    assert found.matched < 1e-9
    assert found.similarity == pytest.approx(1.0, abs=1e-9)
    assert found.p_value == 1 / 20


def test_where_permutations_change_nothing_the_p_value_is_one():
    pair = planted("tanh")._replace(loss=lambda theta_KP: theta_KP.new_zeros(len(theta_KP)))
    assert measure_barriers(pair, draws=19, seed=0).p_value == 1.0


def test_a_barrier_that_is_no_number_is_no_evidence_and_no_low_one():
    def barriers(matched, null):
        return Barriers(
            raw=1.0, balanced=1.0, matched=matched, null_D=torch.tensor(null), similarity=1.0
        )

    nan = float("nan")
    assert barriers(nan, [1.0] * 19).p_value is None
    assert barriers(0.1, [nan] * 19).p_value == 1.0
    assert barriers(0.1, [nan, 0.5, 0.05]).p_value == 3 / 4


def test_a_run_whose_barrier_is_no_number_reports_none_of_it(monkeypatch):
    told: dict[str, float] = {}
    experiment = "symstudy.experiments.mode_connectivity"
    monkeypatch.setattr(f"{experiment}.train_pair", lambda config, seed: planted("tanh"))
    monkeypatch.setattr(
        f"{experiment}.measure_barriers",
        lambda pair, draws, seed: Barriers(1.0, 1.0, float("nan"), torch.ones(3), 1.0),
    )

    run = ProgramRun(None)
    monkeypatch.setattr(run, "config", CONFIG)
    monkeypatch.setattr(run, "report", lambda step, **numbers: told.update(numbers, step=step))
    main(run)
    assert "permutation_p" not in told
    assert "barrier_matched" not in told
    assert told["barrier_raw"] == 1.0
    monkeypatch.setattr(run, "config", {**CONFIG, "draws": 0})
    with pytest.raises(UserError, match=r"config.draws must be at least 1"):
        main(run)


def test_a_pair_is_two_trainings_of_its_own_number_and_is_the_same_again():
    first, again, other = (train_pair(CONFIG, seed) for seed in (3, 3, 4))
    assert torch.equal(first.theta_KP, again.theta_KP)
    all_KP = torch.cat([first.theta_KP, other.theta_KP])
    assert torch.pdist(all_KP).min() > 0.1
    assert (first.accuracy_K > 0.2).all()


def test_other_settings_are_refused_with_what_they_must_be():
    run = ProgramRun(None)
    with pytest.raises(UserError, match="must have the keys activation, depth"):
        main(run)
    with pytest.raises(UserError, match="data with classes"):
        train_pair({**CONFIG, "data": "teacher_student"}, 0)
