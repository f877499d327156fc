import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import judge_store


def quantized(run, rng, slope=1.0, falls=True, budget=50.0, noise=0.15):
    """Distances grow as gamma^slope; the count falls with gamma, whatever the width."""
    gamma = run.cell.train.gamma
    count = max(2, round(3.0 * gamma**-0.3)) if falls else 8 + int(rng.integers(-2, 3))
    distance = gamma**slope * np.exp(noise * rng.normal())
    return {
        "distinct_neurons": count,
        "distinct_curve": [count + 2, count + 1, count, count, count, count, 1],
        "min_distance": distance,
        "distance_gap": distance,
        # A simplex: exactly as many as the bound allows.
        "squared_norm": (count - 1) * distance**2 / 2,
        "decay_budget": budget,
    }


BASE = "label noise = 0, lr over batch = 0.0016, width = 64"
EXPONENT = f"exponent of the smallest distance in gamma at {BASE}"
FALL = f"least exponent over 3 neighbouring gammas at {BASE}"
COUNT = f"distinct neurons against gamma at {BASE}"
FITS = "neurons beyond what fits"
PAIRED = (
    "ln distinct neurons at label noise 0.5 less that at 0 at width = 64, lr over batch = 0.0016"
)


def judge(claims, plant, seeds=None, **options):
    store = plant(
        "space_quantization", lambda run, rng: quantized(run, rng, **options), seeds=seeds
    )
    return judge_store(claims["space_quantization"], store)


def test_planted_quantization_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(1.0, abs=0.15)
    assert finding.part(COUNT).effect == pytest.approx(-1.0)


def test_distances_that_fall_as_gamma_grows_leave_the_claim_open(claims, plant):
    # All of them are above some c gamma, and none is seen to end.
    finding = judge(claims, plant, seeds=8, slope=-0.5)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.part(EXPONENT).verdict is Verdict.SUPPORTED
    assert "does not refute it" in finding.part(FALL).note
    assert finding.part(COUNT).verdict is Verdict.SUPPORTED


def test_a_count_that_does_not_fall_is_not_supported(claims, plant):
    assert judge(claims, plant, falls=False).verdict is not Verdict.SUPPORTED


def test_runs_without_a_decay_budget_are_no_evidence(claims, plant):
    finding = judge(claims, plant, budget=5.9)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("decay budget below 6", 720),)


@pytest.mark.parametrize("gammas", [1, 5])
def test_of_few_gammas_nothing_is_said_of_whether_counts_fall(claims, plant, gammas):
    # Over one gamma no count falls at any threshold: that is no refutation.
    few: set[float] = set()

    def at_few(run, rng):
        few.update({run.cell.train.gamma} if len(few) < gammas else ())
        return quantized(run, rng, budget=50.0 if run.cell.train.gamma in few else 0.0)

    store = plant("space_quantization", at_few, seeds=8)
    finding = judge_store(claims["space_quantization"], store)
    assert len(few) == gammas
    assert finding.verdict is Verdict.INCONCLUSIVE
    (share,) = [part for part in finding.parts if "share of thresholds" in part.name]
    assert share.verdict is Verdict.UNTESTED


