import math

import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def lawful(run, rng, tilt=0.0, grad_ratio=1e-8, noise=0.0):
    """Return the exact rank, or that of another exponent, -1/a - tilt."""
    a, gamma = run.cell.data.exponent, run.cell.train.gamma
    rank = math.ceil(gamma ** (-1 / a - tilt)) - 1
    return {"weight_rank": max(1, rank + round(noise * rng.normal())), "grad_ratio": grad_ratio}


def judge(claims, plant, seeds=None, **options):
    store = plant("rank_scaling_law", lambda run, rng: lawful(run, rng, **options), seeds=seeds)
    return judge_store(claims["rank_scaling_law"], store)


def test_the_exact_law_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect < 0.03
    assert [part.rule for part in finding.parts] == [
        "within 0.07 of -2.000",
        "within 0.07 of -1.000",
        "within 0.07 of -0.500",
    ]


@pytest.mark.parametrize("tilt", [0.25, -0.2])
def test_another_exponent_is_refuted(claims, plant, tilt):
    finding = judge(claims, plant, seeds=8, tilt=tilt)
    assert finding.verdict is Verdict.REFUTED
    assert finding.parts[1].effect == pytest.approx(-1.0 - tilt, abs=0.06)


def test_runs_that_still_move_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-05 of 1 + objective", 180),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
def test_an_exponent_at_the_margin_is_seldom_supported(claims, plant, repeats, most):
    def at_margin(repeat):
        return plant(
            "rank_scaling_law", lambda run, rng: lawful(run, rng, tilt=0.09, noise=0.8), repeat
        )

    counts = count_verdicts(claims["rank_scaling_law"], at_margin, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_has_ranks_and_residuals(claims, plant):
    from symstudy.plots.figures import theme

    claim = claims["rank_scaling_law"]
    with theme():
        figure = claim.draw(claim.measure(plant("rank_scaling_law", lawful)))
    assert set(figure.drawn["panel"]) == {"rank", "residuals"}
    assert (figure.drawn["panel"] == "rank").sum() == 36
