import numpy as np
import pytest

from symstudy.findings import Verdict
from symstudy.plots.figures import figure_files, theme
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "teacher_student_transformer"


def degrees(run, rng, task=1.0, head=0.0, spread=0.01):
    """Mean degree of a pair; in the store it is a mean over layers, so it may be no integer."""
    data, model = run.cell.data, run.cell.model
    level = np.log(1.2) + task * np.log(data.task_dim) + head * np.log(model.head_dim / 8)
    count = float(np.exp(level + spread * rng.normal()))
    return {"query_key_breaking": count, "value_output_breaking": count, "head_directions": 8}


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, rng: degrees(run, rng, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def test_degrees_of_the_task_are_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.seeds == 5
    assert finding.effect == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("options", [{"head": 0.3}, {"task": 0.0, "head": 0.3}, {"task": -1.0}])
def test_degrees_of_the_head_are_refuted(claims, plant, options):
    # Refuting any of eight parts takes eight seeds and more.
    assert judge(claims, plant, seeds=8, **options).verdict is Verdict.REFUTED


@pytest.mark.slow  # `make test-rules` measures the level of the claim
@pytest.mark.parametrize(("repeats", "most"), [(4, 1), pytest.param(12, 1, marks=pytest.mark.slow)])
def test_no_dependence_is_seldom_supported(claims, plant, repeats, most):
    def without(repeat):
        return plant(NAME, lambda run, rng: degrees(run, rng, task=0.0, spread=0.2), repeat)

    assert count_verdicts(claims[NAME], without, repeats)[Verdict.SUPPORTED] <= most


def test_two_seeds_decide_nothing(claims, plant):
    def measures(run, rng):
        return {**degrees(run, rng), "outcome": "done" if run.seed < 2 else "diverged"}

    finding = judge_store(claims[NAME], plant(NAME, measures))
    assert finding.verdict in (Verdict.UNTESTED, Verdict.INCONCLUSIVE)
    assert finding.excluded == (("did not end as planned", 27),)


def test_the_figure_has_a_line_for_each_head_and_each_task(claims, plant):
    claim = claims[NAME]
    measured = claim.measure(plant(NAME, degrees))
    with theme():
        figure = claim.draw(measured)
        assert b"<svg" in figure_files(figure, {})["svg"]
    lines = figure.drawn[figure.drawn["panel"] == "count"]
    assert len(lines) == 2 * 9
    assert set(lines["seeds"]) == {5}