def test_neurons_that_still_merge_are_no_evidence(claims, plant):
    def merging(run, rng):
        values = quantized(run, rng)
        count = values["distinct_neurons"]
        early = {"step": run.cell.train.steps // 5, "layer": 1, "neurons": 64, "max_norm": 1.0}
        return {**values, "layers": [{**early, "distinct_neurons": 2 * count, "distance_gap": 1.0}]}

    finding = judge_store(claims["space_quantization"], plant("space_quantization", merging))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert ("neurons still merge, or all are distinct without a minimum", 720) in finding.excluded
    why = "no gap between copies and distinct neurons, or it still moves"
    assert (why, 720) in finding.excluded


def test_a_count_that_falls_at_one_threshold_alone_is_not_supported(claims, plant):
    def judged_only(run, rng):
        values = quantized(run, rng)
        curve = [9, 9, 9, values["distinct_neurons"], 9, 9, 9]
        return {**values, "distinct_curve": curve}

    finding = judge_store(claims["space_quantization"], plant("space_quantization", judged_only))
    assert finding.verdict is not Verdict.SUPPORTED
    name = f"share of thresholds at which they fall at {BASE}"
    assert finding.part(name).effect == pytest.approx(1 / 7)


def test_a_run_without_a_gap_is_no_evidence_and_costs_no_seed(claims, plant):
    def merged(run, rng):
        values = quantized(run, rng)
        is_one = run.cell.train.gamma > 0.2 and run.seed == 1
        return {**values, "distance_gap": None} if is_one else values

    finding = judge_store(claims["space_quantization"], plant("space_quantization", merged))
    assert (finding.part(EXPONENT).verdict, finding.part(EXPONENT).seeds) == (Verdict.SUPPORTED, 5)
    why = "no gap between copies and distinct neurons, or it still moves"
    assert (why, 3 * 3 * 2) in finding.excluded


def test_more_neurons_than_fit_are_found(claims, plant):
    def impossible(run, rng):
        values = quantized(run, rng)
        return {**values, "squared_norm": values["squared_norm"] / 2}

    finding = judge_store(claims["space_quantization"], plant("space_quantization", impossible))
    assert finding.part(FITS).verdict is Verdict.REFUTED


@pytest.mark.parametrize("slope", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_exponents_that_the_conjecture_allows_are_supported(claims, plant, slope):
    # The distance above a gap has no floor: exactly gamma apart at every gamma is a planted truth.
    finding = judge(claims, plant, slope=slope, noise=0.05)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(slope, abs=0.05)


def test_a_distance_that_goes_as_gamma_squared_is_refuted(claims, plant):
    finding = judge(claims, plant, seeds=8, slope=2.0)
    assert finding.part(EXPONENT).verdict is Verdict.REFUTED
    assert finding.verdict is Verdict.REFUTED


@pytest.mark.parametrize("end", [0.02, 0.36])
def test_a_distance_that_vanishes_smoothly_leaves_the_claim_open(claims, plant, end):
    # Within the sweep or just beyond it; past the end another pair is the closest.
    def landau(run, rng):
        values = quantized(run, rng, slope=0.0, noise=0.05)
        gamma, own = run.cell.train.gamma, end * np.exp(0.1 * run.seed)
        distance = values["distance_gap"] * (1 - gamma / own) ** 0.5 if gamma < own else 5.0
        return {**values, "distance_gap": distance}

    store = plant("space_quantization", landau, seeds=8)
    finding = judge_store(claims["space_quantization"], store)
    assert finding.part(FALL).verdict is Verdict.INCONCLUSIVE
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_a_pair_that_sinks_below_the_noise_of_copies_does_not_hide_the_exponent(claims, plant):
    def sinking(run, rng):
        values = quantized(run, rng, slope=2.0, noise=0.05)
        # Taken for copies: the distance is that of the next pair.
        is_seen = values["distance_gap"] > 1e-5
        return values if is_seen else {**values, "distance_gap": 1.4}

    store = plant("space_quantization", sinking, seeds=8)
    finding = judge_store(claims["space_quantization"], store)
    assert finding.part(EXPONENT).effect == pytest.approx(2.0, abs=0.1)
    assert finding.verdict is Verdict.REFUTED


def test_the_other_axes_are_reported_beside(claims, plant):
    names = [part.name for part in judge(claims, plant).parts if not part.decides]
    assert names == [
        "slope of ln distinct neurons against ln lr / batch at label noise = 0, width = 64",
        "slope of ln smallest distance against ln lr / batch at label noise = 0, width = 64",
        "slope of ln distinct neurons against ln width at label noise = 0, lr over batch = 0.0016",
        PAIRED,
    ]


def test_the_figure_has_counts_and_distances(claims, plant):
    from symstudy.plots.figures import theme

    claim = claims["space_quantization"]
    with theme():
        figure = claim.draw(claim.measure(plant("space_quantization", quantized)))
    panels = set(figure.drawn["panel"])
    assert "neurons" in panels
    assert any(panel.startswith("exponent of") for panel in panels)
