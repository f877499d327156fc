import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "adaptive_capacity_fixed_noise"


def test_capacity_that_adapts_as_claimed_is_supported(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity())
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.effect == pytest.approx(-1.0)
    assert finding.p_value is not None
    assert finding.p_value < 0.05


def test_capacity_that_adapts_the_other_way_is_refuted(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity(way=-1, seeds=6))
    assert finding.verdict is Verdict.REFUTED
    assert finding.p_value is not None
    assert finding.p_value < 0.02


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.slow
def test_capacity_that_does_not_depend_is_seldom_supported(claims, plant_capacity):
    def unrelated(repeat):
        return plant_capacity(way=0, noise=0.3, repeat=repeat)

    assert count_verdicts(claims[NAME], unrelated, 12)[Verdict.SUPPORTED] <= 2


def test_minima_that_are_not_are_no_evidence(claims, plant_capacity):
    finding = judge_store(claims[NAME], plant_capacity(grad_ratio=1e-3))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 55),)


def test_only_one_factor_changes_at_a_time(claims, plant_capacity):
    runs = claims[NAME].measure(plant_capacity()).runs
    assert sorted(runs["label_noise"].unique()) == [0, 1, 3]
    assert len(runs) == 5 * 3


def test_the_figure_has_a_panel_a_measure(claims, plant_capacity):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant_capacity()))
        files = figure_files(figure, {})
    assert figure.drawn["panel"].nunique() == 3
    assert b"<svg" in files["svg"]
