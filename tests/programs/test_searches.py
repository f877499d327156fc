"""Searches over what programs report."""

import pytest

from symstudy.errors import StudyFileError, UserError
from symstudy.store import verify

SCRIPT = """
def main(run):
    x = run.config["x"]
    for step in range(1, 10):
        run.report(step, score=(x - 0.3) ** 2 + 1 / step)
"""
TABLES = """
[program]
entry = "train:main"
steps = 9
[search]
method = "random"
objective = "score"
trials = 6
batch = 2
[search.space]
"config.x" = { linear = [0.0, 1.0] }
"""


def test_a_search_minimises_a_metric(run_programs):
    summary, store = run_programs(SCRIPT, TABLES)
    assert summary.done == 6
    assert verify(store.folders[0]).is_proven
    assert store.swept == ("x",)
    assert run_programs(SCRIPT, TABLES)[0].done == 0


def test_an_objective_that_no_program_reports_is_told_after_the_first(run_programs):
    with pytest.raises(UserError, match=r"search.objective must be .* over the columns of runs"):
        run_programs(SCRIPT, TABLES.replace('"score"', '"scroe"'))


@pytest.mark.slow
def test_hopeless_runs_are_stopped_at_rungs(run_programs):
    tables = TABLES + '[search.halt]\nmeasure = "score"\nreduction = 3\nrungs = 1\n'
    summary, store = run_programs(
        SCRIPT.replace("    for", "    import time\n    for").replace(
            "        run.report", "        time.sleep(0.03)\n        run.report"
        ),
        tables,
    )
    assert summary.early >= 1
    assert summary.done + summary.early == 6
    rows = store.sql("select max(steps_done) from runs where outcome = 'stopped'").rows
    assert 3 <= rows[0][0] < 9
    assert verify(store.folders[0]).is_proven


def test_rungs_need_the_step_of_the_last_report(write_study):
    tables = TABLES.replace("steps = 9\n", "") + '[search.halt]\nmeasure = "score"\n'
    with pytest.raises(StudyFileError, match=r"\[program\] steps = N"):
        write_study(SCRIPT, tables)
