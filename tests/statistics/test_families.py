from symstudy.statistics.families import correct_family
from symstudy.statistics.verdict import Verdict

S, R, X, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.UNTESTED


def test_a_verdict_that_chance_gives_to_one_of_many_is_inconclusive_among_them():
    alone = correct_family([S], [0.04])
    among = correct_family([S, X, R], [0.04, None, 1e-6])
    assert [item.verdict for item in alone] == [S]
    assert [item.verdict for item in among] == [X, X, R]
    assert among[0].adjusted == 0.08
    assert among[2].adjusted == 3e-6


def test_what_was_asked_and_not_decided_belongs_to_the_family():
    with_it = correct_family([S, X], [0.03, None])
    without = correct_family([S, U], [0.03, None])
    assert [item.verdict for item in with_it] == [X, X]
    assert [item.verdict for item in without] == [S, U]


def test_an_exact_rule_is_outside_the_family():
    exact, tested = correct_family([R, S], [None, 0.04])
    assert (exact.verdict, exact.adjusted) == (R, None)
    assert (tested.verdict, tested.adjusted) == (S, 0.04)


def test_a_family_of_none_is_empty():
    assert correct_family([], []) == []
