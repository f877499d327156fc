import pytest

from symstudy.launch.search.bisection import find_bracket
from symstudy.launch.search.methods import propose

SPACE = {"train.gamma": {"linear": [0.0, 1.0]}}


@pytest.fixture
def bisection(search_of):
    def make(space=SPACE, seeds=3, **keys):
        return search_of(
            {"method": "bisect", "space": space, "batch": 3, "resolution": 0.01, **keys},
            train={"lr": 0.1},
            sweep={"seed": seeds},
        )

    return make


def gamma(run):
    return run.cell.train.gamma


@pytest.mark.parametrize("critical", [0.001, 0.3, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bracket_closes_in_on_the_change(bisection, play, critical, sign):
    search = bisection()
    asked = play(search, lambda run: sign * (gamma(run) - critical))
    bracket = find_bracket(search, asked)
    assert bracket is not None
    assert bracket.low <= critical <= bracket.high
    assert bracket.width <= 0.01
    # Five points, then three a round, each dividing the bracket by four.
    assert len(asked) <= 5 + 3 * 4


def test_on_a_log_range_the_resolution_is_one_of_ratios(bisection, play):
    search = bisection({"train.gamma": {"log": [1e-4, 1.0]}})
    asked = play(search, lambda run: gamma(run) - 3e-3)
    bracket = find_bracket(search, asked)
    assert bracket is not None
    (dimension,) = search.space
    low, high = dimension.at(bracket.low), dimension.at(bracket.high)
    assert low <= 3e-3 <= high
    assert high / low <= (1e4) ** 0.01 * 1.001


def test_integers_end_where_two_are_next_to_each_other(bisection, play):
    search = bisection({"model.width": {"linear": [1, 100]}})
    asked = play(search, lambda run: run.cell.model.width - 41.5)
    bracket = find_bracket(search, asked)
    assert bracket is not None
    (dimension,) = search.space
    assert (dimension.at(bracket.low), dimension.at(bracket.high)) == (41, 42)


def test_seeds_need_not_agree(bisection, play):
    search = bisection(seeds=9)
    asked = play(search, lambda run: gamma(run) - 0.4 - 0.01 * (run.seed - 4))
    bracket = find_bracket(search, asked)
    assert bracket is not None
    assert bracket.low == pytest.approx(0.4, abs=0.02)
    assert bracket.width <= 0.01


def test_a_condition_that_does_not_change_ends_after_the_first_round(bisection, play):
    search = bisection()
    asked = play(search, lambda run: 1.0)
    assert len(asked) == 5
    assert find_bracket(search, asked) is None


def test_points_without_a_value_say_nothing(bisection, play):
    search = bisection()
    asked = play(search, lambda run: None if gamma(run) > 0.9 else gamma(run) - 0.3)
    bracket = find_bracket(search, asked)
    assert bracket is not None
    assert bracket.low <= 0.3 <= bracket.high


def test_nothing_is_asked_for_while_a_run_is_missing(bisection, play):
    search = bisection()
    asked = play(search, lambda run: gamma(run) - 0.3, rounds=1)
    results = (None, *asked[0].results[1:])
    assert propose(search, 0, [asked[0]._replace(results=results), *asked[1:]]) == []


def test_the_budget_holds(bisection, play, noise):
    search = bisection(trials=12, seeds=1)
    asked = play(search, noise)
    assert len(asked) <= 12
