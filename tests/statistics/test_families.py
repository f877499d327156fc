from hypothesis import given
from hypothesis import strategies as st

from symstudy.statistics.families import correct_family, hold_parts
from symstudy.statistics.part import Part
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
    undecided = correct_family([S, X], [0.03, None])
    without_data = correct_family([S, U], [0.03, None])
    assert [item.verdict for item in undecided] == [X, X]
    assert [item.verdict for item in without_data] == [X, U]


def test_what_is_declared_and_missing_counts_as_undecided():
    (alone,) = correct_family([S], [0.03])
    (among,) = correct_family([S], [0.03], missing=1)
    assert (alone.verdict, among.verdict, among.adjusted) == (S, X, 0.06)
    assert correct_family([S], [0.03], missing=1, level=0.1)[0].verdict is S


def test_an_exact_rule_is_outside_the_family():
    exact, tested = correct_family([R, S], [None, 0.04])
    assert (exact.verdict, exact.adjusted) == (R, None)
    assert (tested.verdict, tested.adjusted) == (S, 0.04)


def test_a_family_of_none_is_empty():
    assert correct_family([], []) == []


def part(verdict, p_value, *, decides=True):
    return Part(name="a", verdict=verdict, rule="r", p_value=p_value, decides=decides)


def test_no_part_says_what_its_corrected_p_value_does_not():
    parts = (part(S, 0.01), part(R, 0.01), part(R, 0.02, decides=False), part(S, None))
    assert [one.verdict for one in hold_parts(parts, 1.0)] == [S, R, X, S]
    assert [one.verdict for one in hold_parts(parts, 2.0)] == [S, X, X, S]
    assert [one.verdict for one in hold_parts(parts, 6.0)] == [X, X, X, S]


@given(st.lists(st.tuples(st.sampled_from([S, R]), st.floats(1e-9, 0.05)), min_size=1, max_size=6))
def test_a_verdict_and_the_part_that_it_rests_on_stand_or_fall_together(entries):
    verdicts, p_values = zip(*entries, strict=True)
    for own, p, held in zip(verdicts, p_values, correct_family(verdicts, p_values), strict=True):
        (one,) = hold_parts((part(own, p),), held.factor)
        assert one.verdict is held.verdict
