import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store


def escaping(run, tilt=0.0, late=1.0):
    """Weights that grow at the time of escape, whose power of w_0 is 1 + tilt times the exact."""
    model, train = run.cell.model, run.cell.train
    start, depth = model.init_scale, model.depth
    if depth == 2:
        at = np.log(1 / start**2 - 1) / 4 * late
    else:
        least = {3: 0.01, 4: 0.03, 5: 0.07}[depth]
        at = start ** (2 - depth) / (2 * (depth - 2)) * late
        at *= (start / least) ** ((2 - depth) * tilt)
    steps = np.unique(np.geomspace(1, train.steps, 80).round())
    # The logit of the product is linear in time, so that the probes do not blur its passing.
    products = 1 / (1 + np.exp(-np.log(1 / start**depth - 1) * (steps * train.lr / at - 1)))
    weights = products ** (1 / depth)
    rows = [
        {"step": int(step), "layer": layer, "weight_largest": weight}
        for step, weight in zip(steps[:-1], weights[:-1], strict=True)
        for layer in range(1, depth)
    ]
    return {"layers": rows, "weight_largest": float(weights[-1])}


SLOPE = "exponent of time of escape against init scale, start = aligned, depth = "
SHALLOW = "deviation from the exact time of escape at start = aligned, depth = 2"


def judge(claims, plant, seeds=None, **options):
    store = plant("depth_escape", lambda run, _: escaping(run, **options), seeds=seeds)
    return judge_store(claims["depth_escape"], store)


def test_the_law_of_depth_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    slopes = [finding.part(f"{SLOPE}{depth}").effect for depth in (3, 4, 5)]
    np.testing.assert_allclose(slopes, [-1, -2, -3], atol=1e-3)
    assert finding.seeds == 5


@pytest.mark.parametrize("tilt", [-0.2, 0.2])
def test_another_power_is_refuted(claims, plant, tilt):
    finding = judge(claims, plant, seeds=10, tilt=tilt)
    assert finding.verdict is Verdict.REFUTED
    assert finding.part(f"{SLOPE}5").verdict is Verdict.REFUTED
    assert finding.part(SHALLOW).verdict is Verdict.SUPPORTED


def test_two_layers_that_are_late_refute(claims, plant):
    finding = judge(claims, plant, late=1.03)
    assert finding.verdict is Verdict.REFUTED
    assert [part.name for part in finding.parts if part.verdict is Verdict.REFUTED] == [SHALLOW]


def test_networks_that_stay_are_no_evidence_of_a_slope(claims, plant):
    finding = judge(claims, plant, late=3.0)
    part = finding.part(f"{SLOPE}5")
    assert (part.verdict, part.effect) == (Verdict.INCONCLUSIVE, None)
    assert finding.verdict is Verdict.REFUTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
def test_slopes_beyond_the_margin_are_seldom_supported(claims, plant):
    def at_margin(repeat):
        def measures(run, _):
            rng = np.random.default_rng([repeat, run.seed, run.cell.model.depth])
            depth = run.cell.model.depth
            return escaping(run, tilt=(0.2 + 0.02 * rng.normal()) / max(depth - 2, 1))

        return plant("depth_escape", measures, repeat)

    counts = count_verdicts(claims["depth_escape"], at_margin, 6)
    assert counts[Verdict.SUPPORTED] == 0


def test_the_figure_has_a_panel_for_the_law_of_each_depth(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims["depth_escape"]
    with theme():
        figure = claim.draw(claim.measure(plant("depth_escape", lambda run, _: escaping(run))))
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn["depth"].dropna()) == {3, 4, 5}
