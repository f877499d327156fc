"""Rows W4 and W5 of the trial, of every own part: no draw outside the streams, no mixing of runs.

A loss, an optimiser, a measure, a rule that stops, clipping, augmentation and data of one's own may
draw from generators that no seed decides, or broadcast over runs or samples. Each is refused.
"""

import pytest

from symstudy.errors import UserError
from symstudy.launch import InlineLauncher, run_study
from symstudy.store import open_store
from symstudy.study import load_study

STUDY = """
schema = 1
name   = "parts"
[model]
kind  = "fcn"
width = 4
[data]
kind    = "teacher_student"
samples = 40
[train]
lr         = 0.01
batch_size = 8
steps      = 6
[probe]
num    = 3
detail = 3
[sweep]
seed = [0, 1]
"""
HEAD = """
import numpy as np
import torch
from torch import nn
from symstudy.components import component
from symstudy.measures import measure
from symstudy.optimizers import AbstractStepOptimizer
"""
X = "np.ones((8, 2)), np.arange(8.0), np.ones((8, 2)), np.arange(8.0)"
TABLES = {
    "loss": ("train.loss='MODULE:part'", ""),
    "measure": ("probe.measures=['MODULE:part']", ""),
    "network": ("probe.measures=['MODULE:part']", ""),
    "optimizer": ("train.optimizer='MODULE:Part'", ""),
    "stop": ("train.stop='MODULE:part'", ""),
    "clip": ("train.clip='MODULE:part'", ""),
    "data": ("data={kind='MODULE:part'}", ""),
    "augment": (
        "data={kind='MODULE:plain', augment=['MODULE:part']}",
        f"def plain():\n    return {X}",
    ),
    "returned": ("train.loss='MODULE:part'", "model={kind='MODULE:Net'}"),
}
MEASURE = "@measure(on='layer', kind='number', meaning='a number')\ndef part(view):\n    return "
NETWORK = "@measure(on='network', kind='number', meaning='a number')\ndef part(view):\n    return "
OPTIMIZER = '''
@component
class Part(AbstractStepOptimizer):
    """Steps."""
    @classmethod
    def num_moments(cls, lanes):
        return 0
    @classmethod
    def step(cls, theta_KP, gradient_KP, pulled_KP, moments, numbers):
        return theta_KP - numbers.rate_K1 * '''
NET = """
class Net(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.layer = nn.Linear(input_dim, output_dim)
    def forward(self, x):
        return {"output": self.layer(x), "total": self.layer.weight.square().sum()}
"""
LOSS = "def part(outputs, targets):\n    return "
ERROR = "(outputs['output'] - targets).square().sum(-1)"

