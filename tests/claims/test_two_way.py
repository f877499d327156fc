import importlib

import numpy as np
import pandas as pd
import pytest

from symstudy.findings import Verdict, combine

TASKS, CAPACITIES = (1, 2, 4, 8, 16), (16, 32, 64, 128)


@pytest.fixture
def two_way(claims):
    assert claims
    return importlib.import_module("analysis.shared.two_way")


def runs_of(count, seeds=5, noise=0.0):
    rng = np.random.default_rng(5)
    rows = [
        (task, capacity, seed, count(task, capacity) * np.exp(noise * rng.normal()))
        for task in TASKS
        for capacity in CAPACITIES
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["task", "capacity", "seed", "count"])


def parts_of(two_way, runs):
    return two_way.judge_table(two_way.Table(runs, "teacher width", "student width", "neurons"))


def test_a_count_that_follows_the_task_alone_is_supported(two_way):
    parts = parts_of(two_way, runs_of(lambda task, capacity: task, noise=0.01))
    assert combine(parts) is Verdict.SUPPORTED
    assert len(parts) == len(CAPACITIES) + len(TASKS) + 2


def test_a_count_that_follows_the_capacity_is_refuted(two_way):
    parts = parts_of(two_way, runs_of(lambda task, capacity: capacity / 2, noise=0.01))
    by_name = {part.name: part.verdict for part in parts}
    assert by_name["variance of ln count explained by student width"] is Verdict.REFUTED
    assert combine(parts) is Verdict.REFUTED


def test_shares_of_the_variance_are_those_of_the_planted_table(two_way):
    # ln count = ln task + (1/2) ln capacity: variances of both axes add, nothing is left.
    shares = two_way.variance_shares(runs_of(lambda task, capacity: task * capacity**0.5))
    tasks, capacities = np.log(TASKS), 0.5 * np.log(CAPACITIES)
    expected = tasks.var() / (tasks.var() + capacities.var())
    np.testing.assert_allclose(shares["task"], expected)
    np.testing.assert_allclose(shares["rest"], 0.0, atol=1e-12)


def test_flatness_is_about_capacities_of_twice_the_count(two_way):
    # A student narrower than its teacher cannot follow: only the wide ones are held to be flat.
    runs = runs_of(lambda task, capacity: min(task, capacity / 2))
    flat = [part for part in parts_of(two_way, runs) if part.name.startswith("neurons against st")]
    assert [part.verdict for part in flat] == [Verdict.SUPPORTED] * len(TASKS)


def test_a_count_without_two_wide_capacities_is_inconclusive(two_way):
    parts = parts_of(two_way, runs_of(lambda task, capacity: 100 * task))
    flat = [part for part in parts if part.name.startswith("neurons against student")]
    assert {part.verdict for part in flat} == {Verdict.INCONCLUSIVE}


def test_few_seeds_are_untested(two_way):
    parts = parts_of(two_way, runs_of(lambda task, capacity: task, seeds=2))
    assert combine(parts) in (Verdict.UNTESTED, Verdict.INCONCLUSIVE)
    assert Verdict.SUPPORTED not in {part.verdict for part in parts}
