import pytest

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

CLAIM = "adaptive_capacity_transformer_noise"


def test_a_planted_dependence_is_supported(claims, plant_attention):
    finding = judge_store(claims[CLAIM], plant_attention({"label_noise": -4.0}))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.effect is not None
    assert -finding.effect >= 0.8
    (part,) = [part for part in finding.parts if part.decides]
    assert part.p_value is not None
    assert part.p_value <= 0.05
    assert "adamw, gamma = 0.3" in part.name


def test_the_opposite_is_refuted(claims, plant_attention):
    finding = judge_store(claims[CLAIM], plant_attention({"label_noise": 4.0}))
    assert finding.verdict is Verdict.REFUTED


def test_other_factors_decide_nothing(claims, plant_attention):
    store = plant_attention({"input_scale": 4.0, "task_dim": 4.0}, spread=0.0)
    finding = judge_store(claims[CLAIM], store)
    # Nothing changes along the sweep, in any seed.
    assert finding.verdict is Verdict.REFUTED
    assert finding.effect == 0.0


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 2, marks=pytest.mark.slow)])
def test_no_dependence_is_seldom_supported(claims, plant_attention, repeats, most):
    def without(repeat):
        return plant_attention({}, spread=2.0, repeat=repeat)

    assert count_verdicts(claims[CLAIM], without, repeats)[Verdict.SUPPORTED] <= most


def test_two_seeds_decide_nothing(claims, plant_attention):
    def unfinished(run, row):
        return {**row, "outcome": "done" if run.seed < 2 else "diverged"}

    finding = judge_store(claims[CLAIM], plant_attention({"label_noise": -4.0}, change=unfinished))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "2 seeds, and no fewer than 5 can decide" in finding.reason
    assert finding.excluded == (("did not end as planned", 81),)
