"""A study is trained and asked from Python as it is from the command line."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import symstudy
from symstudy.errors import StoreError, UnknownNameError
from symstudy.interactive import notebook
from symstudy.interactive.train import display_of
from symstudy.launch import LaunchEnded


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a small study that serves a shipped claim."""
    study = symstudy.make_study(
        name="small",
        claims=["width_saturation"],
        model={"kind": "fcn", "depth": 2},
        data={"kind": "teacher_student", "samples": 16},
        train={"lr": 0.05, "steps": 20},
        sweep={"model.width": [2, 4], "train.gamma": [0.0, 0.01], "seed": 2},
    )
    return symstudy.run(study, tmp_path_factory.mktemp("results"), progress=False)


def test_keywords_are_the_tables_of_a_file():
    values: dict[str, Any] = {
        "name": "one",
        "model": {"kind": "fcn"},
        "data": {"kind": "identity"},
        "train": {"lr": 0.01},
        "sweep": {"model.width": [8, 16], "seed": 3},
    }
    by_keywords = symstudy.make_study(**values)
    whole = symstudy.make_study({"schema": 1, "title": "one", **values})
    assert [run.run_id for run in by_keywords.runs()] == [run.run_id for run in whole.runs()]
    assert by_keywords.title == "one"


def test_a_keyword_wins_over_the_values():
    values = {
        "schema": 1,
        "name": "one",
        "title": "One",
        "model": {"kind": "fcn"},
        "data": {"kind": "identity"},
        "train": {"lr": 0.01},
        "sweep": {"seed": 3},
    }
    assert len(symstudy.make_study(values, sweep={"seed": 5}).seeds) == 5


def test_results_say_how_runs_ended(trained):
    assert "small: 8 planned, 8 done, 0 stopped early, 0 failed, 0 missing" in repr(trained)
    assert "8 done" in trained._repr_html_()


def test_all_runs_are_a_frame(trained):
    frame = trained.df()
    assert sorted(set(zip(frame.width, frame.gamma, frame.seed, strict=True)))[0] == (2, 0.0, 0)
    assert trained.sql("select count(*) from runs").rows == [(8,)]


def test_the_rule_was_fixed_before_the_first_run(trained, root):
    verdicts = trained.analyze(project=root)
    assert len(verdicts) == 1
    assert verdicts[0].rule_is_frozen
    assert verdicts.df().claim.tolist() == ["width_saturation"]
    assert verdicts.finding("width_saturation").verdict.label in verdicts._repr_html_()
    with pytest.raises(UnknownNameError, match="width_saturation"):
        verdicts.finding("width_saturatio")


def test_called_again_nothing_is_trained(trained, tmp_path):
    before = trained.df("select run_id, finished_at from runs order by all")
    study = symstudy.make_study(trained.store.folders[0].read_study()["document"])
    again = symstudy.run(study, trained.location.removesuffix("/small"), progress=False)
    assert again.df("select run_id, finished_at from runs order by all").equals(before)


def test_where_no_study_is_results_are_refused(tmp_path):
    with pytest.raises(StoreError, match="study"):
        symstudy.open_results(tmp_path)


def test_a_notebook_gets_one_bar_that_is_kept_up_to_date(monkeypatch):
    shown: list[str] = []
    handle = SimpleNamespace(update=shown.append)

    def display(html, display_id):
        shown.append(html)
        return handle

    fake = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=fake))
    monkeypatch.setattr(notebook, "EVERY_S", 0)
    with notebook.NotebookDisplay() as bar:
        bar.name = "<b>x"
        bar(LaunchEnded(stopped=""))
    assert len(shown) == 2
    assert "&lt;b&gt;x" in shown[0]
    assert "<progress" in shown[0]


def test_only_a_kernel_is_a_notebook(monkeypatch):
    assert not notebook.in_notebook()
    kernel = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    assert notebook.in_notebook()
    study = symstudy.make_study(
        name="one", model={"kind": "fcn"}, data={"kind": "identity"}, train={"lr": 0.1}
    )
    assert isinstance(display_of(study, quiet=False), notebook.NotebookDisplay)
    assert not isinstance(display_of(study, quiet=True), notebook.NotebookDisplay)


def test_asking_results_loads_neither_torch_nor_ray():
    code = "import sys, symstudy; symstudy.open_results; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
