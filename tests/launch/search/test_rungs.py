import numpy as np
import pytest

from symstudy.launch.search.rungs import Rungs, cut_off, rung_steps
from symstudy.study.search_keys import HaltConfig
from symstudy.training.early_stopping import StopRule

HALT = HaltConfig(measure="test_loss", reduction=3, rungs=2)
STEPS = [0, 1, 5, 12, 40, 100]


def rungs(branches, earlier=None, **options):
    return Rungs(HALT, STEPS, np.array(branches), earlier or {}, **options)


def stopped(rule, step, losses, alive=None):
    places = np.arange(len(losses)) if alive is None else np.array(alive)
    return rule.lanes(step, {"test_loss": np.array(losses, float)}, places).tolist()


def test_rungs_are_the_next_probes_of_powers_of_the_reduction():
    assert rung_steps(HALT, STEPS) == [12, 40]
    assert rung_steps(HaltConfig(measure="x", reduction=2, rungs=3), [0, 100]) == []


def test_the_best_of_a_pack_go_on():
    assert stopped(rungs([0] * 6), 12, [3, 1, 2, 6, 5, 4]) == [0, 3, 4, 5]
    assert stopped(rungs([0] * 6), 5, [3, 1, 2, 6, 5, 4]) == []


def test_larger_is_better_where_the_search_maximises():
    assert stopped(rungs([0] * 6, maximize=True), 12, [3, 1, 2, 6, 5, 4]) == [0, 1, 2, 5]


def test_earlier_packs_raise_the_bar():
    earlier = {(0, 12): [0.1, 0.2, 0.3], (0, 40): [9.0, 9.0, 9.0, 9.0, 9.0]}
    assert stopped(rungs([0, 0, 0], earlier), 12, [1, 2, 3]) == [0, 1, 2]
    assert stopped(rungs([0, 0, 0], earlier), 40, [1, 2, 3]) == [2]


def test_branches_are_not_compared_with_each_other():
    assert stopped(rungs([0, 0, 0, 1, 1, 1]), 12, [1, 2, 3, 10, 20, 30]) == [1, 2, 4, 5]


def test_runs_that_confirm_finds_are_never_stopped():
    assert stopped(rungs([-1, 0, 0, 0]), 12, [99, 1, 2, 3]) == [2, 3]


def test_dead_runs_and_missing_values_do_not_count():
    assert stopped(rungs([0] * 4), 12, [np.nan, 1, 2, 3], alive=[1, 2, 3]) == [2, 3]
    assert cut_off(np.array([np.nan, np.nan]), 3) == float("inf")


def test_one_run_alone_goes_on():
    assert stopped(rungs([0]), 12, [5.0]) == []


def test_the_training_loop_knows_it():
    assert isinstance(rungs([0]), StopRule)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 300])
def test_a_third_goes_on(count):
    values = np.random.default_rng(0).random(count)
    assert (values <= cut_off(values, 3)).sum() == max(1, count // 3)
