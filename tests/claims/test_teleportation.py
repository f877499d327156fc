import numpy as np
import pytest

from analysis.claims.teleportation import lowest_loss
from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "teleportation"


def bowl(run, gain=-0.3, noise=0.02, best=0.04):
    """Losses with a minimum in the rate, which teleportation lowers by a factor."""
    train = run.cell.train
    is_moved = train.optimizer.teleport_every > 0
    scatter = np.random.default_rng([run.seed, int(is_moved)]).normal()
    away = np.log(train.lr / best)
    if away > np.log(6):
        return {"outcome": "diverged", "train_loss": 1e-6}
    return {"train_loss": float(0.01 * np.exp(away**2 + gain * is_moved + noise * scatter))}


def judge(claims, plant, **options):
    return judge_store(claims[NAME], plant(NAME, lambda run, _: bowl(run, **options)))


def test_a_lower_loss_at_the_best_rate_supports(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 12
    assert finding.parts[0].effect == pytest.approx(-0.3, abs=0.05)


@pytest.mark.parametrize("gain", [0.0, 0.2])
def test_a_loss_that_is_no_lower_refutes(claims, plant, gain):
    assert judge(claims, plant, gain=gain).verdict is Verdict.REFUTED


def test_the_smallest_rate_is_reported_and_decides_nothing(claims, plant):
    def only_slow(run, _):
        row = bowl(run, gain=0.2)
        is_slow = run.cell.train.lr < 0.006 and run.cell.train.optimizer.teleport_every > 0
        return {**row, "train_loss": row["train_loss"] * (0.5 if is_slow else 1.0)}

    finding = judge_store(claims[NAME], plant(NAME, only_slow))
    assert finding.verdict is Verdict.REFUTED
    effect = finding.parts[1].effect
    assert effect is not None
    assert effect < -0.3


def test_a_best_rate_at_the_end_of_the_grid_is_no_evidence(claims, plant):
    assert judge(claims, plant, best=0.001).verdict not in {Verdict.SUPPORTED, Verdict.REFUTED}


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_a_gain_at_the_margin_is_seldom_supported(claims, plant):
    def at_margin(repeat):
        def measures(run, _):
            tilt = np.random.default_rng([repeat, run.seed]).normal()
            return bowl(run, gain=-0.05 + 0.05 * tilt, noise=0.0)

        return plant(NAME, measures, repeat)

    assert count_verdicts(claims[NAME], at_margin, 10)[Verdict.SUPPORTED] <= 1


def test_the_lowest_loss_lies_inside_of_the_grid():
    rates = np.array([0.04, 0.01, 0.02])
    assert lowest_loss(rates, np.array([2.0, 3.0, 1.0])) == 1.0
    assert lowest_loss(rates, np.array([np.inf, 3.0, 1.0])) == 1.0
    assert np.isnan(lowest_loss(rates, np.array([0.5, 3.0, 1.0])))


def test_the_figure_has_a_line_each_way(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        figure = claim.draw(claim.measure(plant(NAME, lambda run, _: bowl(run))))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["teleport_every"]) == {0, 100}
