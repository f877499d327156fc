import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "width_saturation_noise"


def test_planted_saturation_is_supported(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths())
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 6
    assert finding.p_value is not None
    assert finding.p_value < 0.05


def test_settled_ranks_that_grow_with_width_are_refuted(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths(slope=0.5, seeds=10))
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_ranks_that_still_fall_are_no_evidence(claims, plant_widths, slope):
    finding = judge_store(claims[NAME], plant_widths(slope=slope, fall=0.2))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "falling by" in finding.parts[0].name
    assert "More steps would decide" in finding.reason


def test_saturation_without_noise_too_is_refuted(claims, plant_widths):
    assert judge_store(claims[NAME], plant_widths(free=0.1, seeds=10)).verdict is Verdict.REFUTED


def test_a_test_loss_that_depends_on_width_is_refuted(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths(loss_slope=-0.5, seeds=10))
    by_name = {part.name.split(" ", 2)[0]: part.verdict for part in finding.parts if part.decides}
    assert by_name["test"] is Verdict.REFUTED


def test_the_largest_temperature_decides(claims, plant_widths):
    finding = judge_store(claims[NAME], plant_widths())
    deciding = [part.name for part in finding.parts if part.decides]
    assert ["lr over batch = 0.015" in name for name in deciding] == [True, True, True, False]
    assert sum(not part.decides for part in finding.parts) == 9


def test_runs_that_diverged_leave_the_claim_without_evidence(claims, plant):
    finding = judge_store(claims[NAME], plant(NAME, lambda run, rng: {"outcome": "diverged"}))
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("did not end as planned", 72),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 1, marks=pytest.mark.slow)])
def test_growth_at_the_margin_is_seldom_called_flat(claims, plant_widths, repeats, most):
    counts = count_verdicts(
        claims[NAME], lambda repeat: plant_widths(slope=0.11, repeat=repeat), repeats
    )
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_shows_ranks_and_losses(claims, plant_widths):
    from symstudy.plots.figures import figure_files, theme

    with theme():
        figure = claims[NAME].draw(claims[NAME].measure(plant_widths()))
        files = figure_files(figure, {})
    assert set(figure.drawn["panel"]) == {"rank", "first_rank", "test_loss"}
    assert set(figure.drawn["runs"].dropna()) == {"arm = 'nothing'"}
    assert figure.drawn["lr_over_batch"].nunique() == 3
    assert b"<svg" in files["svg"]
