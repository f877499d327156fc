import numpy as np
import pandas as pd

from symstudy.statistics.variance import variance_shares

TASKS, CAPACITIES = np.array([1, 2, 4, 8, 16]), np.array([16, 32, 64, 128])


def table(count, seeds=2):
    rows = [(seed, t, c, count(t, c)) for seed in range(seeds) for t in TASKS for c in CAPACITIES]
    return pd.DataFrame(rows, columns=["seed", "task", "capacity", "count"])


def test_shares_of_the_variance_are_those_of_the_planted_table():
    # ln count = ln task + (1/2) ln capacity: variances of both axes add, nothing is left.
    frame = table(lambda task, capacity: task * capacity**0.5)
    shares = variance_shares(frame, "count", "task", "capacity")
    tasks, capacities = np.log(TASKS).var(), (0.5 * np.log(CAPACITIES)).var()
    np.testing.assert_allclose(shares["task"], tasks / (tasks + capacities))
    np.testing.assert_allclose(shares["rest"], 0.0, atol=1e-12)


def test_what_both_axes_only_explain_together_is_left():
    frame = table(lambda task, capacity: np.exp((-1.0) ** np.log2(task * capacity)))
    shares = variance_shares(frame[frame["task"] < 16], "count", "task", "capacity")
    np.testing.assert_allclose(shares["rest"], 1.0)


def test_seeds_without_a_whole_table_of_positive_values_are_left_out():
    frame = table(lambda task, capacity: task, seeds=4)
    frame.loc[(frame["seed"] == 1) & (frame["task"] == 2), "count"] = 0
    frame = frame[(frame["seed"] != 2) | (frame["capacity"] > 16)]
    frame.loc[frame["seed"] == 3, "count"] = 5
    assert variance_shares(frame, "count", "task", "capacity").index.tolist() == [0]
