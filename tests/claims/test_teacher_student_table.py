import numpy as np

from symstudy.findings import Verdict
from symstudy.testing.claims import count_verdicts, judge_store

NAME = "teacher_student_table"


def learned(run, rng, follows="task", noise=0.02, grad_ratio=1e-9):
    """Count the teacher's neurons, the student's, or neither."""
    task, capacity = run.cell.data.teacher_width, run.cell.model.width
    count = {"task": task, "capacity": capacity / 2, "both": (task * capacity) ** 0.5}.get(follows)
    if count is None:
        count = np.exp(rng.normal())
    return {
        "distinct_neurons": float(count * np.exp(noise * rng.normal())),
        "max_norm": 1.0,
        "grad_ratio": grad_ratio,
    }


def judge(claims, plant, **options):
    store = plant(NAME, lambda run, rng: learned(run, rng, **options))
    return judge_store(claims[NAME], store)


def test_a_count_that_follows_the_teacher_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect > 0.99
    assert finding.p_value < 0.05


def test_a_count_that_follows_the_student_is_refuted(claims, plant):
    assert judge(claims, plant, follows="capacity").verdict is Verdict.REFUTED
    assert judge(claims, plant, follows="both").verdict is Verdict.REFUTED


def test_weak_copies_that_only_a_finer_threshold_sees_are_reported(claims, plant):
    def weak(run, rng):
        measures = learned(run, rng, noise=0.0)
        task, lost = run.cell.data.teacher_width, run.cell.model.width == 128
        measures["distinct_neurons"] = task - (lost and task > 4)
        return {**measures, "distinct_curve": [task] * 7}

    finding = judge_store(claims[NAME], plant(NAME, weak))
    assert finding.verdict is not Verdict.SUPPORTED
    finer = [part for part in finding.parts if "at 0.003" in part.name]
    assert [part.verdict for part in finer] == [Verdict.SUPPORTED] * 5
    assert not any(part.decides for part in finer)


def test_runs_that_did_not_converge_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 100),)


def test_counts_without_any_law_are_never_supported(claims, plant):
    counts = count_verdicts(
        claims[NAME],
        lambda repeat: plant(NAME, lambda run, rng: learned(run, rng, follows="none"), repeat),
        20,
    )
    assert counts[Verdict.SUPPORTED] == 0


def test_the_figure_shows_the_table_and_the_seeds(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        figure = claim.draw(claim.measure(plant(NAME, learned)))
        files = figure_files(figure, {})
    assert (figure.drawn["panel"] == "table").sum() == 20
    assert (figure.drawn["panel"] == "seeds").sum() == 100
    assert b"<svg" in files["svg"]
