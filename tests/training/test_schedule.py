import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symstudy.study.cells import restored
from symstudy.study.train import Train
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.schedule import decay_budget, learning_rates, probe_steps


def train(**fields):
    return restored(Train, {"optimizer": "sgd", "lr": 0.5, "batch_size": 4, "steps": 11, **fields})


def rates(**fields):
    config = train(**fields)
    return learning_rates([config], 0, config.steps)[0] / config.lr


def test_constant_rates_are_constant():
    np.testing.assert_array_equal(rates(), 1.0)


def test_linear_rates_end_at_the_final_share():
    np.testing.assert_allclose(rates(schedule="linear", lr_final=0.2), np.linspace(1, 0.2, 11))


def test_cosine_rates_are_half_a_cosine():
    np.testing.assert_allclose(
        rates(schedule="cosine"), 0.5 + 0.5 * np.cos(np.pi * np.arange(11) / 10)
    )


def test_decay_starts_where_it_is_told():
    shares = rates(schedule="linear", decay_start=0.5, steps=101)
    assert (shares[:51] == 1).all()
    assert shares[-1] == pytest.approx(0)
    assert (np.diff(shares[51:]) < 0).all()


def test_rates_do_not_depend_on_the_block():
    config = train(schedule="cosine")
    whole = learning_rates([config], 0, 11)
    parts = [learning_rates([config], first, 1) for first in range(11)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


def test_the_budget_sums_effective_rates():
    budget = decay_budget([train(gamma=0.1, momentum=0.9)], np.array([0, 1, 11]))
    np.testing.assert_allclose(budget[0], [0.0, 2 * 0.1 * 5.0, 11 * 2 * 0.1 * 5.0])


def test_the_budget_of_adam_is_unknown_and_of_adamw_is_not():
    at = np.array([11])
    assert np.isnan(decay_budget([train(optimizer="adam", gamma=0.1)], at)).all()
    assert decay_budget([train(optimizer="adam")], at)[0, 0] == 0
    assert decay_budget([train(optimizer="adamw", gamma=0.1)], at)[0, 0] == pytest.approx(1.1)


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_g25_a_neuron_without_signal_shrinks_by_the_product_of_its_steps(study_of, schedule):
    # With linear activation and zero targets a network of zero outgoing weights gets no gradient.
    study = study_of(
        model={"kind": "deep_linear", "depth": 1},
        data={"teacher_scale": 1e-300, "input_scale": 1e-200},
        train={
            "optimizer": "sgd",
            "lr": 0.3,
            "gamma": 0.05,
            "schedule": schedule,
            "dtype": "float64",
            "steps": 40,
        },
    )
    (run,) = study.runs()
    engine = make_engine(make_pack([run], study.pack))
    before = engine.theta_KP.norm().item()
    engine.advance(0, 40)
    exact = np.prod(1 - 2 * 0.05 * learning_rates([run.cell.train], 0, 40)[0])
    assert engine.theta_KP.norm().item() / before == pytest.approx(exact, rel=1e-12)


@given(st.integers(1, 10**6), st.integers(2, 80), st.integers(1, 90))
def test_probes_begin_at_the_start_and_end_at_the_end(steps, num, detail):
    probes, is_detailed = probe_steps(steps, num, detail)
    assert probes[0] == 0
    assert probes[-1] == steps
    assert (np.diff(probes) > 0).all()
    assert len(probes) <= num
    assert is_detailed[-1]
    assert 1 <= is_detailed.sum() <= detail
