import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "space_quantization_at_minima"


def quantized(run, rng, slope=0.5, grows=0.0, gain=1e-15, falls=True, noise=0.1, gradient=1e-9):
    """Counts fall with gamma and saturate; distances grow as gamma^slope."""
    gamma, width = run.cell.train.gamma, run.cell.model.width
    count = 6 * gamma**-0.3 if falls else 6 + int(rng.integers(-2, 3))
    count = max(1, round(min(count * (width / 64) ** grows, width)))
    return {
        "distinct_neurons": count,
        "weight_rank": count,
        "distinct_directions": count,
        "max_norm": 1.0,
        "distance_gap": gamma**slope * np.exp(noise * rng.normal()),
        "objective": 1.0,
        "merge_gain": gain,
        "grad_ratio": gradient,
    }


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, rng: quantized(run, rng, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def verdicts(finding, subject):
    """Return the verdicts of the deciding parts whose name begins with what they are about."""
    found = [part for part in finding.parts if part.name.startswith(subject) and part.decides]
    assert len(found) > 1
    return {part.verdict for part in found}


def test_planted_quantization_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(0.5, abs=0.1)
    assert finding.seeds == 5


def test_distances_that_go_as_gamma_squared_are_refuted(claims, plant):
    finding = judge(claims, plant, seeds=10, slope=2.0)
    assert finding.verdict is Verdict.REFUTED
    assert verdicts(finding, "exponent of the smallest distance") == {Verdict.REFUTED}
    assert verdicts(finding, "count against gamma") == {Verdict.SUPPORTED}


def test_distances_that_fall_as_gamma_grows_leave_the_claim_open(claims, plant):
    finding = judge(claims, plant, seeds=10, slope=-0.5)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert verdicts(finding, "least exponent over 3") == {Verdict.INCONCLUSIVE}


def test_planted_growth_with_width_is_refuted(claims, plant):
    finding = judge(claims, plant, seeds=10, grows=1.0)
    assert finding.verdict is Verdict.REFUTED
    assert verdicts(finding, "count against width") == {Verdict.REFUTED}


def test_a_better_merge_says_that_the_minimum_was_missed(claims, plant):
    finding = judge(claims, plant, gain=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("a merge lowers the objective", 360),)


def test_runs_that_have_not_converged_are_no_evidence(claims, plant):
    finding = judge(claims, plant, gradient=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 360),)


def test_a_gamma_at_which_layers_collapse_is_no_evidence(claims, plant):
    def collapsed(run, rng):
        values = quantized(run, rng)
        return {**values, "max_norm": 1e-8} if run.cell.train.gamma > 0.2 else values

    measured = claims[NAME].measure(plant(NAME, collapsed))
    counts = next(x.frame for x in measured.data.loaded.values() if "neurons" in x.frame)
    assert counts["gamma"].max() < 0.2
    assert ("a layer collapsed", 45) in measured.data.excluded


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 3, marks=pytest.mark.slow)])
def test_a_distance_that_does_not_depend_on_gamma_is_seldom_refuted(claims, plant, repeats, most):
    def null(repeat):
        return plant(NAME, lambda run, rng: quantized(run, rng, slope=0.0, noise=0.1), repeat)

    # Two activations decide, each refuted at 5 % over the number of parts.
    assert count_verdicts(claims[NAME], null, repeats)[Verdict.REFUTED] <= most
