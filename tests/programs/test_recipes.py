"""The pages on programs, followed literally: their files are written, their studies run."""

import importlib.util
import re
from typing import Any

import pytest

from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.store import Store, verify
from symstudy.study import load_study

BLOCK = re.compile(r"```(?:python|toml|yaml)\n# (\S+\.(?:py|toml|yaml))\n(.*?)```", re.DOTALL)
QUERY = re.compile(r'^symstudy query results "(.*)"$', re.MULTILINE)

HYDRA = '''
"""What the page needs of Hydra, where that is not installed."""
import sys
from types import SimpleNamespace
import yaml

def main(**_):
    def decorate(function):
        def call():
            cfg = SimpleNamespace()
            for word in sys.argv[1:]:
                key, _, value = word.lstrip("+").partition("=")
                *heads, last = key.split(".")
                at = cfg
                for head in heads:
                    if not hasattr(at, head):
                        setattr(at, head, SimpleNamespace())
                    at = getattr(at, head)
                setattr(at, last, yaml.safe_load(value))
            function(cfg)
        return call
    return decorate
'''


@pytest.fixture
def follow(root, tmp_path):
    """Write the files that a page shows, run one of its studies, and ask what the page asks."""

    def run(page, study, *files):
        text = (root / "docs" / "how-to" / page).read_text()
        for name, body in BLOCK.findall(text):
            (tmp_path / name).write_text(body)
        for name, body in files:
            (tmp_path / name).write_text(body)
        assert f"symstudy run {study}\n" in text
        loaded = load_study(tmp_path / study)
        results = str(tmp_path / "results")
        summary = run_study(loaded, results, InlineLauncher(device="cpu"))
        store = Store([open_study_folder(results, loaded)])
        reasons = store.sql("select reason from runs").rows
        assert summary.failed == 0, reasons
        assert verify(store.folders[0]).is_proven
        queries = QUERY.findall(text)
        return summary, [store.sql(query).rows for query in queries]

    return run


def test_the_first_program_of_the_page(follow):
    summary, ((first, *rest),) = follow("programs.md", "descent.toml")
    assert summary.done == 6
    assert first[1] == pytest.approx(0.95**40)
    assert len(rest) == 2


@pytest.mark.parametrize("study", ["script.toml"])
def test_other_studies_of_the_page(root, tmp_path, study):
    text = (root / "docs" / "how-to" / "programs.md").read_text()
    for name, body in BLOCK.findall(text):
        (tmp_path / name).write_text(body)
    summary = run_study(load_study(tmp_path / study), str(tmp_path / "r"), InlineLauncher())
    assert (summary.done, summary.failed) == (2, 0)


def test_the_resumable_program_of_the_page_goes_on(root, tmp_path, monkeypatch):
    from symstudy.programs.job import ProgramJob
    from symstudy.programs.run import ProgramRun

    blocks = dict(BLOCK.findall((root / "docs" / "how-to" / "programs.md").read_text()))
    scope: dict[str, Any] = {}
    exec(blocks["resumable.py"], scope)

    def losses(stop_at):
        job = ProgramJob(
            run_id="r", seed=0, config={"lr": 0.1}, device="cpu", folder=str(tmp_path),
            reports=str(tmp_path / "reports-x"), state=str(tmp_path / "saved.state"), error="",
            entry="", began=0.0, elapsed=0.0, last_step=-1, taken={},
        )  # fmt: skip
        run, found = ProgramRun(job), {}

        def report(step, loss):
            found[step] = float(loss.detach())
            run.is_told_to_stop = step == stop_at

        monkeypatch.setattr(run, "report", report)
        scope["main"](run)
        return found

    first, second = losses(13), losses(0)
    (tmp_path / "saved.state").unlink()
    whole = losses(0)
    assert max(first) == 13
    assert min(second) == 14
    assert {**first, **second} == whole


def test_argparse(follow):
    summary, (rows,) = follow("programs/argparse.md", "fit_line.toml")
    assert summary.done == 4
    assert rows[0][2] > rows[2][2]


@pytest.mark.slow
def test_submitit(follow):
    _, (rows,) = follow("programs/submitit.md", "jobs.toml")
    assert rows == [(0.1, 8, pytest.approx(8 * 0.9**10)), (0.5, 16, pytest.approx(16 * 0.5**10))]


@pytest.mark.slow
def test_optuna(follow):
    summary, (rows,) = follow("programs/optuna.md", "objective.toml")
    assert summary.done == 6
    for lr, depth, value in rows:
        assert value == pytest.approx((lr - 0.1) ** 2 + 0.01 * depth)


@pytest.mark.slow
def test_hydra(follow):
    is_there = importlib.util.find_spec("hydra") is not None
    files = () if is_there else (("hydra.py", HYDRA),)
    _, (rows,) = follow("programs/hydra.md", "app.toml", *files)
    assert [(lr, name) for lr, name, _ in rows] == [
        (0.1, "adam"), (0.1, "sgd"), (0.2, "adam"), (0.2, "sgd")
    ]  # fmt: skip
    assert rows[1][2] == pytest.approx(0.05 / 3)


def test_a_wandb_sweep(root, tmp_path, follow):
    from typer.testing import CliRunner

    from symstudy.cli.app import app

    blocks = dict(BLOCK.findall((root / "docs" / "how-to" / "programs" / "wandb.md").read_text()))
    (tmp_path / "sweep.yaml").write_text(blocks["sweep.yaml"])
    arguments = ["import", str(tmp_path / "sweep.yaml"), "--output", str(tmp_path / "sweep.toml")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    summary, (rows,) = follow("programs/wandb.md", "sweep.toml")
    assert summary.done == 4
    for lr, width, loss in rows:
        assert loss == pytest.approx(abs(lr - 0.01) + 1 / width / 2)


@pytest.fixture
def again(root, tmp_path):
    """Run a study that a page has shown once more, and return what the page asks of it."""

    def run(page, study):
        loaded = load_study(tmp_path / study)
        results = str(tmp_path / "again")
        run_study(loaded, results, InlineLauncher(device="cpu"))
        store = Store([open_study_folder(results, loaded)])
        text = (root / "docs" / "how-to" / page).read_text()
        return [store.sql(query).rows for query in QUERY.findall(text)]

    return run


@pytest.mark.slow
def test_a_lightning_module(follow, again):
    pytest.importorskip("pytorch_lightning")
    _, (rows,) = follow("programs/lightning.md", "lit.toml")
    assert [(lr, step) for lr, step, _ in rows] == [(r, s) for r in (0.01, 0.1) for s in range(8)]
    assert again("programs/lightning.md", "lit.toml") == [rows]


@pytest.mark.slow
def test_a_hugging_face_trainer(follow, again):
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    _, (rows,) = follow("programs/transformers.md", "tune.toml")
    assert [(lr, step) for lr, step, _ in rows] == [
        (r, s) for r in (1e-3, 1e-2) for s in range(2, 11, 2)
    ]
    # The seed decides the run, the initial weights included.
    assert again("programs/transformers.md", "tune.toml") == [rows]
