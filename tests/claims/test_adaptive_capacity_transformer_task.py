import pytest

from symstudy.findings import Verdict
from symstudy.plots.figures import figure_files, theme
from symstudy.testing.claims import count_verdicts, judge_store

CLAIM = "adaptive_capacity_transformer_task"


def test_a_planted_dependence_is_supported(claims, plant_attention):
    finding = judge_store(claims[CLAIM], plant_attention({"task_dim": 4.0}))
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.effect is not None
    assert finding.effect >= 0.8
    (part,) = [part for part in finding.parts if part.decides]
    assert part.p_value is not None
    assert part.p_value <= 0.05
    assert "adamw, gamma = 0.3" in part.name


def test_the_opposite_is_refuted(claims, plant_attention):
    finding = judge_store(claims[CLAIM], plant_attention({"task_dim": -4.0}))
    assert finding.verdict is Verdict.REFUTED


def test_other_factors_decide_nothing(claims, plant_attention):
    store = plant_attention({"input_scale": 4.0, "label_noise": 4.0}, spread=0.0)
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

    finding = judge_store(claims[CLAIM], plant_attention({"task_dim": 4.0}, change=unfinished))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "2 seeds, and no fewer than 5 can decide" in finding.reason
    assert finding.excluded == (("did not end as planned", 81),)


def test_adam_is_reported_and_decides_nothing(claims, plant_attention):
    def turned(run, row):
        if run.cell.train.optimizer.kind == "adamw":
            return row
        return {name: 16.0 - value for name, value in row.items()}

    finding = judge_store(claims[CLAIM], plant_attention({"task_dim": 4.0}, change=turned))
    assert finding.verdict is Verdict.SUPPORTED
    beside = {part.name: part.verdict for part in finding.parts if not part.decides}
    assert sum(verdict is Verdict.REFUTED for verdict in beside.values()) == 2
    assert len(beside) == 5


def test_the_figure_has_a_line_for_each_optimiser_and_gamma(claims, plant_attention):
    claim = claims[CLAIM]
    measured = claim.measure(plant_attention({"task_dim": 4.0}))
    with theme():
        figure = claim.draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    assert set(figure.drawn.groupby("panel").size()) == {3 * 3}
