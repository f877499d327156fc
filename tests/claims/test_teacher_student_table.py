import numpy as np
import pytest

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


def judge(claims, plant, seeds=None, **options):
    store = plant(NAME, lambda run, rng: learned(run, rng, **options), seeds=seeds)
    return judge_store(claims[NAME], store)


def flat_parts(finding):
    """Return the verdict for each teacher on whether the count is flat in the student's width."""
    return {
        width: finding.part(f"distinct neurons against width at teacher width = {width}")
        for width in (1, 2, 4, 8, 16)
    }


def test_a_count_that_follows_the_teacher_is_supported(claims, plant):
    finding = judge(claims, plant)
    assert finding.verdict is Verdict.SUPPORTED
    assert finding.effect > 0.99
    assert finding.p_value < 0.05


def test_a_count_that_follows_the_student_is_refuted(claims, plant):
    # Refuting any of eleven parts takes eight seeds and more.
    by_width = judge(claims, plant, follows="capacity", seeds=8)
    assert by_width.verdict is Verdict.REFUTED
    by_both = judge(claims, plant, follows="both", seeds=8)
    assert by_both.verdict is Verdict.REFUTED
    name = "share of the variance of ln distinct neurons explained by width"
    assert by_width.part(name).verdict is by_both.part(name).verdict is Verdict.REFUTED


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


def test_flatness_is_about_students_of_twice_the_count(claims, plant):
    def narrow(run, rng):
        # A student narrower than its teacher cannot follow: only the wide ones are held to be flat.
        count = min(run.cell.data.teacher_width, run.cell.model.width / 2)
        return {**learned(run, rng), "distinct_neurons": float(count)}

    finding = judge_store(claims[NAME], plant(NAME, narrow))
    assert {part.verdict for part in flat_parts(finding).values()} == {Verdict.SUPPORTED}


def test_counts_that_leave_no_two_students_room_are_inconclusive(claims, plant):
    def crowded(run, rng):
        count = 4.0 * run.cell.data.teacher_width
        return {**learned(run, rng), "distinct_neurons": count}

    finding = judge_store(claims[NAME], plant(NAME, crowded))
    verdicts = {width: part.verdict for width, part in flat_parts(finding).items()}
    assert verdicts == {
        **dict.fromkeys((1, 2, 4, 8), Verdict.SUPPORTED),
        16: Verdict.INCONCLUSIVE,
    }
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_runs_that_did_not_converge_are_no_evidence(claims, plant):
    finding = judge(claims, plant, grad_ratio=1e-3)
    assert finding.verdict is Verdict.UNTESTED
    assert finding.excluded == (("gradient above 1e-06 of 1 + objective", 100),)


@pytest.mark.slow
def test_counts_without_any_law_are_never_supported(claims, plant):
    counts = count_verdicts(
        claims[NAME],
        lambda repeat: plant(NAME, lambda run, rng: learned(run, rng, follows="none"), repeat),
        20,
    )
    assert counts[Verdict.SUPPORTED] == 0


def test_the_figure_has_a_line_for_each_student_and_each_teacher(claims, plant):
    from symstudy.plots.figures import figure_files, theme

    claim = claims[NAME]
    with theme():
        store = plant(NAME, lambda run, rng: learned(run, rng, noise=0.0))
        figure = claim.draw(claim.measure(store))
        files = figure_files(figure, {})
    lines = figure.drawn[figure.drawn["panel"] == "count"]
    # The student of 16 has no room for 16 neurons, so it is in no line against its width.
    assert len(lines) == 20 + 19
    assert set(lines["seeds"]) == {5}
    assert b"<svg" in files["svg"]
