"""What `validate` and `plan` say of modules of one's own that are refused, and where."""

import re

import pytest
from typer.testing import CliRunner

from symstudy.cli.app import app
from symstudy.errors import ModelError

MODULE = """
import torch


class Deep(torch.nn.Linear):
    def __init__(self, input_dim, output_dim, depth):
        super().__init__(input_dim, output_dim)


def mixed(outputs, targets):
    return (outputs - targets).square().sum(dim=2) / outputs.shape[1]
"""
STUDY = """
schema = 1
name   = "refused"
[model]
kind  = "refused_nets:Deep"
[data]
kind = "teacher_student"
samples = 20
[train]
loss = "refused_nets:mixed"
lr = 0.1
batch_size = 5
steps = 10
"""


@pytest.fixture
def study(tmp_path):
    """A study whose module lacks an argument, and whose loss mixes samples."""
    (tmp_path / "refused_nets.py").write_text(MODULE)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def refusal(command, study, *overrides):
    found = CliRunner().invoke(app, [command, str(study), *overrides])
    assert isinstance(found.exception, ModelError)
    return str(found.exception)


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_refused_module_is_told_with_the_line_that_names_it(study, command):
    said = refusal(command, study)
    assert re.match(rf"{re.escape(str(study))}:5: Deep\(.* must be buildable", said)
    assert "the study must give depth" in said


def test_a_refused_loss_is_told_with_its_own_line(study):
    said = refusal("validate", study, "model.depth=2")
    assert said.startswith(f"{study}:10: train.loss must be the loss of each sample by itself")


def test_what_was_typed_has_no_line(study):
    said = refusal("validate", study, "model.kind=refused_nets:Dep")
    assert said.startswith("model.kind must name something")
    assert "Did you mean 'Deep'? Known: Deep, mixed." in said
