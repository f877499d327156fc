import math

import pytest

LOOKS = [5, 10, 20, 40]


@pytest.fixture
def replication(search_of):
    def make(branches=1, **keys):
        gammas = [place / 100 for place in range(branches)]
        return search_of(
            {"method": "replicate", "looks": LOOKS, "low": -0.5, "high": 0.5, **keys},
            train={"lr": 0.1},
            sweep={"train.gamma": gammas},
        )

    return make


def seeds_of(asked):
    return [run.seed for a in asked for run in a.trial.runs]


def test_a_clear_median_takes_the_first_look_that_can_decide(replication, play, noise):
    # Five seeds of one kind are too few at 5 %, shared by four looks.
    asked = play(replication(), lambda run: 0.05 * noise(run))
    assert seeds_of(asked) == list(range(10))


def test_a_median_at_the_margin_takes_the_budget_in_looks(replication, play, noise):
    asked = play(replication(), lambda run: 0.5 + noise(run))
    assert seeds_of(asked) == list(range(40))
    assert [len(a.trial.runs) for a in asked] == [5, 5, 10, 20]


def test_a_median_outside_is_decided_too(replication, play, noise):
    assert len(seeds_of(play(replication(), lambda run: 2 + 0.1 * noise(run)))) == 10


def test_seeds_without_a_value_are_used_up(replication, play, noise):
    asked = play(replication(), lambda run: None if run.seed % 2 else 0.6 + noise(run))
    assert seeds_of(asked) == list(range(40))


def test_each_branch_has_its_share_of_the_error(replication, play, noise):
    def answer(run):
        return 0.85 * 0.5 + 0.12 * noise(run)

    alone, one_of_many = replication(), replication(branches=30)
    assert len(seeds_of(play(alone, answer))) <= len(seeds_of(play(one_of_many, answer)))


def test_true_medians_at_the_margin_are_decided_wrongly_as_seldom_as_stated(
    replication, play, noise
):
    search = replication(branches=150, alpha=0.5)
    wrong = 0
    for branch in range(150):
        asked = play(search, lambda run: 0.5 + noise(run), branch=branch)
        # Whatever is decided before the budget is decided on a median that is neither.
        wrong += len(seeds_of(asked)) < 40
    limit = 0.5
    assert wrong <= limit + 3 * math.sqrt(limit)
