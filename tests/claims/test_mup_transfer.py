import numpy as np
import pytest

from analysis.claims.mup_transfer import best_rate
from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "mup_transfer"


def bowl(run, mup=0.0, standard=-1.0, noise=0.05):
    """Losses with a minimum in the rate that goes with a power of the width; then divergence."""
    model, train = run.cell.model, run.cell.train
    slope = mup if model.parametrization == "mup" else standard
    # One place a seed and width, whatever the rate.
    place = np.random.default_rng([run.seed, model.width])
    best = 0.016 * (model.width / 32) ** slope * np.exp(noise * place.normal())
    away = np.log(train.lr / best)
    if away > np.log(12):
        return {"outcome": "diverged", "train_loss": 1e-6}
    return {"train_loss": float(0.01 * np.exp(away**2))}


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, _: bowl(run, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def test_a_rate_that_stays_in_mup_and_falls_elsewhere_supports(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 12
    slopes = [part.effect for part in finding.parts]
    assert slopes == pytest.approx([0.0, 1.0], abs=0.05)


@pytest.mark.parametrize(
    ("options", "verdicts"),
    [
        ({"mup": -0.6}, ["refuted", "supported"]),
        ({"mup": 0.6}, ["refuted", "supported"]),
        ({"standard": -0.2}, ["supported", "refuted"]),
    ],
)
def test_a_wrong_part_refutes(claims, plant, options, verdicts):
    finding = judge(claims, plant, seeds=10, **options)
    assert finding.verdict is Verdict.REFUTED
    assert [part.verdict.label for part in finding.parts] == verdicts


def test_a_best_rate_at_the_end_of_the_grid_is_no_evidence(claims, plant):
    assert judge(claims, plant, standard=-2.5).verdict is not Verdict.SUPPORTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_a_slope_at_the_margin_is_seldom_supported(claims, plant):
    def at_margin(repeat):
        def measures(run, _):
            tilt = np.random.default_rng([repeat, run.seed]).normal()
            return bowl(run, mup=1 / 3 + 0.05 * tilt)

        return plant(NAME, measures, repeat)

    assert count_verdicts(claims[NAME], at_margin, 10)[Verdict.SUPPORTED] <= 1


def test_the_best_rate_lies_between_those_of_the_grid():
    rates = 2.0 ** np.arange(-8.0, 0.0)
    losses = np.exp((np.log(rates) + 3.1) ** 2)
    assert best_rate(rates[::-1], losses[::-1]) == pytest.approx(np.exp(-3.1))
    beside = np.where(rates > rates[losses.argmin()], np.inf, losses)
    assert best_rate(rates, beside) == rates[losses.argmin()]
    assert np.isnan(best_rate(rates, rates))


def test_the_figure_has_a_panel_a_parametrisation(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        figure = claim.draw(claim.measure(plant(NAME, lambda run, _: bowl(run))))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) == {"mup", "standard"}
    assert set(figure.drawn["width"]) == {32, 64, 128, 256}
