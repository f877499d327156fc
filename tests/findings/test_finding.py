import json

import numpy as np
import pytest

from symstudy.findings import Finding, Interval, Part, Verdict, combine

S, R, X, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.UNTESTED


def parts(*verdicts, decides=True):
    return tuple(Part(name="p", verdict=v, rule="r", decides=decides) for v in verdicts)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [((S, S), S), ((S, R), R), ((S, X), X), ((U, U), U), ((S, U), X), ((R, U), R), ((), U)],
)
def test_all_deciding_parts_must_hold(verdicts, expected):
    assert combine(parts(*verdicts)) is expected


def test_reported_parts_decide_nothing():
    assert combine((*parts(S), *parts(R, decides=False))) is S


def test_a_finding_is_plain_json():
    finding = Finding(
        verdict=R,
        reason="x",
        effect=1.0,
        interval=Interval(0.0, 2.0),
        parts=parts(S),
        excluded=(("why", 3),),
    )
    plain = json.loads(json.dumps(finding.to_json()))
    assert plain["verdict"] == "refuted"
    assert plain["interval"] == {"low": 0.0, "high": 2.0, "level": 0.95, "units": 0}
    assert plain["parts"][0]["verdict"] == "supported"
    assert plain["excluded"] == {"why": 3}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.1, 0.1, Verdict.SUPPORTED),
        (-0.05, 0.05, Verdict.SUPPORTED),
        (0.0, 0.2, Verdict.INCONCLUSIVE),
        (0.11, 0.2, Verdict.REFUTED),
        (-3.0, -0.2, Verdict.REFUTED),
        (-np.inf, np.inf, Verdict.INCONCLUSIVE),
    ],
)
def test_an_interval_supports_what_it_lies_within(low, high, verdict):
    assert Interval(low, high).within(-0.1, 0.1) is verdict


def test_an_interval_may_be_held_against_one_side():
    assert Interval(0.0, 5.0).within(low=0) is Verdict.SUPPORTED
    assert Interval(-2.0, -1.0).within(low=0) is Verdict.REFUTED
    assert Interval(-1.0, 1.0).within(high=0) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("given", "verdict"), [((0.02, None), R), ((0.04, None), X), ((0.0249, 0.9), R)]
)
def test_refuting_by_any_of_two_parts_takes_half_the_level(given, verdict):
    first, second = given
    pair = ((R, first), (S, 0.01) if second is None else (R, second))
    assert combine(judged_parts(*pair)) is verdict


def judged_parts(*verdicts_and_ps):
    return tuple(Part(name="p", verdict=v, rule="r", p_value=p) for v, p in verdicts_and_ps)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (judged_parts((S, 0.01), (S, 0.03)), 0.03),
        (judged_parts((S, 0.01), (S, None)), 0.01),
        (judged_parts((S, None)), None),
        (judged_parts((S, 0.01), (R, 0.02)), 0.04),
        (judged_parts((R, 0.9), (R, 0.8)), None),
        (judged_parts((R, 0.02), (R, None)), None),
        (judged_parts((S, 0.01), (X, None)), None),
    ],
)
def test_a_finding_is_as_sure_as_the_parts_that_decide_it(given, expected):
    finding = Finding(verdict=combine(given), reason="x", parts=given)
    assert finding.p_value == (expected if expected is None else pytest.approx(expected))


def test_a_finding_is_a_table_in_a_notebook_with_its_texts_escaped():
    part = Part(
        name="a<b", effect=1.5, interval=None, verdict=Verdict.REFUTED, rule="x & y", decides=True
    )
    shown = Finding(verdict=Verdict.REFUTED, reason="<i>", seeds=5, parts=(part,))._repr_html_()
    assert "<b>refuted</b>: &lt;i&gt; (5 seeds)" in shown
    assert "<td>a&lt;b</td><td>1.5</td><td></td><td>x &amp; y</td>" in shown


@pytest.mark.parametrize(
    ("counts", "expected"), [((10, 10), "10"), ((6, 10), "6 to 10"), ((0, 10), "10"), ((), "10")]
)
def test_the_seeds_of_parts_are_told_where_they_differ(counts, expected):
    given = [Part(name="p", verdict=S, rule="r", decides=True, seeds=count) for count in counts]
    beside = Part(name="q", verdict=S, rule="r", decides=False, seeds=3)
    finding = Finding(verdict=S, reason="x", seeds=10, parts=(*given, beside))
    assert finding.seed_range == expected
