import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "width_saturation_first_layer"


def test_planted_saturation_is_supported(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths())
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 6


def test_ranks_that_grow_with_width_under_decay_are_refuted(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths(slope=0.5, seeds=10))
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(0.5, abs=0.05)


def test_saturation_without_decay_too_is_refuted(claims, plant_widths):
    assert judge_store(claims[NAME], plant_widths(free=0.1, seeds=10)).verdict is Verdict.REFUTED


def test_runs_without_a_decay_budget_are_no_evidence(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths(budget=3.0))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.excluded == (("decay budget below 6", 24),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.slow
def test_growth_at_the_margin_is_seldom_called_flat(claims, plant_widths):
    counts = count_verdicts(
        claims[NAME], lambda repeat: plant_widths(slope=0.11, repeat=repeat), 12
    )
    assert counts[Verdict.SUPPORTED] <= 1


def test_the_figure_shows_no_runs_under_noise(claims, plant_widths):
    from symstudy.plots.figures import theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant_widths()))
    assert set(figure.drawn["runs"].dropna()) == {"arm = 'nothing'"}
    assert set(figure.drawn["gamma"].dropna()) == {0.03}
