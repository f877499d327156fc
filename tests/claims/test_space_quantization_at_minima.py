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
        "min_distance": gamma**slope * np.exp(noise * rng.normal()),
        "objective": 1.0,
        "merge_gain": gain,
        "grad_ratio": gradient,
    }


def judge(claims, plant, **options):
    return judge_store(claims[NAME], plant(NAME, lambda run, rng: quantized(run, rng, **options)))


def verdicts(finding, letter):
    return {part.verdict for part in finding.parts if f"({letter})" in part.name and part.decides}


def test_planted_quantization_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == pytest.approx(0.5, abs=0.1)
    assert finding.seeds == 5


def test_planted_shrinking_of_distances_is_refuted(claims, plant):
    finding = judge(claims, plant, slope=-0.5)
    assert finding.verdict is Verdict.REFUTED
    assert verdicts(finding, "e") == {Verdict.REFUTED}
    assert verdicts(finding, "d") == {Verdict.SUPPORTED}


def test_planted_growth_with_width_is_refuted(claims, plant):
    assert verdicts(judge(claims, plant, grows=1.0), "c") == {Verdict.REFUTED}


def test_a_better_merge_says_that_the_minimum_was_missed(claims, plant):
    finding = judge(claims, plant, gain=1e-3)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert verdicts(finding, "a") == {Verdict.INCONCLUSIVE}


def test_runs_that_have_not_converged_are_no_evidence(claims, plant):
    finding = judge(claims, plant, gradient=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert {why.split(":")[0] for why, _ in finding.excluded} == {"tanh", "silu", "linear"}


def test_a_collapsed_layer_has_no_neurons(claims, plant):
    def collapsed(run, rng):
        values = quantized(run, rng)
        return {**values, "max_norm": 1e-8} if run.cell.train.gamma > 0.2 else values

    claim = claims[NAME]
    measured = claim.measure(plant(NAME, collapsed))
    assert set(measured.runs.loc[measured.runs["gamma"] > 0.2, "count"]) == {0}


def test_a_distance_that_does_not_depend_on_gamma_is_seldom_refuted(claims, plant):
    def null(repeat):
        return plant(NAME, lambda run, rng: quantized(run, rng, slope=0.0, noise=0.5), repeat)

    # Two activations decide, each refuted at 2.5 %.
    assert count_verdicts(claims[NAME], null, 12)[Verdict.REFUTED] <= 3
