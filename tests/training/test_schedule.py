import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symstudy.components import texts_of
from symstudy.errors import StudyFileError
from symstudy.study.cells import restored
from symstudy.study.train import Train
from symstudy.training import train_pack
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


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [4, 0.1])
def test_a_warm_up_climbs_to_the_peak_and_the_schedule_goes_over_the_rest(schedule, warmup):
    fields = {"schedule": schedule, "decay_start": 0.25} if schedule != "constant" else {}
    shares = rates(**fields, warmup=warmup, steps=40)
    np.testing.assert_allclose(shares[:4], [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_array_equal(shares[4:], rates(**fields, steps=36))


def test_no_warm_up_has_no_part_in_identity():
    plain, zero, some = (texts_of(train(**keys)) for keys in ({}, {"warmup": 0.0}, {"warmup": 5}))
    assert plain.identity == zero.identity != some.identity
    assert plain.shape == some.shape


def torch_rates(total, **keys):
    """Return the learning rates of torch's one cycle, over the peak."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total, cycle_momentum=False, **keys
    )
    found = []
    for _ in range(total):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        if len(found) < total:
            schedule.step()
    return found


@pytest.mark.parametrize("total", [7, 30, 101])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 3.0},
        {"anneal_strategy": "linear"},
        {"three_phase": True},
        {"three_phase": True, "pct_start": 0.2, "anneal_strategy": "linear"},
    ],
)
def test_one_cycle_is_torchs(total, keys):
    ours = rates(schedule="one_cycle", steps=total, **keys)
    np.testing.assert_allclose(ours, torch_rates(total, **keys), rtol=1e-12)


def test_one_cycle_has_a_rate_where_torch_divides_by_zero():
    with pytest.raises(ZeroDivisionError):
        torch_rates(4, pct_start=0.25)
    assert rates(schedule="one_cycle", steps=4, pct_start=0.25)[0] == 1.0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"warmup": 60}, "train.warmup: must be less than the 60 steps of train.steps, but got 60"),
        ({"warmup": 2.5}, "must be a share of the steps below 1 or a whole number of steps"),
        ({"warmup": -1}, "train.warmup: must be at least 0.0"),
    ],
)
def test_a_warm_up_that_never_ends_is_a_mistake(study_of, keys, message):
    with pytest.raises(StudyFileError) as error:
        study_of(train={"steps": 60, **keys})
    assert message in str(error.value)


def test_the_history_shows_the_rates_of_a_warm_up(study_of):
    train = {"lr": 0.5, "optimizer": "sgd", "steps": 9, "warmup": 3, "schedule": "linear"}
    study = study_of(train=train, probe={"num": 10, "detail": 1})
    (run,) = study.runs()
    history = train_pack([run], study.pack).history
    assert history["step"][:4].tolist() == [0, 1, 2, 3]
    assert history["learning_rate"][:4].tolist() == [0.125, 0.25, 0.375, 0.5]


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
