import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def spinodal(depth):
    share = (depth - 2) / (2 * depth - 2)
    return 1.0 if depth == 2 else share ** (2 - 2 / depth) * depth / (depth - 2)


def branch(depth, gamma):
    """Return the larger solution of 1 = s + gamma s^((2 - D) / D), or the last there is."""
    s = np.linspace(1.0, 1e-3, 20001)
    residual = s + gamma * s ** ((2 - depth) / depth) - 1.0
    below = np.flatnonzero(residual <= 0)
    return s[below[0]] if len(below) else (depth - 2) / (2 * depth - 2)


def gapped(run, rng, shift=1.0, floor=1.0, shallow=True, recovers=False, grad_ratio=1e-9):
    """Collapse at `shift` times the spinodal; the smallest value at `floor` times the floor."""
    depth, gamma = run.cell.model.depth, run.cell.train.gamma
    is_small = run.cell.model.init_scale < 1
    alive = gamma < shift * spinodal(depth) and (depth == 2 or not is_small or recovers)
    largest = branch(depth, gamma)
    lowest = (gamma * (depth - 2) / depth) ** (depth / (2 * depth - 2))
    if depth == 2:
        largest = largest if shallow else max(largest, 0.2)
    smallest = floor * 1.05 * lowest if depth > 2 else largest
    return {
        "weight_largest": largest ** (1 / depth) if alive else 1e-9,
        "weight_smallest": min(smallest, largest) ** (1 / depth) if alive else 1e-9,
        "grad_ratio": grad_ratio,
    }


def judge(claims, plant, seeds=None, **options):
    store = plant("depth_gap", lambda run, rng: gapped(run, rng, **options), seeds=seeds)
    return judge_store(claims["depth_gap"], store)


def test_the_exact_gap_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(1.0, abs=0.01)
    assert finding.seeds == 5
    assert len(finding.parts) == 2 + 3 + 3


@pytest.mark.parametrize("shift", [0.93, 1.08])
def test_a_collapse_elsewhere_is_refuted(claims, plant, shift):
    finding = judge(claims, plant, seeds=10, shift=shift)
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == pytest.approx(shift, abs=0.03)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"floor": 0.9}, "smallest learned value over the floor at depth = 3"),
        ({"recovers": True}, "share of small starts that stay at 0 at depth = 4"),
        ({"shallow": False}, "smallest learned value over the target's at depth = 2"),
    ],
)
def test_a_wrong_part_refutes(claims, plant, options, name):
    finding = judge(claims, plant, seeds=10, **options)
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(name).verdict is Verdict.REFUTED


def test_runs_that_still_move_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-5)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 510),)


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
def test_a_collapse_beyond_the_margin_is_seldom_supported(claims, plant, repeats, most):
    def at_margin(repeat):
        def measures(run, rng):
            place = np.random.default_rng([repeat, run.seed, run.cell.model.depth])
            return gapped(run, rng, shift=1.04 + 0.01 * place.normal())

        return plant("depth_gap", measures, repeat)

    counts = count_verdicts(claims["depth_gap"], at_margin, repeats)
    assert counts[Verdict.SUPPORTED] <= most


def test_the_figure_has_a_panel_a_depth(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["depth_gap"]
    with theme():
        figure = claim.draw(claim.measure(plant("depth_gap", gapped)))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["panel"]) >= {"2 layers", "3 layers", "4 layers"}
    assert "collapse over the spinodal at depth = 3" in set(figure.drawn["panel"])
    assert (figure.drawn["mark"] == "largest, small start").sum() == 3 * 17
