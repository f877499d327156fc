import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "rank_scaling_law_depth"


def test_the_exact_law_is_supported(claims, plant_spectrum):
    finding = judge_store(claims[NAME], plant_spectrum(NAME))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect is not None
    assert finding.effect < 0.03


def test_the_exponents_are_those_of_the_depth(claims, plant_spectrum):
    rules = [part.rule for part in judge_store(claims[NAME], plant_spectrum(NAME)).parts]
    exact = ("-1.500", "-0.750", "-0.500", "-1.333", "-0.667", "-0.444")
    assert rules == [f"within 0.07 of {slope}" for slope in exact]


@pytest.mark.parametrize("tilt", [0.4, -0.3])
def test_another_exponent_is_refuted(claims, plant_spectrum, tilt):
    assert (
        judge_store(claims[NAME], plant_spectrum(NAME, tilt=tilt, seeds=8)).verdict
        is Verdict.REFUTED
    )


def test_runs_that_still_move_are_no_evidence(claims, plant_spectrum):
    finding = judge_store(claims[NAME], plant_spectrum(NAME, grad_ratio=1e-3))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 300),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(10, 1, marks=pytest.mark.slow)])
def test_an_exponent_at_the_margin_is_seldom_supported(claims, plant_spectrum, repeats, most):
    def at_margin(repeat):
        return plant_spectrum(NAME, tilt=0.2, noise=0.7, repeat=repeat)

    assert count_verdicts(claims[NAME], at_margin, repeats)[Verdict.SUPPORTED] <= most


def test_the_figure_has_a_panel_a_depth(claims, plant_spectrum):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant_spectrum(NAME)))
        files = figure_files(figure, {})
    assert set(figure.drawn["panel"]) == {"depth = 3", "depth = 4", "residuals"}
    assert b"<svg" in files["svg"]
