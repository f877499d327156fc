"""Row W3: variables that a study's own code reads without naming them are told with their line."""

import pytest

from symstudy.components.variables_read import unnamed_in, values_of
from symstudy.study import load_study, make_study
from symstudy.study.own_names import own_names

CODE = """
import os
import torch

{}

class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.inner = torch.nn.Linear(input_dim, output_dim)

    def forward(self, x):
        return self.inner(x)
"""

STUDY = """
schema = 1
name = "variables"
[model]
kind = "{}:Net"
[data]
kind = "teacher_student"
[train]
optimizer = "sgd"
lr = 0.1
steps = 3
"""


def written(tmp_path, line, name):
    (tmp_path / f"{name}.py").write_text(CODE.format(line), encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY.format(name), encoding="utf-8")
    return tmp_path / "study.toml"


@pytest.mark.parametrize(
    "line",
    [
        'WIDTH = os.environ["TRIAL_" + "WIDTH"]',
        'WIDTH = os.environ[f"TRIAL_{os.name}"]',
        'WIDTH = os.environ.get("TRIAL_" + os.name)',
        'WIDTH = os.getenv(os.name, "1")',
        'WIDTH = os.environ.setdefault(os.name, "1")',
        'WIDTH = "TRIAL_" + os.name in os.environ',
        "WIDTH = dict(os.environ.items())",
        "WIDTH = dict(os.environ)",
        "WIDTH = {**os.environ}",
        "WIDTH = os.environ.copy()",
        "from os import environ as WIDTH",
        "from os import getenv as WIDTH",
        "WIDTH = os.environb[os.name.encode()]",
        "WIDTH = [os.environ.get][0]",
    ],
)
def test_w3_a_variable_that_is_not_named_is_told_with_its_line(tmp_path, line, request):
    name = f"unnamed{abs(hash(request.node.name))}"
    (note,) = load_study(written(tmp_path, line, name)).notes
    assert f"{name}.py:5: " in note
    assert "no part of a run's identity" in note


@pytest.mark.parametrize(
    "line",
    [
        'WIDTH = os.environ["TRIAL_WIDTH"]',
        'WIDTH = os.environ.get("TRIAL_WIDTH", "1")',
        'WIDTH = os.getenv("TRIAL_WIDTH")',
        'WIDTH = "TRIAL_WIDTH" in os.environ',
        'os.environ["TRIAL_" + os.name] = "1"',
        'os.environ.update({"TRIAL_" + os.name: "1"})',
        "from os import environ, getenv",
        "WIDTH = os.path.join(os.getcwd(), os.name)",
    ],
)
def test_what_names_its_variable_or_sets_one_is_not_told(tmp_path, line):
    file = tmp_path / "own.py"
    file.write_text(CODE.format(line), encoding="utf-8")
    assert unnamed_in(file) == ()


def test_a_variable_that_is_named_counts_beside_one_that_is_not(tmp_path, monkeypatch):
    file = tmp_path / "own.py"
    file.write_text(CODE.format('A = os.environ["TRIAL_A"], os.environ[os.name]'), encoding="utf-8")
    monkeypatch.setenv("TRIAL_A", "3")
    assert values_of([file]) == [("TRIAL_A", "3")]
    assert len(unnamed_in(file)) == 1


def test_what_an_own_module_imports_is_told_too(tmp_path):
    (tmp_path / "unnamed_below.py").write_text(
        "import os\nWIDTH = os.environ[os.name]\n", encoding="utf-8"
    )
    study = load_study(written(tmp_path, "import unnamed_below", "unnamed_above"))
    (note,) = study.notes
    assert "unnamed_below.py:2: os.environ[os.name] reads" in note


def test_a_study_of_built_in_parts_names_nothing():
    study = make_study(
        name="plain",
        model={"kind": "fcn"},
        data={"kind": "teacher_student"},
        train={"lr": 0.1},
    )
    assert own_names(study) == set()


def test_a_search_names_its_own_code_too(tmp_path):
    path = written(tmp_path, "", "own_of_search")
    search = """
[search]
method = "random"
objective = "test_loss"
trials = 2
space."train.gamma" = {log = [1e-3, 1.0]}
"""
    path.write_text(path.read_text(encoding="utf-8") + search, encoding="utf-8")
    assert own_names(load_study(path)) == {"own_of_search:Net"}
