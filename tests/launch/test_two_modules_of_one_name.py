"""Two studies whose modules have one name, in one process: the second is refused, never mistrained.

Python keeps one module of a name. What was found in the first must not train the second.
"""

import pytest

from symstudy.errors import ChangedError, ModelError, StudyFileError
from symstudy.launch import InlineLauncher, run_study
from symstudy.store import open_store
from symstudy.study import load_study

STUDY = """
schema = 1
name   = "NAME"
title  = "One of two"
[model]
kind  = "fcn"
width = 4
[data]
kind    = "teacher_student"
samples = 40
[train]
lr         = 0.01
batch_size = 8
steps      = 8
[probe]
num             = 2
detail          = 1
representations = 8
[sweep]
"train.replica" = [0, 1]
"""
PAIRS = "a measure of pairs"
BETWEEN = """
[pairs]
between  = ["train.replica"]
measures = ["part_7d2e:apart"]
"""
PARTS = {
    "a measure": (
        {"probe.measures": '["part_7d2e:largest"]'},
        """
from symstudy.measures import measure
@measure(on="layer", kind="number", meaning="a number")
def largest(view):
    return NUMBER + 0.0 * view.norms_KN.amax(dim=1)
""",
    ),
    PAIRS: (
        {},
        """
from symstudy.measures import measure
@measure(on="pair", kind="number", meaning="a number")
def apart(view):
    return NUMBER + 0.0 * view.first_KBN.amax(dim=(1, 2))
""",
    ),
    "a loss": (
        {"train.loss": '"part_7d2e:error"'},
        """
def error(outputs, targets):
    return NUMBER * (outputs - targets).square().sum(dim=-1)
""",
    ),
    "a schedule": (
        {"train.schedule": '"part_7d2e:Flat"'},
        """
import numpy as np
from symstudy.schedules import AbstractSchedule
from symstudy.components import component
@component
class Flat(AbstractSchedule):
    def shares(self, steps, total):
        return np.full(len(steps), 1 / NUMBER)
""",
    ),
    "a model": (
        {"model": '{kind = "part_7d2e:Net"}'},
        """
import torch
class Net(torch.nn.Module):
    def __init__(self, input_dim, output_dim, width=4):
        super().__init__()
        self.inner = torch.nn.Linear(input_dim, width)
        self.outer = torch.nn.Linear(width, output_dim)
    def forward(self, x):
        return NUMBER * self.outer(torch.tanh(self.inner(x)))
""",
    ),
    "a data set": (
        {"data": '{kind = "part_7d2e:made"}'},
        """
import numpy as np
def made(seed):
    x = np.random.default_rng(seed).normal(size=(40, 3))
    y = NUMBER * x[:, :1]
    return x[:30], y[:30], x[30:], y[30:]
""",
    ),
    "a rule that stops": (
        {"train.stop": '"part_7d2e:late"'},
        """
def late(history):
    return history["step"][-1] >= 4 * NUMBER
""",
    ),
}


def train(place, part, number):
    """Write a module and a study beside it, and train it."""
    tables, module = PARTS[part]
    place.mkdir()
    (place / "part_7d2e.py").write_text(module.replace("NUMBER", str(number)))
    more = BETWEEN if part == PAIRS else ""
    (place / "study.toml").write_text(STUDY.replace("NAME", place.name) + more)
    changes = [f"{key}={value}" for key, value in tables.items()]
    study = load_study(place / "study.toml", overrides=changes)
    run_study(study, str(place.parent / "results"), InlineLauncher(device="cpu"))


@pytest.mark.parametrize("part", PARTS)
def test_the_second_study_is_refused(part, tmp_path):
    train(tmp_path / "first", part, 1.0)
    refusal = "part_7d2e.*([Ss]tart Python again|Give yours another name)"
    with pytest.raises((ChangedError, ModelError, StudyFileError), match=refusal):
        train(tmp_path / "second", part, 2.0)
    rows = open_store(tmp_path / "results").sql("select distinct study, outcome from runs").rows
    assert {study for study, _ in rows} == {"first"}
    assert {outcome for _, outcome in rows} <= {"done", "stopped"}
