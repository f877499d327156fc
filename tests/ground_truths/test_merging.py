"""Two neurons whose rate of merging is known, and when their count is evidence."""

import math

import numpy as np
import pytest

from symstudy.findings import Evidence
from symstudy.findings.evidence import load
from symstudy.testing.stores import plant_store

GAMMA = 0.05
THRESHOLD = 0.02
START = 1.0


def distance_after(steps, mu, lr=0.01):
    """Return |w_1 - w_2| after gradient descent on k/2 (w_1 - w_2)^2 / 2 + (w_1 + w_2 - 2)^2.

    There H_ii - H_ij = k = mu.
    """
    w = np.array([1.0 + START / 2, 1.0 - START / 2])
    for _ in range(steps):
        apart = w[0] - w[1]
        pull = 2.0 * (w.sum() - 2.0)
        w = w - lr * (np.array([pull + mu / 2 * apart, pull - mu / 2 * apart]) + 2 * GAMMA * w)
    return abs(w[0] - w[1])


@pytest.mark.parametrize("mu", [0.3, 0.0, -0.08])
def test_a_pair_merges_at_the_rate_of_decay_plus_half_the_curvature(mu):
    lr, steps = 0.01, 2000
    rate = -math.log(distance_after(steps, mu, lr) / START) / (lr * steps)
    assert rate == pytest.approx(2 * (GAMMA + mu / 2), rel=0.01)


@pytest.fixture
def counted(study_of, tmp_path):
    """Return the seeds that are evidence, of runs whose pairs merge at times given by seed."""

    def of(merge_at, grad_ratio=None, neurons=3):
        study = study_of(sweep={"seed": len(merge_at)})

        def measures(run):
            steps = run.cell.train.steps
            mu = math.log(START / THRESHOLD) / (merge_at[run.seed] * steps) - 2 * GAMMA
            rate = 2 * (GAMMA + mu / 2)

            def row(step):
                count = 1 + int(START * math.exp(-rate * step) > THRESHOLD)
                return {"distinct_neurons": count, "neurons": neurons}

            early = [
                {"step": step, "layer": 1, **row(step)} for step in (0, steps // 4, steps // 2)
            ]
            return {**row(steps), "grad_ratio": grad_ratio, "layers": early}

        frame = load(plant_store(tmp_path, study, measures), Evidence().merged(), ()).frame
        return frame["seed"].tolist()

    return of


def test_a_count_is_evidence_if_it_is_that_at_a_third_of_the_time(counted):
    # Merged before a quarter, between a third and the end, and not at all: three neurons, so that
    # the last is no ceiling and is not told from a pair that stays apart.
    assert counted([0.2, 0.6, 5.0]) == [0, 2]


def test_a_full_layer_is_no_evidence_without_a_dead_gradient(counted):
    assert counted([5.0], neurons=2) == []


def test_a_full_layer_is_evidence_where_the_gradient_has_died(counted):
    assert counted([5.0], neurons=2, grad_ratio=1e-8) == [0]
