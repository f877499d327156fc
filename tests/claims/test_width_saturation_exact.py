import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "width_saturation_exact"


def exact(run, rng, wrong=0.0, off=0.0, gradient=1e-9):
    """Minima as the closed form has them, but for a share `wrong` of counts one too many."""
    gamma, width = run.cell.train.gamma, run.cell.model.width
    values = np.arange(1, 17) ** -1.0
    kept = np.maximum(values - gamma, 0)[:width]
    return {
        "weight_rank": int((kept > 0).sum()) + int(rng.random() < wrong),
        "objective": float((values**2).sum() - (kept**2).sum()) * (1 + off),
        "grad_ratio": gradient,
    }


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, rng: exact(run, rng, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def test_the_planted_closed_form_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect == 1.0
    assert [part.name for part in finding.parts] == [
        "weight rank as theory gives it at activation = linear",
        "weight rank as theory gives it at activation = relu",
    ]


@pytest.mark.parametrize("options", [{"wrong": 0.8}, {"off": 1e-4}])
def test_other_counts_or_objectives_are_refuted(claims, plant, options):
    assert judge(claims, plant, seeds=8, **options).verdict is Verdict.REFUTED


def test_runs_that_have_not_converged_are_no_evidence(claims, plant):
    finding = judge(claims, plant, gradient=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 300),)


@pytest.mark.parametrize("repeats", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_counts_off_by_one_in_a_third_of_the_runs_are_never_supported(claims, plant, repeats):
    counts = count_verdicts(
        claims[NAME],
        lambda repeat: plant(NAME, lambda run, rng: exact(run, rng, wrong=0.33), repeat),
        repeats,
    )
    assert counts[Verdict.SUPPORTED] == 0
