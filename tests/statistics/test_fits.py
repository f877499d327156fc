import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symstudy.findings import (
    Verdict,
    bootstrap,
    bootstrap_test,
    fit_power_law,
    holm,
    log_slope,
    permutation_p,
    seed_part,
    seed_slopes,
    spearman,
    student_interval,
)
from symstudy.streams import Stream


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


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.01, -0.02, 0.0, 0.03, -0.01], Verdict.SUPPORTED),
        ([0.5, 0.52, 0.48, 0.51, 0.5], Verdict.REFUTED),
        ([0.1, 0.12, 0.08, 0.11, 0.09], Verdict.INCONCLUSIVE),
        ([0.01, -0.02], Verdict.UNTESTED),
    ],
)
def test_a_part_over_seeds_decides_by_its_interval(values, verdict):
    part = seed_part("slope", values, low=-0.1, high=0.1, rule="within +-0.1")
    assert part.verdict is verdict
    assert (part.p_value is not None) == (verdict in {Verdict.SUPPORTED, Verdict.REFUTED})
    assert part.p_value is None or part.p_value < 0.05


@pytest.mark.parametrize("at", [-0.1, 0.1])
def test_the_p_value_of_a_part_keeps_its_level_at_the_edge(at):
    draws = at + 0.05 * Stream(3, "edge").normal(2000 * 5).reshape(2000, 5)
    parts = [seed_part("x", row, low=-0.1, high=0.1, rule="r") for row in draws]
    supported = [part for part in parts if part.verdict is Verdict.SUPPORTED]
    assert len(supported) < 0.065 * len(parts)
    assert all(part.p_value is not None and part.p_value <= 0.05 for part in supported)


def test_the_p_value_of_a_part_is_that_of_a_one_sided_t_test():
    values = [0.2, 0.3, 0.25, 0.4, 0.1]
    part = seed_part("x", values, low=0.0, rule="above 0")
    expected = stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert part.p_value == pytest.approx(expected)
    assert seed_part("x", [-v for v in values], low=0.0, rule="r").p_value == pytest.approx(
        expected
    )


def test_the_p_value_of_an_equivalence_is_that_of_the_nearer_end():
    values = [0.05, 0.06, 0.04, 0.07, 0.03]
    part = seed_part("x", values, low=-0.1, high=0.1, rule="r")
    far = stats.ttest_1samp(values, -0.1, alternative="greater").pvalue
    near = stats.ttest_1samp(values, 0.1, alternative="less").pvalue
    assert part.p_value == pytest.approx(near)
    assert near > 10 * far


def test_the_p_value_of_a_bootstrap_is_the_level_of_the_interval_that_ends_at_the_limit():
    values = Stream(5, "values").normal(40)
    mean = lambda seeds: float(np.mean([values[i] for i in seeds]))  # noqa: E731
    seeds = list(range(40))
    interval = bootstrap(mean, seeds, level=0.9)
    assert bootstrap_test(mean, seeds, 0.0, level=0.9)[0] == interval
    assert bootstrap_test(mean, seeds, interval.low)[1] == pytest.approx(0.05, abs=0.002)
    assert bootstrap_test(mean, seeds, interval.high)[1] == pytest.approx(0.05, abs=0.002)
    assert bootstrap_test(mean, seeds, -10.0)[1] == 1 / 2001
    assert bootstrap_test(mean, [0, 1], -10.0)[1] == 1.0
