import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def saturating(run, rng, slope=0.0, free=1.0, budget=50.0):
    """Capacity saturates at width 32 with gamma = 0.03, up to `slope` beyond; it grows without."""
    width, gamma = run.cell.model.width, run.cell.train.gamma
    noise = np.exp(0.03 * rng.normal(size=3))
    capacity = width**free if gamma == 0 else min(width, 36 * (max(width, 36) / 36) ** slope)
    return {
        "rank": capacity * noise[0],
        "distinct_neurons": capacity * noise[1],
        "effective_rank": 5.0,
        "test_loss": (2.0 + 10.0 / width**2) * noise[2],
        "decay_budget": 0.0 if gamma == 0 else budget,
    }


def judge(claims, plant, seeds=None, **options):
    store = plant("width_saturation", lambda run, rng: saturating(run, rng, **options), seeds=seeds)
    return judge_store(claims["width_saturation"], store)


def test_planted_saturation_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.interval.low < finding.effect < finding.interval.high


def test_planted_growth_under_decay_is_refuted(claims, plant):
    finding = judge(claims, plant, seeds=10, slope=0.5)
    assert finding.verdict is Verdict.REFUTED
    assert finding.parts[0].effect == pytest.approx(0.5, abs=0.05)


def test_five_seeds_cannot_refute_one_part_of_four(claims, plant):
    finding = judge(claims, plant, slope=0.5)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "no fewer than 6 seeds can refute" in finding.reason


def test_saturation_without_decay_refutes_that_decay_is_needed(claims, plant):
    assert judge(claims, plant, seeds=10, free=0.2).verdict is Verdict.REFUTED


def test_runs_without_a_decay_budget_are_no_evidence(claims, plant):
    finding = judge(claims, plant, budget=3.0)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.excluded == (("decay budget below 6", 60),)


def test_a_store_without_runs_is_untested(claims, plant, tmp_path):
    store = plant("width_saturation", lambda run, rng: {"outcome": "error"})
    assert judge_store(claims["width_saturation"], store).verdict is Verdict.UNTESTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.slow
def test_growth_at_the_margin_is_seldom_called_flat(claims, plant):
    def at_margin(repeat):
        return plant(
            "width_saturation", lambda run, rng: saturating(run, rng, slope=0.1 / 0.9), repeat
        )

    # Slopes just over the margin: each part errs at 5 %, both together less.
    counts = count_verdicts(claims["width_saturation"], at_margin, 40)
    assert counts[Verdict.SUPPORTED] <= 5


def test_the_figure_shows_what_was_measured(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["width_saturation"]
    measured = claim.measure(plant("width_saturation", saturating))
    with theme():
        figure = claim.draw(measured)
        files = figure_files(figure, {})
    assert set(figure.drawn["panel"]) == {"rank", "distinct_neurons", "test_loss"}
    assert set(figure.drawn["runs"].dropna()) == {"gamma = 0"}
    assert len(figure.drawn) == (3 * 2 + 1) * 6
    assert b"<svg" in files["svg"]
