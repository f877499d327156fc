"""Commands: their words, what the script reads, and callables from Python."""

import importlib
import math
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symstudy import make_study
from symstudy.errors import StudyFileError
from symstudy.store import Store

SCRIPT = """
import argparse, os
import symstudy

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--seed", type=int)
parser.add_argument("--nested", default="")
args = parser.parse_args()
run = symstudy.current_run()
assert run.seed == args.seed
assert run.config["opt"]["nesterov"] is True
assert os.environ["MINE"] == "yes"
assert os.getcwd() == str(run.folder) == os.environ["SYMSTUDY_FOLDER"]
for step in range(1, 4):
    symstudy.report(step, loss=args.lr * step, seen=args.nested == "true,[1,2]")
"""
TABLES = """
[program]
command = ["python", "train.py", "--lr={lr}", "--seed={seed}", "--nested={opt.nesterov},{sizes}"]
env = { MINE = "yes" }
[config]
lr = 0.5
sizes = [1, 2]
opt = { nesterov = true }
[sweep]
"config.lr" = [0.5, 0.25]
seed = 2
"""


def test_a_script_with_argparse_is_swept_by_its_words(run_programs):
    summary, store = run_programs(SCRIPT, TABLES)
    assert summary.done == 4
    assert store.swept == ("lr",)
    assert store.sql("select lr, seed, loss, seen, opt_nesterov from runs order by all").rows == [
        (0.25, 0, 0.75, True, True),
        (0.25, 1, 0.75, True, True),
        (0.5, 0, 1.5, True, True),
        (0.5, 1, 1.5, True, True),
    ]


def test_metrics_are_typed_columns_of_history_runs_and_cells(run_programs):
    script = """
    def main(run):
        run.report(0, loss=float("inf"), order=-1, ok=True, test_loss=0.25, x=1.0, x_low=2.0)
        run.report(2, loss=0.5, order=-3, test_loss=0.5)
    """
    summary, store = run_programs(script)
    assert summary.done == 1
    rows = store.sql('select step, loss, "order", ok, test_loss from history order by step').rows
    assert math.isnan(rows[0][1])
    assert rows[0][2:] == (-1, True, 0.25)
    assert rows[1] == (2, 0.5, -3, None, 0.5)
    assert store.sql('select loss, "order", ok, steps_done, x_low from runs').rows == [
        (0.5, -3, True, 2, 2.0)
    ]
    assert store.sql('select loss, "order", loss_low, x, x_low from cells').rows == [
        (0.5, -3.0, None, 1.0, 2.0)
    ]
    described = store.arrow("select * from runs").schema
    types = {name: str(described.field(name).type) for name in ("loss", "order", "ok")}
    assert types == {"loss": "double", "order": "int64", "ok": "bool"}


def test_runs_that_count_and_runs_that_measure_share_a_column(run_programs):
    script = """
    def main(run):
        run.report(1, n=3 if run.seed else 0.5)
    """
    _, store = run_programs(script, '[program]\nentry = "train:main"\n[sweep]\nseed = 2\n')
    assert store.sql("select seed, n from runs order by seed").rows == [(0, 0.5), (1, 3.0)]


def test_a_metric_may_not_be_called_as_a_hyperparameter_of_its_run(run_programs):
    script = """
    def main(run):
        run.report(1, lr=1.0)
    """
    _, store = run_programs(script, '[program]\nentry = "train:main"\n[config]\nlr = 1.0\n')
    ((reason,),) = store.sql("select reason from runs").rows
    assert "'lr' is a hyperparameter (train.lr)" in reason


def test_a_function_of_python_is_named_by_where_it_is(monkeypatch, tmp_path):
    (tmp_path / "mine_in_python.py").write_text("def main(run): run.report(1, loss=1.0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine_in_python = importlib.import_module("mine_in_python")
    values = {"schema": 1, "name": "x", "program": {"entry": mine_in_python.main}}
    study = make_study(values)
    assert study.cells[0].program.entry == "mine_in_python:main"
    del sys.modules["mine_in_python"]
    with pytest.raises(StudyFileError, match="must be importable by name"):
        make_study({**values, "program": {"entry": lambda run: None}})


def test_files_of_runs_with_other_metrics_are_merged(run_programs):
    from symstudy.store.files.compaction import compact

    script = """
    def main(run):
        run.report(1, n=3 if run.seed else 0.5, **{f"only_{run.seed}": run.seed == 1})
    """
    _, store = run_programs(script, '[program]\nentry = "train:main"\n[sweep]\nseed = 2\n')
    query = "select seed, n, only_0, only_1 from history order by seed"
    before = store.sql(query).rows
    assert before == [(0, 0.5, False, None), (1, 3.0, None, True)]
    compact(store.folders[0])
    assert Store(store.folders).sql(query).rows == before


def test_a_step_that_is_there_twice_is_found(run_programs):
    from symstudy.store import verify
    from symstudy.store.files.manifest import list_tables

    script = """
    def main(run):
        for step in (1, 2):
            run.report(step, loss=1.0)
    """
    _, store = run_programs(script)
    (folder,) = store.folders
    (path,) = list_tables(folder).paths("history")
    rows = pq.read_table(path)
    steps = pa.array([2, 2], pa.int64())
    twice = rows.set_column(rows.column_names.index("step"), "step", steps)
    folder.write_table(twice, *path.removeprefix(folder.join("")).split("/"))
    assert verify(folder).incomplete
