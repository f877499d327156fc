import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symstudy.findings import (
    bootstrap,
    fit_power_law,
    holm,
    log_slope,
    permutation_p,
    seed_slopes,
    spearman,
    student_interval,
)


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_a_power_law_is_found_exactly(exponent, amplitude):
    x = np.geomspace(0.1, 50, 9)
    law = fit_power_law(x, amplitude * x**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.amplitude == pytest.approx(amplitude, rel=1e-8)
    assert np.abs(law.residuals).max() < 1e-9
    assert law.held_out == pytest.approx(0, abs=1e-9)


def test_a_power_law_with_an_offset_is_found_from_all_starts():
    x = np.geomspace(1, 1000, 15)
    law = fit_power_law(x, 0.3 + 2.0 * x**-0.7, with_offset=True)
    assert (law.exponent, law.amplitude, law.offset) == pytest.approx((-0.7, 2.0, 0.3), rel=1e-4)
    assert law.agreement > 0.5
    assert law.held_out == pytest.approx(0, abs=1e-3)


def test_one_outlier_moves_the_fit_little():
    x = np.geomspace(1, 100, 21)
    y = x**-1.0
    y[3] *= 20
    assert fit_power_law(x, y).exponent == pytest.approx(-1.0, abs=0.02)
    assert abs(np.polyfit(np.log(x), np.log(y), 1)[0] + 1.0) > 0.08


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0]), ([1.0, 2.0], [1.0, 0.0]), ([-1, 1], [1, 1])])
def test_points_that_have_no_power_law_are_refused(x, y):
    with pytest.raises(ValueError, match="needs 2 positive points"):
        fit_power_law(x, y)


def test_slopes_come_one_a_seed():
    table = pd.DataFrame({1.0: [2.0, 3.0], 2.0: [4.0, 3.0], 4.0: [8.0, 3.0]})
    np.testing.assert_allclose(seed_slopes(table), [1.0, 0.0], atol=1e-12)
    assert log_slope([1, 2, 4], [1, 4, 16]) == pytest.approx(2.0)


def test_the_t_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = [
        interval.low <= 0 <= interval.high
        for interval in (student_interval(rng.normal(size=5)) for _ in range(2000))
    ]
    assert abs(np.mean(hits) - 0.95) < 0.02


def test_the_bootstrap_resamples_seeds():
    values = dict(enumerate(np.random.default_rng(1).normal(size=30)))
    interval = bootstrap(lambda seeds: np.mean([values[s] for s in seeds]), list(values))
    error = np.std(list(values.values())) / 30**0.5
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    again = bootstrap(lambda seeds: np.mean([values[s] for s in seeds]), list(values))
    assert interval == again


def test_too_few_seeds_give_no_interval():
    assert bootstrap(lambda seeds: 0.0, [1, 2]).high == np.inf
    assert student_interval([1.0]).low == -np.inf


def test_a_permutation_test_keeps_its_level():
    rng = np.random.default_rng(2)
    places = np.arange(8)

    def statistic(values):
        return float(np.corrcoef(places, values)[0, 1])

    p_values = [permutation_p(statistic, rng.normal(size=8), draws=99) for _ in range(200)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert min(p_values) >= 0.01


def test_holm_is_holms():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_spearman_of_nothing_is_nothing():
    assert np.isnan(spearman([1, 2], [1, 2]))
    assert spearman([1, 2, 3], [5, 5, 5]) == 0.0
    assert spearman([1, 2, 3, 4], [1, 10, 100, 99]) == pytest.approx(0.8)
