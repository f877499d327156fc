import importlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from symstudy.findings import Verdict


@pytest.fixture
def monotone(claims):
    assert claims
    return importlib.import_module("analysis.shared.monotone")


def table_of(means, noise=0.0, seeds=5, draw=0):
    rng = np.random.default_rng([draw, 99])
    values = np.asarray(means, float) + noise * rng.normal(size=(seeds, len(means)))
    return pd.DataFrame(values, columns=np.arange(1.0, len(means) + 1))


def test_a_sweep_that_goes_the_claimed_way_is_supported(monotone):
    part = monotone.judge_monotone("up", table_of([1, 3, 4, 9, 10], noise=0.1))
    assert part.verdict is Verdict.SUPPORTED
    assert part.effect == pytest.approx(1.0)
    assert part.p_value < 1e-3
    falling = monotone.judge_monotone("down", table_of([9, 5, 2], noise=0.1), sign=-1)
    assert falling.verdict is Verdict.SUPPORTED
    assert falling.rule == "Spearman's correlation at most -0.9"


def test_a_sweep_that_goes_the_other_way_is_refuted(monotone):
    part = monotone.judge_monotone("down", table_of([10, 32, 32], noise=0.2), sign=-1)
    assert part.verdict is Verdict.REFUTED
    assert part.p_value < 0.01


def test_a_sweep_that_turns_is_refuted(monotone):
    part = monotone.judge_monotone("down", table_of([14, 9, 7, 21, 30], noise=0.5), sign=-1)
    assert part.verdict is Verdict.REFUTED


def test_a_sweep_along_which_nothing_changes_is_refuted(monotone):
    part = monotone.judge_monotone("up", table_of([8, 8, 8, 8]))
    assert part.verdict is Verdict.REFUTED
    assert part.effect == 0.0


def test_too_few_seeds_or_places_are_untested(monotone):
    few_seeds = monotone.judge_monotone("up", table_of([1, 2, 3], seeds=2))
    few_places = monotone.judge_monotone("up", table_of([1, 2]))
    assert few_seeds.verdict is few_places.verdict is Verdict.UNTESTED


def test_noise_alone_is_seldom_called_monotone(monotone):
    counts = Counter(
        monotone.judge_monotone("up", table_of([0] * 5, noise=1.0, draw=draw)).verdict
        for draw in range(60)
    )
    assert counts[Verdict.SUPPORTED] <= 5


def test_a_weak_but_monotone_dependence_is_seldom_refuted(monotone):
    counts = Counter(
        monotone.judge_monotone("up", table_of([0, 1, 2, 3], noise=2.0, draw=draw)).verdict
        for draw in range(60)
    )
    assert counts[Verdict.REFUTED] <= 6
    assert counts[Verdict.INCONCLUSIVE] > 0


def test_three_places_can_be_told_from_chance_by_their_seeds(monotone):
    # The correlation of three means is 1 once in six shuffles; of five seeds all at once hardly.
    p_value = monotone.shuffled_within_seeds(table_of([1, 2, 3], noise=0.01), 1)
    assert p_value < 1e-3


def test_correlations_are_those_of_scipy(monotone):
    from scipy import stats

    table = table_of([3, 1, 4, 1, 5], noise=1.0)
    expected = [stats.spearmanr(table.columns, row).statistic for row in table.to_numpy()]
    np.testing.assert_allclose(monotone.seed_correlations(table), expected)


def test_a_step_the_wrong_way_is_refuted_though_the_places_beyond_it_are_tied(monotone):
    table = table_of([9, 32, 32])
    table[1.0] = [9.0, 9.0, 10.0, 9.0, 9.0]
    part = monotone.judge_monotone("down", table, sign=-1)
    assert part.verdict is Verdict.REFUTED
    # In each of five seeds the low value is at one of three places.
    assert part.p_value == pytest.approx(2 * 3.0**-5, abs=4e-3)
