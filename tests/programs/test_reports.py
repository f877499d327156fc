import json
import math

import numpy as np
import pytest
import torch

from symstudy.programs.metrics import MetricError
from symstudy.programs.reports import ReportFile, Rows
from symstudy.programs.run import ProgramRun


def reported(run):
    rows = Rows(run.job.taken)
    for line in ReportFile(run.folder / "reports-a.jsonl").lines():
        rows.add(line, 0.0)
    return rows


def test_every_report_is_a_row_with_typed_metrics(run):
    run.report(0, loss=1.0, hits=3, ok=True)
    run.report(5, loss=0.5, hits=4, ok=False)
    rows = reported(run)
    assert [(row.step, row.values) for row in rows.rows] == [
        (0, {"loss": 1.0, "hits": 3, "ok": True}),
        (5, {"loss": 0.5, "hits": 4, "ok": False}),
    ]
    assert rows.metrics().kinds == {"loss": "number", "hits": "count", "ok": "truth"}


def test_reports_at_one_step_are_one_row(run):
    run.report(1, loss=1.0)
    run.report(1, val_loss=2.0)
    (row,) = reported(run).rows
    assert row.values == {"loss": 1.0, "val_loss": 2.0}


def test_arrays_and_tensors_of_one_number_are_numbers(run):
    run.report(1, a=np.float32(0.5), b=torch.tensor(2.0), c=np.array([3]), d=np.bool_(True))
    (row,) = reported(run).rows
    assert row.values == {"a": 0.5, "b": 2.0, "c": 3, "d": True}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_nan(run, value):
    run.report(1, loss=value)
    (row,) = reported(run).rows
    assert math.isnan(row.values["loss"])


def test_a_count_that_becomes_a_fraction_is_a_number(run):
    run.report(1, loss=1)
    run.report(2, loss=0.5)
    assert reported(run).metrics().kinds == {"loss": "number"}


@pytest.mark.parametrize(
    ("step", "metrics", "message"),
    [
        (1, {"loss": "abc"}, "'loss' is 'abc', of type str"),
        (1, {"loss": torch.zeros(2)}, r"'loss' is an array of shape \(2,\)"),
        (1, {"val/loss": 1.0}, "Report it as 'val_loss'"),
        (1, {"seed": 1}, "'seed' is a column of every study"),
        (1, {"n": 2**63}, r"at most 2\^53 .*'n' is 9223372036854775808. Report it as float\(n\)"),
        (1, {"n": -(2**53) - 1}, r"'n' is -9007199254740993"),
        (1, {"converged": 1}, "'converged' must be true or false"),
        (1, {}, "at least one metric"),
        (1.5, {"loss": 1.0}, "must be an integer from 0 on, but got 1.5"),
        (-1, {"loss": 1.0}, "must be an integer from 0 on, but got -1"),
    ],
)
def test_what_cannot_be_reported_is_refused_where_it_is_reported(run, step, metrics, message):
    with pytest.raises(MetricError, match=message):
        run.report(step, **metrics)


def test_names_are_those_of_columns_which_know_no_case(run):
    run.report(1, F1=0.5)
    run.report(2, f1=0.25)
    assert reported(run).metrics().last == {"f1": 0.25}
    with pytest.raises(MetricError, match="must differ in more than case"):
        run.report(3, Loss=1.0, loss=2.0)


def test_a_step_that_goes_backwards_is_refused(run):
    run.report(4, loss=1.0)
    with pytest.raises(MetricError, match="must not go backwards, but got 3 after 4"):
        run.report(3, loss=1.0)


def test_a_metric_twice_at_a_step_is_refused(run):
    run.report(4, loss=1.0)
    with pytest.raises(MetricError, match="'loss' was reported at step 4 before"):
        run.report(4, loss=2.0)


def test_a_metric_that_changes_its_type_is_refused(run):
    run.report(1, good=True)
    with pytest.raises(MetricError, match="'good' was true or false and is 0.5 now"):
        run.report(2, good=0.5)


def test_a_report_after_the_end_is_refused(run):
    run.report(1, loss=1.0)
    run.end()
    with pytest.raises(MetricError, match="before its end"):
        run.report(2, loss=1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"loss 0.5", "one line of JSON"),
        (b'{"loss": 0.5}', 'must have a "step"'),
        (b'{"step": 1, "loss": "low"}', "'loss' is 'low'"),
        (b'{"step": 1, "loss": [1]}', "'loss' is"),
        (b'{"step": 1, "loss": null}', "at least one metric"),
        (b'{"step": 1, "loss": 1.0, "loss": 2.0}', "'loss' is there twice"),
        (b'{"step": 1, "step": 2, "loss": 1.0}', "'step' is there twice"),
    ],
)
def test_lines_of_other_programs_are_held_to_the_same(line, message):
    with pytest.raises(MetricError, match=message):
        Rows({}).add(line, 0.0)


def test_a_line_may_leave_the_time_to_us():
    rows = Rows({})
    rows.add(b'{"step": 1, "loss": 0.5}', 7.0)
    assert rows.rows[0].elapsed == 7.0


def test_whole_lines_alone_are_read_from_a_growing_file(tmp_path):
    path = tmp_path / "reports"
    file = ReportFile(path)
    assert file.lines() == []
    path.write_bytes(b'{"step": 1}\n{"st')
    assert file.lines() == [b'{"step": 1}']
    with path.open("ab") as more:
        more.write(b'ep": 2}\n')
    assert file.lines() == [b'{"step": 2}']
    assert file.partial == b""


def test_an_attempt_that_goes_on_takes_the_place_of_what_it_reports_again():
    rows = Rows({})
    for step in range(5):
        rows.add(json.dumps({"step": step, "loss": 1.0}).encode(), 0.0)
    rows.resume()
    rows.add(b'{"step": 3, "loss": 2.0}', 0.0)
    assert [(row.step, row.values["loss"]) for row in rows.rows] == [
        (0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0)
    ]  # fmt: skip


def test_outside_of_a_study_reports_are_checked_and_go_nowhere():
    alone = ProgramRun(None)
    alone.report(1, loss=1.0)
    with pytest.raises(MetricError):
        alone.report(2, loss="abc")
    alone.save({"step": 1})
    assert alone.restore() is None
