import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

START = 1e-55


def growing(run, rng, slope=-1.0, intercept=1.0, start=START):
    """The rate changes sign at gamma = intercept + slope 2 T, for inputs of variance 1."""
    train = run.cell.train
    temperature = train.lr / train.batch_size
    rate = intercept + 2.0 * slope * temperature - train.gamma
    norm = lambda step: start * np.exp(2.0 * rate * train.lr * step)  # noqa: E731  # a formula
    return {
        "theta_norm": min(norm(train.steps), 1.0),
        "history": [{"step": step, "theta_norm": norm(step)} for step in (0, 1000, 12000)],
    }


SLOPE = "slope of the critical line over v at batch size = "
END = "critical line at T = 0 over m at batch size = "


def judge(claims, plant, **options):
    store = plant("noise_weight_decay_equivalence", lambda run, rng: growing(run, rng, **options))
    return judge_store(claims["noise_weight_decay_equivalence"], store)


def test_the_exact_line_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(-1.0, abs=1e-6)
    assert finding.seeds == 10
    for batch in (8, 32):
        assert finding.part(f"{SLOPE}{batch}").effect == pytest.approx(-1)
        assert finding.part(f"{END}{batch}").effect == pytest.approx(1)


@pytest.mark.parametrize("options", [{"slope": 0.0}, {"slope": -1.3}, {"intercept": 0.95}])
def test_another_line_is_refuted(claims, plant, options):
    assert judge(claims, plant, **options).verdict is Verdict.REFUTED


def test_noise_of_one_batch_size_alone_is_refuted(claims, plant):
    def measures(run, rng):
        return growing(run, rng, slope=-1.0 if run.cell.train.batch_size == 8 else -0.5)

    store = plant("noise_weight_decay_equivalence", measures)
    finding = judge_store(claims["noise_weight_decay_equivalence"], store)
    assert finding.part(SLOPE + "8").verdict is Verdict.SUPPORTED
    assert finding.part(SLOPE + "32").verdict is Verdict.REFUTED
    assert finding.verdict is Verdict.REFUTED


def test_runs_that_are_not_small_are_no_evidence(claims, plant):
    finding = judge(claims, plant, start=1e30)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("small for less than 50% of the steps", 720),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(15, 1, marks=pytest.mark.slow)])
def test_a_slope_at_the_margin_is_seldom_supported(claims, plant, repeats, most):
    def at_margin(repeat):
        def measures(run, rng):
            noise = np.random.default_rng([repeat, run.seed, run.cell.train.batch_size])
            return growing(run, rng, slope=-0.9 + 0.1 * noise.normal())

        return plant("noise_weight_decay_equivalence", measures, repeat)

    # Two batch sizes, each supported at 5 %.
    counts = count_verdicts(claims["noise_weight_decay_equivalence"], at_margin, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_has_a_panel_for_slope_and_end(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["noise_weight_decay_equivalence"]
    measured = claim.measure(plant("noise_weight_decay_equivalence", growing))
    with theme():
        figure = claim.draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {SLOPE + "8", END + "8"}
    assert len(figure.drawn) == 4
