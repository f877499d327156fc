import numpy as np
import pytest
from scipy import optimize

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

END = 3 * 0.25 ** (4 / 3)
"""The spinodal of three layers and a singular value of 1."""


def looped(run, shift=1.0, off=1.0, recovers=0.0, grad_ratio=1e-9):
    """Collapse at `shift` times the spinodal; values off by a factor; recovery below a share."""
    model, gamma = run.cell.model, run.cell.train.gamma
    is_alive = gamma < END * (recovers if model.init_scale < 1 else shift)
    held = min(gamma, END * (1 - 1e-9))
    value = off * optimize.brentq(lambda s: s + held * s ** (-1 / 3) - 1, 0.25, 1.0)
    weight = (value if is_alive else 1e-9) ** (1 / model.depth)
    return {"weight_largest": weight, "weight_smallest": weight, "grad_ratio": grad_ratio}


def judge(claims, plant, seeds=None, **options):
    store = plant("depth_gap", lambda run, _: looped(run, **options), seeds=seeds)
    return judge_store(claims["hysteresis"], store)


def test_the_exact_loop_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(1.0, abs=0.01)
    assert finding.seeds == 5
    # Five seeds that all end at one point are five seeds, whatever the spread.
    assert finding.p_value == pytest.approx(2.0**-5)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"shift": 0.95}, "collapse over the spinodal at depth = 3"),
        ({"shift": 1.05}, "collapse over the spinodal at depth = 3"),
        ({"off": 1.03}, "learned before the collapse, over the exact value at depth = 3"),
        ({"recovers": 0.3}, "share recovered on the way down at depth = 3"),
    ],
)
def test_a_wrong_end_of_the_loop_refutes(claims, plant, options, name):
    finding = judge(claims, plant, seeds=10, **options)
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(name).verdict is Verdict.REFUTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 1, marks=pytest.mark.slow)])
def test_a_collapse_beyond_the_margin_is_seldom_supported(claims, plant, repeats, most):
    def at_margin(repeat):
        def measures(run, _):
            rng = np.random.default_rng([repeat, run.seed])
            return looped(run, shift=0.96 + 0.01 * rng.normal())

        return plant("depth_gap", measures, repeat)

    counts = count_verdicts(claims["hysteresis"], at_margin, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_runs_that_still_move_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-5)
    assert finding.verdict is Verdict.UNTESTED
    assert sum(count for _, count in finding.excluded) == 510


def test_the_figure_shows_both_ways(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["hysteresis"]
    with theme():
        figure = claim.draw(claim.measure(plant("depth_gap", lambda run, _: looped(run))))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert figure.drawn.groupby("way").size().to_dict() == {"down": 17, "up": 17}
    assert {"loop", "collapse over the spinodal at depth = 3"} <= set(figure.drawn["panel"])