DRAWS = {
    "loss": LOSS + "(nn.functional.dropout(outputs) - targets).square().sum(-1)",
    "returned": NET + LOSS + f"{ERROR} + torch.rand(())",
    "measure": MEASURE + "view.norms_KN.mean(dim=1) + torch.rand(len(view.norms_KN))",
    "network": NETWORK + "view.losses() + np.random.rand()",
    "optimizer": OPTIMIZER + "(gradient_KP + torch.randn_like(theta_KP))",
    "stop": "def part(run):\n    return bool(np.random.rand() < 0.5)",
    "clip": "def part(gradients, parameters):\n    torch.rand(1)\n    return gradients",
    "augment": "def part(x, generator):\n    return x + np.random.rand()",
}
APART = {
    "measure": [
        "view.norms_KN.mean().expand(len(view.norms_KN))",
        "torch.arange(len(view.norms_KN)).double()",
        "(view.norms_KN.amax(1)[:, None] - view.norms_KN.amax(1)).abs().mean(1)",
        "torch.full((len(view.norms_KN),), float(np.random.SeedSequence().entropy % 10**9))",
    ],
    "network": [
        "view.losses() / len(view.theta_KP)",
        "torch.randn(view.theta_KP.shape, generator=torch.Generator().manual_seed(0)).sum(1)",
    ],
    "optimizer": ["gradient_KP.mean(0, keepdim=True)", "gradient_KP / len(theta_KP)"],
    "returned": [
        "(outputs['output'] - outputs['output'].mean(1, keepdim=True) - targets).square().sum(-1)",
        f"{ERROR} / outputs['output'].shape[1]",
        f"{ERROR} + outputs['total'].mean()",
        "(outputs['output'][:, :, :1] - targets[:, :, 0][:, None]).square().mean(-1)",
    ],
}
HEADS = {
    "measure": MEASURE,
    "network": NETWORK,
    "optimizer": OPTIMIZER,
    "returned": NET + LOSS,
}
WRITES = {
    "a measure": MEASURE + "view.norms_KN.zero_().sum(1)",
    "a measure of networks": NETWORK + "view.theta_KP.mul_(0).sum(1)",
}
RIGHT = {
    "measure": MEASURE + "view.norms_KN.mean(dim=1)",
    "network": NETWORK + "view.losses()",
    "optimizer": OPTIMIZER + "gradient_KP",
    "returned": NET + LOSS + f"{ERROR} + 0.1 * outputs['total'][:, None]",
    "stop": "def part(run):\n    return False",
    "clip": "def part(gradients, parameters):\n    return gradients",
    "augment": "def part(x, generator):\n    return x + generator.normal()",
}


@pytest.fixture
def reasons(tmp_path, request):
    """Train with a part of one's own; return why runs failed, or why the study was refused."""

    def train(part, code):
        module = f"own_part_{abs(hash(request.node.nodeid)) % 10**9}"
        override, more = TABLES[part]
        kinds = [override, more] if more.startswith("model") else [override]
        plain = "" if more.startswith("model") else more
        (tmp_path / f"{module}.py").write_text(f"{HEAD}\n{plain}\n{code}\n")
        (tmp_path / "study.toml").write_text(STUDY)
        try:
            overrides = [each.replace("MODULE", module) for each in kinds]
            study = load_study(tmp_path / "study.toml", overrides=overrides)
            run_study(study, str(tmp_path / "results"), InlineLauncher(device="cpu"))
        except UserError as error:
            return str(error)
        rows = (
            open_store(tmp_path / "results").sql("select distinct outcome, reason from runs").rows
        )
        return "" if rows == [("done", None)] else str(rows)

    return train


@pytest.mark.parametrize("part", DRAWS)
def test_w4_a_part_that_draws_outside_of_the_streams_is_refused(reasons, part):
    assert "draws from" in reasons(part, DRAWS[part])


@pytest.mark.parametrize(
    ("part", "code"), [(part, code) for part, codes in APART.items() for code in codes]
)
def test_w5_a_part_that_mixes_runs_or_samples_is_refused(reasons, part, code):
    said = reasons(part, HEADS[part] + code)
    assert "by itself" in said


@pytest.mark.parametrize("what", WRITES)
def test_w4_a_measure_that_writes_to_what_it_is_shown_is_refused(reasons, what):
    part = "network" if "networks" in what else "measure"
    assert "writes to a tensor" in reasons(part, WRITES[what])


@pytest.mark.parametrize("part", RIGHT)
def test_w4_w5_a_part_that_does_neither_is_trained(reasons, part):
    assert reasons(part, RIGHT[part]) == ""


def test_w5_integers_in_a_column_are_neither_classes_nor_numbers(reasons):
    x = "np.ones((8, 2))"
    code = f"def part():\n    y = np.arange(8)[:, None] % 2\n    return {x}, y, {x}, y"
    assert "Return y.ravel() for classes" in reasons("data", code)


def test_w5_masked_numbers_are_not_trained_on(reasons):
    code = (
        "def part():\n    x = np.ma.masked_less(np.ones((8, 2)), 2)\n"
        "    return x, np.arange(8.0), np.ones((8, 2)), np.arange(8.0)"
    )
    assert "16 are masked" in reasons("data", code)
